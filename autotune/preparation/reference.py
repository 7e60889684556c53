"""Writes the reference of a model: its weights at fp32, what it takes, and what it should answer.

Torch answers for a transformers model, ONNX Runtime for an ONNX file. Runs in a child process.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from autotune.backends.onnx import reference as of_onnx
from autotune.backends.onnx.graph import MODEL_FILE
from autotune.backends.reference import OUTPUTS_FILE, Answering, Request, every_request
from autotune.backends.torch import reference as of_torch
from autotune.errors import ModelError
from autotune.model.agreement import REFERENCE_SHAPES
from autotune.model.sources import ResolvedModel

TRANSFORMERS_PACKAGES = of_torch.PACKAGES
"""The distributions that decide what the reference of a transformers model is, and what is reduced of one."""


def reference_packages(model: ResolvedModel) -> tuple[str, ...]:
    """The distributions that decide what the reference of this model answers."""
    return of_onnx.PACKAGES if model.traits.is_graph else TRANSFORMERS_PACKAGES


def reference_path(model: ResolvedModel, directory: Path) -> Path:
    """What engines prepare from, of the reference in `directory`: the folder, or its ONNX file."""
    return directory / MODEL_FILE if model.traits.is_graph else directory


def write_reference(model: ResolvedModel, directory: Path) -> None:
    """Write the model's fp32 weights, `inputs.json` and reference outputs into the empty `directory`.

    Raises:
        ModelError: the engine of the reference cannot load the model, or it does not run on token ids alone.
    """
    answer = (
        of_torch.write_transformers(model, directory)
        if model.inputs is None
        else of_onnx.write_onnx(model, directory)
    )
    _write_outputs(model, answer, directory)


def open_reference(directory: Path) -> Answering:
    """The finished reference in `directory`: ONNX Runtime's for an ONNX file, else PyTorch's, at fp32."""
    if (directory / MODEL_FILE).exists():
        return of_onnx.open_onnx(directory)
    return of_torch.open_transformers(directory)


def _write_outputs(model: ResolvedModel, answer: Answering, directory: Path) -> None:
    """Write the answers to the requests that the model takes: some architectures take no short ones.

    Raises:
        ModelError: it takes none of them, or answers with something else than an encoder.
    """
    outputs: dict[str, np.ndarray[Any, Any]] = {}
    refusals: list[ModelError] = []
    for index, (name, request) in enumerate(every_request(directory).items()):
        if outputs and index >= len(REFERENCE_SHAPES):
            break
        try:
            output = answer(request)
        except ModelError as error:
            refusals.append(error)
        else:
            outputs[name] = _checked(model, output, request)
    if not outputs:
        raise refusals[-1]
    np.savez(directory / OUTPUTS_FILE, allow_pickle=False, **outputs)


def _checked(model: ResolvedModel, output: np.ndarray[Any, Any], request: Request) -> np.ndarray[Any, Any]:
    """The output.

    Raises:
        ModelError: it is not one row of finite numbers per sequence.
    """
    batch = len(next(iter(request.values())))
    if output.dtype.kind not in "fiu" or output.ndim < 1 or len(output) != batch:
        raise ModelError(
            f"{model.source} answers {batch} sequences with {output.dtype} {output.shape}, no row for each",
            remedy="export the encoder so that its first output is an array (batch, ...) of numbers",
        )
    if not np.isfinite(output).all():
        raise ModelError(
            f"{model.source} answers with numbers that are not finite, even at fp32",
            remedy="check its weights",
        )
    return output
