"""Which models a study may name over HTTP: kinds of sources, and what lies below the operator's folders."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from autotune.service.settings import ServiceSettings
from autotune.spec.model_kind import MAX_TOKENS, MODEL_KINDS, ModelKind

SCHEMA: Final = "autotune.models/1"

MOST: Final = 200
"""So many models are listed."""
MOST_FOLDERS: Final = 10_000
"""So many folders are looked into."""
DEEPEST: Final = 4
"""Folders below a root."""


def models_document(settings: ServiceSettings) -> dict[str, Any]:
    """Write which sources a study may name as one JSON document."""
    found = list(_found(settings.roots))
    return {
        "schema": SCHEMA,
        "kinds": [_kind(kind, settings) for kind in MODEL_KINDS.values()],
        "models": [*(f"random:{name}" for name in MAX_TOKENS), *found[:MOST]],
        "complete": len(found) <= MOST,
    }


def _kind(kind: ModelKind, settings: ServiceSettings) -> dict[str, Any]:
    """Say whether sources of a kind may be named, and where they must lie."""
    if kind.is_downloaded:
        where = "downloaded where they are not here" if settings.hub else "only those that are in the cache"
        return {"name": kind.name, "form": kind.form, "allowed": True, "where": where}
    if not kind.has_files:
        return {"name": kind.name, "form": kind.form, "allowed": True, "where": "weights are drawn"}
    roots = ", ".join(str(root) for root in settings.roots)
    where = f"below {roots}" if roots else "nowhere: the operator has named no folder (--root DIR)"
    return {"name": kind.name, "form": kind.form, "allowed": bool(roots), "where": where}


def _found(roots: tuple[Path, ...]) -> Iterator[str]:
    """Sources below the operator's folders, at most one more than are listed."""
    count = looked = 0
    for root in roots:
        for folder, folders, files in os.walk(root):
            folders[:] = sorted(filter(str.isprintable, folders))
            looked += 1
            if len(Path(folder).relative_to(root).parts) >= DEEPEST:
                folders.clear()
            sources = [f"path:{folder}"] if "config.json" in files or "modules.json" in files else []
            sources += [f"onnx:{folder}/{name}" for name in sorted(files) if _is_onnx(name)]
            if sources:
                folders.clear()  # what lies in a model's folder is part of it
            yield from sources
            count += len(sources)
            if count > MOST or looked > MOST_FOLDERS:
                return


def _is_onnx(name: str) -> bool:
    return name.endswith(".onnx") and name.isprintable()
