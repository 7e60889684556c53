"""Weights that are a pickle, which can run code when loaded: which files are, and how they get safe."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterable, Mapping
from pathlib import PurePosixPath
from typing import Any

from autotune.errors import ModelError
from autotune.model.folders.heads import named_class

PICKLES = (".bin", ".pt", ".pth", ".ckpt", ".pkl")

USUAL = re.compile(r"(pytorch_)?model.*\.bin")
"""How transformers and diffusers name them."""

OF_TRAINING = re.compile(
    r"(training_args|optimizer|scheduler|scaler|rng_state|random_states|trainer_state)\b.*"
)
"""Pickles that a trainer leaves beside them. Source: transformers and accelerate, what a checkpoint holds."""

CLASS = re.compile(r"[A-Z]\w*")
ANY_CLASS = "AutoModel"


def pickled_weights(names: Iterable[str]) -> list[str]:
    """Those of the file names that may be pickled weights, most likely first."""
    found = [name for name in names if name.endswith(PICKLES) and not OF_TRAINING.fullmatch(_stem(name))]
    return sorted(found, key=lambda name: (USUAL.fullmatch(name) is None, name))


def _stem(name: str) -> str:
    """The name up to what trainers append to it: `rng_state_0.pth` is a `rng_state`."""
    return re.sub(r"_\d+$", "", PurePosixPath(name).stem)


def pickled(
    source: str, name: str, config: Mapping[str, Any], *, has_modules: bool, loaded: str
) -> ModelError:
    """Refuse weights that are a pickle alone, with the command that writes them as safetensors.

    Args:
        source: what has them, in words.
        name: of their file.
        has_modules: whether it is a folder of sentence-transformers.
        loaded: what `from_pretrained` is given: a folder, or a repository of the hub.
    """
    given = json.dumps(loaded, ensure_ascii=False)
    if has_modules:
        package, made = "sentence_transformers", f"SentenceTransformer({given})"
        loader = "SentenceTransformer"
    else:
        named = named_class(config) or ""
        loader = named if CLASS.fullmatch(named) else ANY_CLASS
        package, made = "transformers", f"{loader}.from_pretrained({given})"
    code = f'from {package} import {loader}; {made}.save_pretrained("DIR")'
    keeps = "" if has_modules else ", copy its tokenizer.json into DIR"
    return ModelError(
        f"{source} has its weights only as a pickle ({name}), which can run code when loaded",
        remedy=f"if you trust it, write it as safetensors (python -c {shlex.quote(code)}){keeps}, and name"
        " path:DIR",
    )
