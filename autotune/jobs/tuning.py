"""The main job: `tune` measures configurations on this machine and gives the best one as a plan."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from autotune.bench.crew import Crew
from autotune.bench.here import machine_here
from autotune.bench.local import LocalHost
from autotune.bench.orders import Orders
from autotune.errors import AutotuneError, ChangedMachineError, HostLostError
from autotune.events import (
    Emit,
    SpaceSurveyed,
    unheard,
)
from autotune.jobs.beginning import answers_of, begin_or_resume
from autotune.jobs.call import StudyCall
from autotune.jobs.concluding import too_noisy, unconfirmed
from autotune.jobs.confirming import Confirming
from autotune.jobs.finalists import Fitness, fit_records
from autotune.jobs.progress import noting_aloud, tell_of_setup
from autotune.jobs.searching import Searching
from autotune.plan.document import Plan
from autotune.plan.make import with_server_of
from autotune.preflight.setup import Setup, set_up
from autotune.preflight.survey import survey
from autotune.rounds.running import is_disturbed
from autotune.spec.load import read_study
from autotune.spec.priced import priced
from autotune.spec.study import StudySpec
from autotune.stop import Stop, Stopped
from autotune.store.in_use import one_run
from autotune.store.ranking import best, measured_baseline, no_plan_error, ranked
from autotune.store.store import DEFAULT_URL, StudyStore, open_store

KEPT = (
    "put it back as it was, and run the same command again: every trial that ended before is kept. "
    "Where it stays as it is, that is another study (--name NEW)"
)
"""What to do when a machine has changed."""

LOST = "run the same command again where a host is: every trial that ended before is kept"
"""What to do when no host is left."""

INSISTED = "told to end at once, before the best so far was stored as a plan"
"""Why there is no plan where somebody would not wait for one."""


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
    prices: Path | None = None,
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
        prices: the table of prices where the study names a machine type and no table.
        emit: is told of progress between trials.
        stop: ends it before its next trial; what there is then, is stored and given, and says so.

    Raises:
        AutotuneError: anything in the study file, model, engines, store or space is wrong, or the model does
            not run at fp32 (before anything is measured); ResumeError when the stored study was made with
            something else; ChangedMachineError when the machine or a version changes meanwhile; NoPlanError
            when no trial succeeds or meets the limits; NoisyMachineError when too much was disturbed.
        Stopped: as `stop` says, before the search began.
    """
    written, folder = read_study(study, base)
    spec = priced(written, base=folder, prices=prices)
    surveyed = survey(spec, machine_here())
    emit(SpaceSurveyed(tuple(surveyed.left_out)))
    setup = set_up(surveyed, base=folder, offline=offline)
    tell_of_setup(setup, emit)
    told = stop or Stop()
    return tune_on(Crew([LocalHost(setup, emit, told)]), setup, store=store, emit=emit, stop=told)


def tune_on(
    crew: Crew, setup: Setup, *, store: str = DEFAULT_URL, emit: Emit = unheard, stop: Stop | None = None
) -> Tuned:
    """Do what `tune` does on these hosts: as many trials at once as there are, all rounds on one.

    Args:
        crew: hosts that are set up for the study.

    Raises:
        HostLostError: the last host is gone; every trial that ended before is kept.
        AutotuneError, Stopped: as `tune` does.
    """
    with one_run(store, setup.spec.name), open_store(store) as opened:
        return tune_in(opened, crew, setup, emit=emit, stop=stop)


def tune_in(
    store: StudyStore, crew: Crew, setup: Setup, *, emit: Emit = unheard, stop: Stop | None = None
) -> Tuned:
    """Do what `tune_on` does in an open store, of which nobody else runs this study meanwhile."""
    name, started_s = setup.spec.name, crew.clock.monotonic_s()
    if store.find_study(name) is None:
        crew.first.rehearse()
    setup = noting_aloud(setup, emit)
    search = begin_or_resume(setup, store)
    told = stop or Stop()
    call = StudyCall(setup, store, Orders(name), crew.clock, emit, told)
    searching = Searching(call, crew, search, list(store.trials(name)), started_s)
    concluding = _Concluding(call, searching)
    try:
        searching.measure_until_done()
        return Tuned(concluding.confirm())
    except Stopped:
        return concluding.stopped()
    except AutotuneError as error:
        with suppress(AutotuneError):  # of the two this one tells more
            concluding.settle()
        error.remedy = _remedy(error)
        raise
    finally:
        with told.finishing():
            crew.release()


