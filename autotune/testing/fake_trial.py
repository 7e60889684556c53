"""Trials of the fake backend, with commands written by hand: for tests of what launches and measures."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import KW_ONLY, dataclass
from pathlib import Path
from typing import Any

import psutil

from autotune.measurement.measurement import TrialResult
from autotune.objectives.objective import Objective
from autotune.objectives.throughput import THROUGHPUT
from autotune.placement.assignment import Assignment
from autotune.placement.placement import Command, WorkerProgram
from autotune.spec.configuration import Configuration, Precision
from autotune.spec.scenario import Scenario, traits_of
from autotune.spec.study import Measure
from autotune.testing.fake_backend import ARTIFACT_FILE
from autotune.testing.fake_model import SCHEMA
from autotune.trial.run import Trial, run_trial
from autotune.trial.server.rate_search import Demand
from autotune.trial.stopping import Rival
from autotune.trial.watch import Watch

QUICK = Measure(warmup_s=2.0, block_s=0.1, blocks=2, max_blocks=2, trial_timeout_s=30.0)
"""Two short windows for requests of about 10 ms."""


@dataclass
class FakeTrial:
    """Runs real workers of one fake model, whose artifact it writes.

    Attributes:
        folder: the artifact's folder; its name in the workers' command lines tells them from others.
        model: the fake model's document, as far as it differs from the usual.
        instances, threads, batch_size, precision, scenario: what is asked of the workers.
        cpus: of each instance; empty = unpinned.
        memory_nodes: of every instance.
    """

    folder: Path
    model: Mapping[str, Any]
    _: KW_ONLY
    instances: int = 1
    threads: int = 1
    batch_size: int = 1
    precision: Precision = "fp32"
    scenario: Scenario = "offline"
    cpus: Sequence[tuple[int, ...]] = ()
    memory_nodes: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        self.cpus = self.cpus or [()] * self.instances
        document = {"schema": SCHEMA, "serial_s": 0.01, **self.model}
        (self.folder / ARTIFACT_FILE).write_text(json.dumps(document))

    @property
    def configuration(self) -> Configuration:
        """What the workers are to prove to be."""
        return Configuration(
            instances=self.instances,
            threads_per_instance=self.threads,
            placement="close",
            sockets="0",
            smt=False,
            backend="fake",
            precision=self.precision,
        )

    def commands(self) -> tuple[Command, ...]:
        """A command for each instance."""
        return tuple(
            Command(
                WorkerProgram(sys.executable, self.assignment(instance)),
                _environment(),
                self.cpus[instance],
                self.memory_nodes,
            )
            for instance in range(self.instances)
        )

    def run(
        self,
        measure: Measure = QUICK,
        percentile: float | None = None,
        *,
        objective: Objective = THROUGHPUT,
        rival: Rival | None = None,
        watch: Watch | None = None,
        max_measuring_s: float | None = None,
        demand: Demand | None = None,
    ) -> TrialResult:
        """Run the trial."""
        return run_trial(
            self.commands(),
            Trial(
                configuration=self.configuration,
                scenario=self.scenario,
                measure=measure,
                objective=objective,
                percentile=percentile,
                rival=rival,
                max_measuring_s=max_measuring_s,
                demand=demand,
            ),
            watch=watch,
        )

    def assignment(self, instance: int) -> Assignment:
        """What one worker is asked to run."""
        share, rest = divmod(self.batch_size, self.instances)
        size = share + (instance < rest) if traits_of(self.scenario).is_split else self.batch_size
        return Assignment(
            backend="fake",
            precision=self.precision,
            artifact=self.folder,
            batch_size=size,
            threads=self.threads,
            seed=0,
            warmup_s=2.0,
            instance=instance,
            instances=self.instances,
            sequence_length=16,
        )


def _environment() -> dict[str, str]:
    return {"PATH": os.defpath, "LANG": "C.UTF-8"}


def processes_of(folder: Path) -> list[psutil.Process]:
    """The processes on this host that have this folder in their command line, zombies excepted."""
    found = []
    for process in psutil.process_iter():
        try:
            words = process.cmdline()
        except psutil.Error:
            continue
        if any(str(folder) in word for word in words):
            found.append(process)
    return found
