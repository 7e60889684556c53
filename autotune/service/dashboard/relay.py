"""Passes requests for Optuna's dashboard on to its process: reading ones alone, of who is signed in."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from http import HTTPStatus
from typing import Final

from starlette.responses import RedirectResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from autotune.errors import ServiceError
from autotune.service.dashboard.child import DashboardChild
from autotune.service.guard.turned_away import TurnedAway
from autotune.service.problems import problem_response

ENTRANCE: Final = "/optuna"
_PATHS: Final = re.compile(
    r"/dashboard(/[A-Za-z0-9/_-]*)?|/static/bundle\.js|/csv/[0-9]{1,12}"
    r"|/api/(meta|studies(/[0-9]{1,12}(/param_importances|/plot/[a-z_]{1,40})?)?)"
)
"""What the dashboard reads; its own addresses begin at the root and cannot be moved elsewhere."""

POLICY: Final = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self' 'unsafe-eval'",
        "style-src 'self' 'unsafe-inline'",
        "img-src 'self' data: blob:",
        "font-src 'self' data:",
        "connect-src 'self'",
        "worker-src 'self' blob:",
        "form-action 'none'",
        "frame-ancestors 'none'",
        "base-uri 'none'",
    )
)
"""Its charts compile shaders' code, and its style lies in its page. Source: optuna_dashboard/_app.py."""

_PASSED: Final = frozenset({b"content-type", b"content-encoding", b"content-length", b"content-disposition"})
_HEAD_BYTES: Final = 2**14
_CHUNK: Final = 2**16
_ANSWER_S: Final = 60.0


class DashboardRelay:
    """Answers for the dashboard's addresses; all else goes to the application."""

    def __init__(self, app: ASGIApp, child: DashboardChild) -> None:
        self._app, self._child = app, child

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer, or pass on."""
        is_known = scope["type"] == "http" and "role" in scope.get("state", {})
        if is_known and scope["path"] == ENTRANCE:
            await RedirectResponse("/dashboard", HTTPStatus.SEE_OTHER)(scope, receive, send)
        elif is_known and _PATHS.fullmatch(scope["raw_path"].decode("latin-1")):
            await self._answer(scope, receive, send)
        else:
            await self._app(scope, receive, send)

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["method"] not in ("GET", "HEAD"):
            refused = problem_response(
                HTTPStatus.METHOD_NOT_ALLOWED,
                "method-not-allowed",
                "Optuna's dashboard is read-only here",
                remedy="change studies through the service's own pages",
            )
            await refused(scope, receive, send)
            return
        try:
            async with asyncio.timeout(_ANSWER_S), self._asked(scope) as reader:
                await self._relay(reader, scope, send)
        except ServiceError as error:
            status = HTTPStatus.SERVICE_UNAVAILABLE
            turned = TurnedAway(status, "service", error.problem, remedy=error.remedy)
            await turned.response(scope)(scope, receive, send)

    @asynccontextmanager
    async def _asked(self, scope: Scope) -> AsyncIterator[asyncio.StreamReader]:
        """Send the request on; of its headers the dashboard sees none."""
        reader, writer = await asyncio.open_connection(sock=await self._child.connect(), limit=_HEAD_BYTES)
        try:
            target = scope["raw_path"] + (b"?" + scope["query_string"] if scope["query_string"] else b"")
            writer.write(
                scope["method"].encode() + b" " + target + b" HTTP/1.0\r\nAccept-Encoding: gzip\r\n\r\n"
            )
            yield reader
        finally:
            writer.close()

    async def _relay(self, reader: asyncio.StreamReader, scope: Scope, send: Send) -> None:
        try:
            first, *lines = (await reader.readuntil(b"\r\n\r\n")).split(b"\r\n")
            status = int(first.split()[1])
        except (asyncio.IncompleteReadError, asyncio.LimitOverrunError, ValueError, IndexError) as error:
            raise ServiceError("Optuna's dashboard gave no answer", remedy="see the service's log") from error
        fields = (line.partition(b":") for line in lines)
        pairs = ((name.strip().lower(), value.strip()) for name, _, value in fields)
        headers = [pair for pair in pairs if pair[0] in _PASSED]
        headers.append((b"content-security-policy", POLICY.encode()))
        if scope["path"].startswith("/static/"):
            headers.append((b"cache-control", b"private, max-age=86400"))
        await send({"type": "http.response.start", "status": status, "headers": headers})
        while chunk := await reader.read(_CHUNK):
            await send({"type": "http.response.body", "body": chunk, "more_body": True})
        await send({"type": "http.response.body", "body": b"", "more_body": False})
