"""Kept evidence: whole bundles, contents shared by digest, what is evicted and what never, and the search in it."""

from contextlib import closing
from hashlib import sha256

import apsw
import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as examples
from hypothesis import strategies as st

from hitl_desktop.domain.decision import Draft
from hitl_desktop.domain.outbox import OutboxState
from hitl_desktop.store.database import MEMORY, open_database
from hitl_desktop.store.drafts import Drafts
from hitl_desktop.store.evidence import EvidenceCache, Kept
from hitl_desktop.store.outbox import Outbox, Outcome
from tests.stores import bundle_fields, entry, gate


@pytest.fixture
def evidence(connection: apsw.Connection) -> EvidenceCache:
    return EvidenceCache(connection)


def keep(evidence: EvidenceCache, name: str, *contents: bytes, text: str = "", size: int = 0) -> Kept:
    fields = bundle_fields(name, f"bundle-of-{name}", blob="x" * size)
    kept = Kept(fields, f"digest-of-{name}", dict(enumerate(contents)))
    evidence.put(name, f"bundle-of-{name}", kept, f"Title of {name}", [text])
    return kept


def kept(evidence: EvidenceCache, *names: str) -> list[str]:
    return [name for name in names if evidence.find(name) is not None]


def count(connection: apsw.Connection, table: str) -> int:
    statement = f"SELECT count(*) FROM {table}"  # noqa: S608 - a name of this test's
    return int(connection.execute(statement).fetchall()[0][0])  # type: ignore[arg-type]  # a count


def test_a_bundle_comes_back_byte_for_byte(evidence: EvidenceCache) -> None:
    fields = {b"bundle_id": b"b", b"raw": b"\xff\x00\xfe", b"": b"empty name"}
    put = Kept(fields, "digest", {0: b"\x00\xff", 3: b""})
    evidence.put("request", "b", put, "A title", ["text"])
    assert evidence.find("request") == put
    assert evidence.find("another") is None
    assert evidence.bundle_ids() == {"request": "b"}


def test_a_newer_bundle_takes_the_place_of_the_older(connection: apsw.Connection, evidence: EvidenceCache) -> None:
    keep(evidence, "one", b"old content", text="oldword")
    newer = keep(evidence, "one", b"new content", text="newword")
    assert evidence.find("one") == newer
    assert [len(evidence.search(word)) for word in ("oldword", "newword")] == [0, 1]
    assert (count(connection, "contents"), count(connection, "pieces"), count(connection, "words")) == (1, 1, 1)


def test_contents_are_kept_once_and_outlive_one_of_their_owners(
    connection: apsw.Connection, evidence: EvidenceCache
) -> None:
    shared = b"the same file in two gates"
    keep(evidence, "first", shared, b"only in the first", size=1_000)
    second = keep(evidence, "second", b"only in the second", shared, size=1_000)
    digests = connection.execute("SELECT digest FROM contents").fetchall()
    assert len(digests) == 3
    assert (sha256(shared).hexdigest(),) in digests
    evidence.evict(evidence.size() - 1, ["second"])
    assert kept(evidence, "first", "second") == ["second"]
    assert evidence.find("second") == second
    assert count(connection, "contents") == 2
    evidence.evict(0, [])
    assert (count(connection, "contents"), count(connection, "pieces"), count(connection, "words")) == (0, 0, 0)


def test_what_is_wanted_least_goes_first(evidence: EvidenceCache) -> None:
    names = ["unwanted-old", "most", "middle", "least", "unwanted-new"]
    for name in names:
        keep(evidence, name, size=1_000)
    wanted = ["most", "middle", "least"]
    order = []
    while evidence.size():
        before = kept(evidence, *names)
        evidence.evict(evidence.size() - 1, wanted)
        order += [name for name in before if name not in kept(evidence, *names)]
    assert order == ["unwanted-old", "unwanted-new", "least", "middle", "most"]


@pytest.mark.parametrize("state", [state for state in OutboxState if state is not OutboxState.DRAFT])
def test_what_a_decision_refers_to_is_not_evicted_before_it_is_delivered(
    connection: apsw.Connection, evidence: EvidenceCache, state: OutboxState
) -> None:
    outbox = Outbox(connection)
    about = gate(request_id="decided")
    one = entry(about)
    outbox.add(one, about.bundle.fields)
    outbox.settle([Outcome(one.decision_id, state)], 0.0)
    Drafts(connection).keep({"drafted": Draft("half a sentence")})
    for name in ("decided", "drafted", "neither"):
        keep(evidence, name, b"content", size=1_000)
    evidence.evict(0, ["neither"])
    stays = ["decided"] if state is not OutboxState.DELIVERED else []
    assert kept(evidence, "decided", "drafted", "neither") == [*stays, "drafted"]
    found = evidence.find("drafted")
    assert found is not None
    assert found.contents == {0: b"content"}


