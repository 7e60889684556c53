"""The figures of a series' points, from all rounds together, and how points stand to each other.

Ratios are of the randomised block design (`autotune.statistics.blocks`): a round's own drift cancels, and the
spread is estimated from all points together. What is stated of one point alone is the geometric mean of its
rounds, with Student's interval.
"""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

from autotune.measurement.conditions import quietness
from autotune.measurement.measurement import Conditions
from autotune.objectives.cost import Cost
from autotune.objectives.latency import Latency
from autotune.objectives.objective import Objective
from autotune.objectives.outcome import Figures, Resources
from autotune.objectives.throughput import THROUGHPUT
from autotune.plan.evidence import LatencyPercentile
from autotune.plan.histogram import histogram_values_s
from autotune.plan.make import latency_percentiles
from autotune.search.score import is_almost_none
from autotune.series.allowing import missed_limits
from autotune.series.check import PointFigure
from autotune.series.record import PointRecord, RunRecord, SeriesRecord, failure_of
from autotune.spec.price import Price
from autotune.spec.scenario import USUAL
from autotune.statistics.blocks import BlockDesign, Observed
from autotune.statistics.paired import CONFIDENCE, Interval, mean_interval
from autotune.units import format_throughput

PERCENTILES = (50.0, 90.0, 99.0)


@dataclass(frozen=True)
class PointStanding:
    """What is known of one point.

    Attributes:
        unmeasured: why there are no figures; empty where there are.
        throughput: samples per second; median: seconds; cost: of a million samples. None without figures,
            and without a price.
        missed: limits of its study that it misses, by how much, as clauses.
        ratio: of its throughput to the first point's; None without both, of the first point itself, where
            one of the two misses a limit, and beside almost no rate.
        latencies: of all runs' requests together.
        requests: how many; runs: in how many launches.
        memory_bytes: the most that a run took.
        hit_rate: share of the sequences whose answer came from a cache, mean of the runs; None = no cache.
    """

    point: PointRecord
    unmeasured: str
    throughput: Interval | None = None
    median: Interval | None = None
    cost: Interval | None = None
    missed: tuple[str, ...] = ()
    ratio: Interval | None = None
    latencies: tuple[LatencyPercentile, ...] = ()
    requests: int = 0
    runs: int = 0
    memory_bytes: int = 0
    hit_rate: float | None = None

    @property
    def is_measured(self) -> bool:
        """Whether there are figures."""
        return self.throughput is not None

    @property
    def incomparable(self) -> str:
        """Why nothing may be compared with it, as a clause; empty where it may."""
        missed = f"{self.point.name} misses a limit: {' and '.join(self.missed)}" if self.missed else ""
        return self.unmeasured_in_words or missed

    @property
    def unmeasured_in_words(self) -> str:
        """Why there are no figures, as a clause; empty where there are."""
        return "" if self.is_measured else f"{self.point.name} was not measured: {self.unmeasured}"

    def latency(self, percentile: float) -> LatencyPercentile | None:
        """One of `latencies`."""
        return next((one for one in self.latencies if one.percentile == percentile), None)


