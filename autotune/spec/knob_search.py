"""`search.knobs` of a study file: which knobs the second stage of the search may turn."""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal

from pydantic import AfterValidator, BeforeValidator, Discriminator, Field, Tag

from autotune.spec.knob import PATH, Knob
from autotune.spec.knobs import knob_fault, legal_fault
from autotune.spec.known_knobs import find_knob, known_knobs
from autotune.spec.part import LIST, MAX_CHOICES, WORD, as_tuple, distinct, form, refuse

MAX_TEXTS: Final = 2_000
"""Combinations that a study's lists may have: each is a choice of one parameter in the store."""


def _known_knobs(listed: dict[str, tuple[str, ...]]) -> dict[str, tuple[str, ...]]:
    combinations = 1
    for name, values in listed.items():
        knob = find_knob(name)
        if knob is None:
            refuse(knob_fault(name, ""), name)
        for index, value in enumerate(values):
            if fault := knob_fault(name, value):
                refuse(fault, name, index)
        combinations *= len({knob.usual, *values})
    if combinations > MAX_TEXTS:
        refuse(f"{combinations} combinations are too many: at most {MAX_TEXTS}")
    if fault := _lonely_fault(listed):
        refuse(fault)
    return listed


def _lonely_fault(listed: dict[str, tuple[str, ...]]) -> str:
    """Say why a listed knob can never be turned, as what it is read with is not listed; empty if all can."""
    for name, values in listed.items():
        knob = known_knobs()[name]
        turned = [value for value in values if value != knob.usual]
        if not turned or knob.needs is None or knob.needs[1] in listed.get(knob.needs[0], ()):
            continue
        if fault := legal_fault({name: turned[0]}):
            return fault
    return ""


Listed = Annotated[
    tuple[str, ...],
    Field(min_length=1, max_length=MAX_CHOICES),
    BeforeValidator(as_tuple),
    AfterValidator(distinct),
]

KnobSearch = Annotated[
    Annotated[Literal["auto", "none"], Tag(WORD)]
    | Annotated[dict[str, Listed], Field(min_length=1), AfterValidator(_known_knobs), Tag(LIST)],
    Discriminator(form),
]
"""`auto`: every knob that can be turned here, if the budget affords it; `none`; or values by name of knob."""


def knob_search_schema(described: dict[str, Any]) -> dict[str, Any]:
    """The JSON Schema of `search.knobs` as users write it: a value, or a list; true and false for on and off.

    Args:
        described: pydantic's own schema of it.
    """
    properties = {name: _values(knob) for name, knob in known_knobs().items()}
    mapping = {
        "title": f"a mapping from knobs to values; knobs are {', '.join(properties)}",
        "type": "object",
        "additionalProperties": False,
        "minProperties": 1,
        "properties": properties,
    }
    return {
        "title": f"auto, none, or {mapping['title']}",
        "description": described["description"],
        "default": "auto",
        "anyOf": [{"enum": ["auto", "none"]}, mapping],
    }


def _values(knob: Knob) -> dict[str, Any]:
    one: dict[str, Any] = {"title": f"one of {knob.choices}", "anyOf": list(_forms(knob))}
    several = {"type": "array", "items": one, "minItems": 1, "maxItems": MAX_CHOICES, "uniqueItems": True}
    return {"title": f"{one['title']}, or a list of these", "description": knob.what, "anyOf": [one, several]}


def _forms(knob: Knob) -> list[dict[str, Any]]:
    """Give what may be written for one value: YAML has words of its own for on and off, and numbers."""
    forms: list[dict[str, Any]] = [{"enum": list(knob.values)}]
    if knob.has_paths:
        forms.append({"type": "string", "pattern": f"^{PATH}$"})
    if set(knob.values) == {"on", "off"}:
        forms.append({"type": "boolean"})
    if knob.most:
        forms.append({"type": "integer", "minimum": int("0" not in knob.values), "maximum": knob.most})
    return forms
