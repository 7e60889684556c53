"""Finds the engines that installed distributions plug in: the one place that reads their entry points."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from types import MappingProxyType
from typing import Final

BACKENDS: Final = "autotune.backends"
"""The group of engines: an entry point's name is the engine's, its object makes a `Backend`."""

OWN: Final = "autotune"
"""The distribution that no plug-in can take the place of."""


MEMBERS: Final = (
    *("name", "precisions", "packages", "install_hint"),
    *("unsupported", "environment", "prepare", "load"),
)
"""What a `Backend` has; a plug-in that lacks one was written for another version of the protocol."""


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
        return Broken(error_in_words(error))
    return made


def error_in_words(error: Exception) -> str:
    """Say in one line what another distribution's code has raised."""
    return " ".join(f"{type(error).__name__}: {error}".split())


@cache
def engine_fault(point: EntryPoint) -> str:
    """Say why what an entry point brings is no engine, or cannot do what it declares; empty if it is one."""
    made = make_plugin(point)
    if isinstance(made, Broken):
        return f"cannot be loaded: {made.reason}"
    try:
        return _fault_of(made, point.name)
    except Exception as error:  # a property of its own, say
        return f"cannot be read: {error_in_words(error)}"


def _fault_of(made: object, name: str) -> str:
    if lacking := [member for member in MEMBERS if not hasattr(made, member)]:
        return f"is no backend of this version: it has no {', '.join(lacking)}"
    if (own := getattr(made, "name", None)) != name:
        return f"calls itself {own!r}"
    if fault := _undeclared(made):
        return f"is no backend of this version: {fault}"
    return ""


def _undeclared(made: object) -> str:
    """Say what of an engine's declarations is not of the form that they have."""
    for member in ("precisions", "packages", "documented", "calibrated", "kinds_with_knobs"):
        listed = getattr(made, member, ())
        is_listed = isinstance(listed, Collection) and not isinstance(listed, str | bytes)
        if not is_listed or not all(isinstance(word, str) for word in listed):
            return f"its {member} are no list of texts"
    if not isinstance(getattr(made, "install_hint", None), str):
        return "its install_hint is no text"
    times = getattr(made, "times", None)
    if times is not None and not all(hasattr(times, part) for part in ("preparing_s", "trial_s", "built_on")):
        return "its times are no StatedTimes"
    return _undeclared_knobs(made, getattr(made, "knobs", {}))


def _undeclared_knobs(made: object, knobs: object) -> str:
    """Say what of an engine's knobs is not of the form that they have, or cannot be turned."""
    if not isinstance(knobs, Mapping) or not all(hasattr(knob, "prepares") for knob in knobs):
        return "its knobs are not declared"
    if knobs and not callable(getattr(made, "load_with", None)):
        return "it has knobs, and no load_with"
    if any(knob.prepares for knob in knobs) and not (
        callable(getattr(made, "prepare_with", None)) and hasattr(made, "kinds_with_knobs")
    ):
        return "it has knobs that are turned in preparation, and no prepare_with and kinds_with_knobs"
    return ""
