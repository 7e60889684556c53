"""A chart: points, lines and spans in a frame with two axes."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final, Literal

from autotune.units import format_significant

WIDTH: Final = 480.0
HEIGHT: Final = 300.0
LEFT: Final = 56.0
RIGHT: Final = 14.0
TOP: Final = 14.0
BOTTOM: Final = 46.0

PointKind = Literal["met", "missed", "failed", "baseline", "best", "plan"]
"""How a point is drawn: each kind has a shape of its own, and a colour beside."""
LineKind = Literal["best", "baseline", "limit"]


@dataclass(frozen=True)
class ChartPoint:
    """One point, in the units of the axes; `told` is shown when somebody points at it."""

    x: float
    y: float
    kind: PointKind
    told: str


@dataclass(frozen=True)
class ChartLine:
    """A line through points, in the units of the axes; `told` stands at its end."""

    points: tuple[tuple[float, float], ...]
    kind: LineKind
    told: str = ""


@dataclass(frozen=True)
class Drawn:
    """Something at its place in the picture."""

    kind: str
    x: float
    y: float
    told: str = ""
    path: str = ""


@dataclass(frozen=True)
class Tick:
    """A mark of an axis at its place in the picture."""

    at: float
    told: str


@dataclass(frozen=True)
class Chart:
    """What a template draws.

    Attributes:
        name: unique in its page.
        summary: what it shows, for who does not see it.
        legend: kinds of points and lines that there are, and their words.
        shaded: height in the picture above which everything is beyond a limit; None without.
    """

    name: str
    title: str
    summary: str
    x_label: str
    y_label: str
    x_ticks: tuple[Tick, ...]
    y_ticks: tuple[Tick, ...]
    points: tuple[Drawn, ...]
    lines: tuple[Drawn, ...]
    legend: tuple[tuple[str, str], ...]
    shaded: float | None = None
    width: float = WIDTH
    height: float = HEIGHT
    left: float = LEFT
    right: float = WIDTH - RIGHT
    top: float = TOP
    bottom: float = HEIGHT - BOTTOM


@dataclass(frozen=True)
class Axis:
    """A linear axis from one value at one place to another value at another."""

    low: float
    high: float
    start: float
    end: float

    def at(self, value: float) -> float:
        """Give a value's place in the picture."""
        share = (value - self.low) / (self.high - self.low)
        return round(self.start + share * (self.end - self.start), 1)

    def ticks(self, *, most: int = 5, whole: bool = False) -> tuple[Tick, ...]:
        """Give marks at round values."""
        return tuple(
            Tick(self.at(value), _told(value))
            for value in round_values(self.low, self.high, most, whole=whole)
        )


def x_axis(values: Iterable[float], *, padded: bool = True) -> Axis:
    """Lay an axis from left to right."""
    low, high = _span(values, padded=padded)
    return Axis(low, high, LEFT, WIDTH - RIGHT)


def y_axis(values: Iterable[float], *, from_zero: bool = True) -> Axis:
    """Lay an axis from the bottom up, from zero unless told otherwise."""
    low, high = _span([*values, 0.0] if from_zero else values, padded=True)
    return Axis(0.0 if from_zero else low, high, HEIGHT - BOTTOM, TOP)


def round_values(low: float, high: float, most: int, *, whole: bool = False) -> Sequence[float]:
    """Give at most so many multiples of 1, 2 or 5 times a power of ten between two values."""
    raw = (high - low) / most
    power = 10.0 ** math.floor(math.log10(raw))
    step = next(factor * power for factor in (1, 2, 5, 10) if factor * power >= raw * 0.999)
    step = max(1.0, step) if whole else step
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    return [number * step for number in range(first, last + 1)]


def path_of(points: Iterable[tuple[float, float]], x: Axis, y: Axis) -> str:
    """Write a line through points as SVG has it."""
    places = [f"{x.at(left)} {y.at(height)}" for left, height in points]
    return f"M{'L'.join(places)}" if places else ""


def _span(values: Iterable[float], *, padded: bool) -> tuple[float, float]:
    listed = [value for value in values if math.isfinite(value)] or [0.0, 1.0]
    low, high = min(listed), max(listed)
    if low == high:
        low, high = (low - 0.5, high + 0.5) if low == 0 else (low * 0.9, high * 1.1)
    room = 0.06 * (high - low) if padded else 0.0
    return low - room, high + room


def _told(value: float) -> str:
    """Write a tick: whole numbers whole, all else with what it takes."""
    if value == 0:
        return "0"
    if abs(value) >= 1_000_000:
        return f"{value / 1e6:g}M"
    if abs(value) >= 10_000:
        return f"{value / 1000:g}k"
    return f"{value:g}" if abs(value) >= 0.001 else format_significant(value)
