"""Clients that send too much, too slowly or without end, or that two readers would read differently."""

from __future__ import annotations

import json
import select
import socket
import struct
from collections.abc import Iterator

import pytest

from autotune.service.guard.framing import HEAD_BYTES, HEADERS, TARGET_BYTES
from tests.service.serving import (
    Answered,
    Served,
    answered,
    impatient,
    is_closed,
    read_answer,
    request_bytes,
)

JOBS = "/api/v1/jobs"
JSON = {"Content-Type": "application/json"}
GIGABYTE = 2**30
FLAT_BYTES = 30 * 2**20
"""By so much a process's memory may grow while it is sent a gigabyte."""


@pytest.fixture(scope="module")
def hasty(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A service that waits for nobody for long, and has room for few."""
    times = "TimeLimits(head_s=0.6, body_s=0.6, idle_s=1, unread_s=0.6, linger_s=0.3)"
    with impatient(tmp_path_factory.mktemp("hasty"), f"times={times}, clients=16") as served:
        yield served


def connect(service: Served) -> socket.socket:
    return socket.create_connection(("127.0.0.1", service.port), timeout=30)


def head_of(service: Served, **headers: str) -> bytes:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return request_bytes("POST", JOBS, {"Host": service.host, **service.bearer, **JSON, **named})


def pour(connection: socket.socket, chunk: bytes, most: int) -> int:
    """Send until the other side has enough of it."""
    sent = 0
    try:
        while sent < most:
            connection.sendall(chunk)
            sent += len(chunk)
    except (BrokenPipeError, ConnectionResetError):
        pass
    return sent


def test_a_body_that_announces_a_gigabyte_is_refused_before_it_is_sent(service: Served) -> None:
    with connect(service) as connection:
        connection.sendall(head_of(service, Content_Length=str(GIGABYTE)))
        answer = read_answer(connection)
        assert (answer.status, answer.headers["connection"]) == (413, "close")
        assert answer.problem["type"] == "urn:autotune:problem:body-size"


def test_a_gigabyte_is_not_kept_in_memory_and_its_sender_reads_why(service: Served) -> None:
    before = service.memory_bytes()
    with connect(service) as connection:
        connection.sendall(head_of(service, Content_Length=str(GIGABYTE)))
        sent = pour(connection, bytes(2**20), GIGABYTE)
        assert sent < GIGABYTE
        assert read_answer(connection).status == 413
    assert service.memory_bytes() - before < FLAT_BYTES


@pytest.mark.parametrize("is_known", [True, False])
def test_chunks_without_end_are_cut_off_and_never_kept(service: Served, is_known: bool) -> None:
    before = service.memory_bytes()
    head = head_of(service, Transfer_Encoding="chunked")
    if not is_known:
        head = head.replace(service.token.encode(), b"x")
    chunk = b"10000\r\n" + bytes(0x10000) + b"\r\n"
    with connect(service) as connection:
        connection.sendall(head)
        assert pour(connection, chunk, GIGABYTE) < GIGABYTE
        assert read_answer(connection).status in ((413,) if is_known else (401, 429))
    assert service.memory_bytes() - before < FLAT_BYTES


def test_chunks_of_one_byte_count_as_well(service: Served) -> None:
    kind = {"Content-Type": "application/x-www-form-urlencoded", "Transfer-Encoding": "chunked"}
    headers = {"Host": service.host, "Origin": f"http://{service.host}", **kind}
    with connect(service) as connection:
        connection.sendall(request_bytes("POST", "/login", headers))
        pour(connection, 1000 * b"1\r\nx\r\n", 2**20)
        assert read_answer(connection).status == 413


def test_the_form_of_the_login_is_short(service: Served) -> None:
    headers = {"Content-Type": "application/x-www-form-urlencoded", "Origin": f"http://{service.host}"}
    assert service.ask("POST", "/login", headers, b"token=" + bytes(5000)).status == 413


def test_a_body_as_large_as_it_may_be_is_read(service: Served) -> None:
    answer = service.ask("POST", "/api/v1/nothing", {**service.bearer, **JSON}, bytes(2**20))
    assert answer.status == 404


def test_a_head_that_never_ends_is_given_up(hasty: Served) -> None:
    with connect(hasty) as connection:
        connection.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n")
        answer = read_answer(connection)
        assert answer.status == 408
        assert is_closed(connection)


def test_a_head_that_drips_is_given_up(hasty: Served) -> None:
    with connect(hasty) as connection:
        connection.settimeout(0.1)
        received = b""
        for character in request_bytes("GET", "/", {"Host": hasty.host, "X": 500 * "x"}):
            try:
                connection.sendall(bytes([character]))
                received = connection.recv(1000)
                break
            except TimeoutError:
                continue
        assert received.startswith(b"HTTP/1.1 408")


def test_who_says_nothing_is_not_waited_for(hasty: Served) -> None:
    with connect(hasty) as connection:
        assert is_closed(connection)


def test_a_connection_is_not_kept_for_ever(hasty: Served) -> None:
    with connect(hasty) as connection:
        connection.sendall(request_bytes("GET", "/health/live", {"Host": hasty.host}))
        assert read_answer(connection).status == 200
        assert is_closed(connection)


def test_a_body_that_drips_is_given_up(hasty: Served) -> None:
    with connect(hasty) as connection:
        connection.sendall(head_of(hasty, Content_Length="1000") + b"{")
        answer = read_answer(connection)
        assert (answer.status, answer.problem["type"]) == (408, "urn:autotune:problem:slow-body")
        assert is_closed(connection)


def test_a_client_that_leaves_in_the_middle_of_a_body_leaves_nothing_behind(hasty: Served) -> None:
    for _ in range(5):
        with connect(hasty) as connection:
            connection.sendall(head_of(hasty, Content_Length="1000") + b"{")
    assert hasty.ask("GET", "/openapi.json", hasty.bearer).status == 200
    log = (hasty.folder / "service.log").read_text(encoding="utf-8")
    assert "Traceback" not in log


def test_who_leaves_answers_unread_is_let_go(hasty: Served) -> None:
    asked = request_bytes("GET", "/openapi.json", {"Host": hasty.host, **hasty.bearer})
    with connect(hasty) as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
        connection.sendall(1_000 * asked)
        ended = select.poll()
        ended.register(connection, select.POLLHUP | select.POLLERR | select.POLLRDHUP)
        assert ended.poll(20_000)


def test_there_is_an_end_to_connections_and_room_again_when_some_are_closed(hasty: Served) -> None:
    kept: list[socket.socket] = []
    try:
        statuses = []
        for _ in range(16 + 64 + 8):
            connection = connect(hasty)
            kept.append(connection)
            connection.sendall(b"GET /health/live HTTP/1.1\r\nHost: " + hasty.host.encode() + b"\r\n\r\n")
        for connection in kept:
            try:
                statuses.append(read_answer(connection).status)
            except ConnectionError:
                statuses.append(503)
        assert statuses.count(200) == 16 + 64
        assert statuses.count(503) == 8
    finally:
        for connection in kept:
            connection.close()
    assert hasty.ask("GET", "/health/live").status == 200


def raw(service: Served, head: str) -> Answered:
    return answered(service.port, head.format(host=service.host, token=service.token).encode("latin-1"))


SMUGGLED = "GET /smuggled HTTP/1.1\r\nHost: {host}\r\n\r\n"
POSTED = "POST /api/v1/nothing HTTP/1.1\r\nHost: {host}\r\nAuthorization: Bearer {token}\r\n"


@pytest.mark.parametrize(
    "head",
    [
        POSTED + "Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + SMUGGLED,
        POSTED + "Transfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n0\r\n\r\n" + SMUGGLED,
        POSTED + "Content-Length: 4\r\nContent-Length: 60\r\n\r\nabcd" + SMUGGLED,
        POSTED + "Content-Length: 4, 60\r\n\r\nabcd" + SMUGGLED,
        POSTED + "Content-Length: +4\r\n\r\nabcd" + SMUGGLED,
        POSTED + "Content-Length: -4\r\n\r\nabcd" + SMUGGLED,
        POSTED + "Content-Length: 0x4\r\n\r\nabcd" + SMUGGLED,
        POSTED + "Content-Length: 4 4\r\n\r\nabcd" + SMUGGLED,
        POSTED + "Content-Length : 4\r\n\r\nabcd" + SMUGGLED,
        POSTED + "Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n" + SMUGGLED,
        POSTED + "Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n" + SMUGGLED,
        POSTED + "Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n" + SMUGGLED,
        POSTED + "Transfer-Encoding: identity\r\nContent-Length: 4\r\n\r\nabcd" + SMUGGLED,
        POSTED + "Transfer-Encoding: chunked\r\nTransfer-Encoding: x\r\n\r\n0\r\n\r\n" + SMUGGLED,
        POSTED + "Transfer-Encoding: chunked\r\n\r\n-1\r\n\r\n" + SMUGGLED,
        POSTED + "Transfer-Encoding: chunked\r\n\r\nfffffffffffffffff\r\n\r\n" + SMUGGLED,
        "GET /health/live HTTP/1.1\r\nHost: {host}\r\nContent-Length: 4\r\n\r\nabcd" + SMUGGLED,
        "GET /health/live HTTP/1.1\r\nHost: {host}\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + SMUGGLED,
        "GET /health/live HTTP/1.1\r\nHost: {host}\r\nHost: evil.example\r\n\r\n",
        "GET /health/live HTTP/1.1\r\nHost: {host}\r\n X: folded\r\n\r\n",
        "GET /health/live HTTP/1.1\r\n\r\n",
        "GET /health/live HTTP/1.0\r\n\r\n",
        "GET http://evil.example/health/live HTTP/1.1\r\nHost: evil.example\r\n\r\n",
        "GET /health/live HTTP/1.1\r\nHost: {host}\r\nX: a\rb\r\n\r\n",
        "GET /health/live HTTP/1.1\r\nHost: {host}\r\nX: a\x00b\r\n\r\n",
        "GET /health/\x00live HTTP/1.1\r\nHost: {host}\r\n\r\n",
        "GET /health/%00live HTTP/1.1\r\nHost: {host}\r\n\r\n",
        "GET /health/%0d%0aX:%20y HTTP/1.1\r\nHost: {host}\r\n\r\n",
        "GET /health/live HTTP/2.0\r\nHost: {host}\r\n\r\n",
        "GET /health/live\r\n\r\n",
        "CONNECT evil.example:443 HTTP/1.1\r\nHost: evil.example\r\n\r\n",
        "TRACE / HTTP/1.1\r\nHost: {host}\r\n\r\n",
        "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03 a handshake of TLS\r\n\r\n",
    ],
    ids=range(33),
)
def test_what_two_readers_could_read_differently_is_refused(service: Served, head: str) -> None:
    text = head.format(host=service.host, token=service.token).encode("latin-1")
    with connect(service) as connection:
        connection.sendall(text)
        answer = read_answer(connection)
        assert 400 <= answer.status < 500
        assert answer.problem["remedy"]
        assert answer.headers["x-content-type-options"] == "nosniff"
        rest = b""
        try:
            while received := connection.recv(65_536):
                rest += received
        except ConnectionResetError:
            pass
    assert b"HTTP/1.1" not in rest  # what follows it was not taken for a request


@pytest.mark.parametrize(
    ("head", "status"),
    [
        ("GET /health/live HTTP/1.1\r\nHost: {host}\r\n" + HEADERS * "X: y\r\n" + "\r\n", 431),
        ("GET /health/live HTTP/1.1\r\nHost: {host}\r\nX: " + HEAD_BYTES * "x" + "\r\n\r\n", 431),
        ("GET /health/live?" + TARGET_BYTES * "x" + " HTTP/1.1\r\nHost: {host}\r\n\r\n", 414),
        ("GET /health/live?" + 2**21 * "x" + " HTTP/1.1\r\nHost: {host}\r\n\r\n", 400),
    ],
    ids=range(4),
)
def test_a_head_that_is_too_long_is_refused(service: Served, head: str, status: int) -> None:
    assert raw(service, head).status in (status, 400)


@pytest.mark.parametrize("sent", [b"", b"{", bytes(2**17)], ids=["head", "byte", "flood"])
def test_a_connection_that_is_reset_while_it_is_refused_is_no_bug(service: Served, sent: bytes) -> None:
    at_once = struct.pack("ii", 1, 0)
    for _ in range(30):
        with connect(service) as connection:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, at_once)
            connection.sendall(head_of(service, Content_Length=str(GIGABYTE)) + sent)
    assert service.ask("GET", "/health/live").status == 200


def test_a_web_socket_is_not_opened(service: Served) -> None:
    upgrade = {
        "Connection": "Upgrade",
        "Upgrade": "websocket",
        "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
        "Sec-WebSocket-Version": "13",
    }
    assert service.ask("GET", "/", {**service.bearer, **upgrade}).status != 101


def test_requests_that_follow_each_other_on_one_connection_are_answered_in_turn(service: Served) -> None:
    one = request_bytes("GET", "/health/live", {"Host": service.host})
    with connect(service) as connection:
        connection.sendall(20 * one)
        received = b""
        while received.count(b"HTTP/1.1 200") < 20:
            more = connection.recv(65_536)
            assert more
            received += more


def test_no_attack_of_this_module_was_taken_for_a_bug(service: Served) -> None:
    lines = (service.folder / "service.log").read_text(encoding="utf-8").splitlines()
    assert [line for line in lines if json.loads(line)["level"] in ("error", "critical")] == []
