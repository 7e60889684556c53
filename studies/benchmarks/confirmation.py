"""Prints how far the figures of a plan may be believed, by studies of known truth on noisy machines.

    python -m studies.benchmarks.confirmation [--studies 200] [--noises launch,spikes] [--json]

Nothing is started and nobody waits: the product's own `tune` runs on a simulated host
(`studies.benchmarks.simulated_tune`). Each kind of noise is met by studies of four worlds, each of 20
configurations and a baseline, measured and confirmed with the defaults:

- `equal`: nothing differs from anything;
- `mixed`: from 15 % slower than the baseline to 15 % faster;
- `tied`: all are 10 % faster than the baseline, so that whoever wins does so by luck;
- `worse`: all are 1 to 5 % slower than the baseline.

The truth is the speed without noise, which is the median over time: of slow drift the mean, and with spikes
the speed between them, as the score is a median over blocks. A spike is not noticed as a disturbance here,
which it would be on a real machine that shows it.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import statistics
import time
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass

from autotune.testing.noise import Noise, Spikes
from autotune.testing.shares import ObservedShare, share_of
from studies.benchmarks.simulated_tune import REQUEST_S, SimulatedOutcome, simulated_tune

__all__ = ["NOISES", "REQUEST_S", "SLOW", "WORLDS", "table", "world"]

FEWEST = 10
CONFIGURATIONS = 20
SPIKES = Spikes(share=0.02, factor=2.0, mean_s=0.5)
NOISES: Mapping[str, Noise] = {
    "log-normal 3 % a block": Noise(block=0.03),
    "log-normal 5 % a block": Noise(block=0.05),
    "log-normal 3 % a launch": Noise(launch=0.03, request=0.01),
    "log-normal 5 % a launch": Noise(launch=0.05, request=0.01),
    "drift 5 % in a minute": Noise(drift=0.05, request=0.01),
    "spikes, 2 % of the time": Noise(spikes=SPIKES, request=0.01),
    "all of it together": Noise(launch=0.03, block=0.03, request=0.01, drift=0.05, spikes=SPIKES),
    "drift 5 % in 10 minutes": Noise(drift=0.05, drift_period_s=600.0, request=0.01),
}
SLOW = "drift 5 % in 10 minutes"
"""Slower than the confirmation lasts. What it says of ratios must hold, but no study of minutes can know what
the same machine does an hour later: the plan's own value is that of its hour."""

WORLDS: Mapping[str, tuple[float, float]] = {
    "equal": (1.0, 1.0),
    "mixed": (0.85, 1.15),
    "tied": (1.1, 1.1),
    "worse": (0.95, 0.99),
}
"""Between which speeds the configurations lie, where the baseline's is 1."""

KINDS = {
    "gain": "gain over the baseline",
    "estimate": "the plan's own value",
    "rivals": "finalists by the winner",
    "twin": "leader by itself",
}


@dataclass(frozen=True)
class Figures:
    """What the studies under one kind of noise came to; shares, and by world.

    Attributes:
        differs: share of the `equal` studies that claim any difference.
        ships_worse: share of the `mixed` and `worse` studies whose plan is slower than the baseline.
        no_plan: share of all studies that end without a plan, as the rounds contradict the search.
        optimism: median of stored estimate / truth - 1.
        search_optimism: median of the best single score of the search / its truth - 1.
        loss: median of 1 - speed of the plan / speed of the best.
        coverage: by kind of interval, over all worlds.
    """

    noise: str
    studies: int
    differs: ObservedShare
    ships_worse: ObservedShare
    no_plan: ObservedShare
    optimism: Mapping[str, float]
    search_optimism: Mapping[str, float]
    loss: Mapping[str, float]
    coverage: Mapping[str, ObservedShare]


def world(name: str, seed: int) -> list[float]:
    """Draw the speed of every configuration, where the baseline's, which is the first, is 1."""
    slowest, fastest = WORLDS[name]
    source = random.Random(f"{name} {seed}")
    return [1.0, *(source.uniform(slowest, fastest) for _ in range(CONFIGURATIONS))]


def outcomes(pool: ProcessPoolExecutor, noise: str, studies: int) -> dict[str, list[SimulatedOutcome]]:
    """The studies of every world under one noise."""
    return {
        name: list(pool.map(_study, [(noise, name, number) for number in range(studies)], chunksize=10))
        for name in WORLDS
    }


def _study(arguments: tuple[str, str, int]) -> SimulatedOutcome:
    """One study; no two of them have their noise in common."""
    noise, name, number = arguments
    cell = len(WORLDS) * list(NOISES).index(noise) + list(WORLDS).index(name)
    seed = 1_000_000 * cell + number
    return simulated_tune(world(name, seed), NOISES[noise], seed)


