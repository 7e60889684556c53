"""Measurements and failures as versioned JSON documents; `from_json(to_json(x)) == x`."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any, TypeVar, cast

from pydantic import TypeAdapter, ValidationError

from autotune.errors import StoreError
from autotune.measurement.measurement import Failure, FailureKind, Measurement, Observation

MEASUREMENT_SCHEMA = "autotune.measurement/3"
OLDER_MEASUREMENTS = ("autotune.measurement/1", "autotune.measurement/2")
"""Still read: what is missing in them has a default. Version 1 had no conditions and no dropped blocks; in
version 2 speed was that of the slowest cpu against the fastest ever seen, and there was no `probe_s`."""

_OF_PREPARING = re.compile(r"preparing |not enough memory to prepare |[\w-]+( [\w-]+)* cannot prepare ")
"""How reasons begin of what failed before any worker was started, in every version of autotune.

Source: `autotune.backends.ending` and `autotune.preparation.child`.
"""

FAILURE_SCHEMA = "autotune.failure/1"

_PASSING = (FailureKind.OUT_OF_MEMORY, FailureKind.CRASH)
"""As which what failed in preparation is kept."""

Value = TypeVar("Value")

_MEASUREMENT = TypeAdapter(Measurement)
_FAILURE = TypeAdapter(Failure)
_OBSERVATION = TypeAdapter(Observation)


def measurement_to_json(measurement: Measurement) -> dict[str, Any]:
    """Write a measurement with all its raw values."""
    return _document(_MEASUREMENT, measurement, MEASUREMENT_SCHEMA)


def measurement_from_json(document: object) -> Measurement:
    """The inverse of `measurement_to_json`.

    Raises:
        StoreError: the document is wrong or of an unknown version.
    """
    return _value(_MEASUREMENT, document, MEASUREMENT_SCHEMA, *OLDER_MEASUREMENTS)


def failure_to_json(failure: Failure) -> dict[str, Any]:
    """Write a failure."""
    return _document(_FAILURE, failure, FAILURE_SCHEMA)


def failure_from_json(document: object) -> Failure:
    """The inverse of `failure_to_json`.

    One that was kept before failures said whether their reason may pass is told by its words: what could not
    be prepared, for want of memory or by a crash, may be another time.

    Raises:
        StoreError: the document is wrong or of an unknown version.
    """
    found = _value(_FAILURE, document, FAILURE_SCHEMA)
    if isinstance(document, dict) and "may_pass" not in document and found.kind in _PASSING:
        return replace(found, may_pass=is_of_preparing(found.reason))
    return found


def observation_from_json(document: object) -> Observation:
    """Read what a worker says of itself (`dataclasses.asdict` writes it).

    Raises:
        StoreError: the document is wrong.
    """
    return _validated(_OBSERVATION, document)


def _document(adapter: TypeAdapter[Value], value: Value, schema: str) -> dict[str, Any]:
    return {"schema": schema, **cast(dict[str, Any], adapter.dump_python(value, mode="json"))}


def _value(adapter: TypeAdapter[Value], document: object, schema: str, *older: str) -> Value:
    if not isinstance(document, dict) or document.get("schema") not in (schema, *older):
        found = document.get("schema") if isinstance(document, dict) else document
        raise StoreError(
            f"a stored result has the schema {str(found)[:80]!r} instead of {schema!r}",
            remedy="read it with the version of autotune that wrote it",
        )
    return _validated(adapter, document)


def _validated(adapter: TypeAdapter[Value], document: object) -> Value:
    try:
        return adapter.validate_python(document)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        path = ".".join(str(part) for part in first["loc"])
        raise StoreError(
            f"a trial's result is damaged at {path or 'its top'}: {first['msg']}, not {first['input']!r:.80}"
        ) from error


def is_of_preparing(reason: str) -> bool:
    """Whether a reason is that nothing could be prepared, which says nothing lasting of a configuration.

    For what was kept before that was said of each failure.
    """
    return _OF_PREPARING.match(reason) is not None
