"""Prints what guard, scoring and confirmation make of noisy hosts: how good plans are, and their figures.

    python -m studies.benchmarks.noisy_hosts [--studies 1000] [--hosts quiet,zen3] [--json]
    python -m studies.benchmarks.noisy_hosts --against CHECKOUT
    python -m studies.benchmarks.noisy_hosts --covariates

Nothing is started and nobody waits: the product's own `tune` runs studies of five minutes on simulated hosts
(`studies.benchmarks.hosted_study`), in the weather of `autotune.testing.hosts` or in recordings of a noisy
host (`studies/benchmarks/noise`, or `--recordings FOLDER`). `--disturbed keep --disturbed drop --disturbed
correct` says what may become of disturbed blocks. `--against CHECKOUT` plays another version's own program on
the same hosts; versions whose program did not run `tune` yet cannot be compared so.

Each host is met by studies of five worlds, of a baseline, the best default (at 1 to 2 times the baseline),
and eight candidates: of these one is truly 1.2, 1.5 or 2 times better than that default and the others reach
0.7 to 1.0 of it; or all reach 0.85 to 0.98 of it; or everything is equal. The truth is the speed without
noise; on a recording, that of its median block.

Asked, on every host: plans worse than the best default, or than the baseline, by more than 2 %: at most 1 %;
the 1.2, 1.5, 2 times better one missed (the plan is not within 2 % of it; no plan at all counts too): at most
20 %, 2 %, 0 %; intervals of ratios that hold the truth: 93 to 97 %, and of the plan's own value, where the
host's usual speed is the one without noise; ratios that are off by more than `REACH`: in at most 1 % of the
studies; studies that give no plan because their rounds contradict their search: at most 1 %, and all of them
where somebody comes who slows what is not pinned, baseline and default (`DOUBTED`).
"""

from __future__ import annotations

import argparse
import json
import math
import multiprocessing
import os
import random
import statistics
import subprocess
import sys
import time
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from autotune.testing.hosts import HOSTS
from autotune.testing.replays import Recording, read_recording, replayed
from autotune.testing.shares import ObservedShare, share_of
from autotune.testing.weather import WeatherMaker
from studies.benchmarks.hosted_study import CANDIDATES, World, hosted_study
from studies.benchmarks.simulated_tune import PlanClaim, SimulatedOutcome

RECORDINGS = Path(__file__).parent / "noise"

FEWEST = 10
WORLDS = ("1.2", "1.5", "2", "worse", "equal")
BETTER = {"1.2": 0.20, "1.5": 0.02, "2": 0.0}
"""How often the better one may be missed."""

CHANGING = frozenset(name for name in HOSTS if not name.startswith(("quiet", "noise", "spikes")))
"""Hosts of which nobody can say which speed is the usual one."""

DOUBTED = frozenset({"late on unpinned"})
"""Hosts whose rounds say nothing of configurations: no plan is how a study is to end there."""

REACH = 1.3
"""A ratio that is stated and off by more than this factor misleads. Source: `rounds.contradiction`."""

TOLERANCE = 0.02
MAX_WORSE = 0.01
COVERED = (0.93, 0.97)


@dataclass(frozen=True)
class Figures:
    """What the studies on one host came to.

    Attributes:
        counted: share of the measured seconds that count.
        no_plan: share of the studies that gave none for noise; contradicted: those of them whose rounds
            contradicted their search.
        misled: whose plan states a ratio that is off by more than `REACH`.
        below_default, below_baseline: whose plan is worse than that by more than 2 %.
        missed: by world, those whose plan is not within 2 % of the better one; untried: those of them whose
            search gave it no score; unseen: in whose rounds it was not.
        loss: mean of 1 - speed of the plan / speed of the best, over all worlds.
        bias: median of the plan's own value / its truth - 1; usual_bias: beside the host's mean speed.
        value, usual, ratios: intervals at 95 % that hold the truth.
        open: share of the intervals of ratios that say nothing.
        trials, rounds, seconds: medians; trials are configurations with a score.
    """

    host: str
    studies: int
    counted: float
    no_plan: ObservedShare
    contradicted: ObservedShare
    misled: ObservedShare
    below_default: ObservedShare
    below_baseline: ObservedShare
    missed: Mapping[str, ObservedShare]
    untried: Mapping[str, ObservedShare]
    unseen: Mapping[str, ObservedShare]
    loss: float
    bias: float
    usual_bias: float
    value: ObservedShare
    usual: ObservedShare
    ratios: ObservedShare
    open: float
    trials: float
    rounds: float
    seconds: float


