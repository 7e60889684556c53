"""The plan's instances on the machine's sockets, NUMA nodes, L3 groups, cores and SMT siblings."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from matplotlib.axes import Axes
from matplotlib.collections import PatchCollection
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import FancyBboxPatch, Patch, Rectangle

from autotune.machine.cpus import format_cpu_list
from autotune.plan.document import Plan
from autotune.report.dossier import Dossier
from autotune.report.figures.picture import (
    BLUE,
    FILL,
    GREEN,
    INK,
    LINE,
    MUTED,
    ORANGE,
    PAPER,
    PURPLE,
    RED,
    SKY,
    WIDTH_IN,
    YELLOW,
    Missing,
    Picture,
    drawing,
)
from autotune.report.floorplan import (
    Cell,
    Floorplan,
    Frame,
    Hardware,
    Lettering,
    Rect,
    floorplan,
    read_hardware,
)

NAME, TITLE = "placement", "Where the instances run"

NAMED_INSTANCES: Final = 8
"""So many are told apart by colour and named in the legend; of more, each cell bears its number."""

_COLOURS: Final = (BLUE, ORANGE, GREEN, PURPLE, SKY, YELLOW, RED, "#999999")
_DARK: Final = {BLUE, GREEN, RED}
"""Colours on which text is white."""

_MAX_CELL_PT, _MIN_TEXT_PT, _LABEL_PT = 44.0, 3.6, 8.5
_LETTER: Final = 0.62
"""Width of a letter of the widest usual font, as a share of its size."""
_POINTS: Final = 72.0
_LEGEND_IN: Final = 0.3


@dataclass(frozen=True)
class Seating:
    """Who may use each cpu: `owner` by cpu, of pinned instances; all `allowed` where they are not pinned."""

    owner: Mapping[int, int]
    is_pinned: bool
    allowed: frozenset[int]


def picture(dossier: Dossier) -> Picture | Missing:
    """Draw the machine that the plan was made on, and the instances on it."""
    hardware = read_hardware(dossier.plan.machine)
    if hardware is None:
        return Missing(NAME, TITLE, "The plan's machine document does not say how its cores are arranged.")
    seating = seating_of(dossier.plan, hardware)
    with drawing():
        drawn, scale = _scaled(hardware)
        height = drawn.height * scale / _POINTS
        figure = Figure(figsize=(WIDTH_IN, height + _LEGEND_IN))
        axes = figure.add_axes((0.0, 0.0, 1.0, height / (height + _LEGEND_IN)))
        _set_up(axes, drawn, scale)
        for frame in reversed(drawn.frames):
            _draw_frame(axes, frame)
        _draw_cells(axes, drawn.cells, seating, scale)
        _draw_legend(figure, len(dossier.plan.instances), seating, drawn.cells)
    return Picture(NAME, TITLE, _caption(hardware), _description(dossier.plan, seating, hardware), figure)


def seating_of(plan: Plan, hardware: Hardware) -> Seating:
    """Which instance may use which cpu."""
    owner = {cpu: index for index, instance in enumerate(plan.instances) for cpu in instance.cpus}
    return Seating(owner, bool(owner), hardware.allowed)


def _scaled(hardware: Hardware) -> tuple[Floorplan, float]:
    """The machine as wide as a page at most, and how many points a cell is wide then.

    What a label takes in cells depends on the scale, and the other way round: a few turns settle it.
    """
    scale = _MAX_CELL_PT / 2
    for _ in range(4):
        lettering = Lettering(1.45 * _LABEL_PT / scale, _LETTER * _LABEL_PT / scale)
        drawn = floorplan(hardware, lettering)
        scale = min(_MAX_CELL_PT, (WIDTH_IN * _POINTS - 4) / drawn.width)
    return drawn, scale


def _set_up(axes: Axes, drawn: Floorplan, scale: float) -> None:
    """One unit is a cell's width; the drawing stands at the left."""
    axes.set_xlim(-2 / scale, WIDTH_IN * _POINTS / scale - 2 / scale)
    axes.set_ylim(drawn.height + 1 / scale, -1 / scale)
    axes.set_axis_off()


def _draw_frame(axes: Axes, frame: Frame) -> None:
    rect = frame.rect
    if frame.level == "core":
        return
    style = {"l3": ("none", MUTED, (0, (3, 2))), "node": (PAPER, MUTED, "solid")}
    face, edge, dashes = style.get(frame.level, (PAPER, INK, "solid"))
    axes.add_patch(
        FancyBboxPatch(
            (rect.x, rect.y),
            rect.width,
            rect.height,
            boxstyle="round,pad=0,rounding_size=0.15",
            facecolor=face,
            edgecolor=edge,
            linestyle=dashes,
            linewidth=1.3 if frame.level == "socket" else 0.8,
            gid=f"{frame.level}-{frame.label.replace(' ', '-')}",
        )
    )
    axes.text(
        *(rect.x + 0.3, rect.y + 0.2),
        frame.label,
        fontsize=_LABEL_PT,
        color=INK,
        verticalalignment="top",
        fontweight="bold" if frame.level == "socket" else "normal",
    )


