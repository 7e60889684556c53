"""A series' figures as rows of text, and as a table in Markdown."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

from autotune.objectives.cost import Cost
from autotune.plan.describe import format_percentile
from autotune.plan.make import range_of
from autotune.series.record import PointRecord
from autotune.series.standing import PointStanding, Standings
from autotune.statistics.paired import Interval
from autotune.units import format_latency, format_throughput

UNMEASURED = "-"
FIRST = "1"


def columns(standings: Standings) -> tuple[str, ...]:
    """The headings; `x first` is of the throughput."""
    always = ("point", "runs as", "requests", "median", "p99", "samples/s (95 %)", "x first (95 %)")
    if standings.price is None:
        return always
    return (*always, f"{Cost(standings.price.currency).unit} (95 %)")


def rows(standings: Standings) -> list[tuple[str, ...]]:
    """A row for each point, those that were not measured with the reason."""
    return [_row(one, standings) for one in standings.points]


def markdown(headings: Sequence[str], lines: Iterable[Sequence[str]]) -> str:
    """A table in Markdown."""
    ruled = [headings, ["---"] * len(headings), *lines]
    return "".join(f"| {' | '.join(map(_cell, line))} |\n" for line in ruled)


def format_interval(interval: Interval, digits: int = 3) -> str:
    """A number with its interval, to so many significant digits: `12.3 (11.9 to 12.7)`."""
    span = range_of(interval)
    shown = significant(interval.estimate, digits)
    if span is None:
        return shown
    return f"{shown} ({significant(span.low, digits)} to {significant(span.high, digits)})"


def significant(value: float, digits: int = 3) -> str:
    """A number to so many significant digits, all of those before the point, never with an exponent."""
    if value == 0:
        return "0"
    return f"{value:.{max(0, digits - 1 - math.floor(math.log10(abs(value))))}f}"


def runs_as(point: PointRecord) -> str:
    """How a point runs: `2 x 1 threads on 4 cores, pytorch fp32`; `-` where it does not."""
    chosen = point.configuration
    if chosen is None:
        return UNMEASURED
    batching = chosen.batching if chosen.batching != "arrival" else ""
    more = (chosen.padding and f"padding {chosen.padding}", batching, chosen.knobs)
    threads, cores = _count(chosen.threads_per_instance, "thread"), _count(point.cores, "core")
    parts = (
        f"{chosen.instances} x {threads} on {cores}",
        f"{chosen.backend} {chosen.precision}",
        *more,
    )
    return ", ".join(part for part in parts if part)


def _row(one: PointStanding, standings: Standings) -> tuple[str, ...]:
    name, cached = one.point.name, "" if one.hit_rate is None else f", {one.hit_rate:.0%} from its cache"
    layout = f"{runs_as(one.point)}{cached}"
    if not one.is_measured or one.throughput is None or one.median is None:
        blank = [UNMEASURED] * (len(columns(standings)) - 3)
        return (name, layout, f"not measured: {one.unmeasured}", *blank)
    is_first = one.point == standings.record.points[0] and not one.missed
    ratio = FIRST if is_first else UNMEASURED if one.ratio is None else format_interval(one.ratio)
    cost = () if one.cost is None else (format_interval(one.cost),)
    p99, median = format_percentile(one.latency(99)), format_latency(one.median.estimate)
    requests = f"{one.requests:,} in {_count(one.runs, 'run')}"
    return (name, layout, requests, median, p99, _throughput(one.throughput), ratio, *cost)


def _throughput(interval: Interval) -> str:
    """Without the unit, which is the column's."""
    span = range_of(interval)
    shown = [interval.estimate] if span is None else [interval.estimate, span.low, span.high]
    value, *ends = (format_throughput(one).split()[0] for one in shown)
    return f"{value} ({' to '.join(ends)})" if ends else value


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"


def _cell(text: str) -> str:
    """Text that does not end its cell."""
    return text.replace("|", "\\|").replace("\n", " ")
