"""Who is let in: the token decides, the header agrees; and what is written down of those who are not."""

import asyncio
import json
import signal
import socket
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

from hitl_desktop.gateway.tokens import digest_of, new_token
from tests.gateway.gateway_process import GatewayProcess, gateway_process
from tests.processes import DEADLINE
from tests.servers import free_port
from tests.services.chroma_server import ChromaServer, impostor

A, B = "acme-corp", "widgets-inc"
HEARTBEAT = "/api/v2/heartbeat"
EVERY = "/api/v2/tenants/default_tenant/databases/default_database/collections"


@pytest.fixture
def http() -> Iterator[httpx.Client]:
    with httpx.Client(trust_env=False, timeout=60) as client:
        yield client


def test_a_token_with_its_tenants_header_is_let_in(gateway: GatewayProcess, http: httpx.Client) -> None:
    for tenant_id in gateway.tokens:
        assert http.get(gateway.url + HEARTBEAT, headers=gateway.headers(tenant_id)).status_code == 200
    headers = {"authorization": f"bearer  {gateway.tokens[A]}", "x-tenant-id": A}
    assert http.get(gateway.url + HEARTBEAT, headers=headers).status_code == 200


BEARER, NAMED = ("Authorization", "Bearer {token}"), ("X-Tenant-ID", A)
NOBODY: dict[str, list[tuple[str, str]]] = {
    "nothing": [],
    "no token": [NAMED],
    "no header": [BEARER],
    "another header": [BEARER, ("X-Tenant-ID", B)],
    "another token": [("Authorization", "Bearer {other}"), NAMED],
    "a tenant that is not listed": [BEARER, ("X-Tenant-ID", "evil-corp")],
    "no tenant id": [BEARER, ("X-Tenant-ID", "../acme-corp")],
    "the id in capitals": [BEARER, ("X-Tenant-ID", "ACME-CORP")],
    "an empty header": [BEARER, ("X-Tenant-ID", "")],
    "two headers": [BEARER, NAMED, NAMED],
    "two tenants": [BEARER, NAMED, ("X-Tenant-ID", B)],
    "two tenants in one": [BEARER, ("X-Tenant-ID", f"{A}, {B}")],
    "two tokens": [BEARER, ("Authorization", "Bearer {other}"), NAMED],
    "basic": [("Authorization", "Basic {token}"), NAMED],
    "no scheme": [("Authorization", "{token}"), NAMED],
    "an empty token": [("Authorization", "Bearer"), NAMED],
    "the digest": [("Authorization", "Bearer {digest}"), NAMED],
    "a beginning": [("Authorization", "Bearer {token}x"), NAMED],
    "Chroma's own header": [("X-Chroma-Token", "{token}"), NAMED],
    "the token for the tenant": [BEARER, ("X-Tenant-ID", "{token}")],
    "headers mixed up": [("Authorization", f"Bearer {A}"), ("X-Tenant-ID", "{token}")],
}


def filled(gateway: GatewayProcess, headers: list[tuple[str, str]]) -> list[tuple[str, str]]:
    known = {"token": gateway.tokens[A], "other": gateway.tokens[B], "digest": digest_of(gateway.tokens[A])}
    return [(name, value.format(**known)) for name, value in headers]


@pytest.mark.parametrize("case", NOBODY)
def test_nobody_else_is_let_in(gateway: GatewayProcess, http: httpx.Client, case: str) -> None:
    known = len(gateway.refusals())
    answer = http.get(gateway.url + HEARTBEAT, headers=filled(gateway, NOBODY[case]))
    assert answer.status_code == 403
    assert answer.headers["content-type"] == "application/json"
    assert answer.json()["error"] == "AuthError"
    (line,) = gateway.refusals()[known:]
    assert (line["method"], line["path"], line["reason"]) == ("GET", HEARTBEAT, answer.json()["message"])


def test_a_refusal_is_written_with_who_asked_for_what_and_without_the_token(
    gateway: GatewayProcess, http: httpx.Client
) -> None:
    known = len(gateway.refusals())
    headers = gateway.headers(A)
    token = gateway.tokens[A]
    http.get(f"{gateway.url}{EVERY}/{B}_documents?token={token}", headers=headers)
    http.post(f"{gateway.url}/api/v2/{token}", headers={**headers, "X-Tenant-ID": B})
    http.delete(f"{gateway.url}/api/v2/x", headers={"Authorization": f"Bearer {A}", "X-Tenant-ID": token})
    lines = gateway.refusals()[known:]
    assert [set(line) for line in lines] == [{"time", "tenant", "header", "method", "path", "reason"}] * 3
    assert [(line["tenant"], line["header"], line["method"]) for line in lines] == [
        (A, A, "GET"),
        (A, B, "POST"),
        (None, "(no tenant id)", "DELETE"),
    ]
    assert [line["path"] for line in lines] == [f"{EVERY}/{B}_documents", "/api/v2/[token]", "/api/v2/x"]
    kept = gateway.audit_file.read_text()
    assert not any(token in kept for token in gateway.tokens.values())
    assert stat.S_IMODE(gateway.audit_file.stat().st_mode) == 0o600


