"""What every answer says to the browser: run nothing of others, show this nowhere else, keep no copy."""

from __future__ import annotations

from collections.abc import Callable
from email.utils import formatdate
from typing import Final

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

CONTENT_POLICY: Final = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self' data:",
        "font-src 'self'",
        "connect-src 'self'",
        "form-action 'self'",
        "frame-ancestors 'none'",
        "base-uri 'none'",
    )
)
"""No inline script and no inline style: what a study's name says never runs, even if it is not escaped."""

HEADERS_OF_ALL: Final = {
    "Content-Security-Policy": CONTENT_POLICY,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
    "Cache-Control": "no-store",
}
"""Set where the handler sets none of the name itself. Source: OWASP Secure Headers Project.

The address of a page is told to this service alone; were it told to nobody, browsers would hide the origin of
forms, too. Strict-Transport-Security is not among them: it holds for every port of a host name, and what is
served at the others is not this service's to decide.
"""


class AnswerHeaders:
    """Adds the headers of every answer around an application."""

    def __init__(self, app: ASGIApp, now: Callable[[], str] = lambda: formatdate(usegmt=True)) -> None:
        self._app, self._now = app, now

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, and its answer back."""

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in HEADERS_OF_ALL.items():
                    headers.setdefault(name, value)
                headers.setdefault("Date", self._now())
            await send(message)

        await self._app(scope, receive, send_with_headers if scope["type"] == "http" else send)
