"""Prints how good the best is that a search finds in some minutes, by what orders its trials.

    python studies/benchmarks/search_order.py [--seeds 200] [--first 0] [--wide] [--json]

A seed takes two and a half minutes on two cores. Nothing is started and nobody waits: trials take their
seconds on a simulated clock, on machines of the five kinds of `cpu_kinds.yaml`, whose engines are fast in
different orders. The space, the looks' rule, the order and the study are the product's own. The machine has
two cpus; with `--wide` it has 16 cores, where every engine scales in its own way (drawn by seed), and the
space is a hundred times as large.

What is compared:

- `product`: with looks that miss the truth by 10 to 20 % (log-normal), which take their seconds first;
- `wrong looks`: the same looks, each told of another engine and precision;
- `no looks`: the product's stated expectations;
- `before`: the order of the product before it looked, by a table measured on one Xeon (kept here as data): of
  the leading engines all layouts of one before the next, nothing prepared that takes longer than is left;
- `random`: legal configurations in random order.

Regret = 1 - speed of the best found / speed of the best there is. Found is the truly best of those that the
confirmation would see: the `confirm.finalists` best by their noisy trials, and the baseline. The search has
half of the minutes, as the product leaves it while little has been measured; a trial that has begun is ended.
Asked: on every kind at 5 minutes and more, the product's mean regret is not above that of `before` and
`random` by more than 0.01, and on all kinds together it is below both, at all budgets; with wrong looks it is
not above `random` on all kinds together by more than 0.02.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import statistics
import time
import warnings
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass, replace
from functools import cache
from itertools import product
from pathlib import Path
from typing import Any

import optuna
import yaml

from autotune.search.beliefs import Prior
from autotune.search.bounds import Engine
from autotune.search.estimate import CONFIRMATION_SHARE
from autotune.search.expectations import expectations
from autotune.search.likeness import most_threads
from autotune.search.order import promising_order
from autotune.search.prospects import Prospects
from autotune.search.recipes import leading_choices
from autotune.search.space import SearchSpace, build_space
from autotune.search.study import Answer, open_search
from autotune.spec.aim import Aim
from autotune.spec.configuration import Configuration, Precision, Prepared
from autotune.spec.problem import Problem
from autotune.spec.study import Budget, StudySpec
from autotune.testing.fake_model import FakeModel
from autotune.testing.machines import build_machine
from autotune.testing.simulation import simulated_measurement

TABLES: Mapping[str, Any] = yaml.safe_load(
    (Path(__file__).parent / "cpu_kinds.yaml").read_text(encoding="utf-8")
)
KINDS: Mapping[str, Any] = TABLES["kinds"]
MINUTES = (3.0, 5.0, 10.0, 20.0)
NOISES = (0.03, 0.10)
LEAST_SEEDS = 2
ORDERS = ("product", "wrong looks", "no looks", "before", "random")

LOOK_S = float(TABLES["look_s"])
LOOK_SHARE = 0.2
"""The most of all minutes that looks take. Source: stated."""
NOT_LOOKED_AT = frozenset({"inductor", "jax"})
"""Compilers."""
PRICE_ERROR, TRIAL_ERROR = 0.3, 0.1
"""Log-normal: how far preparations and trials are from their prices."""
ALONE = 0.55
"""Speed of 1 x 1 over that of 1 x 2, on two cpus."""
UNPINNED = 0.97
"""Speed of an engine as it comes over 1 instance on all cpus, pinned."""
SCATTER = 0.04
"""Log-normal: what a configuration has of its own."""

MEASURED_MS: Mapping[Engine, float] = {
    ("openvino", "int8-static"): 213.0,
    ("onnxruntime", "int8-dynamic"): 294.0,
    ("ctranslate2", "int8-dynamic"): 341.0,
    ("openvino", "int8-weights"): 368.0,
    ("pytorch", "int8-dynamic"): 369.0,
    ("ctranslate2", "fp32"): 621.0,
    ("openvino", "fp32"): 628.0,
    ("inductor", "fp32"): 680.0,
    ("onnxruntime", "fp32"): 686.0,
    ("torchscript", "fp32"): 800.0,
    ("pytorch", "fp32"): 800.0,
}
"""The table that ordered engines before. Source: a request of 8 x 128 tokens to DistilBERT on one thread of a
2-core Xeon with AVX-512 VNNI."""
SPEEDUPS: Mapping[Precision, float] = {
    "fp32": 1.0,
    "int8-dynamic": 2.3,
    "int8-static": 2.2,
    "bf16": 1.5,
    "fp16": 1.5,
    "int8-weights": 1.2,
    "int4-weights": 0.8,
}
"""Over the same engine's fp32, of pairs that it did not know."""