def figures(noise: str, found: Mapping[str, Sequence[SimulatedOutcome]]) -> Figures:
    """Sum the studies up."""
    everything = [outcome for one in found.values() for outcome in one]
    doubtful = [*found["mixed"], *found["worse"]]
    return Figures(
        noise=noise,
        studies=len(found["equal"]),
        differs=share_of([[one.declares_difference] for one in found["equal"]]),
        ships_worse=share_of([[one.ships_worse] for one in doubtful]),
        no_plan=share_of([[one.plan is None] for one in everything]),
        optimism={name: _median(one.optimism for one in them) for name, them in found.items()},
        search_optimism={
            name: statistics.median(one.search_optimism for one in them) for name, them in found.items()
        },
        loss={name: _median(one.loss for one in them) for name, them in found.items()},
        coverage={
            kind: share_of([[claim.holds for claim in one.claims()[kind]] for one in everything])
            for kind in KINDS
        },
    )


def _median(values: Iterable[float | None]) -> float:
    """Take the median of what the studies with a plan came to."""
    return statistics.median(value for value in values if value is not None)


def main() -> None:
    """Run all studies on all cores."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--studies", type=int, default=200, help="studies of each world under each noise")
    parser.add_argument("--noises", help="only those whose names contain one of these, with commas between")
    parser.add_argument("--json", action="store_true", help="print one JSON document")
    arguments = parser.parse_args()
    if arguments.studies < FEWEST:
        parser.error(f"--studies {arguments.studies} would say nothing: take {FEWEST} or more")
    parts = [""] if arguments.noises is None else arguments.noises.split(",")
    noises = [name for name in NOISES if any(part in name for part in parts)]
    if not noises:
        parser.error(f"--noises names none of: {', '.join(NOISES)}")
    began_s = time.perf_counter()
    with ProcessPoolExecutor(len(os.sched_getaffinity(0))) as pool:
        found = {name: outcomes(pool, name, arguments.studies) for name in noises}
    summed = [figures(name, them) for name, them in found.items()]
    if set(noises) == set(NOISES):
        summed.append(figures(f"all but {SLOW}", _together([found[name] for name in NOISES if name != SLOW])))
    if arguments.json:
        print(json.dumps([asdict(one) for one in summed], indent=2))
        return
    report(summed)
    print(f"\n{time.perf_counter() - began_s:.0f} s on {len(os.sched_getaffinity(0))} cpus")


def _together(found: Sequence[Mapping[str, list[SimulatedOutcome]]]) -> dict[str, list[SimulatedOutcome]]:
    """The studies of several noises, by world."""
    return {name: [outcome for them in found for outcome in them[name]] for name in WORLDS}


def report(found: Sequence[Figures]) -> None:
    """Print the tables."""
    print(f"{found[0].studies} studies of each world ({', '.join(WORLDS)}) under each kind of noise")
    table(
        "Wrong claims, in % of the studies +- standard error (number; asked: at most 5, and at most 1)",
        ("`equal` called different", "worse than the baseline ships", "no plan, as rounds contradict"),
        [(one.noise, (_words(one.differs), _words(one.ships_worse), _words(one.no_plan))) for one in found],
    )
    table(
        "Optimism of the stored estimate, median in % (asked: within 1)",
        tuple(WORLDS),
        [(one.noise, tuple(f"{100 * value:+.2f}" for value in one.optimism.values())) for one in found],
    )
    table(
        "For contrast: optimism of the search's best score, median in %",
        tuple(WORLDS),
        [
            (one.noise, tuple(f"{100 * value:+.2f}" for value in one.search_optimism.values()))
            for one in found
        ],
    )
    table(
        "By how much the plan is slower than the best there is, median in %",
        tuple(WORLDS),
        [(one.noise, tuple(f"{100 * value:.2f}" for value in one.loss.values())) for one in found],
    )
    table(
        "Intervals at 95 % that hold the truth, in % +- standard error (number; asked: 93 to 97)",
        tuple(KINDS.values()),
        [(one.noise, tuple(_words(one.coverage[kind]) for kind in KINDS)) for one in found],
    )
    print(
        f"\n{SLOW}: no study of minutes knows what the machine does an hour later; ratios hold all the same"
    )


def _words(share: ObservedShare) -> str:
    return f"{100 * share.share:.1f} +- {100 * share.error:.1f} ({share.count})"


def table(title: str, heads: Sequence[str], rows: Sequence[tuple[str, Sequence[str]]]) -> None:
    """Print one table, a row for each kind of noise."""
    widths = [max(len(head), *(len(cells[index]) for _, cells in rows)) for index, head in enumerate(heads)]
    print(f"\n{title}")
    for name, cells in [("", heads), *rows]:
        line = "  ".join(cell.rjust(width) for cell, width in zip(cells, widths, strict=True))
        print(f"  {name:32}  {line}")


if __name__ == "__main__":
    main()
