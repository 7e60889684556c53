"""Takes ONNX files over as the model of every engine: whole, at fp32. Runs in a child process."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from autotune.backends.onnx.graph import save_model
from autotune.backends.words import first_line
from autotune.errors import ModelError
from autotune.model.onnx.child import tensors_of
from autotune.model.onnx.places import weights_file

ELEMENT_ATTRIBUTES = frozenset({"to", "dtype", "output_dtype", "stash_type"})
"""Attributes of operators that name an element type. Source: ONNX, Operators.md."""

USUAL_NAME = "model.onnx"
"""Of the file that is not quantised, beside those that are. Source: optimum, sentence-transformers."""

NEWER_FORMAT = re.compile(r"Unsupported model IR version: \d+, max supported IR version: (\d+)")
"""How ONNX Runtime refuses files of a version that came after it. Source: its model.cc."""

NEWER_OPERATORS = re.compile(
    r"Opset (\d+) is under development.* domain (\S+) is till opset (\d+)", re.DOTALL
)
"""Likewise of operators. Source: its model_load_utils.h."""

LOADING = re.compile(r"^\[ONNXRuntimeError\] : \d+ : \w+ : (Load model from .*? failed:)?\s*")
"""What ONNX Runtime puts before the reason, with a path in the cache."""


def import_model(file: Path, directory: Path, finish: Callable[[Any], None] = lambda _: None) -> str:
    """Take an ONNX model over at fp32, with a name for every node: quantisers go by them.

    What is stored otherwise (fp16, bf16, fp64) becomes fp32: ONNX Runtime's CPU provider computes at it, and
    would turn every number to and fro between two operators.

    Args:
        finish: makes of the model at fp32 what is served.

    Returns:
        The precision that ONNX Runtime really runs it at.

    Raises:
        ModelError: weights that it names may not be read.
    """
    model = _load_whole(file)
    _make_fp32(model)
    _forget_inputs_with_weights(model)
    finish(model)
    del model.graph.value_info[:]
    for index, node in enumerate(model.graph.node):
        node.name = node.name or f"{node.op_type}/{index}"
    try:
        return save_model(model, directory)
    except Exception as error:
        newest = NEWER_FORMAT.search(str(error))
        if newest is None:
            raise
        # What a version of the file's format adds is for operators to use, which the engine checks itself.
        model.ir_version = int(newest[1])
        return save_model(model, directory)


def cannot_import(source: str, error: BaseException) -> ModelError:
    """Say why ONNX Runtime does not load a file, and what helps."""
    if newest := NEWER_OPERATORS.search(str(error)):
        opset, domain, most = newest.groups()
        return ModelError(
            f"{source} is written in opset {opset} of {domain}, and onnxruntime takes up to {most}",
            remedy="install a newer onnxruntime, or export the model again with an older opset_version",
        )
    return ModelError(
        f"onnxruntime cannot load {source}: {reason_of(error)}",
        remedy="export the model in operators that ONNX Runtime's CPU provider has: some are another device's"
        " or another runtime's alone",
    )


def reason_of(error: BaseException) -> str:
    """What ONNX Runtime says went wrong, without where."""
    return LOADING.sub("", first_line(error))


def not_fp32(source: str, file: Path, precision: str) -> ModelError:
    """Say why a file that runs at another precision is no reference, and which may be meant instead."""
    if precision == "unknown":
        return ModelError(
            f"{source} multiplies by no weights that show at which precision it runs",
            remedy="export the encoder again, with its weights as constants of MatMul or Gemm",
        )
    plain = file.parent / USUAL_NAME
    near = f", as in onnx:{plain}" if file.name != USUAL_NAME and plain.is_file() else ""
    return ModelError(
        f"{source} is at {precision} already",
        remedy=f"name the fp32 model that it was made from{near}: autotune quantises it itself",
    )


def _load_whole(file: Path) -> Any:
    """The model with its weights; onnx itself reads none by way of links."""
    import onnx

    model = onnx.load(file, load_external_data=False)
    for tensor in tensors_of(model):
        if tensor.external_data:
            told = {entry.key: entry.value for entry in tensor.external_data}
            tensor.raw_data = _read(weights_file(file, told["location"]), told)
            tensor.ClearField("external_data")
            tensor.data_location = onnx.TensorProto.DEFAULT
    return model


def _read(file: Path, told: dict[str, str]) -> bytes:
    """The part of a file that holds one tensor."""
    with file.open("rb") as stream:
        stream.seek(int(told.get("offset", 0)))
        return stream.read(int(told["length"])) if "length" in told else stream.read()


def _make_fp32(model: Any) -> None:
    """Turn the numbers of a graph whose weights are of another floating type into fp32."""
    from onnx import TensorProto

    others = {TensorProto.FLOAT16, TensorProto.BFLOAT16, TensorProto.DOUBLE}
    kinds = {tensor.data_type for tensor in tensors_of(model) if len(tensor.dims) > 1} & others
    if not kinds:
        return
    for tensor in tensors_of(model):
        if tensor.data_type in kinds:
            _convert(tensor)
    for value in (*model.graph.input, *model.graph.output):
        if value.type.tensor_type.elem_type in kinds:
            value.type.tensor_type.elem_type = TensorProto.FLOAT
    for graph in _graphs(model.graph):
        del graph.value_info[:]
        _rename_types(graph.node, kinds)
    for function in model.functions:
        del function.value_info[:]
        _rename_types(function.node, kinds)


def _convert(tensor: Any) -> None:
    import numpy as np
    from onnx import numpy_helper

    numbers = numpy_helper.to_array(tensor)
    tensor.CopyFrom(numpy_helper.from_array(numbers.astype(np.float32), tensor.name))


def _rename_types(nodes: Any, kinds: set[int]) -> None:
    """Have operators that are told the type of their results make fp32."""
    from onnx import TensorProto

    for node in nodes:
        for attribute in node.attribute:
            if attribute.name in ELEMENT_ATTRIBUTES and attribute.i in kinds:
                attribute.i = TensorProto.FLOAT


def _graphs(graph: Any) -> Iterator[Any]:
    """A graph and those inside it."""
    yield graph
    for node in graph.node:
        for attribute in node.attribute:
            for inner in (attribute.g, *attribute.graphs):
                if inner.node:
                    yield from _graphs(inner)


def _forget_inputs_with_weights(model: Any) -> None:
    """Make constants of weights that are inputs too, as files before IR version 4 have them."""
    weights = {weight.name for weight in model.graph.initializer}
    inputs = [described for described in model.graph.input if described.name not in weights]
    del model.graph.input[:]
    model.graph.input.extend(inputs)
    model.ir_version = max(model.ir_version, 4)