@dataclass(frozen=True)
class Case:
    """One simulated search.

    Attributes:
        noise: standard deviation of the logarithm of a trial's value.
    """

    kind: str
    cores: int
    order: str
    minutes: float
    noise: float
    seed: int


@dataclass(frozen=True)
class Found:
    """How a search ended."""

    case: Case
    regret: float
    trials: int
    prepared: int


@dataclass(frozen=True)
class World:
    """What is true in one case, but for noise.

    Attributes:
        speeds: samples per second of every configuration, the baseline and the defaults too.
        preparation_s, trial_s: what they really take.
    """

    space: SearchSpace
    defaults: tuple[Configuration, ...]
    speeds: Mapping[Configuration, float]
    looks: Mapping[Prepared, float]
    preparation_s: Mapping[Prepared, float]
    trial_s: Callable[[Configuration], float]


@cache
def space_of(kind: str, cores: int) -> tuple[StudySpec, SearchSpace, tuple[Configuration, ...]]:
    """The study, its legal space on the kind of machine, and engines as they come."""
    spec = StudySpec(
        name="order",
        model="random:distilbert-base",
        scenario="offline",
        problem=Problem(batch_size=8, sequence_length=128),
        objective=Aim(kind="throughput"),
        budget=Budget(trials=None, minutes=None),
    )
    engines = {name: tuple(speeds) for name, speeds in KINDS[kind]["speeds"].items()}
    machine = build_machine(packages=1, nodes_per_package=1, cores_per_node=cores, threads_per_core=1)
    space = build_space(spec, machine, engines)
    defaults = tuple(
        replace(space.baseline, backend=backend, precision=precision)
        for backend, precision in TABLES["defaults"]
        if precision in engines.get(backend, ())
    )
    return spec, space, defaults


def world_of(case: Case) -> World:
    """Draw what is true by kind and seed; orders, minutes and noises meet the same."""
    source = random.Random(f"{case.kind} {case.cores} {case.seed}")
    table = KINDS[case.kind]
    _, space, defaults = space_of(case.kind, case.cores)
    scaling = {name: (source.uniform(0.65, 0.95), source.uniform(0.0, 0.03)) for name in table["speeds"]}
    speeds = {
        one: _speed(one, table["speeds"][one.backend][one.precision], case.cores, scaling[one.backend])
        * source.lognormvariate(0.0, SCATTER)
        for one in dict.fromkeys((space.baseline, *defaults, *space.configurations))
    }
    error = source.uniform(0.10, 0.20)
    pairs = tuple(dict.fromkeys(one.prepared for one in space.configurations))
    looks = {
        pair: source.lognormvariate(0.0, error) / table["speeds"][pair.backend][pair.precision][0]
        for pair in pairs
        if pair.backend not in NOT_LOOKED_AT
    }
    slowness = table["slowness"]
    prices = {pair: price_s(pair) * slowness * source.lognormvariate(0.0, PRICE_ERROR) for pair in pairs}
    factor = {one: source.lognormvariate(0.0, TRIAL_ERROR) * slowness for one in speeds}
    return World(
        space, defaults, speeds, looks, prices, lambda one: TABLES["trials_s"][one.backend] * factor[one]
    )


