"""Prints how a trial of one fixed ONNX Runtime configuration agrees with a plain loop, taking turns with it.

    python studies/benchmarks/plain_loop.py [--launches 24] [--blocks 20] [--seconds 0.5] [--model MODEL]

The loop is tests/trial/plain_onnxruntime_loop.py: one file, nothing of autotune. Both run the same model file
with one thread on each cpu that may be used, up to four. In every launch both are started anew and stay; then
each of the trial's blocks has one of the loop's right before or right behind it, by chance, so that both meet
the same machine. The ratio of a launch is the mean over its blocks, and the interval is Student's over
launches, as two processes differ by more than their blocks show. Nothing else should run meanwhile. No block
is left out: nobody looks for disturbances, as the loop cannot. The defaults take about a quarter of an hour.
"""

from __future__ import annotations

import argparse
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from autotune.backends.registry import get_backend
from autotune.machine.machine import Machine
from autotune.machine.read import read_machine
from autotune.measurement.measurement import Conditions, Failure
from autotune.model.artifacts.artifact import Artifact
from autotune.model.artifacts.cache import ArtifactCache
from autotune.model.sources import resolve_model
from autotune.objectives.throughput import THROUGHPUT
from autotune.placement.command import Service, worker_commands
from autotune.placement.place import place
from autotune.preparation.preparing import end_fork_server, prepare_artifact
from autotune.spec.configuration import Configuration
from autotune.spec.problem import Problem
from autotune.spec.study import Measure
from autotune.statistics.paired import mean_interval, paired_ratio
from autotune.trial.run import Trial, run_trial
from autotune.trial.stopping import goodness_of_blocks
from autotune.trial.watch import Observer, Watch

LOOP = Path(__file__).resolve().parents[2] / "tests" / "trial" / "plain_onnxruntime_loop.py"

REST_S = 0.1
"""Between one's block and the other's: ONNX Runtime's threads spin for a while after their last request."""


@dataclass(frozen=True)
class PlainLoop:
    """The loop's process, loaded and warm."""

    orders: IO[str]
    answers: IO[str]

    def block(self, seconds: float) -> float:
        """Samples per second of one block.

        Raises:
            RuntimeError: the loop has ended.
        """
        self.orders.write(f"{seconds}\n")
        self.orders.flush()
        if not (answer := self.answers.readline()):
            raise RuntimeError("the plain loop has ended")
        return float(answer)


class TakingTurns(Watch):
    """Stands where a trial's watch stands, and has the loop run a block beside each of the trial's."""

    def __init__(self, loop: PlainLoop, seconds: float) -> None:
        super().__init__()
        self.turns = _Turns(loop, seconds)

    @contextmanager
    def over(self, pids: Sequence[int], cpus: Sequence[Sequence[int]]) -> Iterator[Observer]:  # noqa: ARG002
        """Nothing is watched."""
        yield self.turns


class _Turns(Observer):
    """The loop's blocks, in the order of the trial's."""

    def __init__(self, loop: PlainLoop, seconds: float) -> None:
        self._loop = loop
        self._seconds = seconds
        self._is_first = False
        self.samples_per_s: list[float] = []

    def before(self) -> None:
        """Let the loop run first, or not."""
        self._is_first = random.random() < 0.5
        if self._is_first:
            self._run()
        time.sleep(REST_S)

    def after(self) -> Conditions:
        """Let it run behind, if it did not run first; the conditions are unknown."""
        if not self._is_first:
            self._run()
        return Conditions(window_s=self._seconds)

    def _run(self) -> None:
        time.sleep(REST_S)
        self.samples_per_s.append(self._loop.block(self._seconds))


@dataclass(frozen=True)
class Fixed:
    """One instance of ONNX Runtime at fp32, and the same thing as a loop."""

    machine: Machine
    artifact: Artifact
    problem: Problem
    configuration: Configuration

    def launch(self, *, blocks: int, seconds: float) -> list[tuple[float, float]]:
        """Start both, and give samples per second of the trial and of the loop, block by block.

        Raises:
            RuntimeError: the trial failed, or the loop ended.
        """
        with self._loop() as loop:
            turns = TakingTurns(loop, seconds)
            return self._trial(turns, blocks=blocks, seconds=seconds)

    def _trial(self, turns: TakingTurns, *, blocks: int, seconds: float) -> list[tuple[float, float]]:
        commands = worker_commands(
            self.configuration,
            place(self.configuration, self.machine),
            self.artifact,
            get_backend("onnxruntime"),
            Service(self.problem, "offline", 0, 1.0),
        )
        result = run_trial(
            commands,
            Trial(
                configuration=self.configuration,
                scenario="offline",
                measure=Measure(block_s=seconds, blocks=blocks, max_blocks=blocks),
                objective=THROUGHPUT,
                percentile=None,
            ),
            watch=turns,
        )
        if isinstance(result, Failure):
            raise RuntimeError(f"{result.kind}: {result.reason}")
        return list(
            zip(
                goodness_of_blocks(result.blocks, "offline", THROUGHPUT),
                turns.turns.samples_per_s,
                strict=True,
            )
        )

    @contextmanager
    def _loop(self) -> Iterator[PlainLoop]:
        (instance,) = place(self.configuration, self.machine).instances
        shape = (str(self.problem.batch_size), str(self.problem.sequence_length))
        command = [sys.executable, str(LOOP), str(self.artifact.directory / "model.onnx")]
        with subprocess.Popen(
            [*command, ",".join(map(str, instance.cpus)), *shape],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        ) as process:
            if process.stdin is None or process.stdout is None or process.stdout.readline() != "ready\n":
                raise RuntimeError("the plain loop does not start")
            yield PlainLoop(process.stdin, process.stdout)


def prepare(model: str, *, batch_size: int, sequence_length: int, cache: Path) -> Fixed:
    """Prepare the model and lay out the instance."""
    machine = read_machine()
    resolved = resolve_model(model, base=Path(), seed=0, offline=True)
    artifact = prepare_artifact(
        resolved, "onnxruntime", "fp32", machine.isa, ArtifactCache(cache), timeout_s=600
    )
    end_fork_server()
    threads = min(4, len(machine.allowed_cores), machine.thread_budget)
    configuration = Configuration(1, threads, "close", "0", False, "onnxruntime", "fp32")
    problem = Problem(batch_size=batch_size, sequence_length=sequence_length)
    return Fixed(machine, artifact, problem, configuration)


def main() -> None:
    """Take turns and print the ratio with its interval."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--launches", type=int, default=24)
    parser.add_argument("--blocks", type=int, default=20, help="of each in a launch")
    parser.add_argument("--seconds", type=float, default=0.5, help="shortest length of a block")
    parser.add_argument("--model", default="random:minilm-l6")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        fixed = prepare(options.model, batch_size=8, sequence_length=128, cache=Path(name))
        print(f"{options.model}, 8 x 128 tokens, {fixed.configuration}")
        ratios = []
        for number in range(1, options.launches + 1):
            pairs = fixed.launch(blocks=options.blocks, seconds=options.seconds)
            own = paired_ratio([trial for trial, _ in pairs], [loop for _, loop in pairs])
            ratios.append(own.estimate)
            print(
                f"launch {number}: trial / loop {own.estimate:.4f} ({own.low:.4f} to {own.high:.4f})",
                flush=True,
            )
    ratio = mean_interval(ratios)
    print(f"trial / loop: {ratio.estimate:.4f}, 95 %: {ratio.low:.4f} to {ratio.high:.4f}")


if __name__ == "__main__":
    main()