@dataclass(frozen=True)
class Standings:
    """All points of a record, in order."""

    record: SeriesRecord
    price: Price | None = None

    @cached_property
    def points(self) -> tuple[PointStanding, ...]:
        """What is known of each."""
        first, *others = (self._standing(point) for point in self.record.points)
        return (first, *(replace(one, ratio=self._ratio(one, first)) for one in others))

    def point(self, name: str) -> PointStanding:
        """The one of this name."""
        return next(one for one in self.points if one.point.name == name)

    @cached_property
    def left_out(self) -> tuple[str, ...]:
        """Why points that were measured have no ratio, in sentences."""
        first, *others = self.points
        missing = (one.incomparable for one in self.points if one.is_measured)
        faint = (why_no_ratio((first, one)) for one in others if first.is_measured and one.is_measured)
        reasons = dict.fromkeys((*missing, *faint))
        return tuple(f"{reason}. Nothing is compared with it." for reason in reasons if reason)

    @cached_property
    def quietness(self) -> str:
        """How quiet the machine was, in plain sentences; empty where nothing ran."""
        measured = [run.figures for run in self.record.runs if run.figures is not None]
        kept = [conditions for one in measured for conditions in one.blocks]
        dropped: list[Conditions] = [conditions for one in measured for conditions in one.dropped]
        again, told = self._started_again(), quietness(kept, dropped) if measured else ""
        if not again or not told:
            return again or told
        return f"{again} In the launches that count, {told[0].lower()}{told[1:]}"

    def _started_again(self) -> str:
        """How many runs were disturbed as a whole, in a sentence; empty where none was."""
        runs = self.record.runs
        again, lost = sum(run.attempts > 1 for run in runs), sum(run.is_disturbed for run in runs)
        if not again:
            return ""
        were = "was" if again == 1 else "were"
        counted = f"{again} of {len(runs)} runs {were} disturbed and started again"
        return f"{counted}; {lost} of them gave nothing, disturbed again." if lost else f"{counted}."

    def value(self, name: str, figure: PointFigure) -> Interval | None:
        """A figure of one point: the mean over its rounds; None where it has none."""
        values = [value for _, value in self._values(name, figure)]
        return mean_interval(values) if values else None

    def product(
        self, factors: Sequence[tuple[str, int]], figure: PointFigure, confidence: float = CONFIDENCE
    ) -> Interval:
        """Points over each other, as `BlockDesign.product` has it; all must have figures."""
        return self._design(figure).product(factors, confidence)

    def _design(self, figure: PointFigure) -> BlockDesign[str]:
        return BlockDesign(
            Observed(number, point.name, value)
            for point in self.record.points
            for number, value in self._values(point.name, figure)
        )

    def _values(self, name: str, figure: PointFigure) -> list[tuple[int, float]]:
        """A point's rounds and what it reached in them."""
        runs = self.record.of(name)
        if failure_of(runs) is not None:
            return []
        return [(run.round, self._figure(run, figure)) for run in runs if run.figures is not None]

    def _figure(self, run: RunRecord, figure: PointFigure) -> float:
        assert run.figures is not None
        point = next(one for one in self.record.points if one.name == run.point)
        return self.objective(figure).score(
            Figures(
                run.figures.throughput_sps,
                (run.figures.median_s,),
                Resources(point.cores, self.price),
            )
        )

    def objective(self, figure: PointFigure) -> Objective:
        """What a figure of a point is the score of; a cost only where there is a price."""
        return {"throughput": THROUGHPUT, "median": Latency(50), **self._priced}[figure]

    @property
    def _priced(self) -> dict[PointFigure, Objective]:
        return {} if self.price is None else {"cost": Cost(self.price.currency)}

    def _standing(self, point: PointRecord) -> PointStanding:
        runs = self.record.of(point.name)
        figures = [run.figures for run in runs if run.figures is not None]
        if why := _unmeasured(point, runs):
            return PointStanding(point, why)
        latencies = [value for one in figures for value in histogram_values_s(one.histogram)]
        return PointStanding(
            point,
            "",
            throughput=self.value(point.name, "throughput"),
            median=self.value(point.name, "median"),
            cost=self.value(point.name, "cost") if self.price is not None else None,
            missed=missed_limits(point, figures),
            latencies=latency_percentiles(latencies, PERCENTILES),
            requests=len(latencies),
            runs=len(figures),
            memory_bytes=max(one.memory_bytes for one in figures),
            hit_rate=_mean_of([one.hit_rate for one in figures if one.hit_rate is not None]),
        )

    def _ratio(self, one: PointStanding, first: PointStanding) -> Interval | None:
        if why_no_ratio((one, first)):
            return None
        return self.product(((one.point.name, 1), (first.point.name, -1)), "throughput")


def why_no_ratio(points: Sequence[PointStanding]) -> str:
    """Why points may not be set over each other, as a clause; empty where they may.

    One was not measured, misses a limit, or bears almost no rate beside another one.
    """
    if reason := next((one.incomparable for one in points if one.incomparable), ""):
        return reason
    rates = {one.point.name: one.throughput.estimate for one in points if one.throughput is not None}
    least, most = min(rates, key=rates.__getitem__), max(rates.values())
    if not is_almost_none(THROUGHPUT, points[0].point.study.get("scenario", USUAL), rates[least], most):
        return ""
    return f"{least} bears almost no rate: {format_throughput(rates[least])} beside {format_throughput(most)}"


def _unmeasured(point: PointRecord, runs: Sequence[RunRecord]) -> str:
    """Why a point has no figures; empty where it has."""
    if point.skipped:
        return point.skipped
    if failure := failure_of(runs):
        return f"{failure.kind}: {failure.reason}"
    if any(run.figures is not None for run in runs):
        return ""
    disturbed = next((run.failure for run in runs if run.failure), None)
    return f"{disturbed.kind}: {disturbed.reason}" if disturbed else "not measured yet"


def _mean_of(values: Sequence[float]) -> float | None:
    return statistics.fmean(values) if values else None
