"""Chooses who takes part in a confirmation: the best few of the search, with answers near the reference's."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace

from autotune.bench.host import Admission, Host
from autotune.errors import (
    CacheError,
    MemoryShortageError,
    NoPlanError,
    PreparationError,
    UnsupportedError,
)
from autotune.measurement.measurement import Measurement
from autotune.objectives.catalogue import objective_of
from autotune.rounds.contradiction import REACH
from autotune.search.experience import RUN_BLOCKS, Experience
from autotune.search.second_stage import without_knobs
from autotune.spec.configuration import Configuration
from autotune.spec.study import StudySpec
from autotune.store.ranking import measured_baseline, ranked
from autotune.store.records import TrialRecord

TWIN_MINUTES = 10.0
"""Smallest budget in which the leader runs twice a round: in less, other rounds tell more."""


@dataclass(frozen=True)
class Finalists:
    """Who takes part in a confirmation.

    Attributes:
        best: of the search, best first, without the baseline and the defaults; may be empty.
        baseline: None where it was not measured.
        default: the best of what engines do as their documentation starts them; None where none was measured
            beside the baseline.
        twin: the leader again; None where there is no time for it.
    """

    best: tuple[TrialRecord, ...]
    baseline: TrialRecord | None
    default: TrialRecord | None = None
    twin: TrialRecord | None = None

    @property
    def configurations(self) -> tuple[TrialRecord, ...]:
        """A trial of each that takes part."""
        return (*self.best, *(one for one in (self.default, self.baseline) if one))

    @property
    def round_s(self) -> float:
        """About how long a round takes, by what the trials took, which have more blocks."""
        entered = (*self.configurations, *((self.twin,) if self.twin else ()))
        results = [record.result for record in entered]
        return sum((_run_s(result) for result in results if isinstance(result, Measurement)), 0.0)


def _run_s(trial: Measurement) -> float:
    """What a run of a round takes, from launch to end, by a trial of the same."""
    fewer = min(1.0, RUN_BLOCKS / max(1, len(trial.blocks)))
    return trial.wall_s - (1 - fewer) * trial.measuring_s


def choose_finalists(
    records: Sequence[TrialRecord], spec: StudySpec, defaults: Iterable[Configuration] = ()
) -> Finalists:
    """The best few that meet the limits and are within reach of the best, the best default, and the baseline.

    One that the search found worse than the best by more than `REACH` is no finalist: its rounds are better
    spent on the close ones. Of configurations that differ in knobs alone the best is taken. The same without
    any is beside it, so that it is seen what they are worth; it is not counted. Nor is the best of every
    smaller machine that has none among these: what each costs is told by its rounds.
    """
    defaults = frozenset(defaults)
    standing = [record for record in ranked(records, spec) if not record.baseline]
    default = next((record for record in standing if record.configuration in defaults), None)
    leading = [record for record in standing if record.configuration not in defaults]
    values = [objective_of(spec).goodness(one.score) for one in leading if one.score is not None]
    close = [one for one, value in zip(leading, values, strict=True) if value * REACH >= values[0]]
    best = _with_their_best_knobs(close)[: spec.confirm.finalists]
    best += _of_other_machines(best, leading)
    runs_twice = best and (spec.budget.minutes is None or spec.budget.minutes >= TWIN_MINUTES)
    return Finalists(
        tuple(_beside_plain(best, leading)),
        measured_baseline(records),
        default,
        best[0] if runs_twice else None,
    )


def rescored(records: Sequence[TrialRecord], known: Experience) -> tuple[TrialRecord, ...]:
    """The records with the scores that all of the search's experience gives them.

    What was known when a trial ended is less than what is known now.
    """
    return tuple(
        replace(record, score=known.score(record.configuration, record.result))
        if isinstance(record.result, Measurement)
        else record
        for record in records
    )


def _of_other_machines(best: Sequence[TrialRecord], leading: Sequence[TrialRecord]) -> list[TrialRecord]:
    """The best of each smaller machine (`Configuration.cores`) that has no finalist."""
    missing: dict[int, TrialRecord] = {}
    seen = {record.configuration.cores for record in best}
    for record in leading:
        if record.configuration.cores not in seen:
            missing.setdefault(record.configuration.cores, record)
    return list(missing.values())


def _with_their_best_knobs(leading: Sequence[TrialRecord]) -> list[TrialRecord]:
    """Of those that differ in knobs alone the best, best first."""
    chosen: dict[Configuration, TrialRecord] = {}
    for record in leading:
        chosen.setdefault(without_knobs(record.configuration), record)
    return list(chosen.values())


def _beside_plain(best: Sequence[TrialRecord], leading: Sequence[TrialRecord]) -> Iterator[TrialRecord]:
    """Each, and after one with knobs the same without, however much worse the search found it."""
    plain = {record.configuration: record for record in leading if not record.configuration.knobs}
    for record in best:
        yield record
        other = plain.get(without_knobs(record.configuration))
        if other is not None and record.configuration.knobs:
            yield other


@dataclass
class Fitness:
    """What is known of the answers of those that may be chosen, and of how they are started.

    Attributes:
        wait: for others who measure on the host; somebody who wants to end does not.
        admissions: of the configurations that were asked for.
    """

    host: Host
    wait: bool = True
    admissions: dict[Configuration, Admission] = field(default_factory=dict)

    def admission(self, configuration: Configuration) -> Admission:
        """Ask the host once for each configuration; see `Host.admit`."""
        if configuration not in self.admissions:
            self.admissions[configuration] = self.host.admit(configuration, wait=self.wait)
        return self.admissions[configuration]

    def why_unfit(self, configuration: Configuration) -> str:
        """Say why what was measured once may not be chosen for its answers; nothing if it may.

        Raises:
            CacheError, MemoryShortageError: the cache is unusable, or memory short, which says nothing of the
                configuration.
            ModelError, StudyFileError: a model of the study cannot be run, or compared with.
        """
        try:
            return self.admission(configuration).why_unfit
        except (CacheError, MemoryShortageError):
            raise
        except (UnsupportedError, PreparationError) as error:
            return error.in_one_line


def fit_records(
    fitness: Fitness,
    records: Sequence[TrialRecord],
    spec: StudySpec,
    choose: Callable[[Sequence[TrialRecord]], Sequence[TrialRecord]],
) -> tuple[TrialRecord, ...]:
    """Leave out the records that would be chosen and whose answers are too far from the reference's.

    A stored trial may be older than the limits on answers, or than the artifact that would run now.

    Raises:
        NoPlanError: nothing is left to choose.
    """
    left, reason = tuple(records), ""
    while chosen := choose(left):
        refused = {
            record.number: why for record in chosen if (why := fitness.why_unfit(record.configuration))
        }
        if not refused:
            return left
        left = tuple(one for one in left if one.number not in refused)
        reason = next(iter(refused.values()))
    raise NoPlanError(
        f"study {spec.name!r}: nothing that was measured may be chosen for its answers: {reason}",
        remedy="run the same command again with more trials, or relax `quality` (and rename the study)",
    )
