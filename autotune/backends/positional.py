"""A transformers model as a function of arrays alone, and the proof that what was made of it follows it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from autotune.backends.reference import reference_requests
from autotune.backends.transformers_model import load_model
from autotune.errors import UnsupportedError
from autotune.model.agreement import measure_agreement
from autotune.model.inputs import make_inputs, read_inputs

LEAST_COSINE = 0.99
"""Of what was made of a model to the model itself at the same precision: only rounding differs."""

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
    return _tensors(make_inputs(source, batch, min(tokens, longest or tokens), seed=0))


def check_follows(
    made: Callable[..., Any], model: Any, source: Path, engine: str, remedy: str | None = None
) -> None:
    """Run what an engine made of a positional model beside the model, in every shape and with padding.

    A shape or a mask that was fixed in tracing shows here.

    Args:
        made: from tensors to a tensor, as the model.
        remedy: of the refusal; None = to do without the engine.

    Raises:
        UnsupportedError: it does not run on a request, or answers otherwise than the model.
    """
    for inputs in _requests(source):
        shape = tuple(inputs[0].shape)
        try:
            agreement = measure_agreement([model(*inputs).numpy()], [made(*inputs).numpy()])
        except (RuntimeError, ValueError, IndexError) as error:
            raise _refusal(engine, shape, _last_line(error), remedy) from error
        if agreement.cosine < LEAST_COSINE:
            words = f"it answers with a cosine of {agreement.cosine:.3f} to the model"
            raise _refusal(engine, shape, words, remedy)


def _requests(source: Path) -> Iterator[tuple[Any, ...]]:
    """The requests that engines are compared on, as they are and with half of the first sequence padding."""
    for request in reference_requests(source):
        yield _tensors(request)
        tokens = request["attention_mask"].shape[1]
        request["attention_mask"][0, (tokens + 1) // 2 :] = 0
        yield _tensors(request)


def _tensors(request: dict[str, np.ndarray[Any, Any]]) -> tuple[Any, ...]:
    import torch

    return tuple(torch.from_numpy(array) for array in request.values())


def _refusal(engine: str, shape: tuple[int, ...], words: str, remedy: str | None) -> UnsupportedError:
    batch, tokens = shape
    return UnsupportedError(
        f"{engine} does not follow this architecture at {batch} x {tokens} tokens: {words}",
        remedy=remedy or f"leave {engine} out of search.backends",
    )


def _last_line(error: BaseException) -> str:
    """TorchScript puts the traceback of the traced program before its message."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[-1] if lines else type(error).__name__
