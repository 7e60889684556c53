"""What a repository of the hub holds in the place of a model that autotune fetches: its kind, and what helps.

Only files that a model is read from are ever fetched; the others are known by their names alone.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from autotune.errors import ModelError
from autotune.model.folders.neighbours import MODULES, exported, further_modules, of_another_library
from autotune.model.folders.pickled import PICKLES, pickled, pickled_weights


@dataclass(frozen=True)
class Listing:
    """A repository at a revision.

    Attributes:
        fetched: the folder with what was fetched of it.
        names: of all its files.
    """

    name: str
    revision: str
    fetched: Path
    names: Collection[str]

    @property
    def source(self) -> str:
        """As a study names it."""
        return f"hf:{self.name}@{self.revision}"

    def top(self) -> list[str]:
        """Files that lie in no sub-folder."""
        return sorted(name for name in self.names if "/" not in name)

    @property
    def fetch(self) -> str:
        """The command that fetches all of it."""
        return f"hf download {self.name} --revision {self.revision} --local-dir DIR"


def what_it_is(listing: Listing) -> ModelError:
    """Say what a repository is of which no whole model could be fetched."""
    kinds: tuple[Callable[[Listing], ModelError | None], ...] = (
        _converted,
        _exported,
        _pickled,
        _of_another_library,
        _sub_folder,
    )
    found = (error for kind in kinds if (error := kind(listing)) is not None)
    lacks = "config.json" if not (listing.fetched / "config.json").is_file() else "model.safetensors"
    return next(found, None) or ModelError(
        f"{listing.source} has no {lacks}, and nothing else that a model could be read from",
        remedy="name a repository, or a revision of it, that has config.json and model.safetensors",
    )


def _pickled(listing: Listing) -> ModelError | None:
    names = pickled_weights(listing.top())
    if not names or not (listing.fetched / "config.json").is_file():
        return None
    has_modules = bool(further_modules(listing.fetched))
    error = pickled(
        listing.source, names[0], _config(listing.fetched), has_modules=has_modules, loaded=listing.name
    )
    error.remedy += (
        f"; or name a revision that has safetensors, where one is offered: hf:{listing.name}@refs/pr/NUMBER"
    )
    return error


def _config(fetched: Path) -> dict[str, Any]:
    try:
        found = json.loads((fetched / "config.json").read_bytes())
    except (OSError, ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def _exported(listing: Listing) -> ModelError | None:
    files = sorted(name for name in listing.names if name.endswith(".onnx"))
    if not files:
        return None
    plain = [name for name in files if PurePosixPath(name).name == "model.onnx"]
    chosen = (plain or files)[0]
    return exported(
        listing.source,
        f" ({chosen})",
        f"fetch the repository ({listing.fetch}), and write onnx:DIR/{chosen}",
        _pickled(listing),
    )


def _converted(listing: Listing) -> ModelError | None:
    top = listing.top()
    if any(name.endswith(".xml") and f"{name.removesuffix('.xml')}.bin" in top for name in top):
        engine = "OpenVINO"
    elif "model.bin" in top and any("vocabulary" in name for name in top):
        engine = "CTranslate2"
    else:
        return None
    return ModelError(
        f"{listing.source} is a model that was converted for {engine}",
        remedy="name the transformers model that it was converted from: autotune converts it itself",
    )


def _of_another_library(listing: Listing) -> ModelError | None:
    return of_another_library(listing.source, listing.top())


def _sub_folder(listing: Listing) -> ModelError | None:
    """A model in a sub-folder, as sentence-transformers wrote them, and as trainers write checkpoints."""
    folders = sorted(
        name.removesuffix("/config.json") for name in listing.names if name.endswith("/config.json")
    )
    weights = (".safetensors", *PICKLES)
    held = [
        folder
        for folder in folders
        if "/" not in folder
        and not folder.partition("_")[2].startswith(("Pooling", "Dense", "Normalize", "LayerNorm"))
        and any(name.startswith(f"{folder}/") and name.endswith(weights) for name in listing.names)
    ]
    if not held:
        return None
    listed = f" ({MODULES} lists what is behind it)" if MODULES in listing.names else ""
    return ModelError(
        f"{listing.source} has its model in the sub-folder {held[0]}{listed}",
        remedy=f"fetch the repository ({listing.fetch}), and name the sub-folder: path:DIR/{held[0]}",
    )
