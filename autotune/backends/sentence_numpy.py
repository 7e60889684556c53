"""The modules of sentence-transformers behind an engine that answers with hidden states alone, in NumPy."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from autotune.backends.sentence_model import Weights, read_modules
from autotune.model.folders.sentence_modules import SentenceModule

Array = np.ndarray[Any, Any]

LAYER_NORM_EPSILON = 1e-5
LEAST_LENGTH = 1e-12
"""Of a vector that is divided by its length. Source: torch, LayerNorm and functional.normalize."""


class Behind:
    """Runs the modules of a prepared folder on hidden states."""

    def __init__(self, directory: Path) -> None:
        self._modules = read_modules(directory)

    def __bool__(self) -> bool:
        """Whether there are any."""
        return bool(self._modules)

    def run(self, hidden: Array, lengths: Array) -> Array:
        """What the modules make of hidden states.

        Args:
            hidden: float32 `(batch, tokens, width)`.
            lengths: tokens of each sequence; what stands behind them is padding.
        """
        answer = hidden
        for module, weights in self._modules:
            if module.kind == "Pooling":
                answer = pool(answer, lengths, module.modes)
            else:
                answer = _LAYERS[module.kind](answer, module, weights)
        return answer


def refusal(directory: Path) -> str | None:
    """Why the modules of a prepared folder cannot be run here; None if they can."""
    for module, _ in read_modules(directory):
        if module.activation and module.activation not in _ACTIVATIONS:
            return f"computes no {module.activation}, which a Dense module behind the encoder has"
    return None


def pool(hidden: Array, lengths: Array, modes: Sequence[str]) -> Array:
    """See `autotune.backends.torch.sentence_model.pool`."""
    rows = (tokens[:length] for tokens, length in zip(hidden, lengths, strict=True))
    return np.stack([np.concatenate([_POOLING[mode](row) for mode in modes]) for row in rows])


def _weighted_mean(tokens: Array) -> Array:
    weights = np.arange(1, len(tokens) + 1, dtype=tokens.dtype)
    mean: Array = weights @ tokens / weights.sum()
    return mean


def _normalized(answer: Array, _: SentenceModule, __: Weights) -> Array:
    lengths = np.sqrt(np.square(answer).sum(axis=-1, keepdims=True))
    normalized: Array = answer / np.maximum(lengths, LEAST_LENGTH)
    return normalized


def _layer_normalized(answer: Array, _: SentenceModule, weights: Weights) -> Array:
    centred = answer - answer.mean(axis=-1, keepdims=True)
    spread = np.sqrt(np.square(centred).mean(axis=-1, keepdims=True) + LAYER_NORM_EPSILON)
    normalized: Array = centred / spread * weights["weight"] + weights["bias"]
    return normalized


def _dense(answer: Array, module: SentenceModule, weights: Weights) -> Array:
    product = answer @ weights["weight"].T
    return _ACTIVATIONS[module.activation](product + weights["bias"] if module.has_bias else product)


def _sigmoid(values: Array) -> Array:
    sigmoid: Array = 0.5 * (1 + np.tanh(0.5 * values))
    return sigmoid


_POOLING: dict[str, Callable[[Array], Array]] = {
    "cls": lambda tokens: tokens[0],
    "max": lambda tokens: tokens.max(axis=0),
    "mean": lambda tokens: tokens.mean(axis=0),
    "mean_sqrt_len_tokens": lambda tokens: tokens.sum(axis=0) / np.sqrt(np.float32(len(tokens))),
    "weightedmean": _weighted_mean,
    "lasttoken": lambda tokens: tokens[-1],
}
_LAYERS: dict[str, Callable[[Array, SentenceModule, Weights], Array]] = {
    "Dense": _dense,
    "LayerNorm": _layer_normalized,
    "Normalize": _normalized,
}
_ACTIVATIONS: dict[str, Callable[[Array], Array]] = {
    "Identity": lambda values: values,
    "ReLU": lambda values: np.maximum(values, 0),
    "SiLU": lambda values: values * _sigmoid(values),
    "Sigmoid": _sigmoid,
    "Tanh": np.tanh,
}
