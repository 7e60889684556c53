"""uvicorn's server, without its clock: it sleeps until somebody asks or a signal comes."""

from __future__ import annotations

import asyncio
import signal
import socket
import ssl
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final, cast

import uvicorn
from starlette.types import ASGIApp

from autotune.errors import ServiceError
from autotune.service.connection import BoundedConnection, ConnectionLimits, bounded
from autotune.service.guard.framing import HEAD_BYTES
from autotune.service.settings import ServiceSettings

STOP_S: Final = 5
"""How long answers may go on after a signal, before they are cut."""
_SIGNALS: Final = (signal.SIGINT, signal.SIGTERM)


class SleepingServer(uvicorn.Server):
    """A server that has no timer: uvicorn's own wakes ten times a second, beside what is being measured.

    Args:
        config: of uvicorn.
        on_ready: is called once clients are answered.
        handshake_s: how long a client may take to agree on keys of TLS.
        on_stop: is called once it is to stop, before what it answers is waited for: streams end by it.
    """

    def __init__(
        self,
        config: uvicorn.Config,
        on_ready: Callable[[], None],
        handshake_s: float,
        on_stop: Callable[[], None] = lambda: None,
    ) -> None:
        super().__init__(config)
        self._on_ready, self._handshake_s, self._on_stop = on_ready, handshake_s, on_stop
        self._stopping: asyncio.Event | None = None
        self._loop: asyncio.AbstractEventLoop | None = None

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Begin to answer on sockets that listen already.

        Raises:
            ServiceError: the application could not begin.
        """
        await self.lifespan.startup()
        if self.lifespan.should_exit:
            raise ServiceError("the service could not begin", remedy="its log says what happened")
        config, loop = self.config, asyncio.get_running_loop()

        def connection() -> asyncio.Protocol:
            kind = cast(type[BoundedConnection], config.http_protocol_class)
            return kind(config, self.server_state, self.lifespan.state)

        within_s = None if config.ssl is None else self._handshake_s
        self.servers = [
            await loop.create_server(
                connection, sock=listening, ssl=config.ssl, ssl_handshake_timeout=within_s
            )
            for listening in sockets or ()
        ]
        self.started = True

    async def main_loop(self) -> None:
        """Wait until the service is to stop."""
        self._stopping, self._loop = asyncio.Event(), asyncio.get_running_loop()
        if not self.should_exit:
            self._on_ready()
            await self._stopping.wait()
        self._on_stop()

    def stop(self) -> None:
        """Ask the server to stop; from any thread, and from a signal's handler."""
        self.should_exit = True
        if self._loop is not None and self._stopping is not None:
            self._loop.call_soon_threadsafe(self._stopping.set)

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Stop at a signal, and end as who did what it was asked: without raising it anew."""
        before = {number: signal.signal(number, lambda *_: self.stop()) for number in _SIGNALS}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)


def server_config(app: ASGIApp, settings: ServiceSettings) -> uvicorn.Config:
    """Say how uvicorn runs the application: HTTP/1.1 alone, with every limit that it has."""
    config = uvicorn.Config(
        app,
        http=bounded(ConnectionLimits(settings.clients, settings.proxies), settings.times),
        ws="none",
        loop="asyncio",
        interface="asgi3",
        lifespan="on",
        log_config=None,
        access_log=False,
        server_header=False,
        date_header=False,
        proxy_headers=bool(settings.proxies),
        forwarded_allow_ips=list(settings.proxies),
        timeout_keep_alive=settings.times.idle_s,
        timeout_graceful_shutdown=STOP_S,
        h11_max_incomplete_event_size=HEAD_BYTES + 4 * 2**10,
        ssl_certfile=settings.certificate,
        ssl_keyfile=settings.key,
    )
    config.load()
    if config.ssl is not None:
        config.ssl.minimum_version = ssl.TLSVersion.TLSv1_2
    return config
