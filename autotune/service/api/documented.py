"""What every endpoint says of itself: who may ask, an example of the answer, and the refusals."""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any, Final, get_args

from pydantic import BaseModel
from starlette.responses import Response

from autotune.service.access import AccessRole, MayAdminister, MayRead, MayTune
from autotune.service.problems import PROBLEM_JSON, problem_document

_MAY: Final = {AccessRole.READ: MayRead, AccessRole.TUNE: MayTune, AccessRole.ADMIN: MayAdminister}

ROLE: Final = "x-autotune-role"
"""The member of an operation in the description that names the role which it needs."""

ALWAYS: Final = (400, 401, 403, 408, 413, 414, 415, 421, 422, 429, 431, 503)
"""Refusals that every endpoint may answer with."""

JSON: Final = "application/json"

_MEANINGS: Final[Mapping[int, str]] = {
    400: "The request cannot be read.",
    401: "There is no token, or nobody knows it.",
    403: "The token's role may not do that, or the request comes from elsewhere.",
    404: "There is no such thing.",
    408: "The body came too slowly.",
    409: "It is in a state in which that cannot be done.",
    413: "The body is too large.",
    414: "Path and query are too long.",
    415: "The body is of another type than JSON.",
    421: "The request names another host.",
    422: "A value is wrong; `errors` names each.",
    429: "Too many requests failed; `Retry-After` says when to come again.",
    431: "The headers are too many, or too long.",
    503: "It can be asked for again later; `Retry-After` says when.",
}


def documented(
    role: AccessRole,
    example: Any = None,
    *,
    shape: type[BaseModel] | None = None,
    status: int = 200,
    refused: tuple[int, ...] = (),
    media: str = JSON,
    also: Mapping[int, str] | None = None,
    downloads: tuple[str, ...] = (),
) -> dict[str, Any]:
    """Give the arguments by which a router is told of an endpoint.

    Args:
        role: the least that may ask.
        example: of the answer.
        shape: schema of the answer; None = it has no body, or is no JSON.
        status: of a successful answer.
        refused: statuses beside those that every endpoint may refuse with.
        media: type of the answer.
        also: other successful statuses with the same answer, and what each means.
        downloads: other types that the answer may have, of files to take away.
    """
    answer: dict[str, Any] = {} if example is None else {"content": {media: {"example": example}}}
    if shape is not None:
        answer["model"] = shape
    for kind in downloads:
        answer["content"][kind] = {"schema": {"type": "string", "format": "binary"}}
    successes = {status: "Successful Response", **(also or {})}
    return {
        "dependencies": [get_args(_MAY[role])[1]],
        "status_code": status,
        "response_model": None,
        **({} if media == JSON else {"response_class": Response}),
        "responses": {
            **{
                code: {**(answer if code != HTTPStatus.NO_CONTENT else {}), "description": meaning}
                for code, meaning in successes.items()
            },
            **{code: refusal(code) for code in sorted({*ALWAYS, *refused})},
        },
        "openapi_extra": {ROLE: role.name.lower()},
    }


def refusal(status: int) -> dict[str, Any]:
    """Describe a refusal with this status, with an example."""
    kind = HTTPStatus(status).phrase.lower().replace(" ", "-")
    example = problem_document(status, kind, _MEANINGS[status])
    schema = {"$ref": "#/components/schemas/ProblemShape"}
    return {
        "description": _MEANINGS[status],
        "content": {PROBLEM_JSON: {"schema": schema, "example": example}},
    }
