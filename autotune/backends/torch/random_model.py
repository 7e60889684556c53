"""Writes a model with seeded random weights; the same on every machine and with every torch."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import numpy as np

from autotune.model.architectures import ARCHITECTURES


def write_random_model(architecture: str, seed: int, directory: Path) -> None:
    """Write `config.json` and `model.safetensors` of an architecture with random weights.

    What this writes is part of a model's digest: raise `RANDOM_WEIGHTS_VERSION` when it changes.
    """
    import torch
    import transformers
    from safetensors.numpy import save_file

    described = ARCHITECTURES[architecture]
    config = transformers.AutoConfig.for_model(described.model_type, **described.config)
    config.architectures = [described.class_name]
    config.save_pretrained(directory)
    with torch.device("meta"):
        shapes = getattr(transformers, described.class_name)(config).state_dict()
    spread = float(described.config["initializer_range"])
    weights = {name: _random_weight(name, tuple(meta.shape), seed, spread) for name, meta in shapes.items()}
    save_file(weights, directory / "model.safetensors", metadata={"format": "pt"})


def _random_weight(name: str, shape: tuple[int, ...], seed: int, spread: float) -> np.ndarray[Any, Any]:
    """Matrices normal around zero, normalisation gains one, biases zero: as the architectures start out."""
    if len(shape) == 1:
        return np.full(shape, 0.0 if name.endswith("bias") else 1.0, dtype=np.float32)
    own = int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "big")
    drawn = np.random.default_rng([seed, own]).standard_normal(shape, dtype=np.float32)
    return drawn * np.float32(spread)
