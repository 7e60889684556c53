"""The child that reads an ONNX file; started by `autotune.model.onnx.file`."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from autotune.errors import ModelError
from autotune.model.child import answer_parent
from autotune.model.onnx.messages import (
    GraphContents,
    GraphValue,
    ReadGraph,
    contents_to_json,
    read_graph_from_json,
)
from autotune.model.onnx.positions import longest_in_graph

FOLLOWED = frozenset({"Cast", "Flatten", "Identity", "Reshape", "Squeeze", "Unsqueeze"})
"""Operators after which token ids are still token ids."""


def handle(document: dict[str, Any]) -> dict[str, Any]:
    """Answer with what the file's graph takes, and where its weights lie; none of them is read.

    Raises:
        ModelError: it is not an ONNX model.
    """
    return contents_to_json(_read(read_graph_from_json(document)))


def _read(request: ReadGraph) -> GraphContents:
    model = _load(request.file)
    graph = model.graph
    weights = {weight.name for weight in graph.initializer}
    inputs = [described for described in graph.input if described.name not in weights]
    return GraphContents(
        inputs=tuple(map(_describe, inputs)),
        outputs=_outputs(model, infers=request.infers),
        external=_external(model),
        vocabularies={taken.name: rows for taken in inputs if (rows := _rows(graph, taken.name))},
        positions=longest_in_graph(graph),
        weights=_weights(model),
    )


def _load(file: Path) -> Any:
    import onnx
    from google.protobuf.message import DecodeError  # type: ignore[import-untyped]

    try:
        model = onnx.load(file, load_external_data=False)
    except (DecodeError, ValueError) as error:
        raise _not_onnx(file) from error
    if not model.ir_version or not model.graph.node:
        raise _not_onnx(file)
    return model


def _not_onnx(file: Path) -> ModelError:
    return ModelError(
        f"{file} is not an ONNX model, or only a part of one",
        remedy="export it again, or copy the whole file again",
    )


def _describe(value: Any) -> GraphValue:
    from onnx import TensorProto

    tensor = value.type.tensor_type
    dimensions = tensor.shape.dim if tensor.HasField("shape") else []
    return GraphValue(
        name=value.name,
        type=TensorProto.DataType.Name(tensor.elem_type) if tensor.elem_type else "no tensor",
        shape=tuple(size.dim_value if size.dim_value > 0 else None for size in dimensions),
    )


def _outputs(model: Any, *, infers: bool) -> tuple[GraphValue, ...]:
    """What the graph answers, its dimensions as it states them, or as they follow."""
    stated = tuple(map(_output, model.graph.output))
    if not infers or all(output.shape and output.shape[-1] is not None for output in stated):
        return stated
    inferred = {output.name: output for output in _inferred(model)}
    return tuple(inferred.get(output.name, output) for output in stated)


def _inferred(model: Any) -> list[GraphValue]:
    """The outputs with what onnx finds out of their dimensions; none where it does not take the graph."""
    import onnx

    try:
        return list(map(_output, onnx.shape_inference.infer_shapes(model).graph.output))
    except MemoryError:
        raise
    except Exception:  # onnx's errors have no root in common
        return []


def _output(value: Any) -> GraphValue:
    described = _describe(value)
    return described if value.type.tensor_type.HasField("shape") else replace(described, shape=None)


def tensors_of(model: Any) -> Iterator[Any]:
    """Every tensor of a model's graph, of the graphs inside it, and of its functions."""
    yield from _graph_tensors(model.graph)
    for function in model.functions:
        yield from _node_tensors(function.node)


def _graph_tensors(graph: Any) -> Iterator[Any]:
    yield from graph.initializer
    yield from _node_tensors(graph.node)


def _node_tensors(nodes: Iterable[Any]) -> Iterator[Any]:
    for node in nodes:
        for attribute in node.attribute:
            yield from (attribute.t, *attribute.tensors)
            for inner in (attribute.g, *attribute.graphs):
                yield from _graph_tensors(inner)


def _weights(model: Any) -> dict[str, int]:
    """How many numbers the matrices hold, by element type."""
    from onnx import TensorProto

    counts: Counter[str] = Counter()
    for tensor in tensors_of(model):
        if len(tensor.dims) > 1:
            counts[TensorProto.DataType.Name(tensor.data_type)] += math.prod(tensor.dims)
    return dict(counts)


def _external(model: Any) -> dict[str, int]:
    """By file that holds weights, where the last of those ends whose length is told."""
    ends: dict[str, int] = {}
    for tensor in tensors_of(model):
        told = {entry.key: entry.value for entry in tensor.external_data}
        end = int(told.get("offset", 0)) + int(told.get("length", 0))
        for entry in tensor.external_data:
            if entry.key == "location":
                ends[entry.value] = max(end, ends.get(entry.value, 0))
    return ends


def _rows(graph: Any, name: str) -> int | None:
    """How many rows the smallest table has that the ids of this input are looked up in."""
    weights = {weight.name: weight for weight in graph.initializer}
    same, rows = {name}, []
    for node in graph.node:
        if node.op_type in FOLLOWED and node.input[0] in same:
            same.update(node.output)
        table = _table(node, same)
        if table in weights:
            rows.append(weights[table].dims[0])
    return min(rows, default=None)


def _table(node: Any, ids: set[str]) -> str | None:
    """The table that a node looks ids up in."""
    if node.op_type == "Gather" and node.input[1] in ids:
        return str(node.input[0])
    # Of com.microsoft: token ids, segment ids, then the table of tokens.
    if node.op_type == "EmbedLayerNormalization" and node.input[0] in ids:
        return str(node.input[2])
    return None


if __name__ == "__main__":
    answer_parent(handle)
