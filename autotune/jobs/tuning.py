"""The main job: `tune` measures configurations on this machine and gives the best one as a plan."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass, field
from pathlib import Path

from autotune.errors import AutotuneError, ChangedMachineError
from autotune.events import (
    Emit,
    Progress,
    RoomWeighed,
    SearchEnded,
    SecondStageBegan,
    SpaceSurveyed,
    TrialBegan,
    unheard,
)
from autotune.jobs.beginning import answer_of, answers_of, begin_or_resume
from autotune.jobs.concluding import Searched, too_noisy, unconfirmed
from autotune.jobs.confirming import Confirming, choose_finalists, fit_records
from autotune.jobs.foresight import Foresight, look_ahead
from autotune.jobs.measuring import Bench
from autotune.jobs.progress import noting_aloud, progress_of, tell_of_setup, trial_ended
from autotune.measurement.measurement import Failure, Measurement, TrialResult
from autotune.plan.document import Plan
from autotune.plan.evidence import Unprepared
from autotune.preflight.setup import Setup, set_up
from autotune.preflight.survey import survey
from autotune.preparation.preparing import end_fork_server
from autotune.rounds.contest import MIN_ROUNDS
from autotune.rounds.running import ATTEMPTS, is_disturbed
from autotune.search.crowding import Crowding
from autotune.search.estimate import estimated_trials, needed_rounds, search_s
from autotune.search.experience import Experience, experience, run_blocks
from autotune.search.score import needed_percentile, violations
from autotune.search.second_stage import SHARE
from autotune.search.study import Proposal, SearchStudy
from autotune.spec.configuration import Configuration
from autotune.spec.load import read_study
from autotune.spec.scenario import traits_of
from autotune.spec.study import StudySpec
from autotune.stop import Stop, Stopped
from autotune.store.one_run import one_run
from autotune.store.ranking import best, measured_baseline, no_plan_error, ranked
from autotune.store.records import TrialRecord
from autotune.store.store import DEFAULT_URL, StudyStore, open_store
from autotune.trial.stopping import Rival
from autotune.units import format_count

TRIAL_SHARE, LONG_TRIAL_SHARE = 0.02, 0.1
"""Longest measuring time of one trial of the search, as a share of the budget's minutes; the second where
many requests are needed: for a percentile, or to find a rate. What the study asks for is always measured."""

MOST_NAMED = 5
"""Of what would not have fitted so many are named, the most promising."""

KEPT = (
    "put it back as it was, and run the same command again: every trial that ended before is kept. "
    "Where it stays as it is, that is another study (--name NEW)"
)
"""What to do when a machine has changed."""


@dataclass(frozen=True)
class Tuned:
    """What a study came to.

    Attributes:
        plan: already in the store; None when the study was stopped and no trial meets the limits yet.
        stopped: it was told to stop before its end: the plan is of the best so far, every finished trial is
            kept, and the same call goes on from there.
        reason: why there is no plan; empty when there is one.
    """

    plan: Plan | None
    stopped: bool = False
    reason: str = ""


def tune(
    study: StudySpec | Path | str,
    *,
    store: str = DEFAULT_URL,
    offline: bool = False,
    base: Path | None = None,
    emit: Emit = unheard,
    stop: Stop | None = None,
) -> Tuned:
    """Measure configurations until the budget or the space is used up, confirm the best, and store the plan.

    A study of that name in the store is resumed: finished trials count towards `budget.trials` and are never
    repeated, but for the disturbed and those whose reason to fail may pass; minutes count from this call.

    Args:
        study: a study file, or its values.
        store: database URL; created if it is not there.
        offline: never download.
        base: folder that relative model paths start from; the study file's, or the working directory.
        emit: is told of progress between trials.
        stop: ends it before its next trial; what there is then, is stored and given, and says so.

    Raises:
        AutotuneError: anything in the study file, model, engines, store or space is wrong, or the model does
            not run at fp32 (before anything is measured); ResumeError when the stored study was made with
            something else; ChangedMachineError when the machine or a version changes meanwhile; NoPlanError
            when no trial succeeds or meets the limits; NoisyMachineError when too much was disturbed.
        Stopped: as `stop` says, before the search began.
    """
    spec, folder = read_study(study, base)
    surveyed = survey(spec)
    emit(SpaceSurveyed(tuple(surveyed.left_out)))
    setup = set_up(surveyed, base=folder, offline=offline)
    tell_of_setup(setup, emit)
    with one_run(store, spec.name), open_store(store) as opened:
        bench, started_s = Bench(setup, emit, stop or Stop()), time.monotonic()
        if opened.find_study(spec.name) is None:
            bench.try_reference()
        bench.setup = setup = noting_aloud(setup, emit)
        search = begin_or_resume(setup, opened)
        records = list(opened.trials(spec.name))
        run = _Run(setup, opened, search, bench, records, started_s)
        try:
            run.measure_until_done()
            return Tuned(run.confirm())
        except Stopped:
            search.settle(answers_of(opened.trials(spec.name)))
            return run.stopped()
        except ChangedMachineError as error:
            search.settle(answers_of(opened.trials(spec.name)))
            error.remedy = KEPT
            raise
        finally:
            end_fork_server()


@dataclass
class _Run:
    """One call of `tune`: what is fixed, and what this call has seen."""

    setup: Setup
    store: StudyStore
    search: SearchStudy
    bench: Bench
    records: list[TrialRecord]
    started_s: float
    turns_knobs: bool = False
    foresight: Foresight = field(init=False)
    resumed_with: int = field(init=False)
    crowding: Crowding = field(init=False)

    def __post_init__(self) -> None:
        self.foresight = Foresight(self.setup)
        self.crowding = Crowding(self.setup.spec, self.setup.space, self.setup.machine)
        self.resumed_with = len(self.records)
        confirmations = self.store.count_confirmations(self.setup.spec.name)
        self.bench.launches = len(self.records) + ATTEMPTS * confirmations

    def measure_until_done(self) -> None:
        """Ask, measure, keep and tell, until a bound is reached."""
        bench = self.bench
        bench.stop.heed()
        self.foresight = look_ahead(
            self.setup, bench.emit, bench.stop, bench.cache, bench.alone, bench.changes.refuse
        )
        self._mind_the_time()
        while not (reason := self._stop_reason()):
            bench.stop.heed()
            proposal = self.search.ask()
            self._tell_of_stage(proposal)
            bench.emit(TrialBegan(proposal.number, str(proposal.configuration), self._progress()))
            record = self._record(proposal)
            self.store.record_trial(record)
            self.records.append(record)
            self.search.tell(record.number, answer_of(record))
            bench.emit(trial_ended(self.setup.spec, record, self._progress(), self._half_width()))
            self._mind_the_time()
        bench.emit(SearchEnded(reason, self._progress()))

    def _tell_of_stage(self, proposal: Proposal) -> None:
        if proposal.configuration.knobs and not self.turns_knobs:
            self.turns_knobs = True
            self.bench.emit(SecondStageBegan(self._progress()))

    def confirm(self) -> Plan:
        """Confirm the best of the search and store the plan, unless that of all these trials is stored.

        Raises:
            NoPlanError: no trial succeeded, none meets the limits, or no finalist was confirmed.
            NoisyMachineError: too much was disturbed.
        """
        self._refuse_no_winner()
        stored = self.store.newest_plan(self.setup.spec.name)
        if stored is not None and self._is_up_to_date(stored):
            return stored
        plan = Confirming(self.bench, self.store, tuple(self.records), self._has_time, self._searched()).run()
        self.store.save_plan(plan)
        return plan

    def stopped(self) -> Tuned:
        """Store the best so far of a study that was told to stop as a plan, and give that."""
        self.records = list(self.store.trials(self.setup.spec.name))
        try:
            return Tuned(self._best_so_far(), stopped=True)
        except AutotuneError as error:
            return Tuned(None, stopped=True, reason=error.problem)

    def _best_so_far(self) -> Plan:
        spec = self.setup.spec
        if best(self.records, spec) is None:
            raise no_plan_error(self.records, spec)
        stored = self.store.newest_plan(spec.name)
        if stored is not None and self._is_of_all(stored):
            return stored
        winner, *_ = ranked(fit_records(self.bench, self.records, lambda left: ranked(left, spec)[:1]), spec)
        commands = self.bench.commands(winner.configuration)
        baseline = measured_baseline(self.records)
        quality = self.bench.assessment(winner.configuration)
        requests = self.bench.described_requests(winner.configuration)
        plan = unconfirmed(
            self.setup, winner, baseline, commands, self.records, quality, requests, self._searched()
        )
        self.store.save_plan(plan)
        return plan

    def _searched(self) -> Searched:
        """What there is to say of the search beside its trials."""
        is_of_time = not self._has_all_trials()
        unprepared = tuple(
            Unprepared(model=pair.model, backend=pair.backend, precision=pair.precision, seconds=seconds)
            for pair, seconds in self.search.unaffordable()[: MOST_NAMED if is_of_time else 0]
        )
        owed = self.search.owed_defaults()
        return Searched(self.foresight.looking_s, unprepared, self.bench.waits.total_s, owed)

    def _refuse_no_winner(self) -> None:
        """Refuse to confirm what was not found: nothing that meets the limits, or mostly disturbances."""
        measured = [record for record in self.records if record.score is not None]
        configurations = {record.configuration for record in measured}
        disturbed = {one.configuration for one in self.records if is_disturbed(one.result)} - configurations
        is_blind = self.setup.space.baseline in disturbed or len(disturbed) > len(configurations)
        if disturbed and is_blind:
            raise too_noisy(self.setup.spec, [record.result for record in self.records])
        if best(self.records, self.setup.spec) is None:
            raise no_plan_error(self.records, self.setup.spec)

    def _is_up_to_date(self, plan: Plan) -> bool:
        return plan.confirmation.verdict != "unconfirmed" and self._is_of_all(plan)

    def _is_of_all(self, plan: Plan) -> bool:
        """Whether no trial is newer than the plan, and its answers were compared with the reference's."""
        return plan.quality is not None and plan.created_s >= self._searched_s()

    def _searched_s(self) -> float:
        """When the last trial ended that says anything, in Unix time."""
        return max((record.ended_s for record in self.records if not record.may_pass), default=0.0)

    def _record(self, proposal: Proposal) -> TrialRecord:
        spec, configuration = self.setup.spec, proposal.configuration
        started_s, waited_s = time.time(), self.bench.waits.total_s
        known = self._known()
        result = self.bench.search(
            configuration,
            rival=self._rival(known),
            correction=known.learned,
            max_measuring_s=_longest_s(spec),
            unprepared=lambda: self.search.drop(configuration),
        )
        measured = None if isinstance(result, Failure) else result
        return TrialRecord(
            study=spec.name,
            number=proposal.number,
            configuration=configuration,
            baseline=configuration == self.setup.space.baseline,
            started_s=started_s + self.bench.waits.total_s - waited_s,
            ended_s=time.time(),
            result=result,
            score=None if measured is None else self._score(configuration, measured),
            violations={} if measured is None else violations(spec, measured),
        )

    def _score(self, configuration: Configuration, measured: Measurement) -> float:
        """Under usual conditions, by all that is known with this trial."""
        return self._known((configuration, measured)).score(configuration, measured)

    def _known(self, *newest: tuple[Configuration, TrialResult]) -> Experience:
        """What the study has learned of this host, from all trials until now."""
        return experience(self.setup.spec, [*self._results(), *newest])

    def _results(self) -> list[tuple[Configuration, TrialResult]]:
        return [(record.configuration, record.result) for record in self.records]

    def _rival(self, known: Experience) -> Rival | None:
        """The best so far, for a trial to race against; none before two are measured."""
        leader = best(self.records, self.setup.spec)
        measured = [record for record in self.records if isinstance(record.result, Measurement)]
        if leader is None or not isinstance(leader.result, Measurement) or len(measured) < 2:
            return None
        return known.rival(leader.configuration, leader.result)

    def _stop_reason(self) -> str:
        """Why no further trial is started; empty while there is none. The baseline is always measured."""
        budget = self.setup.spec.budget
        if budget.trials is not None and self._has_all_trials():
            return f"the budget of {format_count(budget.trials, 'trial')} is used up"
        if self.records and self._elapsed_s() >= self._search_s():
            minutes = format_count(budget.minutes or 0.0, "minute")
            return f"the search's part of the budget of {minutes} is used up"
        if self.search.untried():
            return ""
        self.search.mind(math.inf)
        is_left = bool(self.search.untried())
        self._mind_the_time()
        if is_left:
            return "what is left of the search's part of the budget is too short to prepare another engine"
        everything = (
            f"every configuration{' that has room in memory' * bool(self.crowding.known)} has been tried"
        )
        if any(record.may_pass for record in self.records[self.resumed_with :]):
            reason = "what failed for a reason that may pass: the same command tries that again"
            return f"{everything}, but for {reason}"
        return everything

    def _has_all_trials(self) -> bool:
        most = self.setup.spec.budget.trials
        return most is not None and len(self.records) >= most

    def _mind_the_time(self) -> None:
        """Order by what is known now, within the time that is left; begin the second stage when it is due."""
        if told := self.crowding.leave_out(self.search, self._results()):
            self.bench.emit(RoomWeighed((told,)))
        has_bound, search_s = self.setup.spec.budget.minutes is not None, self._search_s()
        self.search.turn_knobs(now=has_bound and self._elapsed_s() >= (1 - SHARE) * search_s)
        this_call = self.records[self.resumed_with :]
        ready = self.bench.artifacts.ready
        prospects = self.foresight.prospects(this_call, search_s=search_s if has_bound else None, ready=ready)
        self.bench.artifacts.prices_s = prospects.prices_s
        self.search.rank_by(prospects)
        self.search.mind(max(0.0, search_s - self._elapsed_s()), self.foresight.there | ready)

    def _search_s(self) -> float:
        """How long this call may search; the rest of the minutes is for confirming what it has found.

        Until the defaults that may be the best are seen, no more is kept than the fewest rounds take.
        """
        spec, known = self.setup.spec, self._known()
        round_s = choose_finalists(self.records, spec, self.setup.space.defaults).round_s
        owes = bool(self.search.owed_defaults())
        rounds = MIN_ROUNDS if owes else needed_rounds(spec, known.run_spread(run_blocks(spec)))
        return search_s(spec, round_s=round_s, rounds=rounds)

    def _has_time(self) -> bool:
        """Whether another round still fits into the budget's minutes."""
        minutes = self.setup.spec.budget.minutes
        round_s = choose_finalists(self.records, self.setup.spec, self.setup.space.defaults).round_s
        return minutes is None or self._elapsed_s() + round_s <= minutes * 60

    def _progress(self) -> Progress:
        total = estimated_trials(self.setup.spec, self.setup.space)
        return progress_of(self.setup.spec, self.records, total=total, left_s=self._left_s())

    def _half_width(self) -> float | None:
        """How sure the newest trial's score is."""
        newest = self.records[-1].result if self.records else None
        if not isinstance(newest, Measurement) or traits_of(newest.scenario).is_one_run:
            return None
        return self._known().half_width(newest)

    def _left_s(self) -> float | None:
        spec, done = self.setup.spec, len(self.records) - self.resumed_with
        if not done:
            return None
        trials_left = estimated_trials(spec, self.setup.space) - len(self.records)
        by_trials_s = max(0, trials_left) * self._elapsed_s() / done
        return max(0.0, min(by_trials_s, self._search_s() - self._elapsed_s()))

    def _elapsed_s(self) -> float:
        """What counts of the budget's minutes: not what others on this host had this call wait for."""
        return time.monotonic() - self.started_s - self.bench.waits.total_s


def _longest_s(spec: StudySpec) -> float | None:
    """How long a trial of the search may measure; None = as long as it takes."""
    if spec.budget.minutes is None:
        return None
    is_long = traits_of(spec.scenario).seeks_rate or needed_percentile(spec) is not None
    return spec.budget.minutes * 60 * (LONG_TRIAL_SHARE if is_long else TRIAL_SHARE)
