"""What a form sent."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated
from urllib.parse import parse_qsl

from fastapi import Depends, Request

from autotune.errors import RequestError

MOST_FIELDS = 400
FORM = "application/x-www-form-urlencoded"


async def read_form(request: Request) -> Mapping[str, str]:
    """Read the fields of a form; of several of one name the last.

    Raises:
        RequestError: it is none, or has too many fields.
    """
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    body = await request.body()
    if body and kind != FORM:
        raise RequestError(
            f"{kind or 'a body without a type'} is no form", remedy="send the form of the page"
        )
    try:
        return dict(parse_qsl(body.decode(), keep_blank_values=True, max_num_fields=MOST_FIELDS))
    except ValueError:  # UnicodeDecodeError is one
        raise RequestError("the form cannot be read", remedy="send the form of the page") from None


InForm = Annotated[Mapping[str, str], Depends(read_form)]
"""A handler's parameter that gives it the fields of a form."""
