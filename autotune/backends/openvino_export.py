"""Converts models to OpenVINO's format at fp32. Runs in a child process."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from autotune.backends import onnx_export, onnx_graph
from autotune.backends.openvino_runtime import MODEL_FILE, compile_model, import_openvino
from autotune.backends.positional import check_follows, example_inputs, positional_model
from autotune.errors import AutotuneError, UnsupportedError
from autotune.model.inputs import read_inputs

REMEDY = "leave openvino out of search.backends"

_FRAMES = ("Check '", "Exception from ", "FrontEnd API failed")
"""How lines begin that say where in the engine something failed, not what."""


def export_model(source: Path, directory: Path) -> None:
    """Convert a prepared transformers folder, batch size and sequence length left free.

    Where OpenVINO's own attention does not follow the model (a token that may attend to padding alone is
    not a number there), it is converted by way of ONNX, which spells attention out.

    Raises:
        UnsupportedError: torch cannot export this architecture, or openvino not convert it, in their words;
            or what was made of it answers otherwise.
    """
    import torch

    model = positional_model(source, "float32")
    with torch.no_grad(), warnings.catch_warnings():
        # Exporters announce what their next versions change.
        warnings.simplefilter("ignore")
        _convert_module(model, source, directory)
        if not _follows(directory, model, source):
            _convert_by_onnx(source, directory)
            check_follows(_compiled(directory), model, source, "openvino")


def convert_onnx(file: Path, directory: Path) -> None:
    """Convert an ONNX model, of which the first output is kept.

    Raises:
        UnsupportedError: openvino cannot read it; in its words.
    """
    openvino = import_openvino()
    with engine_refuses("openvino cannot convert this model", REMEDY):
        model = openvino.Core().read_model(file)
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


def _convert_module(model: Any, source: Path, directory: Path) -> None:
    import torch

    openvino = import_openvino()
    free = {0: torch.export.Dim.DYNAMIC, 1: torch.export.Dim.DYNAMIC}
    example = example_inputs(source)
    with engine_refuses("openvino cannot convert this architecture", REMEDY):
        exported = torch.export.export(model, example, dynamic_shapes=((free,) * len(example),))
        converted = openvino.convert_model(exported)
    for port, name in zip(converted.inputs, read_inputs(source).arrays, strict=True):
        port.get_tensor().set_names({name})
    openvino.save_model(converted, directory / MODEL_FILE, compress_to_fp16=False)


def _convert_by_onnx(source: Path, directory: Path) -> None:
    with TemporaryDirectory(dir=directory) as folder:
        onnx_export.export_model(source, Path(folder))
        convert_onnx(Path(folder) / onnx_graph.MODEL_FILE, directory)


def _follows(directory: Path, model: Any, source: Path) -> bool:
    try:
        check_follows(_compiled(directory), model, source, "openvino")
    except UnsupportedError:
        return False
    return True


def _compiled(directory: Path) -> Callable[..., Any]:
    """The converted model as a function from tensors to a tensor."""
    import torch

    request = compile_model(directory, "fp32", threads=1).create_infer_request()
    return lambda *inputs: torch.from_numpy(request.infer([array.numpy() for array in inputs])[0])


def _reason(error: BaseException) -> str:
    """What happened, in the first cause's own words."""
    while error.__cause__ is not None:
        error = error.__cause__
    lines = (line.strip() for line in str(error).splitlines())
    return next((line for line in lines if line and not line.startswith(_FRAMES)), type(error).__name__)
