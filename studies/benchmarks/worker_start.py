"""Prints how long workers take from the start of their process until they are ready, engine by engine.

    python studies/benchmarks/worker_start.py [--runs 7] [--model random:distilbert-base] [--backend NAME ...]

One worker at a time, as a trial starts it, pinned; the artifacts come from the usual cache and are made first
where they are not in it. Timed is what whoever starts it waits for: until it says that it has loaded, built
a request of one sequence of 16 tokens and answered it, which it does for a tenth of a second (at least
twice); and of that, what passes until the model is loaded, as the worker itself reports it (`load_s`). The
first run of each is left out; medians and ranges are printed. Asked of the whole: below 1.5 s without torch
in the process, below 5 s with.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from autotune.backends.inventory import engine_statuses
from autotune.backends.registry import get_backend
from autotune.errors import AutotuneError
from autotune.machine.machine import Machine
from autotune.machine.read import read_machine
from autotune.model.artifacts.artifact import Artifact
from autotune.model.artifacts.cache import ArtifactCache
from autotune.model.sources import ResolvedModel, resolve_model
from autotune.placement.command import Service, worker_commands
from autotune.placement.place import place
from autotune.placement.placement import Command
from autotune.preparation.making import MadeFor
from autotune.preparation.preparing import end_fork_server, prepare_artifact
from autotune.spec.configuration import Configuration
from autotune.spec.problem import Problem
from autotune.trial.launcher import launched
from autotune.worker.messages import Ready

ASKED_S = {False: 1.5, True: 5.0}
"""By whether torch is in the process."""
PREPARATION_TIMEOUT_S = 1800.0
BATCH, TOKENS = 1, 16
PROBLEM = Problem(batch_size=BATCH, sequence_length=TOKENS)
WARMUP_S = 0.1
"""The shortest that a worker takes over its first requests anyway."""


@dataclass(frozen=True)
class Start:
    """One start of a worker.

    Attributes:
        ready_s: from the launch to the word that it has answered its first requests.
        load_s: from process start to model loaded.
        maps_torch: whether torch's library is in its memory.
    """

    ready_s: float
    load_s: float
    maps_torch: bool


def prepared(model: ResolvedModel, machine: Machine, backends: list[str]) -> Iterator[Artifact]:
    """The artifacts of every installed engine, or of the named ones; what cannot be made is said."""
    installed = [one for one in engine_statuses(machine.isa) if one.is_installed and model.kind in one.models]
    for engine in installed:
        for precision in engine.precisions if engine.name in (backends or [engine.name]) else ():
            try:
                yield prepare_artifact(
                    model,
                    engine.name,
                    precision,
                    machine.isa,
                    ArtifactCache(),
                    timeout_s=PREPARATION_TIMEOUT_S,
                    made_for=MadeFor(shapes=[(BATCH, TOKENS)]),
                )
            except AutotuneError as error:
                print(f"{engine.name} {precision}: {error.problem}", flush=True)


def command(artifact: Artifact, machine: Machine) -> Command:
    """What starts one worker with as many threads as may run."""
    threads = min(4, len(machine.allowed_cores), machine.thread_budget)
    configuration = Configuration(1, threads, "close", "0", False, artifact.backend, artifact.precision)
    (only,) = worker_commands(
        configuration,
        place(configuration, machine),
        artifact,
        get_backend(artifact.backend),
        Service(PROBLEM, "offline", 0, WARMUP_S),
    )
    return only


def start(one: Command) -> Start:
    """Start a worker, wait until it is ready, and end it.

    Raises:
        RuntimeError: it failed.
    """
    begin = time.monotonic()
    with launched([one]) as (worker,):
        (message, *_) = worker.channel.receive()
        ready_s = time.monotonic() - begin
        if not isinstance(message, Ready):
            raise RuntimeError(str(message))
        maps = Path(f"/proc/{worker.pid}/maps").read_text()
        return Start(ready_s, message.observation.load_s, "libtorch" in maps)


def report(artifact: Artifact, starts: list[Start]) -> None:
    """Print one line."""
    times = [one.ready_s for one in starts]
    with_torch = any(one.maps_torch for one in starts)
    middle, loaded = statistics.median(times), statistics.median(one.load_s for one in starts)
    held = "holds" if middle < ASKED_S[with_torch] else "MISSED"
    print(
        f"{artifact.backend:12} {artifact.precision:13} ready in median {middle:.2f} s (min {min(times):.2f},"
        f" max {max(times):.2f}, {len(times)} runs), loaded in {loaded:.2f} s,"
        f" {'with' if with_torch else 'without'} torch:"
        f" {held} (< {ASKED_S[with_torch]:g} s)",
        flush=True,
    )


def main() -> None:
    """Start every engine's worker several times."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--runs", type=int, default=7)
    parser.add_argument("--model", default="random:distilbert-base")
    parser.add_argument("--backend", action="append", default=[])
    options = parser.parse_args()
    machine = read_machine()
    model = resolve_model(options.model, base=Path(), seed=0, offline=True)
    for artifact in prepared(model, machine, options.backend):
        end_fork_server()
        one = command(artifact, machine)
        report(artifact, [start(one) for _ in range(options.runs + 1)][1:])


if __name__ == "__main__":
    main()