def test_what_is_served_is_not_written(gateway: GatewayProcess, http: httpx.Client) -> None:
    known = len(gateway.refusals())
    assert http.get(f"{gateway.url}{EVERY}", headers=gateway.headers(A)).status_code == 200
    assert len(gateway.refusals()) == known


@pytest.mark.parametrize("is_declared", [True, False])
def test_a_body_that_is_too_long_is_not_taken(
    gateway: GatewayProcess, http: httpx.Client, *, is_declared: bool
) -> None:
    body = b'{"name": "' + b"x" * (1024 * 1024) + b'"}'
    content: Any = body if is_declared else iter([body[:500_000], body[500_000:]])
    known = len(gateway.refusals())
    answer = http.post(f"{gateway.url}{EVERY}", headers=gateway.headers(A), content=content)
    assert (answer.status_code, answer.json()["error"]) == (413, "BatchSizeExceededError")
    assert [line["tenant"] for line in gateway.refusals()[known:]] == [A]


def test_a_length_that_is_too_long_is_refused_before_anything_is_sent(gateway: GatewayProcess) -> None:
    place = urlsplit(gateway.url)
    lines = [f"POST {EVERY} HTTP/1.1", "Host: x", f"Content-Length: {10**15}", *_lines(gateway.headers(A)), "", ""]
    with socket.create_connection((place.hostname, place.port), timeout=60) as connection:
        connection.sendall("\r\n".join(lines).encode())
        assert connection.recv(100).startswith(b"HTTP/1.1 413 ")


@pytest.mark.parametrize("head", [b"GET / HTTP/1.1\r\nX: ", b"GET /", b"", b"GET / HTTP/1.1\r\n"])
def test_nobody_fills_the_memory_with_a_head_that_does_not_end(gateway: GatewayProcess, head: bytes) -> None:
    place = urlsplit(gateway.url)
    part = b"X: x\r\n" * 10_000 if head.endswith(b"\r\n") else b"x" * 60_000
    with socket.create_connection((place.hostname, place.port), timeout=60) as connection:
        connection.sendall(head)
        with pytest.raises(ConnectionError):
            connection.sendall(200 * part)


@pytest.mark.parametrize("lengths", [["4", "chunked"], ["chunked", "4"]])
def test_a_request_that_gives_its_length_in_two_ways_ends_its_connection(
    gateway: GatewayProcess, lengths: list[str]
) -> None:
    place = urlsplit(gateway.url)
    told = [f"{'Transfer-Encoding' if one == 'chunked' else 'Content-Length'}: {one}" for one in lengths]
    head = [f"POST {EVERY} HTTP/1.1", "Host: x", *told, *_lines(gateway.headers(A)), "", ""]
    hidden = [f"GET {HEARTBEAT} HTTP/1.1", "Host: x", *_lines(gateway.headers(A)), "", ""]
    with socket.create_connection((place.hostname, place.port), timeout=60) as connection:
        connection.sendall("\r\n".join([*head[:-1], "0", "", *hidden]).encode())
        answer = b"".join(iter(lambda: connection.recv(1_000), b""))
    assert answer.startswith(b"HTTP/1.1 403 ")
    assert answer.count(b"HTTP/1.1") == 1
    assert "length" in gateway.refusals()[-1]["reason"]


def _lines(headers: dict[str, str]) -> list[str]:
    return [f"{name}: {value}" for name, value in headers.items()]


def test_a_client_that_leaves_in_the_middle_of_its_body_harms_nobody(
    gateway: GatewayProcess, http: httpx.Client
) -> None:
    place = urlsplit(gateway.url)
    lines = [f"POST {EVERY} HTTP/1.1", "Host: x", "Content-Length: 1000", *_lines(gateway.headers(A)), "", "{"]
    known = len(gateway.refusals())
    for _ in range(5):
        with socket.create_connection((place.hostname, place.port), timeout=60) as connection:
            connection.sendall("\r\n".join(lines).encode())
    assert http.get(gateway.url + HEARTBEAT, headers=gateway.headers(A)).status_code == 200
    assert len(gateway.refusals()) == known
    assert (gateway.folder / "gateway.log").read_text() == ""


def test_a_websocket_is_not_served(gateway: GatewayProcess) -> None:
    with pytest.raises(InvalidStatus) as refused:
        connect(gateway.url.replace("http", "ws") + HEARTBEAT + "/x", additional_headers=gateway.headers(A), proxy=None)
    assert refused.value.response.status_code == 403


async def test_chroma_gets_no_header_of_the_client(tmp_path: Path, http: httpx.Client) -> None:
    async with impostor("200 OK", "1") as there:
        with gateway_process(tmp_path, f"{there.url}/under/") as gateway:
            headers = {**gateway.headers(A), "X-Own": "secret", "Cookie": "secret", "X-Forwarded-For": "10.0.0.1"}
            answer = await asyncio.to_thread(http.get, gateway.url + HEARTBEAT, headers=headers)
    assert answer.text == "1"
    (request,) = there.requests
    assert request.startswith("GET /under/api/v2/heartbeat HTTP/1.1\r\n")
    sent = {line.partition(":")[0].lower() for line in request.splitlines()[1:] if line}
    assert sent == {"host", "accept", "accept-encoding", "connection", "user-agent"}
    assert gateway.tokens[A] not in request


