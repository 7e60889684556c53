"""How long a sequence may be by an ONNX graph's own tables of positions. Runs in the child that reads it.

A graph does not say so; it fails where a sequence is longer. What tells is the way from such a table to where
the positions come from: counted (`CumSum`, `Range`), or cut off a stored 0, 1, 2, ...
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

from autotune.model.folders.positions import TABLE

PASSED: Mapping[str, int] = {
    **dict.fromkeys(("Cast", "Expand", "Flatten", "Identity", "Reshape", "Slice"), 1),
    **dict.fromkeys(("Gather", "GatherElements", "Squeeze", "Tile", "Transpose", "Unsqueeze"), 1),
    "Mul": 2,
}
"""Operators through which positions are followed back to where they come from, and among how many inputs.

Positions less others are distances, of which a table has only some, however long a sequence is (T5, MPNet,
DeBERTa).
"""
COUNTS = ("CumSum", "NonZero", "Range")
"""Operators that count; of ones, NonZero gives their places, as in files from before there was Range."""
DEEPEST = 30
"""Operators that are followed back."""

FUSED = "EmbedLayerNormalization"
FUSED_TABLE, FUSED_POSITIONS = 3, 8
"""Of com.microsoft: which inputs are the table of positions, and what looks up in it, if not 0, 1, 2, ...

Source: ONNX Runtime, ContribOperators.md.
"""


@dataclass(frozen=True)
class Positions:
    """Where the positions of a table come from.

    Attributes:
        skipped: the first position.
        most: there are no more; None = as many as there are tokens.
    """

    skipped: int = 0
    most: int | None = None


def longest_in_graph(graph: Any) -> tuple[int, int] | None:
    """The most tokens that a graph has positions for, and how many rows of the table come before the first.

    None where it shows no table of them. That the first position is another than 0 shows only sometimes.
    """
    found = list(_Graph(graph).bounds())
    return min(found, default=None)


class _Graph:
    """A graph, by the names of its tensors."""

    def __init__(self, graph: Any) -> None:
        self._graph = graph
        self._weights: Mapping[str, Any] = {weight.name: weight for weight in graph.initializer}
        self._producers: Mapping[str, Any] = {name: node for node in graph.node for name in node.output}

    @cached_property
    def _constants(self) -> Mapping[str, Any]:
        """Tensors that never change, by name."""
        constants = dict(self._weights)
        for name, node in self._producers.items():
            if node.op_type == "Constant":
                constants.update((name, value.t) for value in node.attribute if value.name == "value")
        return constants

    def bounds(self) -> Iterator[tuple[int, int]]:
        """Of every table of positions, how many there are and how many rows come before the first."""
        for node in self._graph.node:
            if node.op_type == "Gather" and (rows := self._rows(node.input[0])) is not None:
                yield from _bound(rows, self._looked_up(*node.input[:2]))
            elif node.op_type == FUSED and (rows := self._rows(node.input[FUSED_TABLE])) is not None:
                own = list(node.input[FUSED_POSITIONS:])
                yield from _bound(rows, (self._positions(own[0]) if any(own) else None) or Positions())
            elif node.op_type == "Slice" and (most := self._cut(node)) is not None:
                yield most, 0

    def _looked_up(self, table: str, indices: str) -> Positions | None:
        """The positions that are looked up in a table, if it is one of them."""
        found = self._positions(indices)
        return Positions() if found is None and TABLE.fullmatch(_plain(table)) else found

    def _rows(self, name: str) -> int | None:
        """Rows of a table of vectors; None of another tensor."""
        table = self._constants.get(name)
        return table.dims[0] if table is not None and len(table.dims) == 2 and table.dims[1] > 1 else None

    def _positions(self, name: str, depth: int = 0) -> Positions | None:
        """Where these come from, if they are positions."""
        node = self._producers.get(name)
        if depth > DEEPEST or node is None or node.op_type == "Constant":
            return self._stored(name)
        if node.op_type in COUNTS:
            return _counted(node)
        if node.op_type in ("Add", "Sub"):
            return self._shifted(node, depth + 1)
        sources = node.input[: PASSED.get(node.op_type, 0)]
        return _only(self._positions(source, depth + 1) for source in sources)

    def _shifted(self, node: Any, depth: int) -> Positions | None:
        """Positions to which a number was added, or from which it was taken."""
        found = _only(self._positions(source, depth) for source in node.input)
        numbers = [self._number(source) for source in node.input]
        if found is None or (node.op_type == "Sub" and numbers[1] is None):
            return None
        more = sum(number for number in numbers if number is not None)
        return replace(found, skipped=found.skipped + (more if node.op_type == "Add" else -more))

    def _stored(self, name: str) -> Positions | None:
        """Positions that are stored one after the other, as in BERT."""
        tensor = self._constants.get(name)
        numbers = _integers(tensor) if tensor is not None and tensor.dims else None
        if numbers is None or len(numbers) < 2:
            return None
        first = numbers[0]
        is_count = first >= 0 and numbers == list(range(first, first + len(numbers)))
        return Positions(first, len(numbers)) if is_count else None

    def _number(self, name: str) -> int | None:
        tensor = self._constants.get(name)
        numbers = _integers(tensor) if tensor is not None else None
        return numbers[0] if numbers is not None and len(numbers) == 1 else None

    def _cut(self, node: Any) -> int | None:
        """Along what a stored table is cut to the sequence: to its beginning, on one axis."""
        table = self._constants.get(node.input[0])
        if table is None or len(table.dims) < 2 or len(node.input) < 4 or node.input[2] in self._constants:
            return None
        start, axis = (self._number(node.input[index]) for index in (1, 3))
        if start != 0 or axis is None or not -len(table.dims) <= axis < len(table.dims):
            return None
        most = table.dims[axis]
        return most if most > 1 else None


def _counted(node: Any) -> Positions:
    """Positions that are counted: from 0, or as a sum of ones from 1."""
    is_exclusive = any(attribute.name == "exclusive" and attribute.i for attribute in node.attribute)
    return Positions(int(node.op_type == "CumSum" and not is_exclusive))


def _only(found: Iterable[Positions | None]) -> Positions | None:
    """What one of an operator's inputs is, where the others are nothing of the kind."""
    positions = [one for one in found if one is not None]
    return positions[0] if len(positions) == 1 else None


def _bound(rows: int, positions: Positions | None) -> Iterator[tuple[int, int]]:
    """What a table of so many rows has positions for, and what it skips."""
    if positions is not None:
        left = rows - positions.skipped
        yield min(left, positions.most or left), positions.skipped


def _plain(name: str) -> str:
    """The name of a weight as the model has it, without what exporters put around it."""
    return re.sub(r"[/:]+", ".", name).strip(".")


def _integers(tensor: Any) -> list[int] | None:
    """The numbers of a tensor of whole ones; None of another, or where they lie in another file."""
    from onnx import TensorProto, numpy_helper

    if tensor.data_type not in (TensorProto.INT64, TensorProto.INT32) or tensor.external_data:
        return None
    numbers: list[int] = numpy_helper.to_array(tensor).reshape(-1).tolist()
    return numbers
