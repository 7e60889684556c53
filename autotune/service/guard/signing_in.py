"""Signs browsers in and out: by the link that was printed, once, or by a token in a form."""

from __future__ import annotations

from html import escape
from http import HTTPStatus
from urllib.parse import parse_qs, urlencode

from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.types import Scope

from autotune.service.guard.identity import LOGIN, LOGOUT, Doorkeeper
from autotune.service.guard.request_head import header, is_secure
from autotune.service.guard.sessions import SignInCodes
from autotune.service.guard.tokens import TokenHolder
from autotune.service.guard.turned_away import TurnedAway
from autotune.service.pages.rendering import asset_address

FORM_BYTES = 4_096
"""Of the forms that anybody may send."""

_FIELDS = 10

_SIGNED_IN = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta http-equiv="refresh" content="0; url={next}">
<meta name="color-scheme" content="light dark"><link rel="icon" href="{icon}">
<title>Signed in: autotune</title></head><body><p>Signed in. <a href="{next}">Go on</a></p></body></html>
"""
"""Goes on by itself: a redirect would still count as coming from the page that held the link, and the cookie
would not be sent along."""


class SigningIn:
    """Answers `GET /login?code=`, `POST /login` and `POST /logout`."""

    def __init__(self, door: Doorkeeper, codes: SignInCodes) -> None:
        self._door, self._codes = door, codes

    def is_asked(self, scope: Scope) -> bool:
        """Whether a request is one of these; who shows no code gets the form, which is a page."""
        method, path = scope["method"], scope["path"]
        if path == LOGIN and method == "GET":
            return b"code=" in scope["query_string"]
        return method == "POST" and path in (LOGIN, LOGOUT)

    def answer(self, scope: Scope, body: bytes) -> Response:
        """Sign in or out.

        Raises:
            TurnedAway: the code was used before, or the token is wrong.
        """
        if scope["path"] == LOGOUT:
            response: Response = RedirectResponse(LOGIN, HTTPStatus.SEE_OTHER)
            self._door.sessions.end(header(scope, b"cookie"), secure=is_secure(scope))
            response.headers["Set-Cookie"] = self._door.sessions.clear_cookie(secure=is_secure(scope))
            return response
        if scope["method"] == "GET":
            known = scope["state"].get("role") is not None
            return RedirectResponse("/", HTTPStatus.SEE_OTHER) if known else self._by_code(scope)
        fields = _fields(body)
        path = own_path(fields.get("next", ["/"])[0])
        try:
            holder = self._door.by_token(scope, fields.get("token", [""])[0].strip())
        except TurnedAway as turned:
            if turned.status is not HTTPStatus.UNAUTHORIZED:
                raise
            target = f"{LOGIN}?{urlencode({'failed': 'token', 'next': path})}"
            return RedirectResponse(target, HTTPStatus.SEE_OTHER)
        return self._enter(scope, holder, path)

    def _by_code(self, scope: Scope) -> Response:
        name = self._codes.take(_fields(scope["query_string"]).get("code", [""])[0])
        holder = None if name is None else self._door.tokens.named(name)
        if holder is None:
            turned = self._door.failed(scope, "this link was opened before, or is too old")
            turned.remedy = "sign in with your token; the operator's own lies in .autotune/token"
            raise turned
        return self._enter(scope, holder, "/")

    def _enter(self, scope: Scope, holder: TokenHolder, path: str) -> Response:
        scope["state"]["token_name"] = holder.name  # for the log
        text = _SIGNED_IN.format(next=escape(path), icon=asset_address("icon.svg"))
        response = HTMLResponse(text)
        response.headers["Set-Cookie"] = self._door.sessions.set_cookie(holder, secure=is_secure(scope))
        response.headers["Referrer-Policy"] = "no-referrer"  # the code is in this page's address
        return response


def own_path(target: str) -> str:
    """Give a path of this service to go on to; the first page in the place of anything else."""
    is_own = target.startswith("/") and not target.startswith("//")
    return target if is_own and "\\" not in target and target.isprintable() else "/"


def _fields(text: bytes) -> dict[str, list[str]]:
    try:
        return parse_qs(text.decode("utf-8", "replace"), max_num_fields=_FIELDS)
    except ValueError:  # there are more
        return {}
