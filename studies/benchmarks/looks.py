"""Prints what looks at engines say of a model, how long they take, and, asked to check, how true it is.

    python studies/benchmarks/looks.py [--model random:distilbert-base] [--batch 8] [--tokens 128] [--check 2]

Every installed engine but the compilers is looked at, at every precision that it has here, from an empty
cache of its own. Asked: below 25 s for the engines of `pip install .`, below 50 s for all, from the moment
that torch and transformers are imported. With `--check N`, the whole model is then prepared by each (in the
usual cache), timed as a look does, and run as one instance on one thread, N times in turn, for some seconds
each. For both is printed how the order agrees (Spearman's rank correlation), the standard deviation of the
logarithm of what the look expects beside what is measured, and how fast the look's favourite is beside the
fastest. Looks count cpu time; all that is timed by the clock needs a machine on which nothing else runs.
"""

from __future__ import annotations

import argparse
import math
import statistics
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from scipy.stats import spearmanr

from autotune.backends.registry import backends, get_backend, missing_packages
from autotune.bench.looking import at_once
from autotune.errors import AutotuneError
from autotune.machine.document import fingerprint
from autotune.machine.machine import Machine
from autotune.machine.read import read_machine
from autotune.measurement.measurement import Failure
from autotune.measurement.statistics import throughput_sps
from autotune.model.artifacts.artifact import Artifact
from autotune.model.artifacts.cache import ArtifactCache
from autotune.model.artifacts.manifest import read_manifest
from autotune.model.looked import Look, Refused
from autotune.model.sources import ResolvedModel, resolve_model
from autotune.objectives.throughput import THROUGHPUT
from autotune.placement.command import Service, worker_commands
from autotune.placement.place import place
from autotune.preparation.kept_looks import EnginePrecision
from autotune.preparation.looking import LookedOn, Looks, Pace, take_looks, time_artifact
from autotune.preparation.preparing import end_fork_server, prepare_artifact
from autotune.spec.configuration import Configuration
from autotune.spec.problem import Problem
from autotune.spec.study import Measure
from autotune.trial.run import Trial, run_trial

PLAIN = frozenset({"pytorch", "torchscript", "onnxruntime"})
"""The engines of `pip install .` that are looked at."""
ASKED_PLAIN_S, ASKED_ALL_S = 25.0, 50.0
PREPARATION_TIMEOUT_S = 1800.0
FOREVER_S = 3600.0


def pairs_here(model: ResolvedModel, machine: Machine) -> list[EnginePrecision]:
    """Every installed engine at every precision that it has for this model on this machine."""
    return [
        (name, precision)
        for name, backend in backends().items()
        if name != "fake" and not missing_packages(backend)
        for precision in backend.precisions
        if not backend.unsupported(precision, machine.isa, model.kind)
    ]


def look_at_all(
    model: ResolvedModel, shape: tuple[int, int], machine: Machine
) -> dict[EnginePrecision, Look]:
    """Take the looks from an empty cache, and print each and what all of them took."""
    pairs = pairs_here(model, machine)
    plain = [pair for pair in pairs if pair[0] in PLAIN]
    # One pair is looked at first, for the imports.
    timed_looks(model, pairs[:1], shape, machine)
    _, plain_s = timed_looks(model, plain, shape, machine)
    looks, all_s = timed_looks(model, pairs, shape, machine)
    end_fork_server()
    if looks.reason:
        print(f"no looks: {looks.reason}")
        return {}
    seen = {pair: answer for pair, answer in looks.seen.items() if isinstance(answer, Look)}
    fastest_s = min(look.request_s for look in seen.values())
    print_looks(looks.seen, fastest_s)
    print_held("engines of `pip install .`", plain_s, ASKED_PLAIN_S)
    print_held("all", all_s, ASKED_ALL_S)
    return seen


def timed_looks(
    model: ResolvedModel, pairs: Sequence[EnginePrecision], shape: tuple[int, int], machine: Machine
) -> tuple[Looks, float]:
    """Take looks from an empty cache, and say how many seconds that took."""
    with tempfile.TemporaryDirectory() as folder:
        begin = time.monotonic()
        looks = take_looks(
            model,
            pairs,
            shape,
            LookedOn(fingerprint(machine), machine.isa),
            ArtifactCache(Path(folder)),
            pace=Pace(begin + FOREVER_S, at_once=at_once(machine)),
        )
        return looks, time.monotonic() - begin


def print_looks(seen: Mapping[EnginePrecision, Look | Refused], fastest_s: float) -> None:
    """A line for each answer."""
    for (backend, precision), answer in seen.items():
        name = f"{backend} {precision}"
        if isinstance(answer, Refused):
            print(f"{name:28} refused: {answer.reason}")
        else:
            print(
                f"{name:28} request {1000 * answer.request_s:8.2f} ms, {fastest_s / answer.request_s:4.2f} of"
                f" the fastest, prepared in {answer.preparation_s:5.2f} s, look {answer.took_s:5.2f} s"
                f" ({answer.layers} of {answer.whole_layers} layers)"
            )