def world(name: str, seed: int) -> World:
    """What is true in one study."""
    source = random.Random(f"{name} {seed}")
    if name == "equal":
        return World(1.0, (1.0,) * CANDIDATES)
    default = source.uniform(1.0, 2.0)
    if name == "worse":
        return World(default, tuple(default * source.uniform(0.85, 0.98) for _ in range(CANDIDATES)))
    others = [default * source.uniform(0.7, 1.0) for _ in range(CANDIDATES - 1)]
    return World(default, (default * float(name), *others))


def makers(folder: Path) -> dict[str, WeatherMaker]:
    """Every host by name, the recorded ones too."""
    recorded = {path.stem: replayed(read_recording(path)) for path in sorted(folder.glob("*.json"))}
    return {**HOSTS, **recorded}


def studies(task: tuple[str, str, range], folder: Path, disturbed: str | None) -> list[SimulatedOutcome]:
    """Some studies of one world on one host; no two of them have their noise in common."""
    host, name, numbers = task
    make = makers(folder)[host]
    seeds = (1_000_000 * WORLDS.index(name) + number for number in numbers)
    return [hosted_study(world(name, seed), make, seed, disturbed=disturbed) for seed in seeds]


PART = 20
"""Studies that a process is given at once."""


def play(hosts: Sequence[str], count: int, folder: Path, disturbed: str | None) -> list[Figures]:
    """All studies on these hosts, on all cpus, with the autotune that is imported."""
    each = math.ceil(count / len(WORLDS))
    tasks = [
        (host, name, range(first, min(first + PART, each)))
        for host in hosts
        for name in WORLDS
        for first in range(0, each, PART)
    ]
    found: dict[str, dict[str, list[SimulatedOutcome]]] = {
        host: {name: [] for name in WORLDS} for host in hosts
    }
    os.environ["OPENBLAS_NUM_THREADS"] = "1"
    cpus = len(os.sched_getaffinity(0))
    # Fresh processes, so that they heed that before they load NumPy.
    with ProcessPoolExecutor(cpus, mp_context=multiprocessing.get_context("spawn")) as pool:
        for (host, name, _), outcomes in zip(
            tasks, pool.map(partial(studies, folder=folder, disturbed=disturbed), tasks), strict=True
        ):
            found[host][name] += outcomes
    return [figures(host, by_world) for host, by_world in found.items()]


