"""Requests to one service: sent again where that helps, and refused with the errors that its answers name."""

from __future__ import annotations

import socket
import ssl
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

import httpx2

from autotune.client.credentials import find_token, is_loopback
from autotune.client.patience import Patience
from autotune.client.refusals import is_distrust, may_pass, refusal, unreachable
from autotune.errors import AccessError, AutotuneError, ServiceError

PREFIX: Final = "/api/v1"

TIMEOUT_S: Final = 30.0
"""To connect, and between two parts of an answer. A stream of events has none: studies may be silent."""

KEEP_ALIVE: Final = (
    (socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1),
    (socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, 60),
    (socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, 15),
    (socket.IPPROTO_TCP, socket.TCP_KEEPCNT, 4),
)
"""Two minutes after its peer has vanished, the kernel ends a connection; no program has to run for that."""

TOLD_S: Final = 1.0
"""Of so long a pause its user is told: who waits wants to know why."""

OnWait = Callable[[AutotuneError, float], None]
"""Is told what a client waits for, once until it is answered again, and how many seconds at first."""


def _wait_silently(_: AutotuneError, __: float) -> None:
    """Tell nobody what is waited for."""


class Connection:
    """One service, under one token."""

    def __init__(
        self,
        url: str,
        *,
        token: str | None,
        ca: Path | None,
        plain: bool,
        patience: Patience,
        on_wait: OnWait = _wait_silently,
    ) -> None:
        """Check the address; nothing is sent.

        Raises:
            ServiceError: it is no URL of HTTP, or the token would travel unencrypted.
        """
        parsed = _parsed(url)
        self.url = f"{parsed.scheme}://{parsed.netloc.decode('ascii')}{parsed.path.rstrip('/')}"
        self.patience = patience
        self._on_wait, self._has_told = on_wait, False
        found = find_token(self.url, parsed.host) if token is None else token
        if found and parsed.scheme == "http" and not (plain or is_loopback(parsed.host)):
            raise ServiceError(
                f"the token would travel unencrypted to {self.url}",
                remedy="use https://, or say that the network is to be trusted, with --plain-http",
            )
        trust = _trusted(ca)
        self._http = httpx2.Client(
            base_url=self.url,
            headers=_headers(found),
            timeout=TIMEOUT_S,
            transport=httpx2.HTTPTransport(verify=trust, socket_options=KEEP_ALIVE),
            trust_env=False,
        )

    def close(self) -> None:
        """Close the connections that are kept open for further requests."""
        self._http.close()

    def request(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, Any] | None = None,
        body: Any = None,
        headers: Mapping[str, str] | None = None,
    ) -> httpx2.Response:
        """Send a request that may be sent twice, until it is answered.

        Raises:
            AutotuneError: the service refuses, or stays out of reach.
        """
        asked = {name: value for name, value in (params or {}).items() if value is not None}
        pauses_s = self.patience.pauses_s()
        while True:
            pause_s = next(pauses_s, None)
            try:
                response = self._http.request(method, path, params=asked, json=body, headers=headers)
            except httpx2.TransportError as error:
                if pause_s is None or is_distrust(error):
                    raise unreachable(self.url, error) from error
                reason: AutotuneError = unreachable(self.url, error)
            else:
                if response.is_success:
                    self.answered()
                    return response
                pause_s, reason = self.pause_s(response, pause_s), refusal(response)
                if pause_s is None:
                    raise reason
            self.wait(pause_s, reason)

    def answered(self) -> None:
        """Note that the service answers: what is waited for next is told anew."""
        self._has_told = False

    def wait(self, pause_s: float, reason: AutotuneError | None) -> None:
        """Wait before the next try, and tell once what for, unless the pause is short."""
        if reason is not None and pause_s >= TOLD_S and not self._has_told:
            self._has_told = True
            self._on_wait(reason, pause_s)
        time.sleep(pause_s)

    def pause_s(
        self, response: httpx2.Response, pause_s: float | None, *, watching: bool = False
    ) -> float | None:
        """Say how long to wait before what was refused is asked again; None where that is of no use.

        Args:
            watching: whether to wait for what the service may lack for long, too, such as a store that is
                locked, as the job goes on in any case.
        """
        if pause_s is None or not may_pass(response, watching=watching):
            return None
        asked = response.headers.get("retry-after", "").strip()
        asked_s = float(asked) if asked.isascii() and asked.isdigit() else pause_s
        return asked_s if asked_s <= self.patience.most_asked_s else None

    @contextmanager
    def stream(self, path: str, *, last: int) -> Iterator[httpx2.Response]:
        """Open a stream of events after one; its response may be a refusal, whose body is read then."""
        headers = {"Accept": "text/event-stream", "Cache-Control": "no-store"}
        if last:
            headers["Last-Event-ID"] = str(last)
        silent = httpx2.Timeout(TIMEOUT_S, read=None)
        with self._http.stream("GET", path, headers=headers, timeout=silent) as response:
            if not response.is_success:
                response.read()
            yield response


def _parsed(url: str) -> httpx2.URL:
    try:
        parsed = httpx2.URL(url)
    except httpx2.InvalidURL as error:
        raise ServiceError(
            f"{url!r} is no URL: {error}", remedy="write it as http://127.0.0.1:8787"
        ) from error
    if parsed.scheme not in ("http", "https") or not parsed.host:
        raise ServiceError(f"{url!r} is no address of a service", remedy="write it as http://127.0.0.1:8787")
    if parsed.userinfo or parsed.query or parsed.fragment:
        raise ServiceError(
            f"the address of a service has no user, query or fragment: {parsed.scheme}://{parsed.host}",
            remedy="give the token with --token-file, or in AUTOTUNE_TOKEN",
        )
    return parsed


def _trusted(ca: Path | None) -> ssl.SSLContext | bool:
    """What certificates are checked against: the system's authorities, or those of a file alone."""
    if ca is None:
        return True
    try:
        return ssl.create_default_context(cafile=str(ca))
    except (OSError, ssl.SSLError) as error:
        raise ServiceError(
            f"the certificates in {str(ca)!r} cannot be read: {error}", remedy="give a file in PEM with --ca"
        ) from error


def _headers(token: str) -> dict[str, str]:
    named = {"User-Agent": f"autotune/{version('autotune')}", "Accept": "application/json"}
    if not token:
        return named
    if not token.isascii() or not token.isprintable() or " " in token:
        raise AccessError("the token is no token: it has blanks or other characters that none has")
    return {**named, "Authorization": f"Bearer {token}"}