def _draw_cells(axes: Axes, cells: Sequence[Cell], seating: Seating, scale: float) -> None:
    groups: dict[str, list[Cell]] = {}
    for cell in cells:
        groups.setdefault(_standing(cell.cpu, seating), []).append(cell)
    for standing, mine in groups.items():
        patches = [_rectangle(cell.rect) for cell in mine]
        colour = _colour(mine[0].cpu, seating)
        hatch = "////" if standing == "not-allowed" else None
        axes.add_collection(
            PatchCollection(
                patches,
                facecolor=colour,
                edgecolor=LINE if hatch else PAPER,
                hatch=hatch,
                linewidth=0.8,
                gid=f"cpus-{standing}",
            )
        )
    _write_cells(axes, cells, seating, scale)


def _write_cells(axes: Axes, cells: Sequence[Cell], seating: Seating, scale: float) -> None:
    """Each cell's cpu, or its instance where those are too many to be named by colour."""
    text = _cell_text(seating)
    letters = max((len(text(cell.cpu)) for cell in cells), default=1)
    size = min(9.0, scale * 0.62, scale * 0.9 / (_LETTER * letters))
    if size < _MIN_TEXT_PT:
        return
    for cell in cells:
        colour = _colour(cell.cpu, seating)
        ink = PAPER if colour in _DARK else INK if colour in (FILL, PAPER) else "#000000"
        axes.text(
            cell.rect.x + cell.rect.width / 2,
            cell.rect.y + cell.rect.height / 2,
            text(cell.cpu),
            fontsize=size,
            color="#fffffe" if ink == PAPER else ink,
            horizontalalignment="center",
            verticalalignment="center",
        )


def _cell_text(seating: Seating) -> Callable[[int], str]:
    if len(set(seating.owner.values())) <= NAMED_INSTANCES:
        return str
    return lambda cpu: str(seating.owner.get(cpu, ""))


def _standing(cpu: int, seating: Seating) -> str:
    """`instance-3`, `shared` (not pinned: any instance), `idle` or `not-allowed`."""
    if cpu in seating.owner:
        return f"instance-{seating.owner[cpu]}"
    if cpu not in seating.allowed:
        return "not-allowed"
    return "idle" if seating.is_pinned else "shared"


def _colour(cpu: int, seating: Seating) -> str:
    if cpu in seating.owner:
        return _COLOURS[seating.owner[cpu] % len(_COLOURS)]
    if cpu not in seating.allowed:
        return PAPER
    return FILL if seating.is_pinned else SKY


def _rectangle(rect: Rect) -> Rectangle:
    return Rectangle((rect.x, rect.y), rect.width, rect.height)


def _draw_legend(figure: Figure, instances: int, seating: Seating, cells: Sequence[Cell]) -> None:
    present = {_standing(cell.cpu, seating) for cell in cells}
    handles: list[Patch | Line2D] = []
    if seating.is_pinned and instances <= NAMED_INSTANCES:
        handles += [Patch(facecolor=_COLOURS[index], label=f"instance {index}") for index in range(instances)]
    elif seating.is_pinned:
        handles.append(Patch(facecolor=_COLOURS[0], label="an instance, by its number"))
    if "shared" in present:
        handles.append(Patch(facecolor=SKY, label="open to every instance (not pinned)"))
    if "idle" in present:
        handles.append(Patch(facecolor=FILL, edgecolor=LINE, label="left idle"))
    if "not-allowed" in present:
        handles.append(Patch(facecolor=PAPER, edgecolor=MUTED, hatch="////", label="not allowed"))
    figure.legend(
        handles=handles,
        loc="upper left",
        ncols=min(len(handles), 7),
        borderaxespad=0.2,
        handlelength=1.4,
        columnspacing=1.2,
    )


def _caption(hardware: Hardware) -> str:
    """How to read the cells."""
    if any(len(core) > 1 for core in hardware.cores):
        return "A block is a core; the cells in it that touch each other are its SMT siblings."
    return "Each cell is a core with one cpu."


def _description(plan: Plan, seating: Seating, hardware: Hardware) -> str:
    cpus = sum(len(core) for core in hardware.cores)
    machine = ", ".join(
        _counted(count, noun)
        for count, noun in (
            (len(hardware.packages), "socket"),
            (len(hardware.nodes), "NUMA node"),
            (len(hardware.cores), "core"),
            (cpus, "cpu"),
        )
    )
    instances = _counted(len(plan.instances), "instance")
    if not seating.is_pinned:
        return f"{machine}; {instances}, not pinned, may run on cpus {format_cpu_list(seating.allowed)}."
    return f"{machine}; {instances} on cpus {format_cpu_list(seating.owner)}."


def _counted(count: int, noun: str) -> str:
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"
