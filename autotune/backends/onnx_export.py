"""Exports transformers models to ONNX. Runs in a child process."""

from __future__ import annotations

import warnings
from pathlib import Path
from tempfile import TemporaryDirectory

from autotune.backends.onnx_graph import MODEL_FILE, save_model
from autotune.backends.positional import example_inputs, positional_model
from autotune.backends.words import first_cause
from autotune.errors import UnsupportedError
from autotune.model.inputs import read_inputs


def export_model(source: Path, directory: Path) -> None:
    """Export a prepared transformers folder to ONNX at fp32, batch size and sequence length left free.

    Raises:
        UnsupportedError: torch cannot export this architecture; in its words.
    """
    import onnx

    with TemporaryDirectory(dir=directory) as exported:
        _export(source, Path(exported) / MODEL_FILE)
        graph = onnx.load(Path(exported) / MODEL_FILE)
    # quantize_dynamic infers shapes itself, and fails where the exporter's differ.
    del graph.graph.value_info[:]
    save_model(graph, directory)


def _export(source: Path, target: Path) -> None:
    """Write the exporter's own model."""
    import torch

    names = tuple(read_inputs(source).arrays)
    free = {0: torch.export.Dim.DYNAMIC, 1: torch.export.Dim.DYNAMIC}
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            program = torch.onnx.export(
                positional_model(source, "float32"),
                example_inputs(source),
                dynamo=True,
                dynamic_shapes=((free,) * len(names),),
                input_names=list(names),
                output_names=["output"],
                verbose=False,
            )
        program.save(target, external_data=True)
    except (torch.onnx.OnnxExporterError, RuntimeError, TypeError, ValueError) as error:
        raise UnsupportedError(
            f"torch cannot export this architecture to ONNX: {first_cause(error)}",
            remedy="leave onnxruntime out of search.backends",
        ) from error
