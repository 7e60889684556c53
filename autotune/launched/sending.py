"""Sends HTTP requests at times that are fixed beforehand, whether or not earlier ones are answered.

One thread waits for each intended time and hands the request on; threads with a connection of their own each
send one and wait for its answer. No answer delays a later request, and latency counts from the intended time:
of a server that stands still, everything is measured that its users would wait. A connection is kept open
between requests, as clients and balancers do; one that the server has closed meanwhile is opened once more.
"""

from __future__ import annotations

import http.client
import math
import os
import queue
import sys
import threading
import time
from collections.abc import Collection, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from typing import Final
from urllib.parse import SplitResult, urlsplit

from autotune.stop import Stop

MOST_CONNECTIONS: Final = 256
"""Requests in hand at once; more wait for one that is answered, and their latency counts on."""
NAP_S: Final = 0.1
"""So often it is looked whether somebody wants it to end."""
SWITCH_S: Final = 0.0005
"""A thread of Python that computes lets the others in after so long, in the place of 5 ms: the one that waits
for an intended time is to be no later than that."""

_CLOSED: Final = (http.client.RemoteDisconnected, ConnectionResetError, BrokenPipeError)

_FAULTS: Final[tuple[tuple[type[Exception] | tuple[type[Exception], ...], str], ...]] = (
    (TimeoutError, "no answer in time"),
    (ConnectionRefusedError, "connection refused"),
    (_CLOSED, "connection closed by the server"),
    (http.client.IncompleteRead, "answer cut short"),
    (http.client.HTTPException, "answer that is no HTTP"),
)
"""Why there was no answer; the first that fits."""


@dataclass(frozen=True)
class LoadOverHttp:
    """What is sent.

    Attributes:
        urls: of the server's instances, or of what stands in front of them; each request goes to the one with
            the fewest in hand.
        bodies: sent one after the other, and again from the first.
        times_s: intended, ascending, from the start.
        patience_s: after the last of them, those that are not answered are given up.
        accept: what kind of answers are asked for, as in HTTP.
    """

    urls: tuple[str, ...]
    bodies: tuple[bytes, ...]
    times_s: tuple[float, ...]
    patience_s: float
    accept: str = "*/*"


@dataclass
class SentOverHttp:
    """One request; times are of the monotonic clock.

    Attributes:
        due_s: when it was to be sent; sent_s: when it was begun; infinite = never.
        end_s: when its answer was there, or it failed; infinite = given up.
        status: of the answer; 0 where there was none.
        fault: why there was none, in a few words.
        was_held: all connections were in use when it was due.
    """

    url: int
    due_s: float
    sent_s: float = math.inf
    end_s: float = math.inf
    status: int = 0
    fault: str = ""
    was_held: bool = False

    @property
    def is_answered(self) -> bool:
        """Whether it got what it asked for: an answer of the kind 2xx."""
        return 200 <= self.status < 300 and math.isfinite(self.end_s)


@dataclass(frozen=True)
class Sending:
    """What came of it.

    Attributes:
        start_s: the common start, of the monotonic clock; end_s: when it was over.
        requests: in the order of their times; fewer than asked for where it was stopped.
        stopped: it was told to stop before its end.
    """

    start_s: float
    end_s: float
    requests: tuple[SentOverHttp, ...]
    stopped: bool = False


def check_url(url: str) -> str:
    """Give the URL if it can be asked.

    Raises:
        ValueError: says what is wrong, and what a URL looks like.
    """
    form = "write such as http://127.0.0.1:8000/answers"
    _, at, host = url.partition("//")[2].partition("/")[0].rpartition("@")
    if at:  # what stands before it may have a password, which is not to be shown
        raise ValueError(f"the URL of {host!r:.80} names a user, which is not sent: {form}")
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise ValueError(f"{url!r:.80} is no URL ({error}): {form}") from error
    if parts.scheme not in ("http", "https") or not parts.hostname or port == 0:
        raise ValueError(f"{url!r:.80} is no URL of a server: {form}")
    if not url.isascii() or any(letter <= " " for letter in url):
        raise ValueError(f"{url!r:.80} has characters that no URL may have: {form}")
    return url


def send_open_loop(load: LoadOverHttp, stop: Stop, cpus: Collection[int] = ()) -> Sending:
    """Send all requests at their times, and wait until all are answered or given up.

    Args:
        stop: ends it early; what was sent so far is kept.
        cpus: on which this process sends; none = wherever it may run.
    """
    with _kept_to(cpus), _switching(SWITCH_S):
        return _Loop(load, stop).run()


@dataclass
class _Server:
    """One URL, and the threads that ask it."""

    parts: SplitResult
    jobs: queue.SimpleQueue[tuple[SentOverHttp, bytes] | None] = field(default_factory=queue.SimpleQueue)
    in_hand: int = 0
    connections: list[_Connection] = field(default_factory=list)


def fault_words(error: Exception) -> str:
    """Say in a few words why there was no answer, the same for the same cause."""
    for kinds, words in _FAULTS:
        if isinstance(error, kinds):
            return words
    if isinstance(error, OSError) and error.strerror:
        return error.strerror.lower()
    return str(error) or type(error).__name__


def _connect(parts: SplitResult, timeout_s: float) -> http.client.HTTPConnection:
    kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
    return kind(parts.hostname or "", parts.port, timeout=timeout_s)


