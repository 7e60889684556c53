"""The main job: `tune` measures configurations on this machine and gives the best one as a plan."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from autotune.backends.preparation import prepare_artifact
from autotune.backends.registry import get_backend
from autotune.errors import (
    AutotuneError,
    CacheError,
    PlanError,
    PreparationError,
    UnsupportedError,
)
from autotune.model.artifact import Artifact
from autotune.model.cache import ArtifactCache
from autotune.placement.command import worker_commands
from autotune.placement.place import place
from autotune.placement.placement import Command
from autotune.plan.document import Plan
from autotune.plan.evidence import Confirmation
from autotune.plan.make import Measured, make_plan
from autotune.preflight import Setup, begin_or_resume, one_run, read_study, set_up, survey
from autotune.report.progress import Observer, Progress
from autotune.report.ranking import best, gain, measured_baseline, no_plan_error
from autotune.search.estimate import estimated_trials
from autotune.search.order import pair
from autotune.search.score import needed_percentile, score, violations
from autotune.search.study import Answer, Proposal, SearchStudy
from autotune.spec.configuration import Configuration
from autotune.spec.study import StudySpec
from autotune.store.records import TrialRecord
from autotune.store.store import DEFAULT_URL, StudyStore, open_store
from autotune.trial.lock import host_lock
from autotune.trial.measurement import Failure, FailureKind, TrialResult
from autotune.trial.run import run_trial

PREPARATION_TIMEOUT_S = 1800.0
"""Longest preparation of one artifact. Source: 100 times what BERT-base takes on a 2-core Xeon, 15 s."""


class TuningInterrupted(KeyboardInterrupt):
    """The search was interrupted; every finished trial is kept, and the same call goes on from there.

    Attributes:
        plan: of the best so far, already in the store; None when no trial meets the limits yet.
        reason: why there is no plan; empty when there is one.
    """

    def __init__(self, plan: Plan | None, reason: str = "") -> None:
        super().__init__(reason)
        self.plan = plan
        self.reason = reason


def tune(
    study: StudySpec | Path | str,
    *,
    store: str = DEFAULT_URL,
    offline: bool = False,
    base: Path | None = None,
    observer: Observer | None = None,
) -> Plan:
    """Measure configurations until the budget or the space is used up, and store the best one's plan.

    A study of that name in the store is resumed: finished trials count towards `budget.trials` and are
    never repeated; `budget.minutes` counts from this call.

    Args:
        study: a study file, or its values.
        store: database URL; created if it is not there.
        offline: never download.
        base: folder that relative model paths start from; the study file's, or the working directory.
        observer: hears of progress between trials.

    Raises:
        AutotuneError: anything in the study file, model, engines, store or space is wrong (before anything
            is measured); ResumeError when the stored study was made with something else; NoPlanError when no
            trial succeeds or meets the limits.
        TuningInterrupted: on KeyboardInterrupt, or because the observer wants to stop, while searching.
    """
    watcher = observer or Observer()
    spec, folder = read_study(study, base)
    surveyed = survey(spec)
    watcher.surveyed(surveyed.left_out)
    setup = set_up(surveyed, base=folder, offline=offline)
    with one_run(store, spec.name), open_store(store) as opened:
        search = begin_or_resume(setup, opened)
        run = _Run(setup, opened, search, watcher, records=list(opened.trials(spec.name)))
        try:
            run.measure_until_done()
        except KeyboardInterrupt:
            search.settle(_answers(opened.trials(spec.name)))
            raise run.interrupted() from None
        return run.conclude()


@dataclass
class _Run:
    """One call of `tune`: what is fixed, and what this call has seen."""

    setup: Setup
    store: StudyStore
    search: SearchStudy
    observer: Observer
    records: list[TrialRecord]
    started_s: float = field(default_factory=time.monotonic)
    resumed_with: int = field(init=False)
    prepared: set[tuple[str, str]] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.resumed_with = len(self.records)

    def measure_until_done(self) -> None:
        """Ask, measure, keep and tell, until a bound is reached."""
        while not (reason := self._stop_reason()):
            if self.observer.wants_to_stop():
                raise KeyboardInterrupt
            proposal = self.search.ask()
            self.observer.trial_started(proposal.configuration, self._progress())
            record = self._record(proposal)
            self.store.record_trial(record)
            self.records.append(record)
            self.search.tell(record.number, _answer(record))
            self.observer.trial_ended(record, self._progress())
        self.observer.stopped(reason, self._progress())

    def conclude(self) -> Plan:
        """Make the best trial's plan and store it, unless it is the newest one already.

        Raises:
            NoPlanError: no trial succeeded, or none meets the limits.
        """
        winner = best(self.records, self.setup.spec)
        if winner is None:
            raise no_plan_error(self.records, self.setup.spec)
        stored = newest_plan(self.store, self.setup.spec.name)
        if stored is not None and stored.trial == winner.number:
            return stored
        baseline = measured_baseline(self.records)
        plan = make_plan(
            spec=self.setup.spec,
            machine=self.setup.machine,
            winner=_measured(winner),
            baseline=None if baseline is None else _measured(baseline),
            gain=None,
            confirmation=Confirmation(verdict="unconfirmed"),
            commands=self._commands(winner.configuration),
            versions=self.setup.versions,
            model=self.setup.model,
        )
        self.store.save_plan(plan)
        return plan

    def interrupted(self) -> TuningInterrupted:
        """What an interrupted search has to show: the best so far, stored as a plan."""
        self.records = list(self.store.trials(self.setup.spec.name))
        try:
            return TuningInterrupted(self.conclude())
        except AutotuneError as error:
            return TuningInterrupted(None, error.problem)

    def _record(self, proposal: Proposal) -> TrialRecord:
        spec, configuration = self.setup.spec, proposal.configuration
        started_s = time.time()
        result = self._measure(configuration)
        measured = None if isinstance(result, Failure) else result
        return TrialRecord(
            study=spec.name,
            number=proposal.number,
            configuration=configuration,
            baseline=configuration == self.setup.space.baseline,
            started_s=started_s,
            ended_s=time.time(),
            result=result,
            score=None if measured is None else score(spec, measured),
            violations={} if measured is None else violations(spec, measured),
        )

    def _measure(self, configuration: Configuration) -> TrialResult:
        """Prepare and run one configuration, alone on the machine; preparing would disturb others too."""
        spec = self.setup.spec
        with host_lock(self.observer.waiting):
            try:
                commands = self._commands(configuration)
            except UnsupportedError as error:
                return Failure(FailureKind.UNSUPPORTED, error.problem)
            except CacheError:
                raise
            except PreparationError as error:
                self.search.drop(configuration)
                return Failure(FailureKind.CRASH, error.problem)
            return run_trial(
                commands,
                configuration=configuration,
                scenario=spec.scenario,
                measure=spec.measure,
                percentile=needed_percentile(spec),
            )

    def _commands(self, configuration: Configuration) -> Sequence[Command]:
        spec = self.setup.spec
        return worker_commands(
            configuration,
            place(configuration, self.setup.machine),
            self._artifact(configuration),
            spec.problem,
            spec.scenario,
            spec.seed,
            spec.measure.warmup_s,
            get_backend(configuration.backend),
        )

    def _artifact(self, configuration: Configuration) -> Artifact:
        """From the cache each time, as somebody may have pruned it since the last trial."""
        key = pair(configuration)
        if key not in self.prepared:
            self.observer.preparing(*key)
            self.prepared.add(key)
        return prepare_artifact(
            self.setup.model,
            configuration.backend,
            configuration.precision,
            self.setup.machine.isa,
            ArtifactCache(),
            timeout_s=PREPARATION_TIMEOUT_S,
        )

    def _stop_reason(self) -> str:
        """Why no further trial is started; empty while there is none. The baseline is always measured."""
        budget = self.setup.spec.budget
        if budget.trials is not None and len(self.records) >= budget.trials:
            return f"the budget of {budget.trials} trials is used up"
        if self.records and budget.minutes is not None and self._elapsed_s() >= budget.minutes * 60:
            return f"the budget of {budget.minutes:g} minutes is used up"
        return "" if self.search.untried() else "every configuration has been tried"

    def _progress(self) -> Progress:
        spec, leader = self.setup.spec, best(self.records, self.setup.spec)
        return Progress(
            finished=len(self.records),
            total=estimated_trials(spec, self.setup.space),
            best=leader,
            gain=None if leader is None else gain(leader, measured_baseline(self.records), spec),
            left_s=self._left_s(),
        )

    def _left_s(self) -> float | None:
        spec, done = self.setup.spec, len(self.records) - self.resumed_with
        if not done:
            return None
        trials_left = estimated_trials(spec, self.setup.space) - len(self.records)
        by_trials_s = max(0, trials_left) * self._elapsed_s() / done
        minutes = spec.budget.minutes
        by_time_s = float("inf") if minutes is None else minutes * 60 - self._elapsed_s()
        return max(0.0, min(by_trials_s, by_time_s))

    def _elapsed_s(self) -> float:
        return time.monotonic() - self.started_s


def newest_plan(store: StudyStore, study: str) -> Plan | None:
    """The study's newest plan; None where there is none that can be read."""
    summaries = store.plans(study)
    try:
        return store.plan(summaries[0].id) if summaries else None
    except PlanError:
        return None


def _measured(record: TrialRecord) -> Measured:
    runs = () if isinstance(record.result, Failure) else (record.result,)
    return Measured(record.configuration, record.number, runs)


def _answer(record: TrialRecord) -> Answer:
    return Answer(record.result, record.score, record.violations)


def _answers(records: Sequence[TrialRecord]) -> Mapping[int, Answer]:
    return {record.number: _answer(record) for record in records}
