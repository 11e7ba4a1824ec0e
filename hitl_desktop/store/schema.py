"""The schema of a tenant's store, as the migrations that make it; the version is how many were done."""

APPLICATION_ID = 0x4849544C  # "HITL"

MIGRATIONS: tuple[str, ...] = (
    """
    CREATE TABLE facts(name TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT, WITHOUT ROWID;

    CREATE TABLE gates(
        request_id TEXT PRIMARY KEY, task_id TEXT NOT NULL, session_id TEXT NOT NULL, gate_type TEXT NOT NULL,
        status TEXT NOT NULL, bundle_id TEXT NOT NULL, requested_by TEXT NOT NULL, requested_at REAL NOT NULL,
        summary TEXT NOT NULL, expires_at REAL, expires_text TEXT NOT NULL, decision_id TEXT NOT NULL,
        reviewer TEXT NOT NULL, reason TEXT NOT NULL, conditions TEXT NOT NULL, decided_at REAL
    ) STRICT;
    CREATE INDEX gates_in_order ON gates(status, requested_at);

    CREATE TABLE bundles(
        request_id TEXT PRIMARY KEY, bundle_id TEXT NOT NULL, digest TEXT NOT NULL, fields BLOB NOT NULL,
        size INTEGER NOT NULL, kept_at REAL NOT NULL
    ) STRICT;
    CREATE TABLE contents(digest TEXT PRIMARY KEY, content BLOB NOT NULL) STRICT;
    CREATE TABLE pieces(
        request_id TEXT NOT NULL REFERENCES bundles(request_id) ON DELETE CASCADE, position INTEGER NOT NULL,
        digest TEXT NOT NULL, PRIMARY KEY(request_id, position)
    ) STRICT, WITHOUT ROWID;
    CREATE INDEX pieces_by_digest ON pieces(digest);
    CREATE VIRTUAL TABLE words USING fts5(request_id UNINDEXED, title, body);

    CREATE TABLE outbox(
        seq INTEGER PRIMARY KEY AUTOINCREMENT, decision_id TEXT NOT NULL UNIQUE, request_id TEXT NOT NULL,
        state TEXT NOT NULL, decision BLOB NOT NULL, gate BLOB NOT NULL, fields BLOB NOT NULL, device TEXT NOT NULL,
        held_until REAL, attempts INTEGER NOT NULL DEFAULT 0, sender TEXT, lease REAL, cause TEXT NOT NULL DEFAULT '',
        problem TEXT NOT NULL DEFAULT '', theirs BLOB, delivered_at REAL, run_id TEXT
    ) STRICT;
    CREATE INDEX outbox_by_state ON outbox(state, seq);
    CREATE UNIQUE INDEX outbox_one_on_its_way ON outbox(request_id) WHERE state IN ('queued', 'sending', 'unknown');

    CREATE TABLE drafts(request_id TEXT PRIMARY KEY, body BLOB NOT NULL, saved_at REAL NOT NULL) STRICT, WITHOUT ROWID;
    CREATE TABLE viewed(
        request_id TEXT NOT NULL, bundle_id TEXT NOT NULL, item INTEGER NOT NULL,
        PRIMARY KEY(request_id, bundle_id, item)
    ) STRICT, WITHOUT ROWID;
    """,
    "ALTER TABLE outbox RENAME COLUMN run_id TO history_id",
    # What a row's state is changes several times, and what it is about never: SQLite writes a row as a whole.
    """
    CREATE TABLE outbox_contents(
        seq INTEGER PRIMARY KEY REFERENCES outbox(seq) ON DELETE CASCADE, decision BLOB NOT NULL, gate BLOB NOT NULL,
        fields BLOB NOT NULL
    ) STRICT;
    INSERT INTO outbox_contents SELECT seq, decision, gate, fields FROM outbox;
    ALTER TABLE outbox DROP COLUMN decision;
    ALTER TABLE outbox DROP COLUMN gate;
    ALTER TABLE outbox DROP COLUMN fields;
    """,
)
