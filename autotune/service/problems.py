"""Every refusal as a problem document (RFC 9457): one table of statuses, and the command line's texts."""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any, Final, get_args

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse

from autotune import errors
from autotune.documents.remote_words import remote_words
from autotune.errors import AutotuneError
from autotune.store.job_records import JobKind

LOGGER: Final = logging.getLogger("autotune.service")

PROBLEM_JSON: Final = "application/problem+json"
"""Source: RFC 9457, section 3, like the names of the members."""

URN: Final = "urn:autotune:problem:"
"""Begins the `type` of every problem; what follows is stable."""

STATUSES: Final[Mapping[type[AutotuneError], HTTPStatus]] = {
    errors.AutotuneError: HTTPStatus.INTERNAL_SERVER_ERROR,
    errors.MachineError: HTTPStatus.SERVICE_UNAVAILABLE,
    errors.StudyFileError: HTTPStatus.UNPROCESSABLE_ENTITY,
    errors.ChangedFileError: HTTPStatus.CONFLICT,
    errors.ModelError: HTTPStatus.UNPROCESSABLE_ENTITY,
    errors.PreparationError: HTTPStatus.UNPROCESSABLE_ENTITY,
    errors.CacheError: HTTPStatus.SERVICE_UNAVAILABLE,
    errors.MemoryShortageError: HTTPStatus.SERVICE_UNAVAILABLE,
    errors.BackendError: HTTPStatus.UNPROCESSABLE_ENTITY,
    errors.UnsupportedError: HTTPStatus.UNPROCESSABLE_ENTITY,
    errors.PlacementError: HTTPStatus.UNPROCESSABLE_ENTITY,
    errors.StudyError: HTTPStatus.CONFLICT,
    errors.ResumeError: HTTPStatus.CONFLICT,
    errors.ChangedMachineError: HTTPStatus.CONFLICT,
    errors.HostLostError: HTTPStatus.SERVICE_UNAVAILABLE,
    errors.NoPlanError: HTTPStatus.CONFLICT,
    errors.NoisyMachineError: HTTPStatus.CONFLICT,
    errors.StoreError: HTTPStatus.SERVICE_UNAVAILABLE,
    errors.NotStoredError: HTTPStatus.NOT_FOUND,
    errors.JobError: HTTPStatus.CONFLICT,
    errors.JobNotFoundError: HTTPStatus.NOT_FOUND,
    errors.JobConflictError: HTTPStatus.CONFLICT,
    errors.PlanError: HTTPStatus.UNPROCESSABLE_ENTITY,
    errors.ServiceError: HTTPStatus.SERVICE_UNAVAILABLE,
    errors.AccessError: HTTPStatus.FORBIDDEN,
    errors.RequestError: HTTPStatus.UNPROCESSABLE_ENTITY,
    errors.BusyError: HTTPStatus.SERVICE_UNAVAILABLE,
    errors.ServingError: HTTPStatus.CONFLICT,
    errors.DifferenceError: HTTPStatus.CONFLICT,
    errors.FleetError: HTTPStatus.UNPROCESSABLE_ENTITY,
    errors.ExportError: HTTPStatus.UNPROCESSABLE_ENTITY,
}

OTHERWISE: Final = "/openapi.json says what a request may hold"
"""The remedy of what has none of its own."""

MOST_FAULTS: Final = 200
"""So many faults of one body are told."""


def problem_status(error: AutotuneError) -> HTTPStatus:
    """Give the status of an error: its own class's, else that of its nearest listed base."""
    return next(STATUSES[cls] for cls in type(error).__mro__ if cls in STATUSES)


def problem_type(error: AutotuneError) -> str:
    """Give the `type` of an error: of a `StudyFileError` `urn:autotune:problem:study-file`."""
    listed = next(cls for cls in type(error).__mro__ if cls in STATUSES)
    words = re.findall(r"[A-Z][a-z]+", listed.__name__.removesuffix("Error"))
    return URN + "-".join(word.lower() for word in words)


def problem_document(
    status: int, kind: str, detail: str, *, remedy: str = "", faults: Sequence[Mapping[str, Any]] = ()
) -> dict[str, Any]:
    """Write a problem as one JSON document.

    Args:
        status: of the response.
        kind: what follows `URN` in its `type`.
        detail: what happened, with the offending value in it.
        remedy: what to do next; left out where it is empty.
        faults: the members of `errors`, each with `path`, `line` and `fault`; left out without any.
    """
    return {
        "type": URN + kind,
        "title": HTTPStatus(status).phrase,
        "status": status,
        "detail": detail,
        **({"remedy": remedy} if remedy else {}),
        **({"errors": [dict(fault) for fault in faults[:MOST_FAULTS]]} if faults else {}),
    }


def problem_response(
    status: int,
    kind: str,
    detail: str,
    *,
    remedy: str = "",
    faults: Sequence[Mapping[str, Any]] = (),
    headers: Mapping[str, str] | None = None,
) -> JSONResponse:
    """Answer with a problem; an ASGI middleware may send it, too. Takes what `problem_document` does."""
    document = problem_document(status, kind, detail, remedy=remedy, faults=faults)
    return JSONResponse(document, status, headers=dict(headers or {}), media_type=PROBLEM_JSON)


