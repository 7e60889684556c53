"""The record of a bundle: what every file was when it was written, and what the machine must be like."""

from __future__ import annotations

import json
import platform
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from autotune.errors import DifferenceError
from autotune.model.artifacts.changes import digest_of
from autotune.runtime.differences import AGAIN, Difference
from autotune.runtime.planned import PlannedInstance

RECORD_FILE: Final = "bundle.json"
FORMAT: Final = "autotune.bundle/1"


def record_of(folder: Path, versions: Mapping[str, str], machine: str) -> dict[str, Any]:
    """Describe the files of a folder, and this machine, for `bundle_differences`.

    Args:
        versions: of what the bundle was measured with.
        machine: its name, for people.
    """
    files = sorted(path for path in folder.rglob("*") if path.is_file() and path.name != RECORD_FILE)
    return {
        "format": FORMAT,
        "architecture": platform.machine(),
        "python": _python(),
        "machine": machine,
        "versions": dict(versions),
        "files": {path.relative_to(folder).as_posix(): _digest(path) for path in files},
    }


def bundle_differences(planned: PlannedInstance) -> Iterator[Difference]:
    """Say what differs between a bundle and its record; nothing of a plan that lies in none.

    Raises:
        DifferenceError: the record is damaged, or a bundle has none, as half a copy of one.
    """
    folder = planned.file.parent
    record = read_record(folder)
    if record is None and planned.is_bundled:
        raise DifferenceError(
            f"the bundle {folder} has no {RECORD_FILE}, so nobody can tell whether it is whole", remedy=AGAIN
        )
    if record is None:
        return
    if record["architecture"] != platform.machine():
        yield Difference(
            f"the bundle is for {record['architecture']}, and this machine is {platform.machine()}",
            f"serve it on a machine like {record['machine']}, or tune here",
            decides_answers=True,
        )
    if record["python"] != _python():
        yield Difference(
            f"the bundle was measured with Python {record['python']}, and this is {_python()}",
            f"start it with python{record['python']}",
        )
    changed = [name for name, digest in record["files"].items() if _digest(folder / name) != digest]
    if changed:
        yield Difference(
            f"files of the bundle {folder} are gone or were changed: {', '.join(changed[:3])}",
            AGAIN,
            decides_answers=True,
        )


def read_record(folder: Path) -> dict[str, Any] | None:
    """Read the record of a bundle; None of a folder that is none.

    Raises:
        DifferenceError: it is damaged, or of another version.
    """
    file = folder / RECORD_FILE
    if not file.is_file():
        return None
    try:
        record = json.loads(file.read_bytes())
        if record["format"] != FORMAT:
            raise ValueError(f"its format is {record['format']!r:.80}, not {FORMAT}")
        texts = (record["architecture"], record["python"], record["machine"], *record["files"].values())
        if not all(isinstance(text, str) for text in texts):
            raise ValueError("it has something else than texts")
        return dict(record)
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise DifferenceError(f"{file} is no record of a bundle: {error}", remedy=AGAIN) from error


def _digest(file: Path) -> str:
    """Hex SHA-256; empty of a file that cannot be read."""
    try:
        return digest_of(file)
    except OSError:
        return ""


def _python() -> str:
    return f"{sys.version_info.major}.{sys.version_info.minor}"
