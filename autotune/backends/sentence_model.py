"""The modules of sentence-transformers behind an encoder: their files in a reference.

```
sentence.json    the modules: `autotune.model.folders.sentence_modules`
sentence.npz     weights of those that have any, fp32, by their place and name, as in `1.weight`
```

Workers import this module, so it loads no pydantic.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from autotune.model.folders.sentence_modules import SentenceModule, modules_from_json

MODULES_FILE = "sentence.json"
WEIGHTS_FILE = "sentence.npz"

LEAST_COUNT = 1e-9
"""Of tokens that a mean is taken over. Source: sentence-transformers, Pooling."""

Weights = Mapping[str, np.ndarray[Any, Any]]
"""By name, as in `weight`."""


def link_modules(source: Path, directory: Path) -> None:
    """Bring the modules of a prepared folder into `directory`, as links, where it has any."""
    if has_modules(source):
        for name in (MODULES_FILE, WEIGHTS_FILE):
            os.link(source / name, directory / name)


def has_modules(directory: Path) -> bool:
    """Whether a prepared folder serves modules behind its encoder."""
    return (directory / MODULES_FILE).is_file()


def read_modules(directory: Path) -> tuple[tuple[SentenceModule, Weights], ...]:
    """The modules of a prepared folder, in order, each with its weights; none where it has none."""
    if not has_modules(directory):
        return ()
    modules = modules_from_json(json.loads((directory / MODULES_FILE).read_bytes())).modules
    with np.load(directory / WEIGHTS_FILE, allow_pickle=False) as stored:
        arrays = dict(stored)
    return tuple((module, _of_place(arrays, place)) for place, module in enumerate(modules))


def _of_place(arrays: Weights, place: int) -> Weights:
    prefix = f"{place}."
    return {name.removeprefix(prefix): array for name, array in arrays.items() if name.startswith(prefix)}
