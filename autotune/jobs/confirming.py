"""The confirmation: the best of the search run again beside the baseline; the plan stands on that alone."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace

from autotune.errors import NoPlanError, StudyError
from autotune.events import DoubtRaised
from autotune.jobs.concluding import (
    NOTHING_SEARCHED,
    Confirmed,
    Searched,
    conclude,
    is_baseline_unseen,
    nothing_confirmed,
    too_noisy,
)
from autotune.jobs.doubting import contradicted, doubt, earlier_of
from autotune.jobs.measuring import Bench
from autotune.jobs.progress import run_ended
from autotune.measurement.measurement import Failure, FailureKind, Measurement, TrialResult
from autotune.measurement.statistics import memory_bytes
from autotune.objectives.catalogue import objective_of
from autotune.plan.document import Plan
from autotune.rounds.contest import Contest
from autotune.rounds.contradiction import REACH, Earlier
from autotune.rounds.running import Entrant, Run, measurements_of, run_contest, run_rounds
from autotune.rounds.verdict import Contender, Role
from autotune.search.experience import RUN_BLOCKS, Experience, experience, run_blocks
from autotune.search.score import goodness, limits_missed, score, violations
from autotune.search.second_stage import without_knobs
from autotune.spec.configuration import Configuration
from autotune.spec.scenario import traits_of
from autotune.spec.study import StudySpec
from autotune.store.ranking import measured_baseline, ranked
from autotune.store.records import ConfirmationRecord, TrialRecord
from autotune.store.store import StudyStore

BASELINE, DEFAULT, TWIN = "baseline", "default", "twin"

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
    any is beside it, so that it is seen what they are worth; it is not counted.
    """
    defaults = frozenset(defaults)
    standing = [record for record in ranked(records, spec) if not record.baseline]
    default = next((record for record in standing if record.configuration in defaults), None)
    leading = [record for record in standing if record.configuration not in defaults]
    values = [objective_of(spec).goodness(one.score) for one in leading if one.score is not None]
    close = [one for one, value in zip(leading, values, strict=True) if value * REACH >= values[0]]
    best = _with_their_best_knobs(close)[: spec.confirm.finalists]
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


def fit_records(
    bench: Bench,
    records: Sequence[TrialRecord],
    choose: Callable[[Sequence[TrialRecord]], Sequence[TrialRecord]],
) -> tuple[TrialRecord, ...]:
    """The records without those that would be chosen and whose answers are too far from the reference's.

    A stored trial may be older than the limits on answers, or than the artifact that would run now.

    Raises:
        NoPlanError: nothing is left to choose.
    """
    left, reason = tuple(records), ""
    while chosen := choose(left):
        refused = {one.number: why for one in chosen if (why := bench.unfit(one.configuration))}
        if not refused:
            return left
        left = tuple(one for one in left if one.number not in refused)
        reason = next(iter(refused.values()))
    raise NoPlanError(
        f"study {bench.setup.spec.name!r}: nothing that was measured may be chosen for its answers: {reason}",
        remedy="run the same command again with more trials, or relax `quality` (and rename the study)",
    )


