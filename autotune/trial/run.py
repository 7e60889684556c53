"""One trial: commands in, a measurement or a failure out."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace

from autotune.placement.placement import Command
from autotune.spec.configuration import Configuration, Scenario
from autotune.spec.study import Measure
from autotune.trial.asked import Asked, ask
from autotune.trial.conductor import Exchange, Schedule, conduct
from autotune.trial.counters import oom_kills
from autotune.trial.failures import InstanceError, sort_exit
from autotune.trial.launcher import Worker, launched
from autotune.trial.measurement import Failure, FailureKind, Measurement, TrialResult

_EXIT_S = 1.0
"""How long a worker that has closed its channel may take to exit."""


def run_trial(
    commands: Sequence[Command],
    *,
    configuration: Configuration,
    scenario: Scenario,
    measure: Measure,
    percentile: float | None,
) -> TrialResult:
    """Start the instances, measure them over common windows, and end them.

    Whatever happens, no process, descriptor or file of the trial is left. The caller holds the host's lock.

    Args:
        commands: one for each instance.
        configuration: what they are to prove to be.
        scenario: what they run in the windows.
        measure: lengths of warm-up and windows, and the time limit.
        percentile: the percentile of latency that the objective or a limit needs; more blocks are measured
            until the number of requests supports it, within ten times the planned measuring time.
    """
    started_s = time.monotonic()
    schedule = Schedule(measure.block_s, measure.blocks, percentile, started_s + measure.trial_timeout_s)
    kills = oom_kills()
    try:
        with launched(commands) as workers:
            try:
                measurement = _measure(workers, schedule, ask(commands, configuration, scenario))
            except InstanceError as error:
                return _explain(error, workers, oom_killed=oom_kills() > kills)
    except InstanceError as error:  # a worker that could not even be started
        return _failure(error.kind, error.reason, error.instance, len(commands))
    return replace(measurement, wall_s=time.monotonic() - started_s)


def _measure(workers: Sequence[Worker], schedule: Schedule, asked: Asked) -> Measurement:
    channels = [worker.channel for worker in workers]
    drains = [worker.stderr for worker in workers]
    with Exchange(channels, drains, schedule.deadline_s) as exchange:
        return conduct(exchange, schedule, asked)


def _explain(error: InstanceError, workers: Sequence[Worker], *, oom_killed: bool) -> Failure:
    """Make the failure of the worker that failed first; what happens to its siblings is our doing."""
    if error.instance is None:
        return _failure(error.kind, error.reason, None, len(workers))
    worker = workers[error.instance]
    kind, reason = error.kind, error.reason
    if error.ended:
        status = worker.exit_status(_EXIT_S)
        kind, reason = sort_exit(status, worker.stderr.text(), oom_killed=oom_killed)
    return _failure(kind, reason, error.instance, len(workers), worker.stderr.text())


def _failure(
    kind: FailureKind, reason: str, instance: int | None, instances: int, stderr_tail: str = ""
) -> Failure:
    which = "" if instance is None or instances == 1 else f"instance {instance} of {instances}: "
    return Failure(kind, which + reason, stderr_tail)