def figures(host: str, found: Mapping[str, Sequence[SimulatedOutcome]]) -> Figures:
    """Sum the studies of one host up."""
    everything = [outcome for outcomes in found.values() for outcome in outcomes]
    stated = [outcome.ratios() for outcome in everything]
    ratios = [[claim for claim in claims if not claim.is_open] for claims in stated]
    count = sum(map(len, stated))
    return Figures(
        host=host,
        studies=len(everything),
        counted=sum(one.counted_s for one in everything) / sum(one.measured_s for one in everything),
        no_plan=share_of([[outcome.plan is None] for outcome in everything]),
        contradicted=share_of([[outcome.is_contradicted] for outcome in everything]),
        misled=share_of([[is_misleading(outcome)] for outcome in everything]),
        below_default=share_of([[is_below(outcome, *outcome.defaults)] for outcome in everything]),
        below_baseline=share_of([[is_below(outcome, outcome.baseline)] for outcome in everything]),
        missed={name: share_of([[is_missed(outcome)] for outcome in found[name]]) for name in BETTER},
        untried={
            name: share_of(
                [[is_missed(outcome) and best(outcome) not in outcome.searched] for outcome in found[name]]
            )
            for name in BETTER
        },
        unseen={
            name: share_of(
                [[is_missed(outcome) and best(outcome) not in outcome.entrants] for outcome in found[name]]
            )
            for name in BETTER
        },
        loss=statistics.fmean(1 - speed(outcome) / max(outcome.truths.values()) for outcome in everything),
        bias=_bias(claim for outcome in everything for claim in outcome.claims()["estimate"]),
        usual_bias=_bias(claim for outcome in everything for claim in usual_values(outcome)),
        value=share_of([[claim.holds for claim in outcome.claims()["estimate"]] for outcome in everything]),
        usual=share_of([[claim.holds for claim in usual_values(outcome)] for outcome in everything]),
        ratios=share_of([[claim.holds for claim in claims] for claims in ratios]),
        open=1 - sum(map(len, ratios)) / count if count else 0.0,
        trials=statistics.median(len(outcome.searched) for outcome in everything),
        rounds=statistics.median(outcome.rounds for outcome in everything),
        seconds=statistics.median(outcome.seconds for outcome in everything),
    )


def best(outcome: SimulatedOutcome) -> str:
    """Name the configuration that is truly the fastest."""
    return max(outcome.truths, key=outcome.truths.__getitem__)


def speed(outcome: SimulatedOutcome) -> float:
    """Give the plan's true speed; a study without a plan leaves the baseline in place."""
    return outcome.truths[outcome.winner or outcome.baseline]


def usual_values(outcome: SimulatedOutcome) -> list[PlanClaim]:
    """Hold the plan's own value against what is true at the host's mean speed meanwhile."""
    return [replace(claim, truth=claim.truth * outcome.mean_speed) for claim in outcome.claims()["estimate"]]


def is_below(outcome: SimulatedOutcome, other: str) -> bool:
    """Whether there is a plan that is slower in truth than the other by more than is tolerated."""
    return outcome.plan is not None and speed(outcome) < (1 - TOLERANCE) * outcome.truths[other]


def is_misleading(outcome: SimulatedOutcome) -> bool:
    """Whether there is a plan that states a ratio which is far from the true one."""
    off = (abs(math.log(claim.estimate / claim.truth)) for claim in outcome.ratios())
    return max(off, default=0.0) > math.log(REACH)


def is_missed(outcome: SimulatedOutcome) -> bool:
    """Whether the plan, or none, is slower in truth than the best by more than is tolerated."""
    return outcome.plan is None or speed(outcome) < (1 - TOLERANCE) * outcome.truths[best(outcome)]


def _bias(claims: Iterable[PlanClaim]) -> float:
    values = [claim.estimate / claim.truth - 1 for claim in claims]
    return statistics.median(values) if values else math.nan


def play_against(arguments: argparse.Namespace) -> list[Figures]:
    """Play another checkout's own program on the same hosts."""
    answer = subprocess.run(
        [
            *(sys.executable, "-m", "studies.benchmarks.noisy_hosts", "--json"),
            *("--studies", str(arguments.studies), "--hosts", ",".join(arguments.hosts)),
            *("--recordings", str(arguments.recordings.resolve())),
        ],
        cwd=arguments.against,
        env={**os.environ, "PYTHONPATH": str(arguments.against.resolve())},
        check=True,
        stdout=subprocess.PIPE,
    )
    return [_figures_of(document) for document in json.loads(answer.stdout)["figures"]]


def _figures_of(document: Mapping[str, Any]) -> Figures:
    """From JSON."""

    def value(found: Any) -> Any:
        if not isinstance(found, dict):
            return found
        return (
            ObservedShare(**found)
            if "share" in found
            else {name: ObservedShare(**share) for name, share in found.items()}
        )

    return Figures(**{name: value(found) for name, found in document.items()})