def _speed(one: Configuration, known: Sequence[float], cores: int, scaling: tuple[float, float]) -> float:
    """Samples per second of a configuration, without what it has of its own."""
    threads = one.threads_per_instance or cores
    unpinned = UNPINNED if one.placement == "unpinned" else 1.0
    if cores == 2:
        by_layout = {(1, 1): ALONE * known[0], (1, 2): known[0], (2, 1): known[1]}
        return unpinned * by_layout[one.instances, threads]
    exponent, contention = scaling
    odd = 0.9 if threads > 1 and threads % 2 else 1.0
    scaled = one.instances * threads**exponent / (1 + contention * (one.instances - 1))
    return float(unpinned * odd * known[0] / 2 * scaled)


def price_s(pair: Prepared) -> float:
    """Seconds of preparing it, as it is believed before."""
    return float(TABLES["preparation_s"][pair.backend][pair.precision])


def search(case: Case) -> Found:
    """Search for the case's minutes, and say how good the best is that a confirmation would see."""
    spec, space, _ = space_of(case.kind, case.cores)
    world = world_of(case)
    noise = random.Random(f"noise {case}")
    clock_s, limit_s = 0.0, (1 - CONFIRMATION_SHARE) * case.minutes * 60
    looks = _looks(case, world)
    clock_s += LOOK_S * len(looks)
    chooser = _chooser(case, spec, world, looks, limit_s)
    known: dict[Configuration, float] = {}
    prepared: set[Prepared] = set()
    while clock_s < limit_s or not known:
        one = chooser.following(limit_s - clock_s)
        if one is None:
            break
        preparing_s = 0.0 if one.prepared in prepared else world.preparation_s[one.prepared]
        prepared.add(one.prepared)
        clock_s += preparing_s + world.trial_s(one)
        known[one] = world.speeds[one] * noise.lognormvariate(0.0, case.noise)
        chooser.told(one, known[one], preparing_s)
    finalists = sorted(known, key=lambda one: -known[one])[: spec.confirm.finalists]
    best = max(world.speeds[one] for one in (space.baseline, *finalists))
    return Found(case, 1 - best / max(world.speeds.values()), len(known), len(prepared))


def _looks(case: Case, world: World) -> Mapping[Prepared, float]:
    """What was looked at in the time that there is, and what it said."""
    if case.order not in ("product", "wrong looks"):
        return {}
    count = min(len(world.looks), int(LOOK_SHARE * case.minutes * 60 / LOOK_S))
    looks = dict(list(world.looks.items())[:count])
    if case.order == "product":
        return looks
    seconds = list(looks.values())
    random.Random(f"wrong {case.kind} {case.seed}").shuffle(seconds)
    return dict(zip(looks, seconds, strict=True))


class ByProduct:
    """The product's own study."""

    def __init__(
        self, spec: StudySpec, world: World, looks: Mapping[Prepared, float], search_s: float
    ) -> None:
        configurations = world.space.configurations
        pairs = dict.fromkeys(one.prepared for one in configurations)
        prospects = Prospects(
            Prior(expectations(pairs, looks), most_threads(configurations)),
            prices_s={pair: price_s(pair) for pair in pairs},
            trials_s=TABLES["trials_s"],
            defaults=world.defaults,
            search_s=search_s,
        )
        self._study = open_search(spec, world.space, optuna.storages.InMemoryStorage(), prospects)
        self._example = _example()
        self._number = 0

    def following(self, left_s: float) -> Configuration | None:
        """Ask for the next trial."""
        self._study.mind(left_s)
        if not self._study.untried():
            return None
        proposal = self._study.ask()
        self._number = proposal.number
        return proposal.configuration

    def told(self, one: Configuration, value: float, preparing_s: float) -> None:  # noqa: ARG002
        """Tell it what was measured."""
        self._study.tell(self._number, Answer(self._example, value, {}))


