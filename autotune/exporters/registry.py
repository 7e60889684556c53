"""Finds exporters by the entry points `autotune.exporters`, the built-in ones through the same door."""

from __future__ import annotations

import difflib
from importlib.metadata import EntryPoint, entry_points

from autotune.errors import ExportError
from autotune.exporters.protocol import Exporter

GROUP = "autotune.exporters"

DECLARED = ("name", "summary", "programs", "is_starting", "keeps", "options", "render")
"""What an exporter must have; that of version 0.1 had a name and rendered plans."""


def exporter_names() -> tuple[str, ...]:
    """What can stand after `--to`, sorted; loads none of them."""
    return tuple(sorted(entry_points(group=GROUP).names))


def exporters() -> dict[str, Exporter]:
    """Every exporter by its name.

    Raises:
        ExportError: one cannot be loaded.
    """
    return {point.name: _load(point) for point in entry_points(group=GROUP)}


def get_exporter(name: str) -> Exporter:
    """The exporter of this name; loads no other.

    Raises:
        ExportError: there is none, or it cannot be loaded.
    """
    for point in entry_points(group=GROUP, name=name):
        return _load(point)
    names = exporter_names()
    near = difflib.get_close_matches(name, names, n=1)
    raise ExportError(
        f"{name!r} is no target of `autotune export`",
        remedy=f"did you mean {near[0]}?" if near else f"there are: {', '.join(names)}",
    )


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