def main() -> None:
    """Play what is asked, and print."""
    arguments = _arguments()
    if arguments.covariates:
        covariates([read_recording(path) for path in sorted(arguments.recordings.glob("*.json"))])
        return
    began_s = time.perf_counter()
    found: dict[str, list[Figures]] = {}
    if arguments.against:
        found[f"{arguments.against}"] = play_against(arguments)
    for disturbed in arguments.disturbed or [None]:
        name = "this version" if disturbed is None else f"this version, {disturbed}"
        found[name] = play(arguments.hosts, arguments.studies, arguments.recordings, disturbed)
    if arguments.json:
        document = {name: [asdict(one) for one in them] for name, them in found.items()}
        print(json.dumps({**document, "figures": document[next(reversed(document))]}))
        return
    report(found)
    print(f"\n{time.perf_counter() - began_s:.0f} s on {len(os.sched_getaffinity(0))} cpus")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument(
        "--studies", type=int, default=1000, help="studies on each host, of all worlds together"
    )
    parser.add_argument("--hosts", help="only those whose names contain one of these, with commas between")
    parser.add_argument("--recordings", type=Path, default=RECORDINGS, help="folder of recordings to replay")
    parser.add_argument(
        "--disturbed", action="append", help="`measure.disturbed` (default: the product's); again for more"
    )
    parser.add_argument("--against", type=Path, metavar="CHECKOUT", help="play another version, too")
    parser.add_argument(
        "--covariates", action="store_true", help="say what covariates explain in the recordings"
    )
    parser.add_argument("--json", action="store_true", help="print one JSON document")
    arguments = parser.parse_args()
    if arguments.studies < FEWEST:
        parser.error(f"--studies {arguments.studies} would say nothing: take {FEWEST} or more")
    names = list(makers(arguments.recordings))
    asked = arguments.hosts.split(",") if arguments.hosts else names
    arguments.hosts = [
        name for name in names if any(part == name if part in names else part in name for part in asked)
    ]
    if not arguments.hosts:
        parser.error(f"--hosts names none of: {', '.join(names)}")
    return arguments


def report(found: Mapping[str, Sequence[Figures]]) -> None:
    """Print the tables, a block of rows for each version."""
    some = next(iter(found.values()))[0]
    print(f"{some.studies} studies on each host ({', '.join(WORLDS)}); shares in % +- standard error")
    _table(
        "Plans (asked: misleading, worse than the best default or the baseline by > 2 %: at most 1 each)",
        (
            *("seconds that count", "no plan", "contradicted"),
            *("misleading", "< default", "< baseline", "mean loss"),
        ),
        found,
        lambda one: (
            f"{100 * one.counted:.0f}",
            _words(one.no_plan),
            _doubted(one),
            _at_most(one.misled, MAX_WORSE),
            _at_most(one.below_default, MAX_WORSE),
            _at_most(one.below_baseline, MAX_WORSE),
            f"{100 * one.loss:.1f}",
        ),
    )
    _table(
        "Missed (of which without a score, in no round; asked: at most 20, 2, 0 % of 1.2, 1.5, 2)",
        tuple(f"{name} times better" for name in BETTER),
        found,
        lambda one: tuple(
            f"{_words(one.missed[name]) if one.host in DOUBTED else _at_most(one.missed[name], most)}"
            f" ({100 * one.untried[name].share:.1f}, {100 * one.unseen[name].share:.1f})"
            for name, most in BETTER.items()
        ),
    )
    _table(
        "Figures of plans (bias of the plan's value, median; intervals that hold the truth, asked: 93 to 97)",
        ("bias", "to host's mean", "ratios", "of them open", "value", "value, host's mean"),
        found,
        lambda one: (
            f"{100 * one.bias:+.1f}",
            f"{100 * one.usual_bias:+.1f}",
            _within(one.ratios),
            f"{100 * one.open:.0f}",
            _words(one.value) if one.host in CHANGING else _within(one.value),
            _words(one.usual),
        ),
    )
    _table(
        "Medians",
        ("trials", "rounds", "seconds"),
        found,
        lambda one: (f"{one.trials:g}", f"{one.rounds:g}", f"{one.seconds:.0f}"),
    )