@pytest.mark.parametrize("body", ["[1]", "{}", "<html>", '[{"name": "acme-corp_x"}]', '{"name": "widgets-inc_x"}'])
async def test_what_answers_as_no_chroma_server_is_not_passed_on(tmp_path: Path, http: httpx.Client, body: str) -> None:
    async with impostor("200 OK", body) as there:
        with gateway_process(tmp_path, there.url) as gateway:
            found = "00000000-0000-4000-8000-000000000000"
            for path in (EVERY, f"{EVERY}_count", f"{EVERY}/{A}_x", f"{EVERY}/by-id/{found}", f"{EVERY}/{found}/count"):
                answer = await asyncio.to_thread(http.get, gateway.url + path, headers=gateway.headers(A))
                assert answer.status_code in {403, 502}
                assert set(answer.json()) == {"error", "message"}


async def test_an_answer_about_another_tenants_collection_is_not_passed_on(tmp_path: Path, http: httpx.Client) -> None:
    found = "00000000-0000-4000-8000-000000000000"
    described = {"id": found, "name": f"{B}_x", "tenant": "default_tenant", "database": "default_database"}
    async with impostor("200 OK", json.dumps(described)) as there:
        with gateway_process(tmp_path, there.url) as gateway:
            for path in (f"{EVERY}/{A}_x", f"{EVERY}/by-id/{found}", f"{EVERY}/{found}/count"):
                answer = await asyncio.to_thread(http.get, gateway.url + path, headers=gateway.headers(A))
                assert (answer.status_code, B in answer.text) == (403, False)
            answer = await asyncio.to_thread(
                http.post, gateway.url + EVERY, headers=gateway.headers(A), json={"name": f"{A}_x"}
            )
            assert (answer.status_code, B in answer.text) == (403, False)
            other = f"{EVERY}/by-id/{found[:-1]}1"
            assert (
                await asyncio.to_thread(http.get, gateway.url + other, headers=gateway.headers(B))
            ).status_code == 502


@pytest.mark.parametrize("place", ["tenant", "database"])
async def test_an_own_name_in_another_database_is_not_passed_on(tmp_path: Path, http: httpx.Client, place: str) -> None:
    found = "00000000-0000-4000-8000-000000000000"
    described = {"id": found, "name": f"{A}_x", "tenant": "default_tenant", "database": "default_database"}
    async with impostor("200 OK", json.dumps(described | {place: "elsewhere"})) as there:
        with gateway_process(tmp_path, there.url) as gateway:
            for path in (f"{EVERY}/{A}_x", f"{EVERY}/by-id/{found}", f"{EVERY}/{found}/count"):
                answer = await asyncio.to_thread(http.get, gateway.url + path, headers=gateway.headers(A))
                assert (answer.status_code in {403, 502}, "elsewhere" in answer.text) == (True, False)


def test_without_chroma_there_is_an_answer_that_says_so(tmp_path: Path, http: httpx.Client) -> None:
    with gateway_process(tmp_path, f"http://127.0.0.1:{free_port()}") as gateway:
        for path in (HEARTBEAT, EVERY, f"{EVERY}/{A}_documents"):
            answer = http.get(gateway.url + path, headers=gateway.headers(A))
            assert (answer.status_code, answer.json()["error"]) == (502, "InternalError")
        assert gateway.refusals() == []


def test_a_token_that_is_taken_out_or_added_counts_from_the_next_request_on(
    tmp_path: Path, chroma: ChromaServer, http: httpx.Client
) -> None:
    def status(headers: dict[str, str]) -> int:
        return http.get(gateway.url + HEARTBEAT, headers=headers).status_code

    with gateway_process(tmp_path, chroma.url) as gateway:
        of_a, of_b = gateway.headers(A), gateway.headers(B)
        assert (status(of_a), status(of_b)) == (200, 200)
        gateway.tokens[A] = new_token()
        gateway.write_tokens()
        assert (status(of_a), status(gateway.headers(A)), status(of_b)) == (403, 200, 200)
        gateway.token_file.chmod(0o644)
        assert (status(gateway.headers(A)), status(of_b)) == (403, 403)
        gateway.token_file.chmod(0o600)
        assert status(of_b) == 200
        gateway.token_file.unlink()
        assert status(of_b) == 403
        gateway.write_tokens()
        assert status(of_b) == 200
        assert "may be read by others" in (tmp_path / "gateway.log").read_text()


def test_it_ends_when_it_is_told_to(tmp_path: Path, chroma: ChromaServer) -> None:
    with gateway_process(tmp_path, chroma.url) as gateway:
        gateway.process.send_signal(signal.SIGINT)
        assert gateway.process.wait(DEADLINE) == 130
    assert "Traceback" not in (tmp_path / "gateway.log").read_text()
