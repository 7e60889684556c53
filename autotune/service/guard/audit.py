"""Notes who changed what, and whom the gate turned away: one line in the log for each such request."""

from __future__ import annotations

import logging
import time
from typing import Any

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from autotune.service.guard.request_head import client_address, is_unsafe

LOGGER = logging.getLogger("autotune.audit")

_REFUSED = (401, 403, 421, 429)


class Audit:
    """Logs every request that may change something, and every one that was refused, without its query."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, and note how it was answered."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        begin_s = time.monotonic()
        scope.setdefault("state", {})
        answer: dict[str, Any] = {"status": 0}

        async def note(message: Message) -> None:
            if message["type"] == "http.response.start":
                answer["status"] = message["status"]
                answer["location"] = Headers(raw=message.get("headers", [])).get("location", "")
            await send(message)

        try:
            await self._app(scope, receive, note)
        finally:
            if is_unsafe(scope) or answer["status"] in _REFUSED:
                LOGGER.info("request", extra={"fields": _fields(scope, answer, time.monotonic() - begin_s)})


def _fields(scope: Scope, answer: dict[str, Any], seconds: float) -> dict[str, Any]:
    fields = {
        "who": scope["state"].get("token_name", ""),
        "client": client_address(scope),
        "method": scope["method"],
        "path": scope["path"][:500],
        "status": answer["status"],
        "made": answer.get("location", "") if answer["status"] in (201, 202) else "",
        "seconds": round(seconds, 3),
    }
    return {name: value for name, value in fields.items() if value != ""}
