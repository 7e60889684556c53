"""Makes ONNX models: exported from the transformers model, or taken from a file. Runs in a child process."""

from __future__ import annotations

import warnings
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from autotune.backends.onnx_graph import MODEL_FILE, first_line, save_model
from autotune.backends.transformers_model import load_model
from autotune.errors import UnsupportedError
from autotune.model.inputs import make_inputs


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


def import_model(file: Path, directory: Path) -> str:
    """Take an ONNX model over as it is, but for names of nodes that have none: quantisers go by them.

    Returns:
        The precision that ONNX Runtime really runs it at.
    """
    import onnx

    model = onnx.load(file)
    del model.graph.value_info[:]
    for index, node in enumerate(model.graph.node):
        node.name = node.name or f"{node.op_type}/{index}"
    return save_model(model, directory)


def _export(source: Path, target: Path) -> None:
    """Write the exporter's own model."""
    import torch

    model = load_model(source, "float32")
    example = make_inputs(source, batch_size=2, sequence_length=8, seed=0)
    free = {0: torch.export.Dim.DYNAMIC, 1: torch.export.Dim.DYNAMIC}
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            program = torch.onnx.export(
                _first_output(model, tuple(example)),
                tuple(torch.from_numpy(array) for array in example.values()),
                dynamo=True,
                dynamic_shapes=((free,) * len(example),),
                input_names=list(example),
                output_names=["output"],
                verbose=False,
            )
        program.save(target, external_data=True)
    except (torch.onnx.OnnxExporterError, RuntimeError, TypeError, ValueError) as error:
        raise UnsupportedError(
            f"torch cannot export this architecture to ONNX: {_reason(error)}",
            remedy="leave onnxruntime out of search.backends",
        ) from error


def _first_output(model: Any, names: tuple[str, ...]) -> Any:
    """The model as a module from arrays in the order of `names` to its first output alone."""
    import torch

    class FirstOutput(torch.nn.Module):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.model = model

        def forward(self, *arrays: Any) -> Any:
            return self.model(**dict(zip(names, arrays, strict=True)))[0]

    return FirstOutput().eval()


def _reason(error: BaseException) -> str:
    """The first cause's own words; the exporter wraps them in advice on how to report it."""
    while error.__cause__ is not None:
        error = error.__cause__
    return first_line(error)
