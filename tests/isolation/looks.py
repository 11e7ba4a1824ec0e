"""Every way in which somebody who works for a tenant can look around: each returns all it sees, as one text."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace

from hitl_desktop.services.events import Events
from hitl_desktop.services.gates import Gates
from hitl_desktop.services.history import History
from hitl_desktop.session.stranded import open_stranded
from hitl_desktop.store.database import open_database
from hitl_desktop.store.keys import Keys
from hitl_desktop.sync.monitor import Phase
from tests.isolation.filling import MARKS, export_of
from tests.isolation.place import Place

Look = Callable[[Place, str, Sequence[str]], Awaitable[str]]
WORDS = ("summary", "content", "knowledge", "value", "reason", "document", *MARKS.values())


async def the_repository(place: Place, tenant: str, asked: Sequence[str]) -> str:
    """Read the gates, as the application does."""
    async with place.connection(tenant) as connection:
        gates = Gates(connection, place.names(tenant))
        waiting = await gates.pending_ids()
        records = [record async for page in gates.read_all([*waiting, *asked], whole=True) for record in page]
        return repr((waiting, await gates.count_pending(), records))


async def the_event_stream(place: Place, tenant: str, _asked: Sequence[str]) -> str:
    """Read the events from the first one."""
    async with place.connection(tenant) as connection:
        events = Events(connection, place.names(tenant))
        return repr((await events.newest(), await events.after("0", 1)))


async def the_history(place: Place, tenant: str, _asked: Sequence[str]) -> str:
    """Read who decided what."""
    async with place.connection(tenant) as connection:
        return repr(await History(connection, place.names(tenant)).recent())


async def the_audit_stream(place: Place, tenant: str, _asked: Sequence[str]) -> str:
    """Read the audit entries, each whole."""
    async with place.client(tenant) as client:
        return repr(await client.xrange("asdlc:audit"))


async def other_code(place: Place, tenant: str, asked: Sequence[str]) -> str:
    """Read all keys through TenantRedis, and the other tenant's by every name that could lead there."""
    async with place.client(tenant) as client:
        found = {key async for key in client.scan_iter(count=3)} | {key async for key in client.scan_iter("*asdlc*")}
        found |= set(await client.keys("*"))
        texts = [repr(found)] + [repr(await READERS[await client.type(key)](client, key)) for key in found]
        texts += [repr(await client.hgetall(f"asdlc:gate_request:{request_id}")) for request_id in asked]
        for name in (place.names(each).events for each in MARKS):
            texts += [repr(await client.xrange(name)), repr(await client.keys(f"*{name}*"))]
        streams = {"asdlc:shared-stream": "0", "asdlc:events": "0", "asdlc:audit": "0"}
        texts.append(repr(await client.xread(streams)))
        return "\n".join(texts)


READERS: dict[str, Callable[..., Awaitable[object]]] = {
    "string": lambda client, key: client.get(key),
    "hash": lambda client, key: client.hgetall(key),
    "list": lambda client, key: client.lrange(key, 0, -1),
    "set": lambda client, key: client.smembers(key),
    "zset": lambda client, key: client.zrange(key, 0, -1),
    "stream": lambda client, key: client.xrange(key),
}


async def the_documents(place: Place, tenant: str, _asked: Sequence[str]) -> str:
    """Search for every word that anybody used."""
    async with place.connection(tenant):
        knowledge = place.knowledge(tenant)
        return repr([await knowledge.search(word) for word in WORDS])


async def the_window(place: Place, tenant: str, _asked: Sequence[str]) -> str:
    """Follow the server as the window does, and look at all that it can show."""
    async with place.session(tenant, live=True) as session:
        await session.monitor.reached(Phase.ONLINE)
        kept = [await session.search_kept(word) for word in WORDS]
        book = session.book
        shown = (book.gates, book.quarantined, book.decisions, book.pending_ids)
        return repr((shown, kept, await session.drafts(), await session.pending_kept(), await session.notice()))


PLAIN_VERBS = (
    ("gates", "list"),
    ("gates", "list", "--offline"),
    ("outbox", "list"),
    ("outbox", "list", "--all"),
    ("doctor",),
    ("tenants", "list"),
)


async def the_command_line(place: Place, tenant: str, asked: Sequence[str]) -> str:
    """Run every verb that tells something, in its words and as JSON."""
    verbs: list[tuple[str, ...]] = [
        *((*verb, *form) for verb in PLAIN_VERBS for form in ((), ("--json",))),
        *(("gates", "show", request_id, "--json") for request_id in asked),
        *(("gates", "show", request_id, "--offline") for request_id in asked),
    ]
    verbs.append(("outbox", "export"))
    return repr([await place.run(*verb, "--tenant", tenant) for verb in verbs])


async def the_export(place: Place, tenant: str, _asked: Sequence[str]) -> str:
    """Read what was exported for the tenant."""
    return export_of(place, tenant).read_text()


async def the_store(place: Place, tenant: str, _asked: Sequence[str]) -> str:
    """Decrypt the tenant's file and read every row of every table."""
    settings = place.settings
    folder = settings.stores_dir
    keys = Keys(folder, settings.key_file, settings.passphrase, (folder / "store-id").read_text().strip())
    key = keys.find(place.names(tenant))
    assert key is not None
    connection = open_database(folder / f"{place.names(tenant).file_stem}.db", key)
    try:
        tables = [str(row[0]) for row in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        return repr({table: connection.execute(f'SELECT * FROM "{table}"').fetchall() for table in tables})  # noqa: S608 - names of its own schema
    finally:
        connection.close()


async def what_is_stranded(place: Place, tenant: str, _asked: Sequence[str]) -> str:
    """Look at what waits as one does who may no longer work for the tenant, and export it."""
    allowed = tuple(other for other in MARKS if other != tenant)
    async with open_stranded(replace(place.settings, allowed_tenants=allowed), tenant) as outbox:
        entries = await outbox.entries()
        return repr((await outbox.summary(), entries, [await outbox.exported(entry) for entry in entries]))


LOOKS: dict[Look, tuple[str, ...]] = {
    the_repository: ("summary-4", "content", "description", "path", "task-4", "agent"),
    the_event_stream: ("task-0", "task-4", "session", "reason"),
    the_history: ("reason", "theirs"),
    the_audit_stream: ("task-0", "task-4", "agent", "reason", "colleague"),
    other_code: ("value", "string", "field", "member", "summary-0", "content", "task-4", "reason"),
    the_documents: ("document", "knowledge of asdlc_documents", "knowledge of asdlc_specs", "title"),
    the_window: ("summary-4", "draft", "reason", "theirs", "condition"),
    the_command_line: ("summary-4", "content 4", "description", "reason", "theirs", "feedback", "condition", "sha"),
    the_export: ("summary", "content", "reason", "feedback", "condition", "theirs", "sha"),
    the_store: ("summary-4", "content 4", "draft", "reason", "theirs", "feedback", "condition", "sha", "path"),
    what_is_stranded: ("summary-1", "content 1", "reason", "theirs", "feedback", "condition", "sha"),
}
"""The looks, and what each must show a tenant of its own; of another's, nothing."""
