"""A transformers model as a function of arrays alone, for exporters to trace."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from autotune.backends.torch.transformers_model import load_model
from autotune.model.inputs import make_inputs, read_inputs

SMALL_SHAPE = (2, 8)
"""`(batch, tokens)` of the least request that a model can be traced with; an axis of 1 is taken for fixed."""


def positional_model(source: Path, dtype: str, attention: str | None = None) -> Any:
    """The model of a prepared folder as a module: from its inputs, in order, to its first output at fp32.

    Args:
        dtype: torch's name, such as `float32`.
        attention: transformers' implementation; None = its own choice.
    """
    import torch

    model = load_model(source, dtype, attention)
    names = tuple(read_inputs(source).arrays)

    class Positional(torch.nn.Module):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.model = model

        def forward(self, *arrays: Any) -> Any:
            return self.model(**dict(zip(names, arrays, strict=True)))[0].float()

    return Positional().eval()


def example_inputs(source: Path, shape: tuple[int, int] = SMALL_SHAPE) -> tuple[Any, ...]:
    """Tensors to trace the model with.

    Args:
        shape: `(batch, tokens)`; fewer tokens where the model takes fewer.
    """
    batch, tokens = shape
    longest = read_inputs(source).max_sequence_length
    return as_tensors(make_inputs(source, batch, min(tokens, longest or tokens), seed=0))


def as_tensors(request: dict[str, np.ndarray[Any, Any]]) -> tuple[Any, ...]:
    """A request as what a positional model takes."""
    import torch

    return tuple(torch.from_numpy(array) for array in request.values())
