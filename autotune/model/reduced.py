"""What a reduced model is: a model's own layers, of which it has only one or two, and hardly any vocabulary.

It is built and run in a moment, and an engine is about as fast on it, beside other engines, as on the whole.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict

from autotune.model.architectures import ARCHITECTURES
from autotune.model.size import configuration
from autotune.model.sources import ResolvedModel

VOCABULARY = 1_000
"""Token ids of a reduced model: rows of its embeddings, which then take no time to write and read."""

FEW_TOKENS = 256
"""Tokens of a request (all sequences together) up to which a reduced model has two layers.

Then there is time for two, and weights of one push the other's out of the cache, as they do in the whole.
Source: all-MiniLM-L6's architecture, 1 x 32, one thread of an AMD EPYC (Zen 4), ONNX Runtime int8-dynamic: a
request takes 0.55 ms for each of one or two layers, and 0.67 ms for each of six.
"""

NAMES = ("_name_or_path", "transformers_version")
"""Entries of a configuration that decide nothing."""


def why_not_reduced(model: ResolvedModel) -> str | None:
    """Why a model of this kind cannot be reduced; None if an attempt is worth it."""
    if model.traits.irreducible:
        return f"{model.source} {model.traits.irreducible}"
    if not configuration(model):
        return f"{model.source} has no config.json here that could be cut down to a few layers"
    return None


def reduced_layers(shape: tuple[int, int], layers: int) -> int:
    """How many of a model's layers are kept for requests of this shape, `(batch, tokens)`."""
    batch, tokens = shape
    return min(layers, 2 if batch * tokens <= FEW_TOKENS else 1)


def architecture_digest(model: ResolvedModel) -> str:
    """Hex SHA-256 of all that decides a reduced model; models that differ in their weights alone share it."""
    content = {name: value for name, value in configuration(model).items() if name not in NAMES}
    if not model.traits.has_files:
        described = ARCHITECTURES[model.architecture]
        content |= {"architectures": [described.class_name], "model_type": described.model_type}
    if model.class_head == "none":
        content["head"] = model.class_head
    if model.modules is not None:
        content["modules"] = [asdict(module) for module in model.modules.modules]
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