def print_held(what: str, seconds: float, asked_s: float) -> None:
    """A total beside what is asked."""
    held = "holds" if seconds < asked_s else "MISSED"
    print(f"looks of {what}: {seconds:.1f} s: {held} (< {asked_s:g} s)", flush=True)


def prepare_whole(model: ResolvedModel, pair: EnginePrecision, machine: Machine) -> Artifact | None:
    """Prepare the whole model in the usual cache, and print what that took; None where it is refused."""
    try:
        made = prepare_artifact(model, *pair, machine.isa, ArtifactCache(), timeout_s=PREPARATION_TIMEOUT_S)
    except AutotuneError as error:
        print(f"{' '.join(pair):28} refused of the whole model: {error.problem}")
        return None
    manifest = read_manifest(made.directory)
    seconds = None if manifest is None else manifest.seconds
    took = "unknown" if seconds is None else f"{seconds:.2f} s"
    print(f"{' '.join(pair):28} whole model prepared in {took}", flush=True)
    return made


def request_s(
    pair: EnginePrecision, artifact: Artifact, shape: tuple[int, int], machine: Machine, seconds: float
) -> float | None:
    """Seconds of one request of the whole model, as one instance on one thread; None where that fails."""
    configuration = Configuration(1, 1, "close", "0", False, *pair)
    problem = Problem(batch_size=shape[0], sequence_length=shape[1])
    commands = worker_commands(
        configuration,
        place(configuration, machine),
        artifact,
        get_backend(pair[0]),
        Service(problem, "offline", 0, 5.0),
    )
    result = run_trial(
        commands,
        Trial(
            configuration=configuration,
            scenario="offline",
            measure=Measure(block_s=seconds, blocks=1, max_blocks=1),
            objective=THROUGHPUT,
            percentile=None,
        ),
    )
    if isinstance(result, Failure):
        print(f"{' '.join(pair):28} failed: {result.reason}")
        return None
    return shape[0] / throughput_sps(result)


def check(
    model: ResolvedModel,
    looks: Mapping[EnginePrecision, Look],
    shape: tuple[int, int],
    rounds: int,
    seconds: float,
) -> None:
    """Measure the whole model with each engine, and print how that agrees with the looks."""
    machine = read_machine()
    prepared = {pair: prepare_whole(model, pair, machine) for pair in looks}
    made = {pair: artifact for pair, artifact in prepared.items() if artifact is not None}
    by_cpu = {pair: time_artifact(model, made[pair], shape, timeout_s=PREPARATION_TIMEOUT_S) for pair in made}
    end_fork_server()
    expected = {pair: look.request_s * look.whole_layers / look.layers for pair, look in looks.items()}
    cpu = {pair: found for pair, found in by_cpu.items() if not isinstance(found, Refused)}
    print_agreement("cpu time of the whole model", expected, cpu)
    by_trial: dict[EnginePrecision, list[float]] = {}
    for _ in range(rounds):
        for pair, artifact in made.items():
            found = request_s(pair, artifact, shape, machine, seconds)
            if found is not None:
                by_trial.setdefault(pair, []).append(found)
    trials = {pair: statistics.median(times) for pair, times in by_trial.items()}
    print_agreement("one instance on one thread", expected, trials)


def print_agreement(
    what: str, expected: Mapping[EnginePrecision, float], whole: Mapping[EnginePrecision, float]
) -> None:
    """Print what looks expect of each engine beside what was measured, and how that agrees."""
    print(f"{what}:")
    for pair, measured_s in whole.items():
        print(
            f"{' '.join(pair):28} expected {1000 * expected[pair]:8.2f} ms, measured"
            f" {1000 * measured_s:8.2f} ms, expected / measured {expected[pair] / measured_s:.2f}"
        )
    logarithms = [math.log(expected[pair] / measured_s) for pair, measured_s in whole.items()]
    rank = float(spearmanr([expected[pair] for pair in whole], list(whole.values())).statistic)
    favourite = min(whole, key=lambda pair: expected[pair])
    print(
        f"rank correlation {rank:.3f}; logarithm of expected / measured: mean"
        f" {statistics.mean(logarithms):+.3f}, standard deviation {statistics.stdev(logarithms):.3f}, range"
        f" {max(logarithms) - min(logarithms):.3f}"
    )
    print(
        f"the looks' favourite, {' '.join(favourite)}, has"
        f" {min(whole.values()) / whole[favourite]:.2f} of the fastest one's speed",
        flush=True,
    )


def main() -> None:
    """Look, and check if asked to."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--model", default="random:distilbert-base")
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--tokens", type=int, default=128)
    parser.add_argument("--check", type=int, default=0, metavar="N")
    parser.add_argument("--seconds", type=float, default=2.0, help="of each run of --check")
    options = parser.parse_args()
    shape = (options.batch, options.tokens)
    model = resolve_model(options.model, base=Path(), seed=0, offline=True)
    looks = look_at_all(model, shape, read_machine())
    if looks and options.check:
        check(model, looks, shape, options.check, options.seconds)


if __name__ == "__main__":
    main()
