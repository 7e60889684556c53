"""Raises an ONNX model to a newer opset, which quantisers need. Runs in a child process."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from autotune.backends.words import first_line
from autotune.errors import UnsupportedError
from autotune.model.agreement import REFERENCE_SEED, REFERENCE_SHAPES
from autotune.model.inputs import make_inputs, nearest_shape, read_inputs

SAME = 1e-4
"""By how much an answer may differ from what it was before, as a share of the greatest: by rounding."""


def opset_of(model: Any) -> int:
    """The version of ONNX's own operators that a model is written in."""
    return next((used.version for used in model.opset_import if used.domain in ("", "ai.onnx")), 1)


def raise_opset(file: Path, least: int, artifact: Path) -> None:
    """Rewrite the model in `file`, if it is of an older opset, in place; its answers stay.

    Args:
        artifact: a folder for `autotune.model.inputs.read_inputs`, whose requests it is tried on.

    Raises:
        UnsupportedError: onnx cannot raise it, in its words; or it answers otherwise then.
    """
    import onnx

    model = onnx.load(file)
    before = opset_of(model)
    if before >= least:
        return
    requests = _requests(artifact)
    expected = _answers(file, requests)
    try:
        onnx.save_model(
            _converted(model, least), file, save_as_external_data=True, location=f"opset{least}.data"
        )
        found = _answers(file, requests)
    except Exception as error:
        if isinstance(error, MemoryError | OSError):
            raise
        raise _cannot_raise(before, least, first_line(error)) from error
    if not all(_is_same(*pair) for pair in zip(expected, found, strict=True)):
        raise _cannot_raise(before, least, "its answers would be others")


def _cannot_raise(before: int, least: int, reason: str) -> UnsupportedError:
    return UnsupportedError(
        f"quantising needs opset {least}, the file has {before}, and onnx cannot raise it: {reason}",
        remedy=f"export the model again with opset_version={max(least, 17)}",
    )


def _converted(model: Any, opset: int) -> Any:
    """The model in a newer opset; its matrices stay out of the converter, which takes no more than 2 GB."""
    import onnx

    matrices = [weight for weight in model.graph.initializer if len(weight.dims) > 1]
    others = [weight for weight in model.graph.initializer if len(weight.dims) <= 1]
    inputs = [
        onnx.helper.make_tensor_value_info(weight.name, weight.data_type, weight.dims) for weight in matrices
    ]
    del model.graph.initializer[:]
    model.graph.initializer.extend(others)
    model.graph.input.extend(inputs)
    converted = onnx.version_converter.convert_version(model, opset)
    names = {weight.name for weight in matrices}
    taken = [described for described in converted.graph.input if described.name not in names]
    del converted.graph.input[:]
    converted.graph.input.extend(taken)
    converted.graph.initializer.extend(matrices)
    del converted.graph.value_info[:]
    return converted


def _requests(artifact: Path) -> list[dict[str, np.ndarray[Any, Any]]]:
    description = read_inputs(artifact)
    return [
        make_inputs(artifact, *nearest_shape(description, *shape), REFERENCE_SEED)
        for shape in REFERENCE_SHAPES
    ]


def _answers(file: Path, requests: list[dict[str, np.ndarray[Any, Any]]]) -> list[np.ndarray[Any, Any]]:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(file, options, providers=["CPUExecutionProvider"])
    return [session.run(None, request)[0] for request in requests]


def _is_same(before: np.ndarray[Any, Any], after: np.ndarray[Any, Any]) -> bool:
    greatest = float(np.abs(before).max(initial=0.0))
    return before.shape == after.shape and bool(np.allclose(before, after, rtol=0, atol=SAME * greatest))
