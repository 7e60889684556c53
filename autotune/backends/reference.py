"""The reference of a model, as engines see it: what it was asked, and what it answered at fp32.

Every engine's artifact is made from the reference and compared with it. `autotune.preparation.reference`
writes it.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from autotune.model.agreement import LONGER_SHAPES, REFERENCE_SEED, REFERENCE_SHAPES
from autotune.model.exported import only_shapes
from autotune.model.inputs import make_inputs, nearest_shape, read_inputs

REFERENCE = "reference"
"""Stands in the place of the backend where a reference is named."""
OUTPUTS_FILE = "reference.npz"
NOTES_FILE = "notes.json"
CONFIG_FILE = "config.json"
"""What transformers knows of a model; of an ONNX file only where it lies beside it."""

Request = Mapping[str, np.ndarray[Any, Any]]
Answering = Callable[[Request], np.ndarray[Any, Any]]
"""From a request to the first output, first axis = batch."""


def read_notes(directory: Path) -> tuple[str, ...]:
    """What there is to say of the weights of a finished reference, as sentences."""
    file = directory / NOTES_FILE
    return tuple(json.loads(file.read_bytes())) if file.is_file() else ()


def reference_requests(directory: Path) -> list[dict[str, np.ndarray[Any, Any]]]:
    """The requests that engines are compared on, for a model whose `inputs.json` is in `directory`.

    Where its reference's answers are there too, those that it answered; of an artifact that holds for some
    shapes alone, requests of these.
    """
    if alone := only_shapes(directory):
        return [make_inputs(directory, *shape, REFERENCE_SEED) for shape in alone]
    requests = every_request(directory)
    if not (directory / OUTPUTS_FILE).exists():
        return list(requests.values())[: len(REFERENCE_SHAPES)]
    return [requests[name] for name in sorted(_outputs(directory))]


def read_reference_outputs(directory: Path) -> list[np.ndarray[Any, Any]]:
    """What the reference answered to `reference_requests(directory)`."""
    return [output for _, output in sorted(_outputs(directory).items())]


def _outputs(directory: Path) -> dict[str, np.ndarray[Any, Any]]:
    with np.load(directory / OUTPUTS_FILE, allow_pickle=False) as stored:
        return dict(stored)


def every_request(directory: Path) -> dict[str, dict[str, np.ndarray[Any, Any]]]:
    """Give the requests that references are asked, by the name of the answer to each."""
    description = read_inputs(directory)
    return {
        f"output_{index}": make_inputs(directory, *nearest_shape(description, batch, tokens), REFERENCE_SEED)
        for index, (batch, tokens) in enumerate((*REFERENCE_SHAPES, *LONGER_SHAPES))
    }


def tokens_in_words(request: Request) -> str:
    """Say how many tokens a request has: `2 x 16`."""
    return " x ".join(map(str, next(iter(request.values())).shape))