def error_response(error: AutotuneError, *, is_known: bool = True) -> JSONResponse:
    """Answer with an error of ours.

    Args:
        is_known: whether the caller has shown a token; what nobody unknown may do is answered with 401.
    """
    status, headers = problem_status(error), {}
    if isinstance(error, errors.AccessError) and not is_known:
        status, headers = HTTPStatus.UNAUTHORIZED, {"WWW-Authenticate": 'Bearer realm="autotune"'}
    if status == HTTPStatus.SERVICE_UNAVAILABLE:
        after_s = error.after_s if isinstance(error, errors.BusyError) else 10
        headers = {"Retry-After": str(after_s)}
    kind = problem_type(error).removeprefix(URN)
    return problem_response(
        status,
        kind,
        remote_words(error.problem, "api"),
        remedy=remote_words(error.remedy, "api") or OTHERWISE,
        faults=_faults(error),
        headers=headers,
    )


def _faults(error: AutotuneError) -> list[dict[str, Any]]:
    """Each fault of a body by itself, where that is known."""
    if isinstance(error, errors.StudyFileError):
        return [
            {"path": fault.path, "line": fault.line or None, "fault": fault.fault} for fault in error.faults
        ]
    if isinstance(error, errors.RequestError):
        return [{"path": error.path, "line": None, "fault": error.fault}]
    return []


def install_problems(app: FastAPI) -> None:
    """Have an application answer every refusal, and every fault of its own, with a problem document."""
    app.add_exception_handler(AutotuneError, _answer_error)
    app.add_exception_handler(RequestValidationError, _answer_wrong_request)
    app.add_exception_handler(HTTPException, _answer_http)
    app.add_exception_handler(Exception, _answer_bug)


def _answer_error(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, AutotuneError)
    log_own_fault(error)
    return error_response(error, is_known=getattr(request.state, "role", None) is not None)


def log_own_fault(error: AutotuneError) -> None:
    """Tell the operator of what the service itself lacks: the client is not to be blamed, and may not say."""
    if problem_status(error) >= HTTPStatus.INTERNAL_SERVER_ERROR and not isinstance(error, errors.BusyError):
        LOGGER.warning("%s: %s", type(error).__name__, error.problem)


def _answer_wrong_request(_: Request, error: Exception) -> JSONResponse:
    """Say what is wrong with a body or a parameter; text that is no JSON is a bad request."""
    assert isinstance(error, RequestValidationError)
    found = error.errors()
    if any(fault["type"] == "json_invalid" for fault in found):
        reason = found[0].get("ctx", {}).get("error", "it cannot be read")
        return problem_response(
            HTTPStatus.BAD_REQUEST, "json", f"the body is not JSON: {reason}", remedy="send one JSON object"
        )
    faults = [{"path": _path(fault["loc"]), "line": None, "fault": str(fault["msg"])} for fault in found]
    told = "; ".join(f"{fault['path']}: {fault['fault']}" for fault in faults[:3])
    return problem_response(
        HTTPStatus.UNPROCESSABLE_ENTITY,
        "request",
        told,
        remedy=OTHERWISE,
        faults=faults,
    )


def _path(location: Sequence[str | int]) -> str:
    """Where a value stands, as users read it: `search.instances[2]`; the body itself is `body`.

    Neither where a parameter stands, nor the tag by which pydantic has told bodies apart, is part of that.
    """
    inside = location[1:] if len(location) > 1 and location[0] in _PLACES else location
    if len(inside) > 1 and location[0] == "body" and inside[0] in get_args(JobKind):
        inside = inside[1:]
    return "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in inside).removeprefix(".")


_PLACES: Final = ("body", "query", "path", "header")

_HTTP: Final[Mapping[int, tuple[str, str]]] = {
    HTTPStatus.BAD_REQUEST: (
        "the body cannot be read: it is not JSON in UTF-8, or is nested too deeply",
        "send one JSON object, in UTF-8",
    ),
    HTTPStatus.NOT_FOUND: ("there is nothing at {path}", "/openapi.json lists what there is"),
    HTTPStatus.METHOD_NOT_ALLOWED: (
        "{method} is not allowed at {path}",
        "/openapi.json lists what is allowed",
    ),
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE: ("the body is too large", "send a smaller one"),
}
"""By status, what happened and what to do."""


def _answer_http(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, HTTPException)
    phrase = HTTPStatus(error.status_code).phrase
    detail, remedy = _HTTP.get(error.status_code, (str(error.detail), OTHERWISE))
    return problem_response(
        error.status_code,
        phrase.lower().replace(" ", "-"),
        detail.format(path=request.url.path[:200], method=request.method)
        if error.status_code in _HTTP
        else detail,
        remedy=remedy,
        headers=error.headers,
    )


def _answer_bug(_: Request, __: Exception) -> JSONResponse:
    """Say that it is a bug; what was raised goes to the service's log alone."""
    return problem_response(
        HTTPStatus.INTERNAL_SERVER_ERROR,
        "bug",
        "this is a bug in autotune",
        remedy="please report it with the lines of the service's log",
    )
