"""Where the files lie that belong to an ONNX file: its configuration, its tokenizer, its weights.

They lie beside the file as it is named, even where that is a link, as in the cache of the hub's client; and,
where they do not, beside what it leads to. What describes the model may lie one folder up: `onnx/model.onnx`.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from autotune.errors import ModelError
from autotune.model.folders.stand_ins import refuse_stand_in

CONFIG_FILE = "config.json"
ONNX_FOLDER = "onnx"
"""The sub-folder of a model in which its ONNX files lie. Source: the hub, sentence-transformers, optimum."""

BLOBS, SNAPSHOTS = "blobs", "snapshots"
"""Where a repository's files lie in the cache of the hub's client, and the links to them for each commit.

Source: huggingface_hub, Understand caching.
"""

MOST_LINKS = 40
"""Of one path. Source: path_resolution(7)."""


def beside(file: Path, name: str) -> Path | None:
    """The file of this name that belongs to an ONNX file; None where there is none."""
    folders = (folder for place in places(file) for folder in (place, *_above(place)))
    return next((folder / name for folder in folders if (folder / name).is_file()), None)


def config_beside(file: Path) -> dict[str, Any]:
    """The `config.json` that exporters put beside a model; empty without one."""
    found = beside(file, CONFIG_FILE)
    try:
        value = {} if found is None else json.loads(found.read_bytes())
    except (OSError, ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}


def places(file: Path) -> Iterator[Path]:
    """The folder of a file as it is named; then of each that links lead to, in order."""
    for _ in range(MOST_LINKS):
        yield file.parent
        if not file.is_symlink():
            return
        file = file.parent / file.readlink()


def _above(folder: Path) -> Iterator[Path]:
    """The folder above the sub-folder of a model; above another one there may be another model."""
    if folder.name == ONNX_FOLDER:
        yield folder.absolute().parent


def weights_file(file: Path, location: str, least: int = 0) -> Path:
    """The file beside an ONNX file that holds weights of it.

    Args:
        location: as the ONNX file names it.
        least: bytes that it must have.

    Raises:
        ModelError: it lies elsewhere than in the model's folder or the cache's own blobs, also by way of a
            link, is not there, has a second name, or is cut off, as after half a copy.
        OSError: it cannot be read.
    """
    found = _inside(file, location)
    refuse_stand_in(found)
    size = found.stat().st_size
    if size < least:
        raise ModelError(
            f"{found} is cut off: it has {size} bytes, and the weights of {file.name} go up to {least}",
            remedy="copy the whole file beside the model again, or export the model again",
        )
    return found


def _inside(file: Path, location: str) -> Path:
    """The first of the places that has it, if what lies there may be read."""
    if Path(location).is_absolute() or ".." in Path(location).parts:
        raise _outside(file, location)
    for place in places(file):
        weights = place / location
        if weights.is_file():
            break
        if weights.is_symlink():
            raise ModelError(
                f"{weights}, which holds weights of {file.name}, is a link to a file that is not there",
                remedy="download the whole model again",
            )
    else:
        raise ModelError(
            f"{file} lacks {location}, which holds its weights",
            remedy="put the file beside the model, or export the model again",
        )
    real = weights.resolve()
    if not real.is_relative_to(place.resolve()) and real.parent not in _blobs(file):
        raise _outside(file, location)
    if real.stat().st_nlink > 1:
        raise ModelError(
            f"{weights} has a second name, which may lie outside of the model's folder (a hard link)",
            remedy="put a copy of the file in its place",
        )
    return weights


def _blobs(file: Path) -> Iterator[Path]:
    """Where the other files of a file lie that the hub's client keeps."""
    folder = file.resolve().parent
    if folder.name == BLOBS and (folder.parent / SNAPSHOTS).is_dir():
        yield folder


def _outside(file: Path, location: str) -> ModelError:
    return ModelError(
        f"{file} has weights outside of its folder, in {location!r}, which autotune never reads",
        remedy="save it again with its external data beside it, or put a copy there in the place of a link",
    )
