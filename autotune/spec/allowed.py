"""What a study file may hold at a place, in words taken from its schema."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Iterator
from functools import cache

from autotune.spec.refusal import Place
from autotune.spec.schema import Schema, study_schema

NO_VALUE = ("", "~", "null", "Null", "NULL")
"""What stands in a file where a value is missing."""


def not_allowed(written: str, place: Place) -> str:
    """Say that what is written at a place is wrong, and what is allowed there."""
    told = "no value" if written in NO_VALUE else f"{written} is not allowed"
    return f"{told}: write {allowed_at(place)}"


def allowed_at(place: Place) -> str:
    """What may stand at a place that the schema knows: `a whole number from 1 to 65536`."""
    return _words(_schema_at(place))


def known_keys(place: Place) -> tuple[str, ...]:
    """The keys of the section at a place."""
    schema = _schema_at(place)
    forms = [schema, *schema.get("anyOf", ())]
    return tuple(key for form in forms for key in form.get("properties", ()))


def unknown_key(place: Place, key: str) -> str:
    """Say that a section has no such key, which was probably meant, and which there are."""
    known = known_keys(place)
    meant = _nearest(key, known, 0.5) or _nearest(key, _inner_keys(), 0.8)
    hint = f" (did you mean {meant}?)" if meant else ""
    return f"{key!r} is not known here{hint}: known are {', '.join(known)}"


def _nearest(key: str, known: Iterable[str], cutoff: float) -> str | None:
    """The known key, or path of a key, whose last word is most alike, or begins the key."""
    by_key = {path.rpartition(".")[2]: path for path in known}
    plain = key.lower().replace("-", "_")
    near = [word for word in by_key if plain.startswith(f"{word}_")]
    near += difflib.get_close_matches(plain, by_key, n=1, cutoff=cutoff)
    return by_key[near[0]] if near else None


def _inner_keys() -> list[str]:
    """The paths of every key below a section: `problem.batch_size`."""
    return [f"{section}.{key}" for section in known_keys(()) for key in known_keys((section,))]


def _schema_at(place: Place) -> Schema:
    """The schema of a place, or of the nearest one around it that the schema knows."""
    schema = _schema()
    for step in place:
        inner = _inner(schema, step)
        if inner is None:
            break
        schema = inner
    return schema


@cache
def _schema() -> Schema:
    return study_schema()


def _inner(schema: Schema, step: str | int) -> Schema | None:
    """The schema of a key or an element, in the first of the schema's forms that has it."""
    if isinstance(step, int) and "items" in schema:
        return dict(schema["items"])
    if step in schema.get("properties", {}):
        return dict(schema["properties"][step])
    for pattern, inner in schema.get("patternProperties", {}).items():
        if re.search(pattern, str(step)):
            return dict(inner)
    forms = (_inner(form, step) for form in schema.get("anyOf", ()))
    return next((found for found in forms if found is not None), None)


def _words(schema: Schema) -> str:
    if "title" in schema:
        return str(schema["title"])
    if "anyOf" in schema:
        return " or ".join(_forms(schema))
    if "const" in schema:
        return str(schema["const"])
    if "enum" in schema:
        return "one of " + ", ".join(schema["enum"])
    if "properties" in schema:
        return "a mapping with " + ", ".join(schema["properties"])
    return {"integer": "a whole number", "number": "a number", "boolean": "true or false"}[
        schema["type"]
    ] + _range(schema)


def _forms(schema: Schema) -> Iterator[str]:
    for form in schema["anyOf"]:
        if form.get("type") == "array":
            yield f"a list of {form['minItems']} to {form['maxItems']} of these"
        else:
            yield _words(form)


def _range(schema: Schema) -> str:
    low = schema.get("minimum", schema.get("exclusiveMinimum"))
    if low is None:
        return ""
    above = "above" if "exclusiveMinimum" in schema else "from"
    return f" {above} {low} to {schema['maximum']}" if "maximum" in schema else f" {above} {low}"
