"""Finds out who asks: by a token, or by the cookie of a session."""

from __future__ import annotations

from http import HTTPStatus
from typing import Final
from urllib.parse import urlencode

from starlette.types import Scope

from autotune.service.guard.failures import FailureLimit
from autotune.service.guard.request_head import client_address, header, is_secure, is_unsafe
from autotune.service.guard.sessions import Sessions
from autotune.service.guard.tokens import TokenHolder, TokenStore
from autotune.service.guard.turned_away import TurnedAway, wants_page

LOGIN: Final = "/login"
LOGOUT: Final = "/logout"
_PUBLIC: Final = frozenset({LOGIN, "/favicon.ico", "/theme", "/health/live", "/health/ready"})
_PUBLIC_FOLDERS: Final = ("/static/",)
_SCHEME: Final = "bearer "
CHALLENGE: Final = {"WWW-Authenticate": 'Bearer realm="autotune"'}


def is_public(path: str) -> bool:
    """Whether a path is for everybody; all others need a token, those of no handler, too."""
    return path in _PUBLIC or path.startswith(_PUBLIC_FOLDERS)


def shows_token(scope: Scope) -> bool:
    """Whether a request shows a token itself: no browser does that unasked."""
    return bool(header(scope, b"authorization"))


class Doorkeeper:
    """Tells who asks, and turns away whom it does not know."""

    def __init__(self, tokens: TokenStore, sessions: Sessions, failures: FailureLimit) -> None:
        self.tokens, self.sessions, self._failures = tokens, sessions, failures

    def identify(self, scope: Scope) -> TokenHolder | None:
        """Give who asks; None where nobody does, and the path is for everybody.

        A token in the query is none: queries are kept in histories and logs.

        Raises:
            TurnedAway: with 401, or with 429 after many wrong tokens.
        """
        shown = header(scope, b"authorization")
        if shown:
            return self._by_token(scope, shown)
        holder = self.sessions.holder(header(scope, b"cookie"), secure=is_secure(scope))
        if holder is not None or is_public(scope["path"]):
            return holder
        raise self._unknown(scope)

    def by_token(self, scope: Scope, token: str) -> TokenHolder:
        """Give whom a token names.

        Raises:
            TurnedAway: with 401, or with 429 after many wrong tokens.
        """
        holder = self.tokens.find(token)
        if holder is None:
            raise self.failed(scope, "the token is not one of this service's")
        return holder

    def failed(self, scope: Scope, detail: str) -> TurnedAway:
        """Count a wrong token, and give the answer to it."""
        wait_s = self._failures.count(client_address(scope))
        if wait_s:
            return TurnedAway(
                HTTPStatus.TOO_MANY_REQUESTS,
                "failures",
                "too many wrong tokens came from this address",
                remedy=f"wait {wait_s} s, and then send the right one",
                headers={"Retry-After": str(wait_s)},
            )
        return TurnedAway(
            HTTPStatus.UNAUTHORIZED,
            "access",
            detail,
            remedy="ask the operator of the service for one: autotune serve token add NAME",
            headers=CHALLENGE,
        )

    def _by_token(self, scope: Scope, shown: str) -> TokenHolder:
        if shown[: len(_SCHEME)].lower() != _SCHEME:
            raise self.failed(scope, "the Authorization header holds no token: write Bearer and the token")
        return self.by_token(scope, shown[len(_SCHEME) :].strip())

    def _unknown(self, scope: Scope) -> TurnedAway:
        if wants_page(scope) and not is_unsafe(scope):
            path = scope["raw_path"].decode("latin-1")
            query = scope["query_string"].decode("latin-1")
            target = f"{LOGIN}?{urlencode({'next': f'{path}?{query}' if query else path})}"
            headers = {"Location": LOGIN if path == "/" else target}
            return TurnedAway(HTTPStatus.SEE_OTHER, "access", "sign in first", headers=headers)
        return TurnedAway(
            HTTPStatus.UNAUTHORIZED,
            "access",
            "nobody may do that without a token",
            remedy="send one as Authorization: Bearer TOKEN, or sign in at /login",
            headers=CHALLENGE,
        )
