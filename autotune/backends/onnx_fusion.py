"""Exports transformers models with attention fused by ONNX Runtime's offline optimiser. Runs in a child.

The optimiser knows attention by the pattern of operators that torch's older exporter writes for eager
attention, and by no other; so the graph is not the usual one, which is exported with torch's own attention.
"""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from autotune.backends.onnx_graph import MODEL_FILE, has_fused_attention, save_model
from autotune.backends.positional import check_follows, example_inputs, positional_model
from autotune.backends.words import first_cause, first_line
from autotune.errors import UnsupportedError
from autotune.model.inputs import read_inputs

PATTERN = "bert"
"""The optimiser's name for encoders. Source: onnxruntime.transformers.optimizer, MODEL_TYPES."""

OPSET = 17
"""The first with LayerNormalization as one operator, which the older exporter then writes."""

REMEDY = "leave fusion=on out"


def export_fused(source: Path, directory: Path) -> None:
    """Export a prepared transformers folder to ONNX at fp32 with fused attention, its axes left free.

    Raises:
        UnsupportedError: torch cannot export this architecture, or there is no attention in it that ONNX
            Runtime can fuse, or the result does not follow the model. That of some layers may stay as it
            is: of ALBERT's, the first's.
    """
    import onnx

    module = positional_model(source, "float32", attention="eager")
    with TemporaryDirectory(dir=directory) as folder:
        exported = Path(folder) / MODEL_FILE
        _export(module, source, exported)
        fused = _fused(exported, module.model.config)
    if not has_fused_attention(fused):
        raise UnsupportedError(
            "onnxruntime finds no attention in this architecture that it could fuse", remedy=REMEDY
        )
    if all(one.domain != "com.microsoft" for one in fused.opset_import):
        fused.opset_import.append(onnx.helper.make_opsetid("com.microsoft", 1))
    save_model(fused, directory)
    _check_follows(module, source, directory)


def _export(module: Any, source: Path, target: Path) -> None:
    """Write the graph as the older exporter has it."""
    import torch

    names = list(read_inputs(source).arrays)
    try:
        with _quiet(), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of its age
            torch.onnx.export(
                module,
                example_inputs(source),
                target,
                dynamo=False,
                opset_version=OPSET,
                dynamic_axes={name: {0: "batch", 1: "tokens"} for name in (*names, "output")},
                input_names=names,
                output_names=["output"],
            )
    except (torch.onnx.OnnxExporterError, RuntimeError, TypeError, ValueError, LookupError) as error:
        raise UnsupportedError(
            "torch's older exporter, which fusing starts from, cannot take this architecture: "
            f"{first_cause(error)}",
            remedy=REMEDY,
        ) from error


def _fused(exported: Path, config: Any) -> Any:
    """The graph with whatever the optimiser has fused in it.

    Raises:
        UnsupportedError: it stumbles over the graph.
    """
    from onnxruntime.transformers.fusion_options import FusionOptions
    from onnxruntime.transformers.optimizer import optimize_model

    # 0 has the optimiser look for the number itself.
    heads, width = (getattr(config, name, 0) for name in ("num_attention_heads", "hidden_size"))
    try:
        with _quiet():
            optimised = optimize_model(
                str(exported),
                model_type=PATTERN,
                num_heads=heads if isinstance(heads, int) else 0,
                hidden_size=width if isinstance(width, int) else 0,
                optimization_options=FusionOptions(PATTERN),
                opt_level=0,
            ).model
    except (RuntimeError, LookupError, TypeError, ValueError, AttributeError, AssertionError) as error:
        raise UnsupportedError(
            f"onnxruntime's optimiser cannot take this architecture: {first_cause(error)}", remedy=REMEDY
        ) from error
    del optimised.graph.value_info[:]
    return optimised


def _check_follows(module: Any, source: Path, directory: Path) -> None:
    """Have the fused graph answer beside the model, in every shape and with padding."""
    import onnxruntime
    import torch

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1  # its own choice would pin threads over the whole host
    session = onnxruntime.InferenceSession(
        directory / MODEL_FILE, options, providers=["CPUExecutionProvider"]
    )
    names = tuple(read_inputs(source).arrays)

    def made(*tensors: Any) -> Any:
        inputs = {name: tensor.numpy() for name, tensor in zip(names, tensors, strict=True)}
        try:
            return torch.from_numpy(session.run(None, inputs)[0])
        except Exception as error:  # its errors have no class in common
            raise RuntimeError(first_line(error)) from error

    with torch.no_grad():
        check_follows(made, module, source, "onnxruntime's fused attention", REMEDY)


@contextmanager
def _quiet() -> Iterator[None]:
    """Leave out what exporter and optimiser tell of every step; errors are raised."""
    logger = logging.getLogger()
    before = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(before)
