"""Prints how much of a core the parent takes while its workers measure, and whether it maps an engine.

    python studies/benchmarks/parent_cpu.py [--seconds 10]

Two trials are run that differ only in the length of their windows: what the longer one costs the parent more,
divided by how much longer it measured, is its share during the windows.
"""

from __future__ import annotations

import argparse
import json
import resource
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from autotune.backends.registry import get_backend
from autotune.machine.machine import Machine
from autotune.machine.read import read_machine
from autotune.measurement.measurement import Measurement
from autotune.model.artifacts.cache import ArtifactCache
from autotune.model.sources import resolve_model
from autotune.objectives.throughput import THROUGHPUT
from autotune.placement.command import Service, worker_commands
from autotune.placement.place import place
from autotune.placement.placement import Command
from autotune.preparation.preparing import end_fork_server, prepare_artifact
from autotune.spec.configuration import Configuration
from autotune.spec.problem import Problem
from autotune.spec.study import Measure
from autotune.trial.run import Trial, run_trial
from autotune.trial.watch import Watch

ENGINE_LIBRARIES = ("libtorch", "onnxruntime", "libmkl", "libdnnl")


@dataclass(frozen=True)
class Subject:
    """What is run."""

    source: str
    backend: str


def main() -> None:
    """Measure the fake backend and ONNX Runtime."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seconds", type=float, default=10.0, help="length of the longer window")
    seconds = parser.parse_args().seconds
    machine = read_machine()
    with tempfile.TemporaryDirectory() as name:
        file = Path(name, "model.json")
        file.write_text(json.dumps({"schema": "autotune.fake/1", "serial_s": 0.002}))
        for subject in (Subject(f"fake:{file}", "fake"), Subject("random:minilm-l6", "onnxruntime")):
            report(subject, machine, seconds)
    print(f"engine libraries mapped by the parent: {', '.join(mapped_engines()) or 'none'}")


def report(subject: Subject, machine: Machine, seconds: float) -> None:
    """Print one subject's line."""
    configuration = fullest(machine, subject.backend)
    commands = prepare(subject, configuration, machine)
    short, long = (run(commands, configuration, length) for length in (0.5, seconds))
    share = (long[0] - short[0]) / (long[1] - short[1])
    print(
        f"{subject.backend}: {configuration.instances} instances, the parent takes {share:.3%} of a core",
        flush=True,
    )


def fullest(machine: Machine, backend: str) -> Configuration:
    """One thread on every core: the most workers to listen to."""
    sockets = f"0-{len(machine.packages) - 1}" if len(machine.packages) > 1 else "0"
    return Configuration(len(machine.allowed_cores), 1, "close", sockets, False, backend, "fp32")


def prepare(subject: Subject, configuration: Configuration, machine: Machine) -> Sequence[Command]:
    """Make the artifact, in a child, and the commands."""
    model = resolve_model(subject.source, base=Path(), seed=0, offline=True)
    artifact = prepare_artifact(model, subject.backend, "fp32", machine.isa, ArtifactCache(), timeout_s=600)
    end_fork_server()
    problem = Problem(batch_size=1, sequence_length=32)
    placement = place(configuration, machine)
    backend = get_backend(subject.backend)
    return worker_commands(configuration, placement, artifact, backend, Service(problem, "offline", 0, 2.0))


def run(commands: Sequence[Command], configuration: Configuration, seconds: float) -> tuple[float, float]:
    """Run one window; give the parent's CPU time of the whole trial, and the window's length."""
    before_s = cpu_s()
    measure = Measure(warmup_s=2.0, block_s=seconds, blocks=1, max_blocks=1, trial_timeout_s=seconds + 120)
    result = run_trial(
        commands,
        Trial(
            configuration=configuration,
            scenario="offline",
            measure=measure,
            objective=THROUGHPUT,
            percentile=None,
        ),
        watch=Watch(),
    )
    if not isinstance(result, Measurement):
        raise SystemExit(f"the trial failed: {result.reason}\n{result.stderr_tail}")
    return cpu_s() - before_s, result.measuring_s


def cpu_s() -> float:
    """CPU time of this process alone."""
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


def mapped_engines() -> list[str]:
    """Names of engine libraries in this process's address space."""
    maps = Path("/proc/self/maps").read_text()
    return [name for name in ENGINE_LIBRARIES if name in maps]


if __name__ == "__main__":
    main()
