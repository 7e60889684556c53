"""Exports transformers models to ONNX. Runs in a child process."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from autotune.backends.onnx.graph import MODEL_FILE, save_model
from autotune.backends.protocol import Session, Shape
from autotune.backends.torch import exporting
from autotune.backends.torch.exporting import EAGER, Tracing, Way, Ways
from autotune.backends.torch.positional import example_inputs, positional_model
from autotune.model.inputs import read_inputs

OLDER_OPSET = 17
"""Of the older exporter: the first with LayerNormalization as one operator, which it then writes."""


def export_model(
    source: Path, directory: Path, shapes: Sequence[Shape], load: Callable[[Path], Session]
) -> None:
    """Export a prepared transformers folder to ONNX at fp32, batch size and sequence length left free.

    Args:
        shapes: of the requests to come; see `exporting.export_model`.
        load: what was made, as a worker does.

    Raises:
        UnsupportedError: no exporter of torch's takes this architecture; in its words.
    """
    ways = Ways("onnxruntime", onnx_ways(source), load)
    exporting.export_model(ways, positional_model(source, "float32"), source, directory, shapes)


def onnx_ways(source: Path) -> tuple[Way, ...]:
    """torch.export first, whose graphs know their shapes; then the older exporter, which traces examples."""
    new, old = partial(_by_torch_export, source), partial(_by_older_exporter, source)
    return (
        Way("torch.export", new),
        Way("torch.export", new, EAGER),
        Way("torch's older exporter", old),
        Way("torch's older exporter", old, EAGER),
    )


def _by_torch_export(source: Path, module: Any, tracing: Tracing, folder: Path) -> None:
    import onnx
    import torch

    names = list(read_inputs(source).arrays)
    free = dict.fromkeys(tracing.free, torch.export.Dim.DYNAMIC)
    with TemporaryDirectory(dir=folder) as exported:
        with quiet():
            program = torch.onnx.export(
                module,
                example_inputs(source, tracing.shape),
                dynamo=True,
                dynamic_shapes=((free,) * len(names),),
                input_names=names,
                output_names=["output"],
                verbose=False,
            )
        program.save(Path(exported) / MODEL_FILE, external_data=True)
        graph = onnx.load(Path(exported) / MODEL_FILE)
    # quantize_dynamic infers shapes itself, and fails where the exporter's differ.
    del graph.graph.value_info[:]
    save_model(graph, folder)


def _by_older_exporter(source: Path, module: Any, tracing: Tracing, folder: Path) -> None:
    import onnx

    with TemporaryDirectory(dir=folder) as exported:
        write_by_older_exporter(source, module, tracing, Path(exported) / MODEL_FILE)
        graph = onnx.load(Path(exported) / MODEL_FILE)
    del graph.graph.value_info[:]
    save_model(graph, folder)


def write_by_older_exporter(source: Path, module: Any, tracing: Tracing, target: Path) -> None:
    """Write the graph as the older exporter has it."""
    import torch

    names = list(read_inputs(source).arrays)
    free = {axis: name for axis, name in enumerate(("batch", "tokens")) if axis in tracing.free}
    with quiet():
        torch.onnx.export(
            module,
            example_inputs(source, tracing.shape),
            target,
            dynamo=False,
            opset_version=OLDER_OPSET,
            dynamic_axes=dict.fromkeys((*names, "output"), free) if free else None,
            input_names=names,
            output_names=["output"],
        )


@contextmanager
def quiet() -> Iterator[None]:
    """Leave out what exporters and optimisers tell of every step, and of their age; errors are raised."""
    logger = logging.getLogger()
    before = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(before)
