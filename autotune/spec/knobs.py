"""Knobs as text: how a configuration writes the settings that differ from the usual.

A configuration holds them as one text, `allocator=jemalloc spinning=off`: names ascending, and only what
differs from the usual. What a knob is, its engine declares (`autotune.spec.knob`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import lru_cache
from itertools import product
from types import MappingProxyType

from autotune.spec.knob import Knob
from autotune.spec.known_knobs import find_knob, known_knobs

Knobs = Mapping[str, str]
"""Values by name; what is missing has its usual value."""

NO_KNOBS: Knobs = MappingProxyType({})


def format_knobs(knobs: Knobs) -> str:
    """Write knobs as one text: names ascending, usual values left out."""
    turned = (f"{name}={value}" for name, value in sorted(knobs.items()) if not _is_usual(name, value))
    return " ".join(turned)


def split_knobs(text: str) -> dict[str, str]:
    """Take a text apart that was checked before: in a worker, where no other engine's module is imported.

    Raises:
        ValueError: it has another form.
    """
    knobs: dict[str, str] = {}
    for word in text.split():
        name, equals, value = word.partition("=")
        if not equals:
            raise ValueError(f"{word!r} is not a knob: write NAME=VALUE, such as spinning=off")
        if name in knobs:
            raise ValueError(f"{name} is there twice: name each knob once")
        knobs[name] = value
    return knobs


def parse_knobs(text: str) -> dict[str, str]:
    """Read and check what `format_knobs` writes; any order will do.

    Raises:
        ValueError: it has another form, or no such knob or value; says what would be right.
    """
    knobs = split_knobs(text)
    for name, value in knobs.items():
        if fault := knob_fault(name, value):
            raise ValueError(fault)
    if fault := legal_fault(knobs):
        raise ValueError(fault)
    return knobs


def knob_fault(name: str, value: str) -> str:
    """Say what is wrong with a knob or its value; empty if nothing is."""
    knob = find_knob(name)
    if knob is None:
        return unknown_fault(name)
    if not knob.takes(value):
        return f"{value!r} is not a value of {name}: write {knob.choices}"
    return ""


def unknown_fault(name: str) -> str:
    """Say that there is no such knob, which it may have been, and which there are."""
    import difflib

    near = difflib.get_close_matches(name, known_knobs(), n=1)
    hint = f" (did you mean {near[0]}?)" if near else ""
    return f"{name!r} is not a knob{hint}: known are {', '.join(known_knobs())}"


def legal_fault(knobs: Knobs) -> str:
    """Say why these values cannot stand together; empty if they can."""
    for name, value in sorted(knobs.items()):
        knob = find_knob(name)
        if knob is None or knob.needs is None or value == knob.usual:
            continue
        other, needed = knob.needs
        beside = find_knob(other)
        present = knobs.get(other, beside.usual if beside else "")
        if present != needed:
            return f"{name}={value} is read by {needed}, not by {present}: write {other}={needed} too"
    return ""


@lru_cache(maxsize=4096)
def answering(text: str) -> str:
    """Keep the part of a text that changes what is answered."""
    return _only(text, lambda knob: knob.changes_answers)


@lru_cache(maxsize=4096)
def preparing(text: str) -> str:
    """Keep the part of a text that changes what is prepared."""
    return _only(text, lambda knob: knob.prepares)


def _only(text: str, is_meant: Callable[[Knob], bool]) -> str:
    """Keep the knobs that are meant; one that no engine here declares is of an engine that is not here."""
    kept = {
        name: value
        for name, value in split_knobs(text).items()
        if (knob := find_knob(name)) is not None and is_meant(knob)
    }
    return format_knobs(kept)


def knob_texts(choices: Mapping[str, Iterable[str]]) -> Iterator[str]:
    """Give every text that can be written with these values of each knob, the usual ones included."""
    names = list(choices)
    values = [dict.fromkeys((known_knobs()[name].usual, *choices[name])) for name in names]
    for chosen in product(*values):
        knobs = dict(zip(names, chosen, strict=True))
        if not legal_fault(knobs):
            yield format_knobs(knobs)


def _is_usual(name: str, value: str) -> bool:
    knob = find_knob(name)
    return knob is not None and value == knob.usual
