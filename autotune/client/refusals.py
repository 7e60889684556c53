"""A service's refusals, as the errors that they stand for."""

from __future__ import annotations

import json
import ssl
from collections.abc import Iterator, Mapping
from typing import Any, Final

import httpx2

from autotune import errors
from autotune.errors import AccessError, AutotuneError, ServiceError

BUSY: Final = frozenset({429, 502, 503, 504})
"""Statuses after which the same request may succeed a little later."""

TOKEN_REMEDY: Final = (
    "set AUTOTUNE_TOKEN, or name a file that holds one with --token-file; "
    "the service's operator makes one: autotune serve token add NAME"
)

PROBLEM: Final = "application/problem+json"
"""Source: RFC 9457."""


def refusal(response: httpx2.Response) -> AutotuneError:
    """Give the error that a response stands for: the class that it names, with the service's own words.

    A response that is none of the service's, as of a proxy in front of it, is told by its status.
    """
    document = _problem(response)
    if document is None:
        return _by_status(response)
    detail = str(document.get("detail") or document.get("title") or f"it answers {response.status_code}")
    if response.status_code == httpx2.codes.UNAUTHORIZED:
        return AccessError(detail, remedy=TOKEN_REMEDY)  # the service's own is for browsers, too
    kind = _kind(document) or type(_by_status(response))
    return kind(detail, remedy=str(document.get("remedy") or ""))


def may_pass(response: httpx2.Response, *, watching: bool = False) -> bool:
    """Whether what was refused may be granted a little later, so that it is worth asking again.

    A service that is short of something for longer names the error: a store that is corrupt, say.

    Args:
        watching: whether there is time to wait for that, too.
    """
    if response.status_code not in BUSY:
        return False
    if watching:
        return True
    document = _problem(response)
    kind = None if document is None else _kind(document)
    return kind is None or issubclass(kind, ServiceError)


def unreachable(url: str, error: httpx2.TransportError) -> ServiceError:
    """Say why a service does not answer, and what helps."""
    if is_distrust(error):
        return ServiceError(
            f"the certificate of the service at {url} is not trusted: {_words(error)}",
            remedy="name a file with the authority that signed it, or with itself: --ca FILE",
        )
    return ServiceError(
        f"the service at {url} cannot be reached: {_words(error)}",
        remedy="start it there (`autotune serve`), or give its address with --url (AUTOTUNE_URL)",
    )


def is_distrust(error: BaseException) -> bool:
    """Whether a connection failed as its certificate is not to be trusted, which no further try changes."""
    return any(isinstance(cause, ssl.SSLCertVerificationError) for cause in _causes(error))


def _causes(error: BaseException) -> Iterator[BaseException]:
    cause: BaseException | None = error
    while cause is not None:
        yield cause
        cause = cause.__cause__ or cause.__context__


def _words(error: BaseException) -> str:
    """What the innermost error says; httpx2's own is often empty."""
    return next((str(cause) for cause in reversed([*_causes(error)]) if str(cause)), type(error).__name__)


def _problem(response: httpx2.Response) -> Mapping[str, Any] | None:
    if response.headers.get("content-type", "").partition(";")[0].strip().lower() != PROBLEM:
        return None
    try:
        document = json.loads(response.content)
    except ValueError:
        return None
    return document if isinstance(document, dict) else None


def _kind(document: Mapping[str, Any]) -> type[AutotuneError] | None:
    """The class that a problem's type names: `urn:autotune:problem:study-file` is a `StudyFileError`."""
    name = str(document.get("type", "")).removeprefix("urn:autotune:problem:")
    return _kinds().get(name.replace("-", ""))


def _kinds() -> Mapping[str, type[AutotuneError]]:
    named = vars(errors).values()
    return {
        value.__name__.removesuffix("Error").lower(): value
        for value in named
        if isinstance(value, type) and issubclass(value, AutotuneError)
    }


def _by_status(response: httpx2.Response) -> ServiceError:
    status = f"{response.status_code} {response.reason_phrase}".strip()
    if response.status_code == httpx2.codes.UNAUTHORIZED:
        return AccessError(
            f"the service at {response.url.host} wants a token, or another one",
            remedy=TOKEN_REMEDY,
        )
    if response.status_code == httpx2.codes.FORBIDDEN:
        return AccessError(
            f"the service at {response.url.host} does not let this token do that",
            remedy="ask its operator for another",
        )
    if response.has_redirect_location:
        return ServiceError(
            f"{response.url} is elsewhere: {response.headers['location']}",
            remedy="give that address with --url",
        )
    return ServiceError(
        f"{response.url} answers {status}",
        remedy="is that the address of `autotune serve`, and of nothing else?",
    )
