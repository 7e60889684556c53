"""How an artifact was exported from its model: by which way, and for which requests it holds."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path

EXPORT_FILE = "export.json"


@dataclass(frozen=True)
class Export:
    """What became of the ways of export that an engine tries in order.

    Attributes:
        way: the one that was taken.
        failed: those before it, and why each was not: it does not take the architecture, or what it made
            does not follow the model.
        shapes: `(batch, tokens)` of the only requests at which the artifact follows the model; empty where
            it does at all that were tried.
    """

    way: str
    failed: Mapping[str, str] = field(default_factory=dict)
    shapes: tuple[tuple[int, int], ...] = ()


def write_export(directory: Path, export: Export) -> None:
    """Write `export.json` into `directory`."""
    (directory / EXPORT_FILE).write_text(json.dumps(asdict(export), indent=2) + "\n")


def read_export(directory: Path) -> Export | None:
    """How the artifact in `directory` was exported; None of one that is not an export."""
    file = directory / EXPORT_FILE
    if not file.is_file():
        return None
    stated = json.loads(file.read_bytes())
    shapes = tuple((batch, tokens) for batch, tokens in stated["shapes"])
    return Export(stated["way"], stated["failed"], shapes)


def only_shapes(directory: Path) -> tuple[tuple[int, int], ...]:
    """The only requests that the artifact in `directory` holds for; empty where it holds for any."""
    export = read_export(directory)
    return () if export is None else export.shapes


def way_of(directory: Path) -> str:
    """The way by which the artifact in `directory` was exported; empty of what is no export."""
    export = read_export(directory)
    return "" if export is None else export.way
