"""Every knob that there is here: those of every process, and those that installed engines declare.

Declarations are values of the backends, which are found by their entry points when a knob is first asked
for. Importing a backend imports no engine.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cache
from types import MappingProxyType
from typing import Final

from autotune.plugins import BACKENDS, make_plugin, plugins
from autotune.spec.allocator import ALLOCATOR
from autotune.spec.knob import Knob

OF_EVERY_PROCESS: Final = (ALLOCATOR,)
"""Knobs that no engine has to declare."""


@cache
def known_knobs() -> Mapping[str, Knob]:
    """Give every knob by its name, ascending."""
    declared: dict[str, Knob] = {}
    for knob in _declarations():
        declared.setdefault(knob.name, knob)
    return MappingProxyType(dict(sorted(declared.items())))


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
    """Give declarations as they are found, autotune's own first; the first of a name counts."""
    yield from OF_EVERY_PROCESS
    for point in plugins(BACKENDS).values():
        yield from declared_knobs(make_plugin(point))
