"""Finds exporters by the entry points `autotune.exporters`, the built-in ones through the same door."""

from __future__ import annotations

import difflib
from importlib.metadata import EntryPoint, entry_points

from autotune.errors import ExportError
from autotune.exporters.protocol import Exporter
from autotune.plugins import OWN, distribution_of

GROUP = "autotune.exporters"

DECLARED = ("name", "summary", "programs", "is_starting", "keeps", "options", "render")
"""What an exporter must have; that of version 0.1 had a name and rendered plans."""


def exporter_names() -> tuple[str, ...]:
    """What can stand after `--to`, sorted; loads none of them."""
    return tuple(sorted(_points()))


def exporters() -> dict[str, Exporter]:
    """Every exporter by its name.

    Raises:
        ExportError: one cannot be loaded.
    """
    return {name: _load(point) for name, point in _points().items()}


def get_exporter(name: str) -> Exporter:
    """The exporter of this name, autotune's own before one of others; loads no other.

    Raises:
        ExportError: there is none, or it cannot be loaded.
    """
    if (point := _points().get(name)) is not None:
        return _load(point)
    names = exporter_names()
    near = difflib.get_close_matches(name, names, n=1)
    raise ExportError(
        f"{name!r} is no target of `autotune export`",
        remedy=f"did you mean {near[0]}?" if near else f"there are: {', '.join(names)}",
    )


def _points() -> dict[str, EntryPoint]:
    """Entry points by name: no plug-in takes the place of a target of autotune's."""
    points = entry_points(group=GROUP)
    ours_last = sorted(points, key=lambda point: (distribution_of(point) == OWN, distribution_of(point)))
    return {point.name: point for point in ours_last}


def _load(point: EntryPoint) -> Exporter:
    origin = f" of {point.dist.name}" if point.dist else ""
    try:
        exporter: Exporter = point.load()()
    except Exception as error:  # another distribution's module can fail in any way
        raise ExportError(
            f"the exporter {point.name!r}{origin} ({point.value}) cannot be loaded: {error}",
            remedy="update or uninstall that package",
        ) from error
    if missing := [name for name in DECLARED if not hasattr(exporter, name)]:
        raise ExportError(
            f"the exporter {point.name!r}{origin} ({point.value}) is written for an earlier autotune: "
            f"it lacks {', '.join(missing)}",
            remedy="update or uninstall that package; see autotune.exporters.protocol.Exporter",
        )
    return exporter
