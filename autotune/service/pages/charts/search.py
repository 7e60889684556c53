"""The charts of a search: scores trial by trial, and latency against throughput."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from autotune.objectives.catalogue import objective_of
from autotune.objectives.objective import Objective
from autotune.service.pages.charts.chart import (
    Axis,
    Chart,
    ChartLine,
    ChartPoint,
    Drawn,
    PointKind,
    path_of,
    x_axis,
    y_axis,
)
from autotune.spec.study import StudySpec
from autotune.store.trial_points import TrialPoint
from autotune.units import format_count, format_latency, format_throughput

MOST_POINTS: Final = 240
"""More are thinned: of each stretch of the search, what was best, what was worst, and what failed."""

LEGEND: Final[dict[str, str]] = {
    "best": "best so far",
    "plan": "plan",
    "met": "meets every limit",
    "missed": "misses a limit",
    "failed": "failed",
    "baseline": "baseline",
    "line-best": "best so far",
    "line-baseline": "baseline",
    "line-limit": "limit",
}


@dataclass(frozen=True)
class SpeedPoint:
    """What one trial gave, as both of these are told of it."""

    number: int
    throughput_sps: float
    latency_s: float
    is_feasible: bool
    baseline: bool = False


def history_chart(points: Sequence[TrialPoint], spec: StudySpec) -> Chart | None:
    """Draw the score of every trial in order, the best so far, and the baseline; None before any score."""
    objective = objective_of(spec)
    scored = [point for point in points if point.score is not None]
    if not scored:
        return None
    shown = [objective.shown(point.score or 0.0) for point in scored]
    x = x_axis(
        [-0.5, *(point.number for point in points), max(point.number for point in points) + 0.5], padded=False
    )
    y = y_axis(_without_outliers(shown, objective))
    drawn = [_history_point(point, objective, y) for point in thinned(points, objective)]
    steps = best_so_far(points, objective)
    lines = [_best_line(steps, points, objective)] if steps else []
    baseline = next((point for point in scored if point.baseline), None)
    if baseline is not None and baseline.score is not None:
        level = min(objective.shown(baseline.score), y.high)
        lines.append(ChartLine(((x.low, level), (x.high, level)), "baseline"))
    return _chart(
        "history",
        "Score of each trial",
        _history_summary(points, steps, objective),
        ("trial", objective.label),
        (x, y),
        drawn,
        lines,
    )


def speed_chart(points: Sequence[SpeedPoint], spec: StudySpec, percentile: float) -> Chart | None:
    """Draw the latency of trials against their throughput, with the limit where there is one."""
    if not points:
        return None
    limit = spec.limits.latency
    limit_ms = None if limit is None or limit.percentile != percentile else limit.max_s * 1000
    reach = [point.latency_s * 1000 for point in points]
    kept = sorted(reach)[: max(1, round(0.95 * len(reach)))]
    y = y_axis([*kept, *([] if limit_ms is None else [1.25 * limit_ms])])
    x = x_axis([0.0, *(point.throughput_sps for point in points)])
    x = Axis(0.0, x.high, x.start, x.end)
    drawn = [_speed_point(point, y) for point in points]
    lines = [] if limit_ms is None else [ChartLine(((x.low, limit_ms), (x.high, limit_ms)), "limit")]
    name = f"p{percentile:g} latency"
    return _chart(
        "speed",
        "Latency against throughput",
        f"{name.capitalize()} of {format_count(len(points), 'trial')} against their throughput."
        + ("" if limit is None or limit_ms is None else f" The limit is {format_latency(limit.max_s)}."),
        ("throughput, samples/s", f"{name}, ms (lower is better)"),
        (x, y),
        drawn,
        lines,
        shaded=None if limit_ms is None else y.at(limit_ms),
    )


def best_so_far(points: Iterable[TrialPoint], objective: Objective) -> list[TrialPoint]:
    """Give the trials that were the best when they ended, in order."""
    found: list[TrialPoint] = []
    for point in points:
        if point.score is None or not point.is_feasible:
            continue
        if not found or objective.ratio(point.score, found[-1].score or point.score) > 1:
            found.append(point)
    return found


def thinned(points: Sequence[TrialPoint], objective: Objective) -> list[TrialPoint]:
    """Give as many points as a chart can show: those that were the best, the baseline, and some others."""
    if len(points) <= MOST_POINTS:
        return list(points)
    kept = {point.number for point in best_so_far(points, objective)}
    kept |= {point.number for point in points if point.baseline}
    width = -(-len(points) // (MOST_POINTS // 3))
    for start in range(0, len(points), width):
        stretch = points[start : start + width]
        measured = sorted(
            (point for point in stretch if point.score is not None),
            key=lambda point: objective.goodness(point.score or 1.0),
        )
        failed = [point for point in stretch if point.score is None]
        kept |= {point.number for point in (*measured[:1], *measured[-1:], *failed[:1])}
    return [point for point in points if point.number in kept]


def _without_outliers(shown: Sequence[float], objective: Objective) -> Sequence[float]:
    """Leave out what is so much worse that all else would lie on one line; it is drawn at the edge."""
    if objective.is_maximized or len(shown) < 4:
        return shown
    middle = sorted(shown)[len(shown) // 2]
    return [value for value in shown if value <= 4 * middle] or shown


def _history_point(point: TrialPoint, objective: Objective, y: Axis) -> ChartPoint:
    if point.score is None:
        return ChartPoint(point.number, y.low, "failed", f"trial {point.number}: {point.failure}")
    kind: PointKind = "baseline" if point.baseline else ("met" if point.is_feasible else "missed")
    missed = "" if point.is_feasible else ", misses a limit"
    told = (
        f"trial {point.number}{', baseline' if point.baseline else ''}: {objective.told(point.score)}{missed}"
    )
    return ChartPoint(point.number, min(objective.shown(point.score), y.high), kind, told)


def _speed_point(point: SpeedPoint, y: Axis) -> ChartPoint:
    kind: PointKind = "baseline" if point.baseline else ("met" if point.is_feasible else "missed")
    told = (
        f"trial {point.number}{', baseline' if point.baseline else ''}: "
        f"{format_throughput(point.throughput_sps)}, {format_latency(point.latency_s)}"
    )
    return ChartPoint(point.throughput_sps, min(point.latency_s * 1000, y.high), kind, told)


def _best_line(steps: Sequence[TrialPoint], points: Sequence[TrialPoint], objective: Objective) -> ChartLine:
    """A staircase through the best so far, up to the last trial."""
    corners: list[tuple[float, float]] = []
    for step in steps:
        height = objective.shown(step.score or 0.0)
        if corners:
            corners.append((step.number, corners[-1][1]))
        corners.append((step.number, height))
    corners.append((points[-1].number + 0.5, corners[-1][1]))
    return ChartLine(tuple(corners), "best")


def _history_summary(points: Sequence[TrialPoint], steps: Sequence[TrialPoint], objective: Objective) -> str:
    told = f"{objective.title.capitalize()} of {format_count(len(points), 'trial')} in order."
    if steps and steps[-1].score is not None:
        told += f" The best is trial {steps[-1].number} with {objective.format(steps[-1].score)}."
    return told


def _chart(
    name: str,
    title: str,
    summary: str,
    labels: tuple[str, str],
    axes: tuple[Axis, Axis],
    points: Sequence[ChartPoint],
    lines: Sequence[ChartLine],
    *,
    shaded: float | None = None,
) -> Chart:
    x, y = axes
    kinds: set[str] = {point.kind for point in points}
    drawn_lines = tuple(Drawn(line.kind, 0, 0, line.told, path_of(line.points, x, y)) for line in lines)
    legend = [(kind, LEGEND[kind]) for kind in LEGEND if kind in kinds]
    legend += [
        (f"line-{line.kind}", LEGEND[f"line-{line.kind}"]) for line in lines if line.kind != "baseline"
    ]
    return Chart(
        name=name,
        title=title,
        summary=summary,
        x_label=labels[0],
        y_label=labels[1],
        x_ticks=x.ticks(whole=name == "history"),
        y_ticks=y.ticks(),
        points=tuple(Drawn(point.kind, x.at(point.x), y.at(point.y), point.told) for point in points),
        lines=drawn_lines,
        legend=tuple(legend),
        shaded=shaded,
    )