@dataclass
class Confirming:
    """One confirmation of a study.

    Attributes:
        records: all trials of the search.
        may_go_on: asked before every round after the third.
        search: what there is to say of the search, beside its trials.
        has_measured: whether this call has run anything yet.
        known: what the search has learned of the host; told: the trials as they were scored when they ended.
    """

    bench: Bench
    store: StudyStore
    records: Sequence[TrialRecord]
    may_go_on: Callable[[], bool]
    search: Searched = NOTHING_SEARCHED
    has_measured: bool = False
    known: Experience = field(init=False)
    told: Sequence[TrialRecord] = field(init=False)

    def __post_init__(self) -> None:
        results = [(record.configuration, record.result) for record in self.records]
        self.known = experience(self.bench.setup.spec, results)
        self.told, self.records = self.records, rescored(self.records, self.known)

    def run(self) -> Plan:
        """Run the rounds and make the plan of what they showed.

        A confirmation that an interrupted call has begun goes on; one that came to nothing, or contradicts
        the search, begins anew.

        Raises:
            NoPlanError: no finalist runs reliably and meets the limits, those on its answers included.
            NoisyMachineError: nothing could be measured undisturbed, or nothing of the baseline; or the
                rounds contradict the search.
        """
        # Preparing and comparing would disturb others.
        with self.bench.alone():
            entrants = tuple(self._entrants(self._finalists()))
        series, earlier = self._series(entrants)
        try:
            return self._confirm(entrants, series, earlier)
        except StudyError:
            if self.has_measured:
                raise
        return self._confirm(entrants, series + 1, ())

    def _confirm(self, entrants: tuple[Entrant, ...], series: int, earlier: tuple[Run, ...]) -> Plan:
        spec = self.bench.setup.spec
        contest = self._contest(entrants, series)
        runs = run_contest(
            contest,
            lambda may_go_on: self._run_rounds(contest, entrants, series, earlier, may_go_on),
            may_go_on=self.may_go_on,
            doubted=lambda: self.bench.emit(DoubtRaised(doubt(spec, contest.compared()))),
        )
        if is_baseline_unseen(runs):
            raise too_noisy(spec, [run.result for run in runs])
        if self._is_contradicted(contest, entrants, runs):
            raise contradicted(spec, contest.compared(), runs)
        _take_out_missing(contest, spec, entrants, runs)
        verdict = contest.verdict()
        if verdict is None:
            raise nothing_confirmed(spec, runs)
        confirmed = Confirmed(verdict, entrants, runs)
        winner = confirmed.winner.configuration
        return conclude(
            confirmed,
            setup=self.bench.setup,
            records=self.told,
            quality=self.bench.assessment(winner),
            requests=self.bench.described_requests(winner),
            known=self.known,
            search=self.search,
            compared=contest.compared(),
        )

    def _is_contradicted(self, contest: Contest, entrants: Sequence[Entrant], runs: Sequence[Run]) -> bool:
        if traits_of(self.bench.setup.spec.scenario).seeks_rate:
            # What is sent at a rate that is not borne is no measure of one.
            _take_out_missing(contest, self.bench.setup.spec, entrants, runs)
        return contest.is_contradicted

    def _run_rounds(
        self,
        contest: Contest,
        entrants: tuple[Entrant, ...],
        series: int,
        earlier: tuple[Run, ...],
        may_go_on: Callable[[], bool],
    ) -> tuple[Run, ...]:
        return run_rounds(
            contest,
            entrants,
            measure=self._measure,
            goodness=lambda measurement: goodness(self.bench.setup.spec, measurement),
            keep=lambda run: self._keep(run, series),
            may_go_on=may_go_on,
            earlier=earlier,
            emit=self.bench.emit,
            covariates=self._covariates,
        )

    def _finalists(self) -> Finalists:
        spec, defaults = self.bench.setup.spec, self.bench.setup.space.defaults
        fit = fit_records(
            self.bench, self.records, lambda records: choose_finalists(records, spec, defaults).configurations
        )
        return choose_finalists(fit, spec, defaults)

    def _entrants(self, finalists: Finalists) -> Iterator[Entrant]:
        for record in finalists.best:
            yield self._entrant(f"trial {record.number}", "finalist", record)
        if finalists.twin is not None:
            yield self._entrant(TWIN, "twin", finalists.twin)
        if finalists.default is not None:
            yield self._entrant(DEFAULT, "default", finalists.default)
        if finalists.baseline is not None:
            yield self._entrant(BASELINE, "baseline", finalists.baseline)

    def _entrant(self, name: str, role: Role, record: TrialRecord) -> Entrant:
        one = record.configuration
        return Entrant(name, role, one, record.number, self.bench.commands(one))

    def _contest(self, entrants: Sequence[Entrant], series: int) -> Contest:
        setup = self.bench.setup
        measured = {record.number: record for record in self.records}
        return Contest(
            [
                _contender(
                    entrant,
                    setup.machine.cores_of,
                    measured[entrant.trial].result,
                    earlier_of(entrant, self.records, self.known),
                )
                for entrant in entrants
            ],
            tie=setup.spec.confirm.tie,
            max_rounds=setup.spec.confirm.rounds,
            seed=setup.spec.seed + series,
            prior=self.known.prior(run_blocks(setup.spec)),
        )

    def _covariates(self, run: Run) -> tuple[float, ...]:
        if not isinstance(run.result, Measurement):
            return ()
        return self.known.deviations(run.entrant.configuration, run.result)

    def _measure(self, entrant: Entrant) -> TrialResult:
        self.bench.stop.heed()
        self.has_measured = True
        return self.bench.confirm(entrant)

    def _keep(self, run: Run, series: int) -> None:
        spec = self.bench.setup.spec
        measured = run.result if isinstance(run.result, Measurement) else None
        self.store.record_confirmation(
            ConfirmationRecord(
                study=spec.name,
                series=series,
                round=run.round,
                position=run.position,
                contender=run.entrant.name,
                trial=run.entrant.trial,
                configuration=run.entrant.configuration,
                started_s=run.started_s,
                ended_s=run.ended_s,
                result=run.result,
                score=None if measured is None else score(spec, measured),
                violations={} if measured is None else violations(spec, measured),
            )
        )
        self.bench.emit(run_ended(spec, run))

    def _series(self, entrants: Sequence[Entrant]) -> tuple[int, tuple[Run, ...]]:
        """The number of this confirmation, and its runs that an interrupted call has kept."""
        kept = self.store.confirmations(self.bench.setup.spec.name)
        last = max((record.series for record in kept), default=0)
        begun = [record for record in kept if record.series == last]
        searched_s = max((record.ended_s for record in self.records), default=0.0)
        by_name = {entrant.name: entrant for entrant in entrants}
        goes_on = bool(begun) and all(
            record.contender in by_name
            and record.configuration == by_name[record.contender].configuration
            and record.started_s >= searched_s
            for record in begun
        )
        runs = tuple(_run_of(record, by_name[record.contender]) for record in begun) if goes_on else ()
        if not runs or self._contradict(entrants, last, runs):
            return last + 1, ()
        return last, runs

    def _contradict(self, entrants: Sequence[Entrant], series: int, runs: tuple[Run, ...]) -> bool:
        """Whether kept runs alone contradict the search: what came then may be gone now."""
        contest, last = self._contest(entrants, series), max(run.round for run in runs)
        run_rounds(
            contest,
            entrants,
            measure=lambda _: Failure(FailureKind.DISTURBED, "it was not run"),
            goodness=lambda measurement: goodness(self.bench.setup.spec, measurement),
            keep=lambda _: None,
            may_go_on=lambda: contest.rounds < last,
            earlier=runs,
            covariates=self._covariates,
        )
        return self._is_contradicted(contest, entrants, runs)


def _contender(
    entrant: Entrant,
    cores_of: Callable[[Sequence[int]], int],
    result: TrialResult,
    earlier: Earlier | None,
) -> Contender:
    return Contender(
        name=entrant.name,
        role=entrant.role,
        cores=cores_of([cpu for command in entrant.commands for cpu in command.cpus]),
        memory_bytes=memory_bytes(result) if isinstance(result, Measurement) else 0,
        instances=entrant.configuration.instances,
        knobs=len(entrant.configuration.knobs.split()),
        earlier=earlier,
    )


def _take_out_missing(
    contest: Contest, spec: StudySpec, entrants: Sequence[Entrant], runs: Sequence[Run]
) -> None:
    """Take out the entrants whose runs together do not show the limits to be met."""
    for entrant in entrants:
        if missed := limits_missed(spec, measurements_of(entrant, runs)):
            contest.fail(entrant.name, " and ".join(missed))


def _run_of(record: ConfirmationRecord, entrant: Entrant) -> Run:
    return Run(record.round, record.position, entrant, record.started_s, record.ended_s, record.result)
