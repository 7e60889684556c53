"""The confirmation: the best of the search run again beside the baseline; the plan stands on that alone."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, field

from autotune.bench.host import Host
from autotune.errors import HostLostError, StudyError
from autotune.events import DoubtRaised
from autotune.jobs.call import StudyCall
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
from autotune.jobs.finalists import Finalists, Fitness, choose_finalists, fit_records, rescored
from autotune.jobs.progress import run_ended
from autotune.measurement.measurement import Failure, FailureKind, Measurement, TrialResult
from autotune.measurement.statistics import memory_bytes
from autotune.placement.smaller import cores_taken
from autotune.plan.document import Plan
from autotune.rounds.contest import Contest
from autotune.rounds.contradiction import Earlier
from autotune.rounds.running import Entrant, Journal, Run, Scoring, measurements_of, run_contest, run_rounds
from autotune.rounds.verdict import Contender, Role
from autotune.search.experience import Experience, experience, run_blocks
from autotune.search.score import goodness, limits_missed, score, violations
from autotune.spec.scenario import traits_of
from autotune.spec.study import StudySpec
from autotune.store.records import ConfirmationRecord, TrialRecord

BASELINE, DEFAULT, TWIN = "baseline", "default", "twin"


@dataclass
class Confirming:
    """One confirmation of a study.

    Attributes:
        records: all trials of the search.
        may_go_on: asked before every round after the third.
        search: what there is to say of the search, beside its trials.
        has_measured: whether this call has run anything yet.
        lost: names of hosts that were lost while they confirmed: what they began is begun anew.
        fitness: what the host says of the answers of those that take part.
        known: what the search has learned of the host; told: the trials as they were scored when they ended.
    """

    host: Host
    call: StudyCall
    records: Sequence[TrialRecord]
    may_go_on: Callable[[], bool]
    search: Searched = NOTHING_SEARCHED
    lost: Collection[str] = ()
    has_measured: bool = False
    fitness: Fitness = field(init=False)
    known: Experience = field(init=False)
    told: Sequence[TrialRecord] = field(init=False)

    def __post_init__(self) -> None:
        results = [(record.configuration, record.result) for record in self.records]
        self.fitness = Fitness(self.host)
        self.known = experience(self.call.spec, results)
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
        entrants = tuple(self._entrants(self._finalists()))
        series, earlier = self._series(entrants)
        try:
            return self._confirm(entrants, series, earlier)
        except HostLostError:
            raise
        except StudyError:
            if self.has_measured:
                raise
        return self._confirm(entrants, series + 1, ())

    def _confirm(self, entrants: tuple[Entrant, ...], series: int, earlier: tuple[Run, ...]) -> Plan:
        spec = self.call.spec
        contest = self._contest(entrants, series)
        runs = run_contest(
            contest,
            lambda may_go_on: self._run_rounds(contest, entrants, series, earlier, may_go_on),
            may_go_on=self.may_go_on,
            doubted=lambda: self.call.emit(DoubtRaised(doubt(spec, contest.compared()))),
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
        admission = self.fitness.admission(confirmed.winner.configuration)
        return conclude(
            confirmed,
            setup=self.call.setup,
            records=self.told,
            quality=admission.quality,
            requests=admission.requests,
            known=self.known,
            search=self.search,
            compared=contest.compared(),
        )

    def _is_contradicted(self, contest: Contest, entrants: Sequence[Entrant], runs: Sequence[Run]) -> bool:
        spec = self.call.spec
        if traits_of(spec.scenario).seeks_rate:
            # What is sent at a rate that is not borne is no measure of one.
            _take_out_missing(contest, spec, entrants, runs)
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
            scoring=Scoring(lambda measurement: goodness(self.call.spec, measurement), self._covariates),
            journal=Journal(lambda run: self._keep(run, series), earlier=earlier),
            may_go_on=may_go_on,
            emit=self.call.emit,
            unix_s=self.call.clock.unix_s,
        )

    def _finalists(self) -> Finalists:
        spec, defaults = self.call.spec, self.call.setup.space.defaults
        fit = fit_records(
            self.fitness,
            self.records,
            spec,
            lambda records: choose_finalists(records, spec, defaults).configurations,
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
        commands = self.fitness.admission(record.configuration).commands
        return Entrant(name, role, record.configuration, record.number, commands)

    def _contest(self, entrants: Sequence[Entrant], series: int) -> Contest:
        setup = self.call.setup
        measured = {record.number: record for record in self.records}
        return Contest(
            [
                _contender(
                    entrant,
                    cores_taken(entrant.configuration, entrant.commands, setup.machine),
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
        self.call.stop.heed()
        self.has_measured = True
        return self.call.orders.run_confirming(self.host, entrant)

    def _keep(self, run: Run, series: int) -> None:
        spec = self.call.spec
        measured = run.result if isinstance(run.result, Measurement) else None
        self.call.store.record_confirmation(
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
                host=self.host.describe().name,
            )
        )
        self.call.emit(run_ended(spec, run))

    def _series(self, entrants: Sequence[Entrant]) -> tuple[int, tuple[Run, ...]]:
        """The number of this confirmation, and its runs that an interrupted call has kept."""
        kept = self.call.store.confirmations(self.call.spec.name)
        last = max((record.series for record in kept), default=0)
        begun = [record for record in kept if record.series == last]
        searched_s = max((record.ended_s for record in self.records), default=0.0)
        by_name = {entrant.name: entrant for entrant in entrants}
        goes_on = bool(begun) and all(
            record.contender in by_name
            and record.configuration == by_name[record.contender].configuration
            and record.started_s >= searched_s
            and record.host not in self.lost
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
            scoring=Scoring(lambda measurement: goodness(self.call.spec, measurement), self._covariates),
            journal=Journal(earlier=runs),
            may_go_on=lambda: contest.rounds < last,
        )
        return self._is_contradicted(contest, entrants, runs)


def _contender(
    entrant: Entrant,
    cores: int,
    result: TrialResult,
    earlier: Earlier | None,
) -> Contender:
    return Contender(
        name=entrant.name,
        role=entrant.role,
        cores=cores,
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
