"""Converts models to OpenVINO's format at fp32. Runs in a child process."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from autotune.backends.onnx import graph
from autotune.backends.onnx.export import onnx_ways
from autotune.backends.openvino.runtime import MODEL_FILE, core, import_openvino
from autotune.backends.protocol import Session, Shape
from autotune.backends.torch import exporting
from autotune.backends.torch.exporting import EAGER, Tracing, Way, Ways
from autotune.backends.torch.positional import example_inputs, positional_model
from autotune.errors import AutotuneError, UnsupportedError
from autotune.model.inputs import read_inputs

REMEDY = "leave openvino out of search.backends"

_FRAMES = ("Check '", "Exception from ", "FrontEnd API failed")
"""How lines begin that say where in the engine something failed, not what."""


def export_model(
    source: Path, directory: Path, shapes: Sequence[Shape], load: Callable[[Path], Session]
) -> None:
    """Convert a prepared transformers folder, batch size and sequence length left free.

    Args:
        shapes: of the requests to come; see `exporting.export_model`.
        load: what was made, as a worker does.

    Raises:
        UnsupportedError: torch cannot export this architecture, or openvino not convert it, in their words;
            or what was made of it answers otherwise.
    """
    ways = Ways("openvino", _ways(source), load)
    exporting.export_model(ways, positional_model(source, "float32"), source, directory, shapes)


def _ways(source: Path) -> tuple[Way, ...]:
    """OpenVINO's own conversion first; then by way of ONNX, which spells attention out.

    OpenVINO's own attention is not always the model's: a token that may attend to padding alone is not a
    number there.
    """
    own = partial(_convert_module, source)
    return (
        Way("torch.export", own),
        Way("torch.export", own, EAGER),
        *(Way(f"ONNX by {way.path}", partial(_convert_by, way), way.attention) for way in onnx_ways(source)),
    )


def convert_onnx(file: Path, directory: Path) -> None:
    """Convert an ONNX model, of which the first output is kept.

    Raises:
        UnsupportedError: openvino cannot read it; in its words.
    """
    openvino = import_openvino()
    with engine_refuses("openvino cannot convert this model", REMEDY):
        model = core().read_model(file)
    first = openvino.Model(model.get_results()[:1], model.get_parameters(), "first output")
    openvino.save_model(first, directory / MODEL_FILE, compress_to_fp16=False)


@contextmanager
def engine_refuses(what: str, remedy: str) -> Iterator[None]:
    """Turn whatever an engine raises into an `UnsupportedError` in its words; want of memory or space stays.

    OpenVINO's and NNCF's exceptions have no common root.
    """
    try:
        yield
    except (AutotuneError, MemoryError, OSError):
        raise
    except Exception as error:
        raise UnsupportedError(f"{what}: {_reason(error)}", remedy=remedy) from error


def _convert_module(source: Path, module: Any, tracing: Tracing, folder: Path) -> None:
    import torch

    openvino = import_openvino()
    free = dict.fromkeys(tracing.free, torch.export.Dim.DYNAMIC)
    example = example_inputs(source, tracing.shape)
    with engine_refuses("openvino cannot convert it", REMEDY), torch.no_grad(), warnings.catch_warnings():
        # Exporters announce what their next versions change.
        warnings.simplefilter("ignore")
        exported = torch.export.export(module, example, dynamic_shapes=((free,) * len(example),))
        converted = openvino.convert_model(exported)
    for port, name in zip(converted.inputs, read_inputs(source).arrays, strict=True):
        port.get_tensor().set_names({name})
    openvino.save_model(converted, folder / MODEL_FILE, compress_to_fp16=False)


def _convert_by(way: Way, module: Any, tracing: Tracing, folder: Path) -> None:
    with TemporaryDirectory(dir=folder) as exported:
        way.make(module, tracing, Path(exported))
        convert_onnx(Path(exported) / graph.MODEL_FILE, folder)


def _reason(error: BaseException) -> str:
    """What happened, in the first cause's own words."""
    while error.__cause__ is not None:
        error = error.__cause__
    lines = (line.strip() for line in str(error).splitlines())
    return next((line for line in lines if line and not line.startswith(_FRAMES)), type(error).__name__)
