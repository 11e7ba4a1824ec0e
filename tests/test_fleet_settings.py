"""Addresses of clusters and of sentinels in the settings."""

from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hitl_desktop.settings import SettingsError, read_settings
from hitl_desktop.settings.fleet import is_fleet, read_fleet, written

CLUSTERED = {"MULTI_TENANCY_ENABLED": "true", "HITL_KEY_LAYOUT": "hashtag"}
hosts = st.one_of(
    st.from_regex(r"[a-z][a-z0-9.-]{0,20}", fullmatch=True),
    st.ip_addresses(v=4).map(str),
    st.ip_addresses(v=6).map(str),
)
places = st.lists(st.tuples(hosts, st.integers(1, 65535)), min_size=1, max_size=4)


@given(places, st.text(max_size=20), st.text(max_size=20), st.sampled_from(["redis", "rediss"]))
def test_nodes_and_their_password_are_read_as_they_were_written(
    seeds: list[tuple[str, int]], user: str, password: str, scheme: str
) -> None:
    secret = f"{quote(user, safe='')}:{quote(password, safe='')}@"
    fleet = read_fleet(f"{scheme}+cluster://{secret}{','.join(written(*place) for place in seeds)}")
    assert (fleet.is_cluster, list(fleet.seeds)) == (True, seeds)
    assert fleet.server_url(("::1", 7)) == f"{scheme}://{secret}[::1]:7/?"
    assert fleet.sentinel_url(("a", 7)) == f"{scheme}://a:7/?"


@given(places, st.integers(0, 99))
def test_sentinels_and_the_service_are_read_as_they_were_written(seeds: list[tuple[str, int]], database: int) -> None:
    joined = ",".join(written(*place) for place in seeds)
    fleet = read_fleet(f"rediss+sentinel://:pw@{joined}/my-master?db={database}&sentinel_password=s%26&ssl_ca_certs=c")
    assert (fleet.is_cluster, fleet.service, list(fleet.seeds)) == (False, "my-master", seeds)
    assert fleet.server_url(("db", 1)) == f"rediss://:pw@db:1/?db={database}&ssl_ca_certs=c"
    assert fleet.sentinel_url(("watch", 1)) == "rediss://:s%26@watch:1/?ssl_ca_certs=c"
    assert fleet.shown.startswith("my-master by ")


def test_ports_may_be_left_out() -> None:
    assert read_fleet("redis+cluster://a,[::1],b:7").seeds == (("a", 6379), ("::1", 6379), ("b", 7))
    assert read_fleet("redis+sentinel://a/m").seeds == (("a", 26379),)


@pytest.mark.parametrize(
    "url",
    [
        "redis+cluster://",
        "redis+cluster://a:0",
        "redis+cluster://a:99999",
        "redis+cluster://a,,b",
        "redis+cluster://a b",
        "redis+cluster://a:7/1",
        "redis+cluster://a:7?db=1",
        "redis+cluster://a:7?ssl_ca_certs=c",
        "rediss+cluster://a:7?sentinel_password=c",
        "redis+sentinel://a:7/m?socket_timeout=1",
        "redis+sentinel://a:7",
        "redis+sentinel://a:7/",
        "redis+sentinel://a:7/two/parts",
        "redis+sentinel://a:7/m?db=one",
        "redis+sentinel://a:7/m?sentinel_username=u",
        "redis+sentinel://::1/m",
        "redis+nothing://a",
    ],
)
def test_a_bad_address_is_one_sentence_with_what_is_allowed(url: str) -> None:
    with pytest.raises(SettingsError, match=r"^HITL_REDIS_URL is .*allowed .*\.$"):
        read_settings({"HITL_REDIS_URL": url, **CLUSTERED})


@pytest.mark.parametrize("missing", CLUSTERED)
def test_a_cluster_needs_tenants_with_hash_tags(missing: str) -> None:
    environment = {"HITL_REDIS_URL": "redis+cluster://:secret@a:7,b:7", **CLUSTERED}
    assert read_settings(environment).redis_url == environment["HITL_REDIS_URL"]
    del environment[missing]
    with pytest.raises(SettingsError, match="set HITL_KEY_LAYOUT=hashtag and MULTI_TENANCY_ENABLED=true") as told:
        read_settings(environment)
    assert "a:7 and 1 more" in str(told.value)
    assert "secret" not in str(told.value)


def test_sentinels_serve_either_layout() -> None:
    url = "redis+sentinel://a:7/m"
    assert read_settings({"HITL_REDIS_URL": url}).redis_url == url


@given(st.text(st.characters(codec="ascii", exclude_characters="\0"), max_size=20), st.integers(0, 3))
def test_no_message_shows_a_password(text: str, form: int) -> None:
    secret = f"s3cret{text}s3cret"
    url = (
        f"redis+cluster://user:{secret}@host:0",
        f"redis+cluster://:{secret}@host:7",
        f"redis+sentinel://user:{secret}@host",
        f"redis+sentinel://host:7/?sentinel_password={secret}",
    )[form]
    assert is_fleet(url)
    with pytest.raises(SettingsError) as told:
        read_settings({"HITL_REDIS_URL": url})
    assert "s3cret" not in str(told.value)
