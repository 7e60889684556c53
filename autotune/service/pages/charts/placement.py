"""The instances of a plan on the machine's sockets, nodes, caches, cores and cpus."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from autotune.machine.cpus import format_cpu_list
from autotune.plan.document import Plan
from autotune.report.floorplan import Lettering, Rect, floorplan, read_hardware
from autotune.units import format_count

COLOURS: Final = 8
"""So many instances have a colour of their own; each cell bears its instance's number in any case."""

CELL: Final = 42.0
"""Width of a cpu in the picture."""

_LETTERING: Final = Lettering(line=0.62, letter=0.21)


@dataclass(frozen=True)
class Box:
    """A rectangle of the picture.

    Attributes:
        kind: `core`, `l3`, `node` or `socket` of a frame; of a cpu `free`, `barred` or its instance's colour.
        label: what stands in it; beneath: a second line; told: what is shown when somebody points at it.
    """

    kind: str
    x: float
    y: float
    width: float
    height: float
    label: str = ""
    beneath: str = ""
    told: str = ""


@dataclass(frozen=True)
class PlacementPicture:
    """A machine with the instances of a plan, or without any.

    Attributes:
        frames: outermost first.
        unpinned: the instances run wherever the kernel puts them.
    """

    width: float
    height: float
    frames: tuple[Box, ...]
    cells: tuple[Box, ...]
    summary: str
    unpinned: bool = False


def placement_picture(plan: Plan) -> PlacementPicture | None:
    """Draw a plan; None where its document does not say what the machine is like."""
    owners = {cpu: index for index, instance in enumerate(plan.instances) for cpu in instance.cpus}
    picture = machine_picture(plan.machine, owners)
    if picture is None:
        return None
    told = "; ".join(
        f"instance {index} on cpus {format_cpu_list(instance.cpus) or 'of the kernel’s choice'}"
        for index, instance in enumerate(plan.instances)
    )
    return PlacementPicture(
        picture.width,
        picture.height,
        picture.frames,
        picture.cells,
        f"{format_count(len(plan.instances), 'instance')}: {told}.",
        unpinned=not owners,
    )


def machine_picture(
    document: Mapping[str, Any], owners: Mapping[int, int] | None = None
) -> PlacementPicture | None:
    """Draw a machine; None where its document does not say which cores there are.

    Args:
        owners: by cpu, the instance that runs there.
    """
    hardware = read_hardware(document)
    if hardware is None:
        return None
    drawn, taken = floorplan(hardware, _LETTERING), owners or {}
    frames = tuple(_box(frame.level, frame.rect, label=frame.label) for frame in reversed(drawn.frames))
    cells = tuple(
        _cell(cell.cpu, cell.rect, taken.get(cell.cpu), is_allowed=cell.cpu in hardware.allowed)
        for cell in drawn.cells
    )
    summary = (
        f"{format_count(len(hardware.packages), 'socket')}, "
        f"{format_count(len(hardware.nodes), 'NUMA node')}, "
        f"{format_count(len(hardware.cores), 'core')}, {format_count(len(cells), 'cpu')}."
    )
    return PlacementPicture(_scaled(drawn.width), _scaled(drawn.height), frames, cells, summary)


def _cell(cpu: int, rect: Rect, instance: int | None, *, is_allowed: bool) -> Box:
    if instance is not None:
        kind, label, told = f"of-{instance % COLOURS}", str(instance), f"cpu {cpu}: instance {instance}"
    elif is_allowed:
        kind, label, told = "free", "", f"cpu {cpu}: free"
    else:
        kind, label, told = "barred", "", f"cpu {cpu}: may not be used"
    return _box(kind, rect, label=label, beneath=f"cpu {cpu}", told=told)


def _box(kind: str, rect: Rect, *, label: str = "", beneath: str = "", told: str = "") -> Box:
    return Box(
        kind,
        _scaled(rect.x),
        _scaled(rect.y),
        _scaled(rect.width),
        _scaled(rect.height),
        label,
        beneath,
        told,
    )


def _scaled(length: float) -> float:
    return round(length * CELL, 1)
