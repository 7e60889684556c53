"""Latency distributions of the plan, its runners-up, the best default and the baseline."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from autotune.measurement.measurement import Measurement
from autotune.measurement.statistics import latencies_s
from autotune.plan.claims import STANDINGS
from autotune.plan.evidence import Estimate, LatencyPercentile
from autotune.plan.histogram import histogram_percentiles_s
from autotune.plan.make import PERCENTILES, latency_percentiles
from autotune.report.dossier import BASELINE, DEFAULT, Dossier, measured
from autotune.spec.configuration import Configuration

MAX_RUNNERS_UP = 3
"""More curves than five hide each other; the best default takes the place of one."""

MAX_POINTS = 400
"""Of one curve: a step of a quarter of a per cent is thinner than the line."""

_TAIL = 40
"""The slowest so many are always points of their own."""

_HISTOGRAM_PERCENTILES = (*(step / 2 for step in range(1, 200)), 99.75, 99.9, 99.99, 100.0)


@dataclass(frozen=True)
class Distribution:
    """The latencies of one configuration.

    Attributes:
        name: `plan`, `default`, `baseline`, or `trial 7` with how it stands.
        points: (latency in seconds, share of the requests that took at most that), ascending.
        percentiles: the usual ones, with their upper bounds where the requests support them.
        requests: how many there are.
    """

    name: str
    points: tuple[tuple[float, float], ...]
    percentiles: tuple[LatencyPercentile, ...]
    requests: int

    @property
    def supported(self) -> tuple[LatencyPercentile, ...]:
        """The percentiles that have a value."""
        return tuple(one for one in self.percentiles if one.value_s is not None)


def distributions(dossier: Dossier) -> tuple[Distribution, ...]:
    """The plan's first, then the runners-up, the best default's, the baseline's; those that have values."""
    return tuple(found for found in _all(dossier) if found is not None)


def curve(latencies: Iterable[float]) -> tuple[tuple[float, float], ...]:
    """The empirical distribution, thinned evenly but for the ends to about `MAX_POINTS`."""
    ordered = sorted(latencies)
    count = len(ordered)
    step = max(1, count // MAX_POINTS)
    ranks = sorted({*range(1, count + 1, step), *range(max(1, count - _TAIL), count + 1)})
    return tuple((ordered[rank - 1], rank / count) for rank in ranks)


def _all(dossier: Dossier) -> Iterator[Distribution | None]:
    plan = dossier.plan
    yield _of_measurements(dossier.name, _measurements(dossier, plan.configuration)) or _of_estimate(
        dossier.name, plan.estimate
    )
    default = _default_measurements(dossier)
    runners_up = MAX_RUNNERS_UP - bool(default)
    for rival in [one for one in plan.confirmation.rivals if one.standing != "failed"][:runners_up]:
        name = f"trial {rival.trial} ({STANDINGS[rival.standing]})"
        yield _of_measurements(name, _measurements(dossier, rival.configuration))
    yield _of_measurements(DEFAULT, default)
    if not dossier.is_baseline and plan.baseline is not None:
        yield _of_measurements(BASELINE, _baseline_measurements(dossier)) or _of_estimate(
            BASELINE, plan.baseline
        )


def _measurements(dossier: Dossier, configuration: Configuration) -> list[Measurement]:
    """Those of the confirmation, or else the search's own."""
    runs = [measured(run.result) for run in dossier.runs if run.configuration == configuration]
    trials = [measured(trial.result) for trial in dossier.trials if trial.configuration == configuration]
    return [one for one in runs if one is not None] or [one for one in trials if one is not None]


def _default_measurements(dossier: Dossier) -> list[Measurement]:
    """Those of the best default, where it ran in the rounds and is not the plan."""
    runs = [measured(run.result) for run in dossier.runs if dossier.contender(run) == DEFAULT]
    return [one for one in runs if one is not None]


def _baseline_measurements(dossier: Dossier) -> list[Measurement]:
    own = [run.configuration for run in dossier.runs if run.contender == BASELINE]
    own += [trial.configuration for trial in dossier.trials if trial.baseline]
    baseline = next(iter(own), None)
    return [] if baseline is None else _measurements(dossier, baseline)


def _of_measurements(name: str, measurements: Sequence[Measurement]) -> Distribution | None:
    latencies = [latency for one in measurements for latency in latencies_s(one)]
    if not latencies:
        return None
    percentiles = latency_percentiles(latencies, PERCENTILES)
    return Distribution(name, curve(latencies), percentiles, len(latencies))


def _of_estimate(name: str, estimate: Estimate) -> Distribution | None:
    """From the plan's document alone: its histogram, or only the percentiles that it states."""
    made = Distribution(name, _points(estimate.histogram), estimate.latencies, estimate.requests)
    return made if made.points or made.supported else None


def _points(histogram: str | None) -> tuple[tuple[float, float], ...]:
    """The curve of an encoded histogram; empty where there is none that can be read."""
    try:
        latencies = histogram_percentiles_s(histogram, _HISTOGRAM_PERCENTILES) if histogram else ()
    except ValueError:
        return ()
    shares = (percentile / 100 for percentile in _HISTOGRAM_PERCENTILES)
    return tuple(zip(latencies, shares, strict=False))
