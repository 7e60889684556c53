"""The gate around the application: every request is looked at before a handler sees it."""

from __future__ import annotations

from dataclasses import dataclass, field

from starlette.types import ASGIApp, Receive, Scope, Send

from autotune.service.dashboard.reading import check_reading
from autotune.service.guard.answers import AnswerHeaders
from autotune.service.guard.audit import Audit
from autotune.service.guard.bodies import check_type, has_body, read_body, replaying
from autotune.service.guard.failures import FailureLimit
from autotune.service.guard.framing import check_framing
from autotune.service.guard.identity import Doorkeeper, is_public, shows_token
from autotune.service.guard.origins import check_host, check_origin
from autotune.service.guard.request_head import is_unsafe
from autotune.service.guard.sessions import Sessions, SignInCodes
from autotune.service.guard.signing_in import FORM_BYTES, SigningIn
from autotune.service.guard.tokens import TokenStore
from autotune.service.guard.turned_away import CLOSE, TurnedAway
from autotune.service.settings import ServiceSettings


@dataclass(frozen=True)
class Keys:
    """All by which a running service knows who asks.

    Attributes:
        tokens: of the service's state folder.
        sessions: of browsers.
        codes: that sign a browser in once.
    """

    tokens: TokenStore
    sessions: Sessions
    codes: SignInCodes = field(default_factory=SignInCodes)


def open_keys(settings: ServiceSettings, port: int) -> Keys:
    """Open the tokens and the key of sessions in the state folder, or make them.

    Args:
        port: where the service listens.

    Raises:
        ServiceError: the folder cannot be used, or others may read it.
    """
    tokens = TokenStore(settings.state)
    return Keys(tokens, Sessions(tokens, settings.state, port))


class Gate:
    """Lets a request pass to the application, with `role` and `token_name` in its state, or answers it."""

    def __init__(self, app: ASGIApp, keys: Keys, settings: ServiceSettings) -> None:
        self._app, self._settings = app, settings
        self._names = {name.lower().rstrip(".") for name in settings.names}
        self._door = Doorkeeper(keys.tokens, keys.sessions, FailureLimit())
        self._signing_in = SigningIn(self._door, keys.codes)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let pass, or turn away."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        if scope["type"] != "http":
            await send({"type": "websocket.close", "code": 1008})
            return
        try:
            await self._pass(scope, receive, send)
        except TurnedAway as turned:
            if has_body(scope):
                turned.headers |= CLOSE  # nobody reads what is still to come of it
            await turned.response(scope)(scope, receive, send)
        except ConnectionError:
            return  # before the whole body was here: there is nobody to answer

    async def _pass(self, scope: Scope, receive: Receive, send: Send) -> None:
        check_framing(scope)
        check_host(scope, self._names)
        check_origin(scope, by_browser=not shows_token(scope))
        holder = self._door.identify(scope)
        if holder is not None:
            scope.setdefault("state", {}).update(role=holder.role, token_name=holder.name)
        body = b""
        if is_unsafe(scope):
            if self._settings.dashboard:
                check_reading(scope)
            check_type(scope)
            limit = FORM_BYTES if is_public(scope["path"]) else self._settings.body_bytes
            body = await read_body(scope, receive, limit, self._settings.times.body_s)
        if self._signing_in.is_asked(scope):
            await self._signing_in.answer(scope, body)(scope, receive, send)
        else:
            await self._app(scope, replaying(body, receive) if is_unsafe(scope) else receive, send)


def guarded(app: ASGIApp, settings: ServiceSettings, keys: Keys) -> ASGIApp:
    """Put the gate around an application, and around both what is noted and said of every request."""
    return Audit(AnswerHeaders(Gate(app, keys, settings)))
