"""Where the cpus of a machine lie in a drawing: sockets, their nodes, L3 groups, cores and SMT siblings.

Pure geometry. Lengths are in widths of a cpu's cell; x grows to the right and y downwards.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Any, Literal

from autotune.errors import MachineError
from autotune.machine.cpus import format_cpu_list, parse_cpu_list
from autotune.report.dossier import mapping
from autotune.units import format_bytes

CELL_HEIGHT = 0.85
CORE_GAP = 0.22
_PADDING = 0.35
_GAPS: Mapping[str, float] = {"l3": 0.4, "node": 0.5, "socket": 0.7}
_CORES_ASPECT, _BOXES_ASPECT = 1.7, 1.5
"""Width over height that a group is arranged for."""
_RAGGED = 0.6
"""What a row that is not full costs, in units of the logarithm of the aspect's miss."""

_MAX_COLUMNS = 64
"""Of a row that are considered: large machines are arranged at once."""

DrawnLevel = Literal["core", "l3", "node", "socket"]


@dataclass(frozen=True)
class Rect:
    """A rectangle by its upper left corner."""

    x: float
    y: float
    width: float
    height: float

    def moved(self, dx: float, dy: float) -> Rect:
        """The same one elsewhere."""
        return Rect(self.x + dx, self.y + dy, self.width, self.height)


@dataclass(frozen=True)
class Cell:
    """One cpu."""

    cpu: int
    rect: Rect


@dataclass(frozen=True)
class Frame:
    """What encloses cpus; `label` stands at its upper left, inside; empty = none."""

    level: DrawnLevel
    label: str
    rect: Rect


@dataclass(frozen=True)
class Lettering:
    """How much room a label takes, in widths of a cell: the height of a line, and the width of a letter."""

    line: float
    letter: float


@dataclass(frozen=True)
class Floorplan:
    """A drawing of cells and frames, outermost frames last."""

    width: float
    height: float
    cells: tuple[Cell, ...] = ()
    frames: tuple[Frame, ...] = ()

    def moved(self, dx: float, dy: float) -> Floorplan:
        """The same one elsewhere; keeps its width and height."""
        cells = tuple(Cell(cell.cpu, cell.rect.moved(dx, dy)) for cell in self.cells)
        frames = tuple(Frame(one.level, one.label, one.rect.moved(dx, dy)) for one in self.frames)
        return Floorplan(self.width, self.height, cells, frames)


@dataclass(frozen=True)
class Hardware:
    """What a machine document says of the arrangement of cpus.

    Attributes:
        nodes: cpus by the node's number; empty for memory only.
        memory_bytes: by the node's number, where known.
        cores: the cpus of each, ascending.
    """

    packages: tuple[frozenset[int], ...]
    nodes: Mapping[str, frozenset[int]]
    memory_bytes: Mapping[str, int]
    l3: tuple[frozenset[int], ...]
    cores: tuple[tuple[int, ...], ...]
    allowed: frozenset[int]


def read_hardware(document: Mapping[str, Any]) -> Hardware | None:
    """Read a machine document; None where it does not say which cores there are."""
    try:
        cores = tuple(tuple(sorted(cpus)) for cpus in _cpu_sets(document.get("cores")) if cpus)
        online = frozenset(cpu for core in cores for cpu in core)
        nodes = {str(name): _cpus(cpus) for name, cpus in mapping(document.get("nodes")).items()}
        packages = _cpu_sets(document.get("packages")) or (online,)
        allowed = _cpus(document.get("allowed", format_cpu_list(online)))
        l3 = _cpu_sets(document.get("l3"))
    except MachineError:
        return None
    memory = mapping(document.get("node_memory_bytes"))
    sizes = {str(name): size for name, size in memory.items() if isinstance(size, int)}
    return Hardware(packages, nodes or {"0": online}, sizes, l3, cores, allowed) if cores else None


def floorplan(hardware: Hardware, lettering: Lettering) -> Floorplan:
    """Arrange the machine: every cpu of a core in one cell, every socket in one frame."""
    sockets = [_socket(index, hardware, lettering) for index in range(len(hardware.packages))]
    memory_only = [
        _framed(Floorplan(0, 0), "node", _node_label(name, hardware, " · memory only"), lettering)
        for name, cpus in hardware.nodes.items()
        if not cpus
    ]
    return _arranged([*sockets, *memory_only], _GAPS["socket"], _BOXES_ASPECT)


