"""An open loop over HTTP, against real servers of this process."""

from __future__ import annotations

import json
import math
import os
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from autotune.events import unheard
from autotune.jobs.launched import AskedLoad, put_under_load
from autotune.launched.sending import LoadOverHttp, Sending, check_url, send_open_loop
from autotune.plan.document import PlanStudy
from autotune.stop import Stop
from autotune.testing.plans import build_plan

Answer = Callable[[int], int]
"""From the number of a request to the status of its answer; may take its time."""


def all_well(_: int) -> int:
    return 200


@contextmanager
def server(answer: Answer, protocol: str = "HTTP/1.1") -> Iterator[tuple[str, list[bytes], set[int]]]:
    """A server; gives its URL, the bodies that come, and the ports that they come from."""
    bodies: list[bytes] = []
    ports: set[int] = set()
    lock = threading.Lock()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = protocol

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            with lock:
                bodies.append(body)
                ports.add(self.client_address[1])
                number = len(bodies)
            status = answer(number)
            if status == 0:
                self.close_connection = True
                return
            self.send_response(status)
            self.send_header("Content-Length", "2")
            self.end_headers()
            self.wfile.write(b"{}")

        def log_message(self, format: str, *args: object) -> None:
            pass

    class Quiet(ThreadingHTTPServer):
        daemon_threads = True
        request_queue_size = 128

        def handle_error(self, request: object, client_address: object) -> None:
            pass

    with Quiet(("127.0.0.1", 0), Handler) as running:
        thread = threading.Thread(target=running.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield f"http://127.0.0.1:{running.server_address[1]}/answers?x=1", bodies, ports
        finally:
            running.shutdown()
            thread.join()


def send(*urls: str, times: tuple[float, ...], patience_s: float = 5.0, stop: Stop | None = None) -> Sending:
    return send_open_loop(LoadOverHttp(urls, (b'{"a": 1}', b'{"b": 2}'), times, patience_s), stop or Stop())


def every(step_s: float, count: int) -> tuple[float, ...]:
    return tuple(step_s * number for number in range(count))


def test_every_request_is_answered_over_connections_that_stay_open() -> None:
    with server(all_well) as (url, bodies, ports):
        sending = send(url, times=every(0.01, 30))
    assert all(request.is_answered for request in sending.requests)
    assert not sending.stopped
    assert sorted(bodies) == [b'{"a": 1}'] * 15 + [b'{"b": 2}'] * 15
    assert len(ports) < 15
    assert [request.due_s - sending.start_s for request in sending.requests] == pytest.approx(every(0.01, 30))
    assert all(request.sent_s >= request.due_s for request in sending.requests)


def test_a_server_that_stands_still_delays_no_request_and_latency_counts_from_the_intended_time() -> None:
    still_s, lock = 0.5, threading.Lock()

    def answer(number: int) -> int:
        with lock:
            if number == 1:
                time.sleep(still_s)
        return 200

    with server(answer) as (url, _, _):
        sending = send(url, times=every(0.02, 10))
    latencies = [request.end_s - request.due_s for request in sending.requests]
    assert all(request.is_answered for request in sending.requests)
    assert latencies[0] >= still_s
    assert latencies[9] >= still_s - 0.2
    assert sum(latency > 0.2 for latency in latencies) == 10


def test_failures_are_told_by_their_cause() -> None:
    statuses = {1: 200, 2: 503, 3: 0, 4: 302}
    with server(lambda number: statuses[number]) as (url, _, _):
        sending = send(url, times=every(0.05, 4))
    told = [(request.status, request.fault, request.is_answered) for request in sending.requests]
    assert sorted(told) == [
        (0, "connection closed by the server", False),
        (200, "", True),
        (302, "", False),
        (503, "", False),
    ]


def test_nobody_listening_is_told() -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        sending = send(f"http://127.0.0.1:{probe.getsockname()[1]}/", times=every(0.01, 3))
    assert [request.fault for request in sending.requests] == ["connection refused"] * 3
    assert not any(math.isinf(request.end_s) for request in sending.requests)


@pytest.mark.parametrize(
    ("answer", "fault"),
    [
        (b"nonsense\r\n\r\n", "answer that is no HTTP"),
        (b"HTTP/1.1 200 OK\r\nA: " + b"x" * 70_000 + b"\r\n\r\n", "answer that is no HTTP"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: -5\r\n\r\n", "answer that is no HTTP"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\n{}", "answer cut short"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}", ""),
    ],
)
def test_an_answer_that_is_none_is_told_in_words(answer: bytes, fault: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def speak() -> None:
            connection, _ = listening.accept()
            with connection:
                asked = b""
                while not asked.endswith(b"}") and (part := connection.recv(65_536)):
                    asked += part
                connection.sendall(answer)

        thread = threading.Thread(target=speak)
        thread.start()
        sending = send(f"http://127.0.0.1:{listening.getsockname()[1]}/", times=(0.0,))
        thread.join()
    (request,) = sending.requests
    assert (request.fault, request.is_answered) == (fault, not fault)


def test_a_connection_that_the_server_closed_while_it_was_idle_is_opened_again() -> None:
    with server(all_well, protocol="HTTP/1.0") as (url, bodies, ports):
        sending = send(url, times=every(0.03, 5))
    assert all(request.is_answered for request in sending.requests)
    assert len(bodies) == len(ports) == 5


def test_requests_that_are_not_answered_are_given_up_and_hold_nothing_up() -> None:
    release = threading.Event()
    try:
        with server(lambda number: 200 if number > 2 or release.wait(30) else 500) as (url, _, _):
            began_s = time.monotonic()
            sending = send(url, times=every(0.01, 5), patience_s=0.5)
            took_s = time.monotonic() - began_s
            release.set()
    finally:
        release.set()
    assert took_s < 10
    assert sum(request.is_answered for request in sending.requests) == 3


def test_of_two_instances_the_one_with_fewer_in_hand_gets_the_next() -> None:
    def slowly(_: int) -> int:
        time.sleep(0.4)
        return 200

    with (
        server(slowly) as (slow, slow_bodies, _),
        server(all_well) as (fast, fast_bodies, _),
    ):
        sending = send(slow, fast, times=every(0.02, 20))
    assert all(request.is_answered for request in sending.requests)
    assert 1 <= len(slow_bodies) < 8
    assert len(slow_bodies) + len(fast_bodies) == 20


def test_a_load_of_the_plans_own_texts_asks_for_each_of_them_once() -> None:
    plan = build_plan()
    spec = {**plan.study.spec, "name": "quickstart", "model": "fake:model.json"}
    plan = plan.model_copy(update={"study": PlanStudy(name="quickstart", spec=spec)})
    with server(all_well) as (url, bodies, _):
        put_under_load(plan, AskedLoad((url,), rate_per_s=60.0, seconds=1.0), unheard, Stop())
    texts = [text for body in bodies for text in json.loads(body)["texts"]]
    assert len(bodies) >= 60
    assert len(set(texts)) == len(texts) == 8 * len(bodies)


def test_a_stop_ends_it_with_what_was_sent() -> None:
    stop = Stop()

    def answer(number: int) -> int:
        if number == 3:
            stop.set()
        return 200

    with server(answer) as (url, _, _):
        sending = send(url, times=every(0.05, 1_000), stop=stop)
    assert sending.stopped
    assert 3 <= len(sending.requests) < 20
    assert sending.requests[0].is_answered


def test_it_leaves_no_thread_and_no_mask_behind() -> None:
    before, mask = threading.active_count(), os.sched_getaffinity(0)
    seen: set[frozenset[int]] = set()

    def answer(number: int) -> int:
        for thread in threading.enumerate():
            if thread.name == "autotune load" and thread.native_id is not None:
                seen.add(frozenset(os.sched_getaffinity(thread.native_id)))
        return 200

    with server(answer) as (url, _, _):
        send_open_loop(LoadOverHttp((url,), (b"{}",), every(0.01, 5), 5.0), Stop(), {min(mask)})
    assert os.sched_getaffinity(0) == mask
    assert seen == {frozenset({min(mask)})}
    assert threading.active_count() == before


@pytest.mark.parametrize(
    "url",
    [
        "",
        "localhost:8000",
        "ftp://a/",
        "http://",
        "http://a:b/",
        "http://a:99999/",
        "http://a/ b",
        "http://ä/",
    ],
)
def test_what_is_no_url_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match=r"http://127\.0\.0\.1:8000/answers"):
        check_url(url)


@pytest.mark.parametrize("url", ["http://localhost", "https://a.example:8443/x?y=z", "http://[::1]:80/"])
def test_urls_are_taken_as_they_are(url: str) -> None:
    assert check_url(url) == url


@pytest.mark.parametrize("host", ["a.example:80", "a:b"])
def test_a_url_with_a_user_is_refused_and_no_password_is_shown(host: str) -> None:
    with pytest.raises(ValueError, match=f"the URL of '{host}' names a user, which is not sent") as refused:
        check_url(f"http://me:secret@{host}/x")
    assert "secret" not in str(refused.value)


def test_an_at_sign_in_the_path_is_no_user() -> None:
    assert check_url("http://a.example/x@y") == "http://a.example/x@y"
