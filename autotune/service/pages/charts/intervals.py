"""Ratios to the plan with their intervals, one below the other."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from autotune.plan.document import Plan
from autotune.plan.evidence import Range
from autotune.service.pages.charts.chart import Axis, Tick

ROW: Final = 34.0
NEAR: Final = 40.0
"""A tick that is nearer to 1x than this is left out, so that both can be read."""
_LEFT, _RIGHT, _TOP, _BOTTOM = 118.0, 466.0, 10.0, 30.0


@dataclass(frozen=True)
class IntervalRow:
    """One ratio in the picture: its place, and those of its interval's ends."""

    name: str
    told: str
    y: float
    at: float
    low: float
    high: float


@dataclass(frozen=True)
class IntervalChart:
    """What a template draws."""

    rows: tuple[IntervalRow, ...]
    ticks: tuple[Tick, ...]
    one: float
    height: float
    bottom: float
    summary: str
    left: float = _LEFT
    right: float = _RIGHT
    top: float = _TOP


def gains_chart(plan: Plan) -> IntervalChart | None:
    """Draw by how much the plan is better than baseline, default and each finalist; None if unknown."""
    listed = [
        (name, ratio, span) for name, ratio, span in _ratios(plan) if ratio is not None and span is not None
    ]
    if not listed:
        return None
    ends = [1.0, *(end for _, _, span in listed if span for end in (span.low, span.high))]
    low, high = min(ends), max(ends)
    room = 0.06 * (high - low or 0.1)
    axis = Axis(max(0.0, low - room), high + room, _LEFT, _RIGHT)
    rows = tuple(
        _row(index, name, ratio or 1.0, span, axis) for index, (name, ratio, span) in enumerate(listed)
    )
    bottom = _TOP + ROW * len(rows)
    told = "; ".join(f"{row.name}: {row.told}" for row in rows)
    one = axis.at(1.0)
    one = axis.at(1.0)
    ticks = tuple(Tick(tick.at, f"{tick.told}x") for tick in axis.ticks() if abs(tick.at - one) > NEAR)
    return IntervalChart(
        rows, ticks, one, bottom + _BOTTOM, bottom, f"How many times better the plan is. {told}."
    )


def _ratios(plan: Plan) -> Sequence[tuple[str, float | None, Range | None]]:
    done = plan.confirmation
    default = None if done.default is None or done.default.unseen else done.default
    return [
        ("the baseline", plan.gain, plan.gain_range),
        *([("the best default", default.ratio, default.ratio_range)] if default is not None else []),
        *(
            (f"trial {rival.trial}", rival.ratio and 1 / rival.ratio, _inverse(rival.ratio_range))
            for rival in done.rivals
        ),
    ]


def _inverse(span: Range | None) -> Range | None:
    """Turn a finalist's ratio to the plan into the plan's to the finalist."""
    return None if span is None or span.low <= 0 else Range(low=1 / span.high, high=1 / span.low)


def _row(index: int, name: str, ratio: float, span: Range | None, axis: Axis) -> IntervalRow:
    assert span is not None
    told = f"{ratio:.2f}x (95 %: {span.low:.2f}x to {span.high:.2f}x)"
    y = _TOP + ROW * (index + 0.5)
    return IntervalRow(name, told, y, axis.at(ratio), axis.at(span.low), axis.at(span.high))
