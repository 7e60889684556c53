"""Refuses requests that two readers could take for different ones, and heads without end."""

from __future__ import annotations

from collections.abc import Iterator
from http import HTTPStatus
from typing import Final

from starlette.types import Scope

from autotune.service.guard.bodies import has_body
from autotune.service.guard.request_head import headers, is_unsafe
from autotune.service.guard.turned_away import CLOSE, TurnedAway

HEADERS: Final = 64
HEAD_BYTES: Final = 16 * 2**10
"""Of a request's headers; a browser sends about 20 of them, of 2 KB."""
TARGET_BYTES: Final = 4 * 2**10
"""Of its path and query."""

PLAINLY: Final = "send HTTP/1.1 with one header of each of these names, and a body where the method has one"

_METHODS: Final = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})


def check_framing(scope: Scope) -> None:
    """Turn away a request whose head is too long, or does not say clearly where its body ends.

    Raises:
        TurnedAway: with 400, 405, 414 or 431.
    """
    if scope["method"] not in _METHODS:
        allowed = {"Allow": ", ".join(sorted(_METHODS))}
        raise TurnedAway(
            HTTPStatus.METHOD_NOT_ALLOWED,
            "method",
            "the method is not known",
            remedy=f"use one of {allowed['Allow']}",
            headers={**CLOSE, **allowed},
        )
    size = sum(len(key) + len(value) + 4 for key, value in scope["headers"])
    if len(scope["headers"]) > HEADERS or size > HEAD_BYTES:
        raise TurnedAway(
            HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE,
            "head",
            "the request's headers are too many, or too long",
            remedy=f"send at most {HEADERS} headers of {HEAD_BYTES // 2**10} KiB together",
            headers=CLOSE,
        )
    if len(scope["raw_path"]) + len(scope["query_string"]) > TARGET_BYTES:
        raise TurnedAway(
            HTTPStatus.REQUEST_URI_TOO_LONG,
            "target",
            "the request's path and query are too long",
            remedy=f"send at most {TARGET_BYTES // 2**10} KiB",
            headers=CLOSE,
        )
    if fault := _ambiguity(scope):
        raise TurnedAway(HTTPStatus.BAD_REQUEST, "head", fault, remedy=PLAINLY, headers=CLOSE)


def _ambiguity(scope: Scope) -> str:
    """What proxies and servers read in different ways. Source: RFC 9112, sections 3.2 and 6.3."""
    return next(_ambiguities(scope), "")


def _ambiguities(scope: Scope) -> Iterator[str]:
    if scope["http_version"] not in ("1.0", "1.1"):
        yield "the request is of another version of HTTP"
    if headers(scope, b"content-length") and headers(scope, b"transfer-encoding"):
        yield "the request has both Content-Length and Transfer-Encoding"
    for name in ("host", "content-length", "transfer-encoding", "content-type", "authorization", "origin"):
        if len(headers(scope, name.encode())) > 1:
            yield f"the request has more than one {name.title()} header"
    if not headers(scope, b"host"):
        yield "the request has no Host header"
    if has_body(scope) and not is_unsafe(scope):
        yield f"a {scope['method']} request has no body"
    if any(character < " " or character == "\x7f" for character in scope["path"]):
        yield "the request's path has control characters in it"
