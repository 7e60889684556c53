"""Prints how a trial of one fixed ONNX Runtime configuration agrees with a plain loop, taking turns with it.

    python studies/benchmarks/plain_loop.py [--rounds 60] [--model random:minilm-l6]

The loop is tests/trial/plain_onnxruntime_loop.py: one file, nothing of autotune. Both run the same model file
with one thread on each cpu that may be used, up to four. Nothing else should run meanwhile. Nobody
looks for disturbances, as the loop cannot, and rounds are short and many, so that both meet the same machine.
"""

from __future__ import annotations

import argparse
import random
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from autotune.backends.preparation import prepare_artifact
from autotune.backends.registry import get_backend
from autotune.machine.machine import Machine
from autotune.machine.read import read_machine
from autotune.model.artifact import Artifact
from autotune.model.cache import ArtifactCache
from autotune.model.sources import resolve_model
from autotune.placement.command import worker_commands
from autotune.placement.place import place
from autotune.spec.configuration import Configuration
from autotune.spec.study import Measure, Objective, Problem
from autotune.statistics.paired import paired_ratio
from autotune.trial.measurement import Failure
from autotune.trial.run import run_trial
from autotune.trial.statistics import throughput_sps

LOOP = Path(__file__).resolve().parents[2] / "tests" / "trial" / "plain_onnxruntime_loop.py"


@dataclass(frozen=True)
class Fixed:
    """One instance of ONNX Runtime at fp32, and the same thing as a loop."""

    machine: Machine
    artifact: Artifact
    problem: Problem
    configuration: Configuration

    def pair(self, seconds: float) -> tuple[float, float]:
        """Samples per second of a trial and of the loop, run in random order."""
        if random.random() < 0.5:
            trial = self.trial(seconds)
            return trial, self.loop(seconds)
        loop = self.loop(seconds)
        return self.trial(seconds), loop

    def trial(self, seconds: float) -> float:
        """What autotune measures.

        Raises:
            RuntimeError: the trial failed.
        """
        commands = worker_commands(
            self.configuration,
            place(self.configuration, self.machine),
            self.artifact,
            self.problem,
            "offline",
            0,
            1.0,
            get_backend("onnxruntime"),
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

    def loop(self, seconds: float) -> float:
        """What the plain loop prints."""
        (instance,) = place(self.configuration, self.machine).instances
        shape = (str(self.problem.batch_size), str(self.problem.sequence_length))
        command = [sys.executable, str(LOOP), str(self.artifact.directory / "model.onnx")]
        ran = subprocess.run(
            [*command, ",".join(map(str, instance.cpus)), *shape, str(seconds)],
            capture_output=True,
            text=True,
            check=True,
        )
        return float(ran.stdout)


def prepare(model: str, *, batch_size: int, sequence_length: int, cache: Path) -> Fixed:
    """Prepare the model and lay out the instance."""
    machine = read_machine()
    resolved = resolve_model(model, base=Path(), seed=0, offline=True)
    artifact = prepare_artifact(
        resolved, "onnxruntime", "fp32", machine.isa, ArtifactCache(cache), timeout_s=600
    )
    threads = min(4, len(machine.allowed_cores), machine.thread_budget)
    configuration = Configuration(1, threads, "close", "0", False, "onnxruntime", "fp32")
    problem = Problem(batch_size=batch_size, sequence_length=sequence_length)
    return Fixed(machine, artifact, problem, configuration)


def main() -> None:
    """Take turns and print the ratio with its interval."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--rounds", type=int, default=60)
    parser.add_argument("--model", default="random:minilm-l6")
    parser.add_argument("--seconds", type=float, default=1.0)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        fixed = prepare(options.model, batch_size=8, sequence_length=128, cache=Path(name))
        print(f"{options.model}, 8 x 128 tokens, {fixed.configuration}")
        pairs = []
        for number in range(1, options.rounds + 1):
            pairs.append(fixed.pair(options.seconds))
            print(f"round {number}: trial {pairs[-1][0]:.1f}, loop {pairs[-1][1]:.1f} samples/s", flush=True)
    ratio = paired_ratio([trial for trial, _ in pairs], [loop for _, loop in pairs])
    print(f"trial / loop: {ratio.estimate:.4f}, 95 %: {ratio.low:.4f} to {ratio.high:.4f}")


if __name__ == "__main__":
    main()
