"""Every knob that there is here: those of every process, and those that installed engines declare.

Declarations are values of the backends, which are found by their entry points when a knob is first asked
for. Importing a backend imports no engine.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cache
from types import MappingProxyType
from typing import Final

from autotune.plugins import BACKENDS, engine_fault, make_plugin, plugins
from autotune.spec.allocator import ALLOCATOR
from autotune.spec.knob import Knob

OF_EVERY_PROCESS: Final = (ALLOCATOR,)
"""Knobs that no engine has to declare."""


@cache
def known_knobs() -> Mapping[str, Knob]:
    """Give every knob by its name, ascending."""
    return MappingProxyType(dict(sorted((knob.name, knob) for knob in _declarations())))


@cache
def find_knob(name: str) -> Knob | None:
    """Give the knob of this name, or None; plug-ins of others are imported only if autotune has none."""
    return next((knob for knob in _declarations() if knob.name == name), None)


def declared_knobs(backend: object) -> tuple[Knob, ...]:
    """Give the knobs that a backend declares; none of one that has no settings of its own."""
    declared = getattr(backend, "knobs", None)
    return tuple(declared) if isinstance(declared, Mapping) and is_declared(declared) else ()


def is_declared(knobs: Mapping[object, object]) -> bool:
    """Say whether a backend lists declarations, and not names as in an older version of the protocol."""
    return all(isinstance(knob, Knob) for knob in knobs)


def _declarations() -> Iterator[Knob]:
    """Give each declaration once, autotune's own first.

    An engine that is left out claims no name: one that is broken, or takes another's knob for something else.
    """
    declared = {knob.name: knob for knob in OF_EVERY_PROCESS}
    yield from OF_EVERY_PROCESS
    for point in plugins(BACKENDS).values():
        knobs = () if engine_fault(point) else declared_knobs(make_plugin(point))
        if any(declared.get(knob.name, knob) != knob for knob in knobs):
            continue
        fresh = {knob.name: knob for knob in knobs if knob.name not in declared}
        declared |= fresh
        yield from fresh.values()
