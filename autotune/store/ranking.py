"""Which trials are best, and how far the nearest is from the limits."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Protocol, TypeVar

from autotune.errors import NoPlanError
from autotune.measurement.measurement import Failure
from autotune.objectives.catalogue import objective_of
from autotune.objectives.limits import limit_words
from autotune.objectives.scores import format_score
from autotune.search.score import is_almost_none
from autotune.spec.study import StudySpec
from autotune.store.records import TrialRecord
from autotune.units import format_count


class Scored(Protocol):
    """A finished trial, with or without its raw values: `TrialRecord` or `TrialSummary`."""

    @property
    def number(self) -> int:
        """Optuna's number."""
        ...

    @property
    def baseline(self) -> bool:
        """Whether it measured the out-of-box configuration."""
        ...

    @property
    def score(self) -> float | None:
        """In the objective's unit; None for a failure."""
        ...

    @property
    def violations(self) -> Mapping[str, float]:
        """By limit, how far it is exceeded."""
        ...


T = TypeVar("T", bound=Scored)


def ranked(records: Iterable[T], spec: StudySpec) -> list[T]:
    """The measured trials that meet every limit, best first; of equal ones the earlier first."""
    feasible = [record for record in records if record.score is not None and not _excess(record)]
    objective = objective_of(spec)
    return sorted(feasible, key=lambda record: (-objective.goodness(_score(record)), record.number))


def best(records: Iterable[T], spec: StudySpec) -> T | None:
    """The winner so far; None when no measured trial meets the limits."""
    return next(iter(ranked(records, spec)), None)


def measured_baseline(records: Iterable[T]) -> T | None:
    """The baseline's trial; None when it was not measured."""
    return next((record for record in records if record.baseline and record.score is not None), None)


def gain(record: Scored, baseline: Scored | None, spec: StudySpec) -> float | None:
    """How many times better than the baseline a measured trial is; None where one cannot be said.

    That is without a measured baseline, where one of the two misses a limit, and beside almost no rate.
    """
    if baseline is None or _excess(record) or why_no_gain(baseline, record, spec):
        return None
    return objective_of(spec).ratio(_score(record), _score(baseline))


def why_no_gain(baseline: Scored, record: Scored | None, spec: StudySpec) -> str:
    """Why nothing has a gain over a measured baseline, by how much it misses which limit; empty if it has.

    Args:
        record: what would have it; None = anything.
    """
    if missed := missed_words(baseline, spec):
        return f"the baseline {missed}"
    if record is None:
        return ""
    reached, beside = _score(baseline), _score(record)
    is_almost = is_almost_none(objective_of(spec), spec.scenario, reached, beside)
    return f"the baseline {almost_none(spec, reached, beside)}" if is_almost else ""


def almost_none(spec: StudySpec, rate: float, beside: float) -> str:
    """What is said of something that bears almost no rate beside another score."""
    return f"bears almost no rate: {format_score(spec, rate)} beside {format_score(spec, beside)}"


def missed_words(record: Scored, spec: StudySpec) -> str:
    """Which limits a trial misses by how much: `misses the limit of 60.0 ms on p99 latency by 340.0%`.

    Empty where it meets them all.
    """
    missed = [
        f"{limit_words(spec.limits, name)} by {by:.1%}" for name, by in record.violations.items() if by > 0
    ]
    return f"misses {' and '.join(missed)}" if missed else ""


def nearest(records: Iterable[T]) -> T | None:
    """The measured trial that misses the limits by the least; None without any that was measured."""
    measured = [record for record in records if record.score is not None]
    return min(measured, key=lambda record: (_excess(record), record.number), default=None)


def no_plan_error(records: Sequence[TrialRecord], spec: StudySpec) -> NoPlanError:
    """Why there is no plan: what failed, or which configuration is nearest to the limits and by how much."""
    closest, measured = nearest(records), sum(record.score is not None for record in records)
    if closest is None:
        return _nothing_measured(records, spec)
    return NoPlanError(
        f"study {spec.name!r}: none of {measured} measured configurations meets the limits; the nearest, "
        f"trial {closest.number} ({closest.configuration}), {missed_words(closest, spec)}",
        remedy="relax the limits in the study file (and rename the study), or widen its search",
    )


def _nothing_measured(records: Sequence[TrialRecord], spec: StudySpec) -> NoPlanError:
    failures = [record.result for record in records if isinstance(record.result, Failure)]
    kinds = ", ".join(f"{count} {kind}" for kind, count in Counter(str(one.kind) for one in failures).items())
    if not records:
        return NoPlanError(
            f"study {spec.name!r}: no trial has ended yet", remedy="run the same command again"
        )
    last = f" ({kinds}); the last one: {failures[-1].reason}" if failures else ""
    return NoPlanError(
        f"study {spec.name!r}: none of {format_count(len(records), 'trial')} succeeded{last}",
        remedy="see `autotune tune --dry-run` for what would be tried, and check the model and the engines",
    )


def _excess(record: Scored) -> float:
    """The sum of the relative misses, as Optuna ranks infeasible trials; 0 when every limit is met."""
    return sum(by for by in record.violations.values() if by > 0)


def _score(record: Scored) -> float:
    if record.score is None:
        raise ValueError(f"trial {record.number} was not measured")
    return record.score
