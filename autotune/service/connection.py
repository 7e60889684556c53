"""One connection of a client: how many there may be, and how long each may keep the service waiting."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Collection
from http import HTTPStatus
from typing import Any, Final

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

from autotune.service.guard.answers import HEADERS_OF_ALL
from autotune.service.lingering import LingeringTransport
from autotune.service.problems import problem_response
from autotune.service.settings import TimeLimits

FURTHER: Final = 64
"""Connections beside those of event streams."""

_FULL = (
    b"HTTP/1.1 503 Service Unavailable\r\nRetry-After: 5\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"
)
_SLOW = b"HTTP/1.1 408 Request Timeout\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"


def _no_http() -> bytes:
    """Write the answer to what is no HTTP: a problem document, with the headers of every answer."""
    answer = problem_response(
        HTTPStatus.BAD_REQUEST,
        "head",
        "the request is no HTTP, or its head is ambiguous",
        remedy="send HTTP/1.1 with one Host header, and at most one Content-Length",
        headers={**HEADERS_OF_ALL, "Connection": "close"},
    )
    lines = [b"HTTP/1.1 400 Bad Request", *(name + b": " + value for name, value in answer.raw_headers)]
    return b"\r\n".join([*lines, b"", bytes(answer.body)])


_NO_HTTP: Final = _no_http()


class ConnectionLimits:
    """Counts the connections of a service, in all and by client.

    Args:
        streams: event streams that there may be.
        shared: addresses that many clients have: this machine's own, and proxies.
    """

    def __init__(self, streams: int, shared: Collection[str] = ()) -> None:
        self._most = streams + FURTHER
        self._of_one = max(self._most // 4, 16)
        self._shared = frozenset(shared)
        self._open: Counter[str] = Counter()

    def add(self, address: str) -> bool:
        """Count a connection; False if there are too many, and it is not counted."""
        if self._open.total() >= self._most:
            return False
        if self._open[address] >= self._of_one and not self._is_shared(address):
            return False
        self._open[address] += 1
        return True

    def remove(self, address: str) -> None:
        """Count a connection no more."""
        self._open[address] -= 1
        self._open += Counter()  # drops those that are zero

    def _is_shared(self, address: str) -> bool:
        return address in self._shared or address.startswith("127.") or address == "::1"


class BoundedConnection(H11Protocol):
    """uvicorn's connection, which waits for nobody without end.

    Its class is made per service, by `bounded`: uvicorn makes the connections itself.
    """

    limits: ConnectionLimits
    times: TimeLimits

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Take a client in, or tell it that there are too many."""
        peer = transport.get_extra_info("peername")
        self._address = str(peer[0]) if peer else ""
        self._timer: asyncio.TimerHandle | None = None
        self._stalled: asyncio.TimerHandle | None = None
        self._counted = self.limits.add(self._address)
        super().connection_made(transport)
        self._lingering = LingeringTransport(transport, self.loop, self.times.linger_s, self._is_sending)
        self.transport = self._lingering  # type: ignore[assignment]
        if self._counted:
            self._await_head()
        else:
            transport.write(_FULL)
            transport.close()

    def connection_lost(self, exc: Exception | None) -> None:
        """Let a client go."""
        self._stop_timers()
        self._lingering.ended()
        if self._counted:
            self.limits.remove(self._address)
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Read what a client sends; a head must be whole within `head_s` of its first byte."""
        if self.transport.is_closing():
            self._lingering.drop(len(data))
            return
        if self._timer is None and (self.cycle is None or self.cycle.response_complete):
            self._await_head()
        before = self.cycle
        super().data_received(data)
        if self.cycle is not before:
            self._head_is_here()

    def on_response_complete(self) -> None:
        """Go on to the next request; one that is here already is begun in here."""
        before = self.cycle
        super().on_response_complete()
        if self.cycle is not before:
            self._head_is_here()

    def send_400_response(self, _msg: str) -> None:
        """Refuse what is no HTTP; where it is within a body, its handler is told that the client has gone."""
        cycle: Any = self.cycle
        if cycle is not None and not cycle.response_complete:
            cycle.disconnected = True
            cycle.message_event.set()
            if cycle.response_started:
                self.transport.close()
                return
        self.transport.write(_NO_HTTP)
        self.transport.close()

    def pause_writing(self) -> None:
        """Wait for a client that does not read, but not for ever."""
        super().pause_writing()
        if self._stalled is None:
            self._stalled = self.loop.call_later(self.times.unread_s, self.transport.abort)

    def resume_writing(self) -> None:
        """Go on with a client that reads again."""
        super().resume_writing()
        if self._stalled is not None:
            self._stalled.cancel()
            self._stalled = None

    def shutdown(self) -> None:
        """End once what is being answered is answered, or soon."""
        super().shutdown()
        self.loop.call_later(self.times.leave_s, self._leave)

    def _is_sending(self) -> bool:
        """Whether the client still has something to send of what it has begun."""
        return self.conn.their_state in (h11.SEND_BODY, h11.ERROR)

    def _leave(self) -> None:
        """End an answer as if the client had gone: handlers know what to do then."""
        cycle: Any = self.cycle
        if cycle is not None and not cycle.response_complete:
            cycle.disconnected = True
            cycle.message_event.set()
        self.transport.close()

    def _await_head(self) -> None:
        self._timer = self.loop.call_later(self.times.head_s, self._head_is_late)

    def _head_is_here(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _head_is_late(self) -> None:
        self._timer = None
        if not self.transport.is_closing():
            self.transport.write(_SLOW)
            self.transport.close()

    def _stop_timers(self) -> None:
        for timer in (self._timer, self._stalled):
            if timer is not None:
                timer.cancel()
        self._timer = self._stalled = None


def bounded(limits: ConnectionLimits, times: TimeLimits) -> type[BoundedConnection]:
    """Give the class of a service's connections, which keep to its limits."""
    return type("BoundedConnection", (BoundedConnection,), {"limits": limits, "times": times})