def _remedy(error: AutotuneError) -> str:
    """Say what helps against what ended a study, of which all trials are kept."""
    if isinstance(error, ChangedMachineError):
        return KEPT
    return LOST if isinstance(error, HostLostError) else error.remedy


@dataclass
class _Concluding:
    """The end of one call of `tune`: what has been searched becomes a plan."""

    call: StudyCall
    searching: Searching

    def confirm(self) -> Plan:
        """Confirm the best of the search and store the plan, unless that of all these trials is stored.

        Raises:
            NoPlanError: no trial succeeded, none meets the limits, or no finalist was confirmed.
            NoisyMachineError: too much was disturbed.
        """
        self._refuse_no_winner()
        stored = self.call.store.newest_plan(self.call.spec.name)
        if stored is not None and self._is_up_to_date(stored):
            return self._renewed(stored)
        plan = self._confirmed()
        self.call.store.save_plan(plan)
        return plan

    def _confirmed(self) -> Plan:
        """Run all rounds on one host; where that is lost, begin anew on another."""
        lost: list[str] = []
        while True:
            host = self.searching.crew.first
            confirming = Confirming(
                host,
                self.call,
                tuple(self.searching.records),
                self.searching.has_time,
                self.searching.searched(),
                lost=lost,
            )
            try:
                return confirming.run()
            except HostLostError as error:
                lost.append(host.describe().name)
                self.searching.crew.lose(host, error)

    def settle(self) -> None:
        """Finish the trials that are running no more, so that they can be run again."""
        self.searching.search.settle(answers_of(self.call.store.trials(self.call.spec.name)))

    def stopped(self) -> Tuned:
        """Store the best so far of a study that was told to stop as a plan, and give that.

        Somebody who insists ends this too; the next call makes up for all of it.
        """
        try:
            self.settle()
            self.searching.records = list(self.call.store.trials(self.call.spec.name))
            return Tuned(self._best_so_far(), stopped=True)
        except AutotuneError as error:
            return Tuned(None, stopped=True, reason=error.problem)
        except Stopped:
            return Tuned(None, stopped=True, reason=INSISTED)

    def _best_so_far(self) -> Plan:
        spec = self.call.spec
        if best(self.searching.records, spec) is None:
            raise no_plan_error(self.searching.records, spec)
        stored = self.call.store.newest_plan(spec.name)
        if stored is not None and self._is_of_all(stored):
            return self._renewed(stored)
        fitness = Fitness(self.searching.crew.first, wait=False)
        fit = fit_records(fitness, self.searching.records, spec, lambda left: ranked(left, spec)[:1])
        winner, *_ = ranked(fit, spec)
        admission = fitness.admission(winner.configuration)
        plan = unconfirmed(
            self.call.setup,
            winner,
            measured_baseline(self.searching.records),
            admission.commands,
            self.searching.records,
            admission.quality,
            admission.requests,
            self.searching.searched(),
        )
        self.call.store.save_plan(plan)
        return plan

    def _renewed(self, stored: Plan) -> Plan:
        """Give the stored plan, or store and give the same with the server that the study names today."""
        plan = with_server_of(stored, self.call.spec)
        if plan is not stored:
            self.call.store.save_plan(plan)
        return plan

    def _refuse_no_winner(self) -> None:
        """Refuse to confirm what was not found: nothing that meets the limits, or mostly disturbances."""
        measured = [record for record in self.searching.records if record.score is not None]
        configurations = {record.configuration for record in measured}
        disturbed = {
            one.configuration for one in self.searching.records if is_disturbed(one.result)
        } - configurations
        is_blind = self.call.setup.space.baseline in disturbed or len(disturbed) > len(configurations)
        if disturbed and is_blind:
            raise too_noisy(self.call.spec, [record.result for record in self.searching.records])
        if best(self.searching.records, self.call.spec) is None:
            raise no_plan_error(self.searching.records, self.call.spec)

    def _is_up_to_date(self, plan: Plan) -> bool:
        return plan.confirmation.verdict != "unconfirmed" and self._is_of_all(plan)

    def _is_of_all(self, plan: Plan) -> bool:
        """Whether no trial is newer than the plan, and its answers were compared with the reference's."""
        return plan.quality is not None and plan.created_s >= self._searched_s()

    def _searched_s(self) -> float:
        """When the last trial ended that says anything, in Unix time."""
        return max((record.ended_s for record in self.searching.records if not record.may_pass), default=0.0)
