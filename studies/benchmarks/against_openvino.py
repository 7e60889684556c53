"""Prints a plan's throughput against OpenVINO's `benchmark_app -hint throughput` on the fp32 model, in turns.

    python studies/benchmarks/against_openvino.py [--minutes 10] [--rounds 12] [--seconds 10]

The model is random:distilbert-base, and a request has 8 x 128 tokens. A study is tuned first (offline,
throughput, every installed engine), in a store of its own; then its plan and benchmark_app run in rounds, in
random order, for so many seconds each, on all cpus that may be used. benchmark_app gets the fp32 model that
the OpenVINO backend prepares, with fixed shapes and real token ids. Asked: a ratio of at least 2.5. Nothing
else should run.
"""

from __future__ import annotations

import argparse
import random
import re
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np

import autotune
from autotune.backends.preparation import end_fork_server, prepare_artifact
from autotune.backends.registry import get_backend
from autotune.machine.machine import Machine
from autotune.machine.read import read_machine
from autotune.model.artifact import Artifact
from autotune.model.cache import ArtifactCache
from autotune.model.inputs import make_inputs
from autotune.model.sources import resolve_model
from autotune.placement.command import worker_commands
from autotune.placement.place import place
from autotune.spec.configuration import Configuration, Precision
from autotune.spec.problem import Problem
from autotune.spec.study import Budget, Measure, Objective, StudySpec
from autotune.statistics.paired import paired_ratio
from autotune.trial.measurement import Failure
from autotune.trial.run import run_trial
from autotune.trial.statistics import throughput_sps

MODEL = "random:distilbert-base"
BATCH, TOKENS = 8, 128
PROBLEM = Problem(batch_size=BATCH, sequence_length=TOKENS)
ASKED = 2.5
PREPARATION_TIMEOUT_S = 1800.0


@dataclass(frozen=True)
class Sides:
    """The plan's configuration, and what benchmark_app is given.

    Attributes:
        network: the fp32 model as OpenVINO reads it.
        inputs: a file of one request for each of the model's inputs, by name.
    """

    machine: Machine
    configuration: Configuration
    artifact: Artifact
    network: Path
    inputs: dict[str, Path]

    def pair(self, seconds: float) -> tuple[float, float]:
        """Samples per second of the plan and of benchmark_app, run in random order."""
        if random.random() < 0.5:
            plan = self.plan(seconds)
            return plan, self.benchmark_app(seconds)
        theirs = self.benchmark_app(seconds)
        return self.plan(seconds), theirs

    def plan(self, seconds: float) -> float:
        """What the plan's configuration reaches in one window.

        Raises:
            RuntimeError: it failed.
        """
        backend = get_backend(self.configuration.backend)
        placement = place(self.configuration, self.machine)
        commands = worker_commands(
            self.configuration, placement, self.artifact, PROBLEM, "offline", 0, 5.0, backend
        )
        result = run_trial(
            commands,
            configuration=self.configuration,
            scenario="offline",
            measure=Measure(block_s=seconds, blocks=1, max_blocks=1),
            objective=Objective(kind="throughput"),
            percentile=None,
        )
        if isinstance(result, Failure):
            raise RuntimeError(f"{result.kind}: {result.reason}")
        return throughput_sps(result)

    def benchmark_app(self, seconds: float) -> float:
        """What OpenVINO's tool reaches: its requests, times the sequences of each, by its own clock."""
        shape = f"[{BATCH},{TOKENS}]"
        printed = subprocess.run(
            [
                *(str(Path(sys.executable).with_name("benchmark_app")), "-m", str(self.network), "-d", "CPU"),
                *("-hint", "throughput", "-infer_precision", "f32", "-t", str(max(1, round(seconds)))),
                *("-shape", ",".join(f"{name}{shape}" for name in self.inputs)),
                *("-i", ",".join(f"{name}:{file}" for name, file in self.inputs.items())),
            ],
            check=True,
            capture_output=True,
            text=True,
        ).stdout
        return BATCH * _figure("Count", printed) / (_figure("Duration", printed) / 1000)


def _figure(name: str, printed: str) -> float:
    """A figure of benchmark_app's last lines, such as `Count: 52 iterations`, `Duration: 10123.45 ms`.

    Raises:
        RuntimeError: there is none.
    """
    found = re.search(rf"{name}:\s+([0-9.]+)", printed)
    if found is None:
        raise RuntimeError(f"benchmark_app printed no {name}: {printed[-2000:]}")
    return float(found[1])


def tune(minutes: float, folder: Path) -> Configuration:
    """The configuration of a new study's plan."""
    spec = StudySpec(
        name="against-openvino",
        model=MODEL,
        problem=PROBLEM,
        objective=Objective(kind="throughput"),
        scenario="offline",
        budget=Budget(minutes=minutes),
    )
    plan = autotune.tune(spec, store=f"sqlite:///{folder}/study.db")
    print(f"plan: {plan.configuration}, gain {plan.gain:.2f}" if plan.gain else f"plan: {plan.configuration}")
    return plan.configuration


def artifact(backend: str, precision: Precision, machine: Machine) -> Artifact:
    """From the usual cache."""
    return prepare_artifact(
        resolve_model(MODEL, base=Path(), seed=0, offline=True),
        backend,
        precision,
        machine.isa,
        ArtifactCache(),
        timeout_s=PREPARATION_TIMEOUT_S,
        shapes=[(BATCH, TOKENS)],
    )


def sides(configuration: Configuration, folder: Path) -> Sides:
    """Prepare both."""
    machine = read_machine()
    theirs = artifact("openvino", "fp32", machine)
    inputs = {}
    for name, array in make_inputs(theirs.directory, BATCH, TOKENS, 0).items():
        inputs[name] = folder / f"{name}.npy"
        np.save(inputs[name], array)
    (network,) = theirs.directory.glob("*.xml")
    ours = artifact(configuration.backend, configuration.precision, machine)
    end_fork_server()
    return Sides(machine, configuration, ours, network, inputs)


def main() -> None:
    """Tune, take turns, and print the ratio with its interval."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--rounds", type=int, default=12)
    parser.add_argument("--seconds", type=float, default=10.0)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        both = sides(tune(options.minutes, Path(name)), Path(name))
        pairs = []
        for number in range(1, options.rounds + 1):
            pairs.append(both.pair(options.seconds))
            print(
                f"round {number}: plan {pairs[-1][0]:.1f}, benchmark_app {pairs[-1][1]:.1f} samples/s",
                flush=True,
            )
    ratio = paired_ratio([ours for ours, _ in pairs], [theirs for _, theirs in pairs])
    held = "holds" if ratio.estimate >= ASKED else "MISSED"
    print(
        f"plan / benchmark_app: {ratio.estimate:.2f}, 95 %: {ratio.low:.2f} to {ratio.high:.2f}: {held}"
        f" (>= {ASKED:g})"
    )


if __name__ == "__main__":
    main()