def test_nothing_is_evicted_below_the_limit(evidence: EvidenceCache) -> None:
    keep(evidence, "one", size=1_000)
    evidence.evict(evidence.size(), [])
    assert kept(evidence, "one") == ["one"]


@given(
    sizes=st.lists(st.integers(0, 3_000), min_size=1, max_size=12),
    protected=st.sets(st.integers(0, 11)),
    limit=st.integers(0, 20_000),
)
def test_eviction_meets_the_limit_or_has_only_what_it_must_keep(
    sizes: list[int], protected: set[int], limit: int
) -> None:
    with closing(open_database(MEMORY, bytes(32))) as connection:
        evidence, drafts = EvidenceCache(connection), Drafts(connection)
        names = [f"gate-{number}" for number in range(len(sizes))]
        for name, size in zip(names, sizes, strict=True):
            keep(evidence, name, b"shared", name.encode(), size=size)
        safe = {names[number] for number in protected if number < len(names)}
        drafts.keep({name: Draft("words") for name in safe})
        evidence.evict(limit, names)
        left = set(kept(evidence, *names))
        assert safe <= left
        assert evidence.size() <= limit or left == safe
        for name in left:
            found = evidence.find(name)
            assert found is not None
            assert found.contents == {0: b"shared", 1: name.encode()}


def found(evidence: EvidenceCache, text: str) -> list[str]:
    return [one.request_id for one in evidence.search(text)]


def test_a_search_finds_every_word_by_its_beginning(evidence: EvidenceCache) -> None:
    keep(evidence, "one", text="def retry(jitter): ...")
    keep(evidence, "two", text="retry without it")
    assert found(evidence, "retry jit") == ["one"]
    assert sorted(found(evidence, "RETRY")) == ["one", "two"]
    assert found(evidence, "title") != []
    assert found(evidence, "retry absent") == []
    assert found(evidence, "  ") == []
    (hit,) = evidence.search("jitter")
    assert (hit.title, "jitter" in hit.excerpt) == ("Title of one", True)


ODD = (
    *('"', '""', '"open', "a AND b", "OR", "NOT x", "NEAR(a b, 2)", "title:x", "^x", "x*", "-x", "(", ")", "{a}", "+"),
    *(
        "'; DROP TABLE words; --",
        "\0",
        "a\0b",
        "\ud800",
        "😀",
        "﷽",
        "\u202ehidden",
        "é" * 2_000,
        "\x7f",
        ":",
        "%",
        "\\",
    ),
)


@pytest.mark.parametrize("text", ODD)
def test_nothing_in_a_search_is_an_operator(evidence: EvidenceCache, text: str) -> None:
    keep(evidence, "holds it", text=f"before {text} after")
    keep(evidence, "holds none", text="another text")
    assert "holds none" not in found(evidence, f"{text} after")
    assert found(evidence, "before after") == ["holds it"]


def test_a_quoted_word_is_found(evidence: EvidenceCache) -> None:
    keep(evidence, "one", text='he said "retry" twice')
    assert found(evidence, '"retry"') == ["one"]


@given(text=st.text(max_size=60), asked=st.text(max_size=40))
@examples(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_text_can_be_kept_and_searched(evidence: EvidenceCache, text: str, asked: str) -> None:
    keep(evidence, "one", text=text)
    for query in (asked, text, f'"{asked}', f"{asked}*"):
        assert len(evidence.search(query)) <= 1


@given(word=st.from_regex(r"[a-z0-9]{1,20}", fullmatch=True), around=st.text(alphabet='"*():^-\0 \n', max_size=6))
@examples(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_word_is_found_whatever_stands_around_it(evidence: EvidenceCache, word: str, around: str) -> None:
    keep(evidence, "one", text=f"some {word} text")
    assert found(evidence, around + word + around) == ["one"]


def test_hits_are_limited(evidence: EvidenceCache) -> None:
    for number in range(30):
        keep(evidence, f"gate-{number}", text="same")
    assert len(evidence.search("same")) == 20
    assert len(evidence.search("same", limit=3)) == 3