def _words(share: ObservedShare) -> str:
    if not share.count:
        return "-"
    return f"{100 * share.share:.1f} +- {100 * share.error:.1f}"


def _at_most(share: ObservedShare, most: float) -> str:
    return f"{_words(share)} {'holds' if share.share <= most else 'MISSED'}"


def _doubted(figures: Figures) -> str:
    """How many studies ended because their rounds contradict their search, and whether they should."""
    if figures.host not in DOUBTED:
        return _at_most(figures.contradicted, MAX_WORSE)
    held = figures.contradicted.share >= 1 - MAX_WORSE
    return f"{_words(figures.contradicted)} {'holds' if held else 'MISSED'}"


def _within(share: ObservedShare) -> str:
    if not share.count:
        return "-"
    held = COVERED[0] <= share.share <= COVERED[1]
    return f"{_words(share)} {'holds' if held else 'MISSED'}"


def _table(title: str, heads: Sequence[str], found: Mapping[str, Sequence[Figures]], row: Any) -> None:
    print(f"\n{title}")
    rows = [(f"{version}: {one.host}", row(one)) for version, them in found.items() for one in them]
    first = max(len(name) for name, _ in rows)
    widths = [max(len(head), *(len(cells[at]) for _, cells in rows)) for at, head in enumerate(heads)]
    for name, cells in [("", heads), *rows]:
        line = "  ".join(cell.rjust(width) for cell, width in zip(cells, widths, strict=True))
        print(f"  {name:{first}}  {line}")


def covariates(recordings: Sequence[Recording]) -> None:
    """Print what each candidate for a covariate explains of the log values of each recording's blocks."""
    print("log value of a block on each covariate: slope; share of the variance explained; spread left, in %")
    for recording in recordings:
        values = np.log([block.value for block in recording.blocks])
        print(
            f"\n{recording.name} ({recording.load}): {len(values)} blocks, spread {100 * values.std():.1f} %"
        )
        for name, columns in _candidates(recording).items():
            design = np.column_stack([np.ones(len(values)), *columns])
            slopes, *_ = np.linalg.lstsq(design, values, rcond=None)
            left = float((values - design @ slopes).std())
            as_is = float((values - sum(columns)).std())
            said = ", ".join(f"{slope:+.2f}" for slope in slopes[1:])
            explained = 100 * (1 - (left / values.std()) ** 2)
            print(
                f"  {name:44} {said:20} {explained:3.0f} %  {100 * left:5.1f}"
                f"  (with slope 1: {100 * as_is:.1f})"
            )


def _candidates(recording: Recording) -> dict[str, list[Any]]:
    """Each as logarithms that are 0, or usual, of a block that nothing disturbs."""
    around = [block.surroundings for block in recording.blocks]
    probes = np.log([[one.before_s, one.after_s] for one in around])
    best = probes.min(axis=(0, 1))
    slowest = (best - probes).min(axis=(1, 2))
    mean = -probes.mean(axis=(1, 2))
    steal = np.log([1 - one.steal for one in around])
    delay = np.log([1 - one.waited for one in around])
    inside = -np.array([_inside(block.request_s) for block in recording.blocks])
    return {
        "slowest cpu in the slower probe": [slowest],
        "mean over cpus and both probes": [mean],
        "steal": [steal],
        "run delay": [delay],
        "steal and run delay": [steal + delay],
        "spread of request times inside the block": [inside],
        "mean probe; steal and run delay": [mean, steal + delay],
        "mean probe; steal and run delay; spread": [mean, steal + delay, inside],
    }


def _inside(request_s: Sequence[Sequence[float]]) -> float:
    """Mean over median of the requests' times, as a logarithm: what slow ones among them cost."""
    ratios = [statistics.fmean(seconds) / statistics.median(seconds) for seconds in request_s]
    return math.log(statistics.fmean(ratios))


if __name__ == "__main__":
    main()
