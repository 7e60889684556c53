"""One trial: commands in, a measurement or a failure out."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace

from autotune.machine.counters import oom_kills
from autotune.measurement.correction import UNCORRECTED, Correction, load_of
from autotune.measurement.measurement import Failure, FailureKind, Measurement, TrialResult
from autotune.objectives.objective import Objective
from autotune.objectives.outcome import UNKNOWN, Resources
from autotune.placement.placement import Command
from autotune.spec.configuration import Configuration
from autotune.spec.scenario import Scenario
from autotune.spec.study import Measure
from autotune.trial.asked import Asked, ask
from autotune.trial.conductor import Drain, Exchange, Schedule
from autotune.trial.launcher import Worker, launched
from autotune.trial.scenario import Conducting, conducting
from autotune.trial.server.rate_search import Demand
from autotune.trial.stopping import Rival, Rule
from autotune.trial.watch import Observer, Watch
from autotune.worker.failures import InstanceError, sort_exit

_EXIT_S = 1.0
"""How long a worker that has closed its channel may take to exit."""

_OF_LOST_CPUS = (FailureKind.TIMEOUT, FailureKind.CRASH, FailureKind.OUT_OF_MEMORY)
"""Kinds of failure that may come of cpus that are taken away: `unsupported` and `wrong_output` do not,
`placement` says so itself, and `disturbed` says nothing of the configuration anyway."""


@dataclass(frozen=True)
class Trial:
    """What is measured of a configuration, for how long, and by what it is judged meanwhile.

    Attributes:
        configuration: what the instances are to prove to be.
        scenario: what they run in the windows.
        measure: lengths of warm-up and windows, how many windows, and the time limit.
        objective: whose value in a block is the block's score, by which it is decided how many there are.
        percentile: the percentile of latency that the objective or a limit needs; more blocks are measured
            until the number of requests supports it, up to ten times `measure.blocks`.
        rival: the best configuration so far; the trial ends early when it is clearly worse. None = no race.
        max_measuring_s: no further block is begun after so long, once there are `measure.blocks`; None = as
            long as it takes.
        demand: what is asked where a rate is sought, which needs it; others take no notice.
        correction: what the study has learned of how conditions move values.
        resources: what the instances take, by which they are judged too.
    """

    configuration: Configuration
    scenario: Scenario
    measure: Measure
    objective: Objective
    percentile: float | None
    rival: Rival | None = None
    max_measuring_s: float | None = None
    demand: Demand | None = None
    correction: Correction = UNCORRECTED
    resources: Resources = UNKNOWN

    @property
    def rule(self) -> Rule:
        """When it has been measured for long enough."""
        return Rule(
            self.scenario,
            self.objective,
            self.measure.blocks,
            self.measure.max_blocks,
            self.percentile,
            self.rival,
            self.max_measuring_s,
            treatment=self.measure.disturbed,
            correction=self.correction,
            load=load_of(self.configuration),
            resources=self.resources,
        )


def run_trial(commands: Sequence[Command], trial: Trial, watch: Watch | None = None) -> TrialResult:
    """Start the instances, measure them over common windows, and end them.

    Whatever happens, no process, descriptor or file of the trial is left. The caller holds the host's lock.

    Args:
        commands: one for each instance.
        watch: looks at the host around every block; None = blocks have no conditions, and the trial fails
            when the CPU quota throttles it.

    Raises:
        ValueError: a rate is sought and there is no demand.
    """
    started_s = time.monotonic()
    limit_s = trial.measure.trial_timeout_s
    schedule = Schedule(trial.measure.block_s, trial.rule, started_s + limit_s)
    kills, own = oom_kills(), frozenset(os.sched_getaffinity(0))
    try:
        cpus = [command.cpus for command in commands]
        with conducting(trial.scenario, cpus, trial.demand) as conductor, launched(commands) as workers:
            observer: Observer | None = None
            try:
                with _observed(watch, workers, commands) as observer:
                    asked = ask(commands, trial.configuration, trial.scenario)
                    measurement = _measure(conductor, workers, schedule, asked, observer)
            except InstanceError as error:
                lost = _are_displaced(workers, commands, own) or (
                    observer is not None and observer.has_lost_cpus()
                )
                oom_killed = oom_kills().since(kills)
                failure = _explain(error, workers, commands, limit_s, oom_killed=oom_killed)
                return replace(failure, may_pass=lost and failure.kind in _OF_LOST_CPUS)
    except InstanceError as error:  # a worker that could not even be started
        return _failure(error.kind, error.reason, error.instance, len(commands))
    return replace(measurement, wall_s=time.monotonic() - started_s, cores=trial.resources.cores)


def _observed(
    watch: Watch | None, workers: Sequence[Worker], commands: Sequence[Command]
) -> AbstractContextManager[Observer | None]:
    """Have the workers watched, while they load already."""
    if watch is None:
        return nullcontext()
    return watch.over([worker.pid for worker in workers], [command.cpus for command in commands])


def _measure(
    conductor: Conducting,
    workers: Sequence[Worker],
    schedule: Schedule,
    asked: Asked,
    observer: Observer | None,
) -> Measurement:
    channels = [worker.channel for worker in workers]
    drains: list[Drain] = [*(worker.stderr for worker in workers), *conductor.drains]
    if observer is not None:
        for pid in conductor.pids:
            observer.adopt(pid)
    with Exchange(channels, drains, schedule.deadline_s) as exchange:
        return conductor.conduct(exchange, schedule, asked, observer)


def _are_displaced(workers: Sequence[Worker], commands: Sequence[Command], own: frozenset[int]) -> bool:
    """Whether a worker may run on other cpus than it was started with, or might when it ended.

    A cpuset that shrinks does that, and an ended worker's mask stays as it was. The masks come back with the
    cpuset since Linux 6.2, and become the whole cpuset before.

    Args:
        own: the mask of this process when it started them, which unpinned ones have.
    """
    asked = [frozenset(command.cpus) or own for command in commands]
    return any(
        (mask := worker.mask()) and mask != wanted for worker, wanted in zip(workers, asked, strict=True)
    )


def _explain(
    error: InstanceError,
    workers: Sequence[Worker],
    commands: Sequence[Command],
    limit_s: float,
    *,
    oom_killed: bool | None,
) -> Failure:
    """Make the failure of the worker that failed first; what happens to its siblings is our doing."""
    if error.instance is None:
        return _failure(error.kind, error.reason, None, len(workers))
    worker = workers[error.instance]
    kind, reason = error.kind, error.reason
    if error.ended:
        status = worker.exit_status(_EXIT_S)
        nodes = commands[error.instance].memory_nodes
        kind, reason = sort_exit(status, worker.stderr.text(), oom_killed=oom_killed, memory_nodes=nodes)
    if kind is FailureKind.TIMEOUT:
        reason += f" (measure.trial_timeout is {limit_s:g} s)"
    return _failure(kind, reason, error.instance, len(workers), worker.stderr.text())


def _failure(
    kind: FailureKind, reason: str, instance: int | None, instances: int, stderr_tail: str = ""
) -> Failure:
    which = "" if instance is None or instances == 1 else f"instance {instance} of {instances}: "
    return Failure(kind, which + reason, stderr_tail)
