"""How much of a body is read, for how long, and of which type."""

from __future__ import annotations

import asyncio
from http import HTTPStatus
from typing import Final

from starlette.types import Message, Receive, Scope

from autotune.service.guard.request_head import header, is_unsafe
from autotune.service.guard.turned_away import CLOSE, TurnedAway, is_api

JSON: Final = "application/json"
FORM: Final = "application/x-www-form-urlencoded"


def check_type(scope: Scope) -> None:
    """Turn away a body of a type that no handler reads: browsers send some of them across origins unasked.

    Raises:
        TurnedAway: with 415.
    """
    if not is_unsafe(scope) or not has_body(scope):
        return
    wanted = JSON if is_api(scope["path"]) else FORM
    given, *parameters = [part.strip().lower() for part in header(scope, b"content-type").split(";")]
    others = [part for part in parameters if part.replace('"', "") not in ("charset=utf-8", "")]
    if given != wanted or others:
        raise TurnedAway(
            HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
            "content-type",
            f"a body of type {header(scope, b'content-type')[:100]!r} is not read here",
            remedy=f"send Content-Type: {wanted}",
            headers=CLOSE,
        )
    if header(scope, b"content-encoding").lower() not in ("", "identity"):
        raise TurnedAway(
            HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
            "content-encoding",
            "a compressed body is not read here",
            remedy="send it as it is",
            headers=CLOSE,
        )


def has_body(scope: Scope) -> bool:
    """Whether the head announces a body."""
    return header(scope, b"content-length") not in ("", "0") or bool(header(scope, b"transfer-encoding"))


async def read_body(scope: Scope, receive: Receive, limit: int, within_s: float) -> bytes:
    """Read a whole body, and no more than the limit of it, whatever its head says.

    Raises:
        TurnedAway: with 413 or 408; the connection ends then.
        ConnectionError: the client has gone.
    """
    announced = header(scope, b"content-length")
    if announced.isdecimal() and int(announced[:20]) > limit:
        raise _too_large(limit)
    read = bytearray()
    try:
        async with asyncio.timeout(within_s):
            while True:
                message = await receive()
                if message["type"] != "http.request":
                    raise ConnectionError("the client has gone")
                read += message.get("body", b"")
                if len(read) > limit:
                    raise _too_large(limit)
                if not message.get("more_body", False):
                    return bytes(read)
    except TimeoutError:
        raise TurnedAway(
            HTTPStatus.REQUEST_TIMEOUT,
            "slow-body",
            f"the body was not here after {within_s:g} s",
            remedy="send it faster",
            headers=CLOSE,
        ) from None


def replaying(body: bytes, receive: Receive) -> Receive:
    """Give what a handler receives: the body at once, then what comes after it."""
    pending = True

    async def replay() -> Message:
        nonlocal pending
        if pending:
            pending = False
            return {"type": "http.request", "body": body, "more_body": False}
        return await receive()

    return replay


def _too_large(limit: int) -> TurnedAway:
    return TurnedAway(
        HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
        "body-size",
        f"the body is larger than {limit} bytes",
        remedy="send a smaller one; a study file names its data, and does not hold it",
        headers=CLOSE,
    )