@contextmanager
def _kept_to(cpus: Collection[int]) -> Iterator[None]:
    """Keep this thread, and those that it starts, to some cpus."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, set(cpus) or before)
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


@contextmanager
def _switching(seconds: float) -> Iterator[None]:
    before = sys.getswitchinterval()
    sys.setswitchinterval(seconds)
    try:
        yield
    finally:
        sys.setswitchinterval(before)


class _Loop:
    """An open loop under way."""

    def __init__(self, load: LoadOverHttp, stop: Stop) -> None:
        self._load, self._stop = load, stop
        self._servers = [_Server(urlsplit(url)) for url in load.urls]
        self._lock = threading.Lock()
        self._turn = 0
        self._left = 0
        self.is_over = False

    def run(self) -> Sending:
        start_s = time.monotonic() + NAP_S
        requests: list[SentOverHttp] = []
        for number, time_s in enumerate(self._load.times_s):
            if not self._wait_until(start_s + time_s):
                break
            body = self._load.bodies[number % len(self._load.bodies)]
            requests.append(self._hand_on(start_s + time_s, body))
        self._wait_for_answers()
        stopped = self._stop.is_set
        with self._lock:
            seen = tuple(replace(request) for request in requests)
            self.is_over = True
        self._close()
        return Sending(start_s, time.monotonic(), seen, stopped)

    def _wait_until(self, time_s: float) -> bool:
        while (left_s := time_s - time.monotonic()) > 0:
            if self._stop.is_set:
                return False
            time.sleep(min(left_s, NAP_S))
        return not self._stop.is_set

    def _hand_on(self, due_s: float, body: bytes) -> SentOverHttp:
        with self._lock:
            # Where several have as few in hand, they take turns.
            order = range(self._turn, self._turn + len(self._servers))
            places = (place % len(self._servers) for place in order)
            chosen = min(places, key=lambda place: self._servers[place].in_hand)
            self._turn = (chosen + 1) % len(self._servers)
            server = self._servers[chosen]
            server.in_hand += 1
            self._left += 1
            taken = sum(len(server.connections) for server in self._servers)
            is_short = server.in_hand > len(server.connections)
            request = SentOverHttp(chosen, due_s, was_held=is_short and taken >= MOST_CONNECTIONS)
            if is_short and (taken < MOST_CONNECTIONS or not server.connections):
                server.connections.append(_Connection(self, server))
        server.jobs.put((request, body))
        return request

    def _wait_for_answers(self) -> None:
        end_s = time.monotonic() + (NAP_S if self._stop.is_set else self._load.patience_s)
        while time.monotonic() < end_s:
            with self._lock:
                if self._left == 0:
                    return
            if self._stop.is_set:
                end_s = min(end_s, time.monotonic() + NAP_S)
            time.sleep(min(NAP_S / 10, max(0.0, end_s - time.monotonic())))

    @property
    def accept(self) -> str:
        """What answers are asked for."""
        return self._load.accept

    @property
    def timeout_s(self) -> float:
        """How long a single answer is waited for."""
        return self._load.patience_s

    def note_answered(self, server: _Server) -> None:
        """Count a request as no longer in hand."""
        with self._lock:
            server.in_hand -= 1
            self._left -= 1

    def _close(self) -> None:
        for server in self._servers:
            for connection in server.connections:
                server.jobs.put(None)
                connection.close()
        for server in self._servers:
            for connection in server.connections:
                connection.thread.join(NAP_S)


class _Connection:
    """A thread with a connection of its own, which sends one request after the other."""

    def __init__(self, loop: _Loop, server: _Server) -> None:
        self._loop, self._server = loop, server
        self._http = _connect(server.parts, loop.timeout_s)
        self._is_used = False
        self.thread = threading.Thread(target=self._run, name="autotune load", daemon=True)
        self.thread.start()

    def close(self) -> None:
        """Have whatever is waited for fail."""
        socket = self._http.sock
        if socket is not None:
            with suppress(OSError):
                socket.shutdown(2)

    def _run(self) -> None:
        while (job := self._server.jobs.get()) is not None and not self._loop.is_over:
            request, body = job
            request.sent_s = time.monotonic()
            try:
                request.status = self._ask(body)
            except (OSError, http.client.HTTPException) as error:
                request.fault = fault_words(error)
                self._http.close()
                self._is_used = False
            request.end_s = time.monotonic()
            self._loop.note_answered(self._server)
        self._http.close()

    def _ask(self, body: bytes) -> int:
        try:
            return self._ask_once(body)
        except _CLOSED:
            if not self._is_used or self._loop.is_over:
                raise
            self._http.close()  # the server had closed it while it was idle
            return self._ask_once(body)

    def _ask_once(self, body: bytes) -> int:
        parts = self._server.parts
        path = f"{parts.path or '/'}{'?' if parts.query else ''}{parts.query}"
        headers = {"content-type": "application/json", "accept": self._loop.accept}
        self._http.request("POST", path, body, headers)
        answer = self._http.getresponse()
        length = answer.getheader("content-length", "0")
        if not (length.isascii() and length.isdigit()):
            raise http.client.HTTPException(f"content-length: {length}")
        answer.read()
        self._is_used = not answer.will_close
        return answer.status
