"""Lets a client read why it was turned away, before its connection is closed under what it still sends."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, Final

DROPPED_BYTES: Final = 2**22
"""So much of what is still sent is read and dropped."""


class LingeringTransport:
    """A transport that closes its own side first, where the client is still sending.

    The kernel answers bytes that nobody has read with a reset, at which clients forget what they were told.
    Under TLS no side can be closed alone, and it closes at once.

    Args:
        transport: the real one.
        loop: that it belongs to.
        linger_s: how long the client may go on sending.
        is_sending: whether it does.
    """

    def __init__(
        self,
        transport: asyncio.Transport,
        loop: asyncio.AbstractEventLoop,
        linger_s: float,
        is_sending: Callable[[], bool],
    ) -> None:
        self._transport, self._loop, self._linger_s = transport, loop, linger_s
        self._is_sending = is_sending
        self._left = DROPPED_BYTES
        self._timer: asyncio.TimerHandle | None = None

    def __getattr__(self, name: str) -> Any:
        """Do all else as the real one."""
        return getattr(self._transport, name)

    def is_closing(self) -> bool:
        """Whether nothing more is said, or read."""
        return self._timer is not None or self._transport.is_closing()

    def close(self) -> None:
        """Say nothing more, and close once the client has nothing more to send, or soon."""
        if self.is_closing():
            return
        if not (self._is_sending() and self._transport.can_write_eof()):
            self._transport.close()
            return
        self._timer = self._loop.call_later(self._linger_s, self._transport.abort)
        try:
            self._transport.write_eof()
            self._transport.resume_reading()
        except OSError:  # the client has gone
            self._transport.abort()

    def drop(self, size: int) -> None:
        """Take note that so many bytes came after the end."""
        self._left -= size
        if self._left < 0:
            self._transport.abort()

    def ended(self) -> None:
        """Take note that the connection is closed."""
        if self._timer is not None:
            self._timer.cancel()