class ByList:
    """A list, whatever is measured; with the rule of before, of what is not prepared any more."""

    def __init__(self, ordered: Sequence[Configuration]) -> None:
        self._left = list(ordered)
        self._there: set[Prepared] = set()
        self._longest_s = 0.0

    def following(self, left_s: float) -> Configuration | None:
        """Take the next; of what is prepared, where the longest preparation until now does not fit."""
        can_prepare = len(self._there) < 2 or self._longest_s < left_s
        for one in self._left:
            if can_prepare or one.prepared in self._there:
                self._left.remove(one)
                return one
        return None

    def told(self, one: Configuration, value: float, preparing_s: float) -> None:  # noqa: ARG002
        """Remember what was prepared."""
        self._there.add(one.prepared)
        self._longest_s = max(self._longest_s, preparing_s)


@cache
def _example() -> Any:
    spec, space, _ = space_of("zen3", 2)
    model = FakeModel(serial_s=0.1, parallel_s_per_token=0.0)
    return simulated_measurement(model, space.baseline, spec.problem)


def _chooser(
    case: Case, spec: StudySpec, world: World, looks: Mapping[Prepared, float], search_s: float
) -> ByProduct | ByList:
    space = world.space
    if case.order == "before":
        return ByList(order_before(space, case.seed))
    if case.order == "random":
        shuffled = list(space.configurations)
        random.Random(f"random {case.seed}").shuffle(shuffled)
        return ByList((space.baseline, *shuffled))
    return ByProduct(spec.model_copy(update={"seed": case.seed}), world, looks, search_s)


def order_before(space: SearchSpace, seed: int) -> tuple[Configuration, ...]:
    """The order of the product before: recipes by the table, then engines in turns."""

    def request_ms(pair: Prepared) -> float:
        usual = MEASURED_MS.get((pair.backend, "fp32"), 700.0) / SPEEDUPS[pair.precision]
        return MEASURED_MS.get((pair.backend, pair.precision), usual)

    pairs = sorted(dict.fromkeys(one.prepared for one in space.configurations), key=request_ms)
    leading, looked_at = leading_choices(pairs)
    shapes = list(dict.fromkeys((one.instances, one.threads_per_instance) for one in space.recipes))
    recipes = [
        next(
            one
            for one in (*space.recipes, *space.configurations)
            if one.prepared == pair and (one.instances, one.threads_per_instance) == shape
        )
        for group, of_group in ((leading, shapes), (looked_at, shapes[:1]))
        for pair, shape in product(group, of_group)
    ]
    rest = promising_order(sorted(space.configurations, key=lambda one: pairs.index(one.prepared)), seed)
    return tuple(dict.fromkeys((space.baseline, *recipes, *rest)))


@dataclass(frozen=True)
class Figures:
    """The regrets of one cell: kind (or `all`), order, minutes and noise."""

    kind: str
    order: str
    minutes: float
    noise: float
    searches: int
    mean: float
    error: float
    ninth_decile: float
    trials: float
    prepared: float


def figures(kind: str, order: str, minutes: float, noise: float, found: Sequence[Found]) -> Figures:
    """Sum up the searches of a cell."""
    regrets = [one.regret for one in found]
    return Figures(
        kind, order, minutes, noise,
        searches=len(found),
        mean=statistics.fmean(regrets),
        error=statistics.stdev(regrets) / len(regrets) ** 0.5,
        ninth_decile=statistics.quantiles(regrets, n=10)[-1],
        trials=statistics.fmean(one.trials for one in found),
        prepared=statistics.fmean(one.prepared for one in found),
    )  # fmt: skip


def summed(found: Collection[Found]) -> Iterator[Figures]:
    """Every cell, and all kinds together."""
    for noise, minutes, order in product(NOISES, MINUTES, ORDERS):
        cell = [
            one
            for one in found
            if (one.case.noise, one.case.minutes, one.case.order) == (noise, minutes, order)
        ]
        for kind in KINDS:
            yield figures(kind, order, minutes, noise, [one for one in cell if one.case.kind == kind])
        yield figures("all", order, minutes, noise, cell)


