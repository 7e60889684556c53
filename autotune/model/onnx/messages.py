"""What is asked of the child that reads an ONNX file, and what it answers: one JSON document each."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class ReadGraph:
    """Say what a file's graph takes and answers, and where its weights lie.

    Attributes:
        infers: whether dimensions of outputs are inferred that it does not state, which takes memory.
    """

    file: Path
    infers: bool = False


@dataclass(frozen=True)
class GraphValue:
    """An input or output of a graph.

    Attributes:
        type: of its elements, as in `INT64`; `no tensor` where it has none.
        shape: its dimensions, None = free; of an output None where nothing tells how many there are.
    """

    name: str
    type: str
    shape: tuple[int | None, ...] | None


@dataclass(frozen=True)
class GraphContents:
    """What a file's graph takes and answers.

    Attributes:
        inputs: of which each states how many dimensions it has, or has none.
        external: files beside it that hold weights, as it names them, and how many bytes each has at least.
        vocabularies: rows of the tables that inputs look up in, by input.
        positions: as `autotune.model.onnx.positions.longest_in_graph` has it.
        weights: how many numbers its matrices hold, by element type.
    """

    inputs: tuple[GraphValue, ...]
    outputs: tuple[GraphValue, ...]
    external: Mapping[str, int]
    vocabularies: Mapping[str, int]
    positions: tuple[int, int] | None
    weights: Mapping[str, int]


def read_graph_to_json(request: ReadGraph) -> dict[str, Any]:
    """Write the request as one JSON object."""
    return {"file": str(request.file), "infers": request.infers}


def read_graph_from_json(document: Mapping[str, Any]) -> ReadGraph:
    """The inverse of `read_graph_to_json`."""
    return ReadGraph(Path(document["file"]), document["infers"])


def contents_to_json(contents: GraphContents) -> dict[str, Any]:
    """Write the answer as one JSON object."""
    return asdict(contents)


def contents_from_json(document: Mapping[str, Any]) -> GraphContents:
    """The inverse of `contents_to_json`."""
    positions = document["positions"]
    read = {
        "inputs": tuple(map(_value, document["inputs"])),
        "outputs": tuple(map(_value, document["outputs"])),
        "positions": None if positions is None else (positions[0], positions[1]),
    }
    return GraphContents(**{**document, **read})


def _value(fields: Mapping[str, Any]) -> GraphValue:
    shape = fields["shape"]
    return GraphValue(fields["name"], fields["type"], None if shape is None else tuple(shape))
