"""Finds the engines that installed distributions plug in: the one place that reads their entry points."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from types import MappingProxyType
from typing import Final

BACKENDS: Final = "autotune.backends"
"""The group of engines: an entry point's name is the engine's, its object makes a `Backend`."""

OWN: Final = "autotune"
"""The distribution that no plug-in can take the place of."""


@dataclass(frozen=True)
class Broken:
    """Stands in the place of a plug-in that cannot be imported or made.

    Attributes:
        reason: as Python says it, such as `ModuleNotFoundError: No module named 'x'`.
    """

    reason: str


@cache
def plugins(group: str) -> Mapping[str, EntryPoint]:
    """Give the first entry point of every name, autotune's own before those of others; import none."""
    points: dict[str, EntryPoint] = {}
    for point in ordered_plugins(group):
        points.setdefault(point.name, point)
    return MappingProxyType(points)


@cache
def ordered_plugins(group: str) -> tuple[EntryPoint, ...]:
    """Give every entry point of a group, autotune's own first, the others by their distribution."""
    return tuple(
        sorted(
            entry_points(group=group),
            key=lambda point: (distribution_of(point) != OWN, distribution_of(point)),
        )
    )


def distribution_of(point: EntryPoint) -> str:
    """Name the distribution that brings an entry point."""
    return point.dist.name if point.dist is not None else "an unknown package"


@cache
def make_plugin(point: EntryPoint) -> object:
    """Import a plug-in and make its object; give `Broken` where that fails.

    A plug-in of somebody else may fail in any way, and must not stop everything.
    """
    try:
        made: object = point.load()()
    except Exception as error:
        return Broken(f"{type(error).__name__}: {error}")
    return made