def _socket(index: int, hardware: Hardware, lettering: Lettering) -> Floorplan:
    package = hardware.packages[index]
    nodes = [(name, cpus & package) for name, cpus in hardware.nodes.items() if cpus & package]
    insides = [_node_inside(cpus, hardware, lettering) for _, cpus in nodes]
    labels = [_node_label(name, hardware) for name, _ in nodes]
    label = f"socket {index}"
    if len(nodes) == 1:
        return _framed(insides[0], "socket", f"{label} · {labels[0]}", lettering)
    framed = [_framed(one, "node", text, lettering) for one, text in zip(insides, labels, strict=True)]
    return _framed(_arranged(framed, _GAPS["node"], _BOXES_ASPECT), "socket", label, lettering)


def _node_label(name: str, hardware: Hardware, more: str = "") -> str:
    size = hardware.memory_bytes.get(name)
    return f"node {name}{more}" + (f" · {format_bytes(size)}" if size else "")


def _node_inside(cpus: frozenset[int], hardware: Hardware, lettering: Lettering) -> Floorplan:
    """The cores of a node, in frames for its L3 groups where it has more than one."""
    groups = [(index, group & cpus) for index, group in enumerate(hardware.l3) if group & cpus]
    if len(groups) < 2:
        return _cores(cpus, hardware)
    framed = [
        _framed(_cores(mine, hardware), "l3", f"L3 {index}", lettering, padding=0.6 * _PADDING)
        for index, mine in groups
    ]
    rest = cpus.difference(*(group for _, group in groups))
    if rest:
        framed.append(_cores(rest, hardware))
    return _arranged(framed, _GAPS["l3"], _BOXES_ASPECT)


def _cores(cpus: frozenset[int], hardware: Hardware) -> Floorplan:
    mine = [core for core in hardware.cores if core[0] in cpus]
    return _arranged([_core(core) for core in mine], CORE_GAP, _CORES_ASPECT)


def _core(cpus: Sequence[int]) -> Floorplan:
    """Its SMT siblings on top of each other."""
    height = CELL_HEIGHT * len(cpus)
    cells = tuple(Cell(cpu, Rect(0, CELL_HEIGHT * row, 1.0, CELL_HEIGHT)) for row, cpu in enumerate(cpus))
    return Floorplan(1.0, height, cells, (Frame("core", "", Rect(0, 0, 1.0, height)),))


def _framed(
    inside: Floorplan, level: DrawnLevel, label: str, lettering: Lettering, padding: float = _PADDING
) -> Floorplan:
    """A frame with a line for its label above what it encloses."""
    width = max(inside.width, lettering.letter * len(label)) + 2 * padding
    height = inside.height + lettering.line + 2 * padding
    moved = inside.moved((width - inside.width) / 2, padding + lettering.line)
    frame = Frame(level, label, Rect(0, 0, width, height))
    return Floorplan(width, height, moved.cells, (*moved.frames, frame))


def _arranged(parts: Sequence[Floorplan], gap: float, aspect: float) -> Floorplan:
    """The parts in rows, as many in each as come nearest to the aspect with no row left half empty."""

    def cost(columns: int) -> float:
        width, height = _extent(parts, _corners(parts, columns, gap))
        ragged = _RAGGED if len(parts) % columns else 0.0
        return abs(math.log(width / height / aspect)) + ragged

    if not parts:
        return Floorplan(0.0, 0.0)
    corners = _corners(parts, min(range(1, min(len(parts), _MAX_COLUMNS) + 1), key=cost), gap)
    moved = [part.moved(*corner) for part, corner in zip(parts, corners, strict=True)]
    return Floorplan(
        *_extent(parts, corners),
        cells=tuple(cell for part in moved for cell in part.cells),
        frames=tuple(frame for part in moved for frame in part.frames),
    )


def _corners(parts: Sequence[Floorplan], columns: int, gap: float) -> list[tuple[float, float]]:
    """The upper left corner of each part, row by row."""
    found: list[tuple[float, float]] = []
    y = 0.0
    for start in range(0, len(parts), columns):
        row = parts[start : start + columns]
        lefts = accumulate((part.width + gap for part in row[:-1]), initial=0.0)
        found += [(x, y) for x in lefts]
        y += max(part.height for part in row) + gap
    return found


def _extent(parts: Sequence[Floorplan], corners: Sequence[tuple[float, float]]) -> tuple[float, float]:
    """Width and height of all parts at these corners."""
    placed = list(zip(parts, corners, strict=True))
    return max(x + part.width for part, (x, _) in placed), max(y + part.height for part, (_, y) in placed)


def _cpu_sets(value: object) -> tuple[frozenset[int], ...]:
    return tuple(_each_cpus(value)) if isinstance(value, list) else ()


def _each_cpus(values: Iterable[object]) -> Iterator[frozenset[int]]:
    for value in values:
        yield _cpus(value)


def _cpus(value: object) -> frozenset[int]:
    if not isinstance(value, str):
        raise MachineError(f"{value!r:.80} is not a cpu list")
    return parse_cpu_list(value)