def report(cells: Sequence[Figures]) -> None:
    """Print a table for each noise and budget."""
    by_key = {(cell.noise, cell.minutes, cell.kind, cell.order): cell for cell in cells}
    for noise, minutes in product(NOISES, MINUTES):
        print(f"\nRegret in %, mean (90th percentile): {minutes:g} minutes, a trial's noise {noise:.0%}")
        print(f"  {'':10}" + "".join(f"{order:>16}" for order in ORDERS))
        for kind in (*KINDS, "all"):
            row = [by_key[noise, minutes, kind, order] for order in ORDERS]
            words = "".join(f"{f'{100 * cell.mean:.1f} ({100 * cell.ninth_decile:.1f})':>16}" for cell in row)
            print(f"  {kind:10}{words}")
        row = [by_key[noise, minutes, "all", order] for order in ORDERS]
        print(f"  {'trials':10}" + "".join(f"{cell.trials:16.1f}" for cell in row))
        print(f"  {'prepared':10}" + "".join(f"{cell.prepared:16.1f}" for cell in row))
    print()
    for words, holds in asked(by_key):
        print(f"{'holds' if holds else 'MISSED':7} {words}")


def asked(cells: Mapping[tuple[float, float, str, str], Figures]) -> Iterator[tuple[str, bool]]:
    """Each bound, and whether it holds."""
    for other in ("before", "random"):
        worse = [
            f"{kind} at {minutes:g} min, noise {noise:.0%}: {ours.mean:.3f} against {theirs.mean:.3f}"
            for noise, minutes, kind in product(NOISES, MINUTES, KINDS)
            if minutes >= 5
            and (ours := cells[noise, minutes, kind, "product"]).mean
            > (theirs := cells[noise, minutes, kind, other]).mean + 0.01
        ]
        words = f"no kind is worse than `{other}` by more than 0.01, at 5 minutes and more"
        yield "; ".join([words, *worse]), not worse
        above = [
            f"{minutes:g} min, noise {noise:.0%}"
            for noise, minutes in product(NOISES, MINUTES)
            if cells[noise, minutes, "all", "product"].mean >= cells[noise, minutes, "all", other].mean
        ]
        yield "; ".join([f"all kinds together are better than `{other}` at every budget", *above]), not above
    above = [
        f"{minutes:g} min, noise {noise:.0%}"
        for noise, minutes in product(NOISES, MINUTES)
        if cells[noise, minutes, "all", "wrong looks"].mean
        > cells[noise, minutes, "all", "random"].mean + 0.02
    ]
    words = "with wrong looks all kinds together are not worse than `random` by more than 0.02"
    yield "; ".join([words, *above]), not above


def quietly(case: Case) -> Found:
    """Search in a process of a pool."""
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return search(case)


def main() -> None:
    """Search on all kinds and print what was found."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seeds", type=int, default=200)
    parser.add_argument("--first", type=int, default=0, help="first seed; constants were chosen on 0 to 11")
    parser.add_argument("--wide", action="store_true", help="16 cores instead of two cpus")
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    if arguments.seeds < LEAST_SEEDS:
        parser.error(f"--seeds {arguments.seeds}: at least {LEAST_SEEDS}, or no error of a mean is known")
    began_s, cores = time.perf_counter(), 16 if arguments.wide else 2
    cases = [
        Case(kind, cores, order, minutes, noise, seed)
        for seed, kind, minutes, noise, order in product(
            range(arguments.first, arguments.first + arguments.seeds), KINDS, MINUTES, NOISES, ORDERS
        )
    ]
    with ProcessPoolExecutor(len(os.sched_getaffinity(0))) as pool:
        found = list(pool.map(quietly, cases, chunksize=20))
    cells = list(summed(found))
    if arguments.json:
        print(json.dumps([asdict(cell) for cell in cells], indent=2))
        return
    print(f"{arguments.seeds} seeds from {arguments.first} on each kind; {cores} cpus")
    report(cells)
    print(f"\n{time.perf_counter() - began_s:.0f} s on {len(os.sched_getaffinity(0))} cpus")


if __name__ == "__main__":
    main()
