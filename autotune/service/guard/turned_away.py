"""A request that is answered before any handler sees it, and why."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape
from http import HTTPStatus

from starlette.responses import HTMLResponse, Response
from starlette.types import Scope

from autotune.service.guard.request_head import header
from autotune.service.pages.rendering import asset_address
from autotune.service.problems import problem_response

CLOSE = {"Connection": "close"}
"""Ends a connection whose further bytes nobody reads."""

_PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark"><link rel="stylesheet" href="{css}">
<link rel="icon" href="{icon}">
<title>{phrase}: autotune</title></head>
<body><main id="main" class="wide"><div class="narrow problem"><p class="code">{code}</p><h1>{phrase}</h1>
<p>{detail}</p><p class="remedy">{remedy}</p><p>{way_on}</p></div></main></body></html>
"""


_TITLES: Mapping[HTTPStatus, str] = {
    HTTPStatus.UNAUTHORIZED: "Sign in first",
    HTTPStatus.FORBIDDEN: "You may not do this",
    HTTPStatus.MISDIRECTED_REQUEST: "This is another address",
    HTTPStatus.TOO_MANY_REQUESTS: "Wait a little",
}
"""Of pages, where the status's own phrase is for programs."""


class TurnedAway(Exception):  # noqa: N818 - an answer, which the guard sends
    """What is answered in the place of a handler.

    Attributes:
        status: of the response.
        kind: the end of the problem's type: `urn:autotune:problem:KIND`.
        detail: what happened.
        remedy: what to do.
        headers: of the response.
    """

    def __init__(
        self,
        status: HTTPStatus,
        kind: str,
        detail: str,
        *,
        remedy: str = "",
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(detail)
        self.status, self.kind, self.detail, self.remedy = status, kind, detail, remedy
        self.headers = dict(headers or {})

    def response(self, scope: Scope) -> Response:
        """Write it as a problem document, or as a small page for who navigates to one."""
        if not wants_page(scope):
            return problem_response(
                self.status, self.kind, self.detail, remedy=self.remedy, headers=self.headers
            )
        is_known = "role" in scope.get("state", {})
        text = _PAGE.format(
            css=asset_address("pages.css"),
            icon=asset_address("icon.svg"),
            code=self.status.value,
            phrase=escape(_TITLES.get(self.status, self.status.phrase)),
            detail=escape(self.detail),
            remedy=escape(self.remedy),
            way_on='<a href="/">Studies and queue</a>' if is_known else '<a href="/login">Sign in</a>',
        )
        return HTMLResponse(text, self.status, headers=self.headers)


def wants_page(scope: Scope) -> bool:
    """Whether a browser asks for a page to show."""
    return not is_api(scope["path"]) and "text/html" in header(scope, b"accept")


def is_api(path: str) -> bool:
    """Whether a path belongs to programs, not to people."""
    return path.startswith("/api/") or path in ("/metrics", "/openapi.json")
