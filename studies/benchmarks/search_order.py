"""Prints how good the best is that a search finds in some minutes, by what orders its trials.

    python -m studies.benchmarks.search_order [--seeds 20] [--first 0] [--wide] [--json]

Nothing is started and nobody waits: the product's own `tune` runs on simulated hosts of the five kinds of
`cpu_kinds.yaml`, whose engines are fast in different orders. What is looked at and expected, the order and
the rounds are the product's own; how long looks, preparations and launches take is the host's.
The machine has two cpus; with `--wide` it has 16 cores, where every engine scales in its own way (drawn by
seed), and the space is a hundred times as large.

What is compared:

- `product`: with looks that miss the truth by 10 to 20 % (log-normal), which take their seconds first;
- `wrong looks`: the same looks, each told of another engine and precision;
- `no looks`: the product's stated expectations;
- `random`: legal configurations in random order, by a sampler of this program's in the product's search.

Regret = 1 - speed of the best found / speed of the best there is. Found is the truly best of those that the
rounds compared. What the plan itself leaves is printed beside it. Asked: on every kind at 5 minutes and more,
the product's mean regret is not above that of `random` by more than 0.01, and on all kinds together it is
below, at all budgets; with wrong looks it is not above `random` on all kinds together by more than 0.02.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import random
import statistics
import time
import warnings
from collections.abc import Collection, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass, field, replace
from functools import cache
from itertools import product
from pathlib import Path
from typing import Any

import optuna
import yaml

from autotune.backends.registry import base_precision
from autotune.bench.crew import Crew
from autotune.bench.host import Seen
from autotune.bench.looking import LOOK_SHARE, pairs_to_look_at
from autotune.bench.orders import Orders
from autotune.events import unheard
from autotune.jobs.beginning import begin_or_resume
from autotune.jobs.call import StudyCall
from autotune.jobs.confirming import Confirming
from autotune.jobs.pricing import COMPARING_S, LAYERS_EXPONENT, STARTING_S
from autotune.jobs.searching import Searching
from autotune.model.looked import Look
from autotune.objectives.catalogue import objective_of
from autotune.plan.document import Plan
from autotune.preflight.setup import Setup, set_up
from autotune.preflight.survey import Survey
from autotune.preparation.looking import Looks
from autotune.search.prospects import Known, Prospects
from autotune.search.sampler import LegalSampler
from autotune.search.space import build_space
from autotune.search.study import SearchStudy
from autotune.spec.aim import Aim
from autotune.spec.configuration import Configuration, Prepared
from autotune.spec.problem import Problem
from autotune.spec.study import Budget, Search, StudySpec
from autotune.stop import Stop
from autotune.store.store import StudyStore
from autotune.testing.machines import build_machine
from autotune.testing.noise import Noise
from autotune.testing.simulated_host import SimulatedHost
from autotune.testing.simulation import SimulatedMachine
from studies.benchmarks.simulated_tune import by_tune, tuned

TABLES: Mapping[str, Any] = yaml.safe_load(
    (Path(__file__).parent / "cpu_kinds.yaml").read_text(encoding="utf-8")
)
KINDS: Mapping[str, Any] = TABLES["kinds"]
MINUTES = (3.0, 5.0, 10.0, 20.0)
NOISES = (0.03, 0.10)
LEAST_SEEDS = 2
ORDERS = ("product", "wrong looks", "no looks", "random")

LOOK_S = float(TABLES["look_s"])
LOOK_LAYERS, WHOLE_LAYERS = 1, 6
"""Of the model that is looked at, and of DistilBERT."""
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
MEASURING_S = 3.0
"""Of a trial's seconds in the tables: the blocks of the default study."""
LEAST_LAUNCH_S = 0.5
"""Of any trial, so that no launch takes less than nothing."""
REQUEST_NOISE = 0.01
"""Log-normal: of each request."""


@dataclass(frozen=True)
class Case:
    """One simulated search.

    Attributes:
        noise: standard deviation of the logarithm of what a launch has of its own.
    """

    kind: str
    cores: int
    order: str
    minutes: float
    noise: float
    seed: int


@dataclass(frozen=True)
class Found:
    """How a search ended.

    Attributes:
        regret: of the best that the rounds compared; plan_regret: of the plan.
    """

    case: Case
    regret: float
    plan_regret: float
    trials: int
    prepared: int


@dataclass(frozen=True)
class World:
    """What is true in one case, but for noise.

    Attributes:
        speeds: samples per second of every configuration, the baseline and the defaults too.
        looks: seconds of a request in a look.
        preparation_s: what each artifact really takes, beside what it is made from.
        launch_s: seconds of a launch, loading and warm-up included.
    """

    speeds: Mapping[Configuration, float]
    looks: Mapping[Prepared, float]
    preparation_s: Mapping[Prepared, float]
    launch_s: Mapping[Configuration, float]


@cache
def setup_of(kind: str, cores: int) -> Setup:
    """Set up the study on this kind of machine, whatever is installed here."""
    spec = StudySpec(
        name="order",
        model="random:distilbert-base",
        scenario="offline",
        problem=Problem(batch_size=8, sequence_length=128),
        objective=Aim(kind="throughput"),
        search=Search(knobs="none"),
        budget=Budget(trials=None, minutes=MINUTES[0]),
    )
    engines = {name: tuple(speeds) for name, speeds in KINDS[kind]["speeds"].items()}
    machine = build_machine(packages=1, nodes_per_package=1, cores_per_node=cores, threads_per_core=1)
    surveyed = Survey(spec, machine, engines, {"": engines}, build_space(spec, machine, engines), ())
    return set_up(surveyed, base=Path(), offline=True)


def world_of(case: Case, setup: Setup) -> World:
    """Draw what is true by kind and seed; orders, minutes and noises meet the same."""
    source = random.Random(f"{case.kind} {case.cores} {case.seed}")
    table, space = KINDS[case.kind], setup.space
    scaling = {name: (source.uniform(0.65, 0.95), source.uniform(0.0, 0.03)) for name in table["speeds"]}
    speeds = {
        one: _speed(one, table["speeds"][one.backend][one.precision], case.cores, scaling[one.backend])
        * source.lognormvariate(0.0, SCATTER)
        for one in dict.fromkeys((space.baseline, *space.defaults, *space.configurations))
    }
    error = source.uniform(0.10, 0.20)
    pairs = tuple(dict.fromkeys(one.prepared for one in speeds))
    looks = {
        pair: source.lognormvariate(0.0, error) / table["speeds"][pair.backend][pair.precision][0]
        for pair in pairs
        if pair.backend not in NOT_LOOKED_AT
    }
    slowness = table["slowness"]
    prices = {pair: own_price_s(pair) * slowness * source.lognormvariate(0.0, PRICE_ERROR) for pair in pairs}
    launches = {
        one: max(LEAST_LAUNCH_S, TABLES["trials_s"][one.backend] - MEASURING_S)
        * slowness
        * source.lognormvariate(0.0, TRIAL_ERROR)
        for one in speeds
    }
    return World(speeds, looks, prices, launches)


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


def own_price_s(pair: Prepared) -> float:
    """Seconds of preparing it where that which it is made from is there, by the tables."""
    prices = TABLES["preparation_s"][pair.backend]
    base = base_precision(pair.backend, pair.precision)
    return max(0.0, float(prices[pair.precision]) - (0.0 if base is None else float(prices[base])))


@dataclass
class Preparing:
    """Takes a world's seconds for each artifact, and for what it is made from where that is not there."""

    preparation_s: Mapping[Prepared, float]
    there: set[Prepared] = field(default_factory=set)

    def __call__(self, pair: Prepared) -> float:
        """Prepare it, and say how long that took."""
        base = base_precision(pair.backend, pair.precision)
        needed = [pair] if base is None else [pair._replace(precision=base), pair]
        new = [one for one in needed if one not in self.there]
        self.there.update(new)
        return sum(self.preparation_s.get(one, own_price_s(one)) for one in new)


def search(case: Case) -> Found:
    """Tune for the case's minutes, and say how good the best is that the rounds compared."""
    setup = _seeded(setup_of(case.kind, case.cores), case)
    world = world_of(case, setup)
    batch = setup.spec.problem.batch_size
    machine = SimulatedMachine(
        lambda one: one.instances * batch / world.speeds[one],
        Noise(launch=case.noise, request=REQUEST_NOISE),
        random.Random(f"noise {case}").getrandbits(32),
        samples_per_request=batch,
        launch_s=world.launch_s.__getitem__,
    )
    preparing = Preparing(world.preparation_s)
    seen = seen_of(case, world, setup)
    host = SimulatedHost("simulated", setup, machine, preparation_s=preparing, seen=seen)
    truths = {str(one): speed for one, speed in world.speeds.items()}
    outcome = tuned(host, truths, in_random_order if case.order == "random" else by_tune)
    fastest = max(truths.values())
    compared = max(truths[one] for one in (outcome.baseline, *outcome.entrants))
    plan = truths[outcome.winner or outcome.baseline]
    return Found(
        case, 1 - compared / fastest, 1 - plan / fastest, len(outcome.searched), len(host.describe().ready)
    )


def _seeded(setup: Setup, case: Case) -> Setup:
    """Give the study the case's minutes and seed."""
    budget = setup.spec.budget.model_copy(update={"minutes": case.minutes})
    spec = setup.spec.model_copy(update={"seed": case.seed, "budget": budget})
    return replace(setup, found=replace(setup.found, spec=spec))


def seen_of(case: Case, world: World, setup: Setup) -> Seen:
    """Say what was looked at in the time that there is, and what it said."""
    if case.order not in ("product", "wrong looks"):
        return Seen()
    pairs = [Prepared("", *pair) for pair in pairs_to_look_at(setup)]
    most = int(LOOK_SHARE * case.minutes * 60 / LOOK_S)
    looked_at = [pair for pair in pairs if pair in world.looks][:most]
    seconds = [world.looks[pair] for pair in looked_at]
    if case.order == "wrong looks":
        random.Random(f"wrong {case.kind} {case.seed}").shuffle(seconds)
    looks = {
        (pair.backend, pair.precision): Look(
            request_s, _looked_preparation_s(pair), LOOK_LAYERS, WHOLE_LAYERS, LOOK_S
        )
        for pair, request_s in zip(looked_at, seconds, strict=True)
    }
    return Seen(Looks(looks), LOOK_S * len(looks))


def _looked_preparation_s(pair: Prepared) -> float:
    """Give what preparing takes of the reduced model, from which the product finds what the tables have."""
    growth = math.pow(WHOLE_LAYERS / LOOK_LAYERS, LAYERS_EXPONENT)
    return max(0.0, own_price_s(pair) - COMPARING_S - STARTING_S) / growth


@dataclass(frozen=True)
class RandomProspects(Prospects):
    """Prospects that rank what can be prepared in time at random."""

    seed: int = 0

    def ranked(
        self,
        candidates: Sequence[Configuration],
        known: Known,  # noqa: ARG002 - whatever was measured
        prepared: Collection[Prepared] = (),
        left_s: float = math.inf,
    ) -> tuple[Configuration, ...]:
        """Shuffle them, always alike."""
        there = frozenset(prepared)
        fitting = [one for one in candidates if self.fits(one.prepared, there, left_s)]
        return tuple(sorted(fitting, key=lambda one: _chance(self.seed, one)))


@cache
def _chance(seed: int, configuration: Configuration) -> float:
    return random.Random(f"{seed} {configuration}").random()


class RandomSampler(LegalSampler):
    """Proposes legal configurations in random order, the baseline first."""

    def __init__(self, setup: Setup) -> None:
        super().__init__(setup.space, seed=setup.spec.seed, objective=objective_of(setup.spec))
        self._seed = setup.spec.seed

    def rank_by(self, prospects: Prospects) -> None:
        """See `LegalSampler`: of the prospects only what fits into the time counts."""
        super().rank_by(RandomProspects(**vars(prospects), seed=self._seed))


def in_random_order(store: StudyStore, crew: Crew, setup: Setup) -> Plan:
    """Do what `tune` does, with another sampler."""
    begin_or_resume(setup, store)
    name, sampler = setup.spec.name, RandomSampler(setup)
    study = optuna.create_study(sampler=sampler, study_name=name, direction="maximize")
    call = StudyCall(setup, store, Orders(name), crew.clock, unheard, Stop())
    searching = Searching(call, crew, SearchStudy(study, sampler, "random"), [], 0.0)
    searching.measure_until_done()
    records = tuple(searching.records)
    return Confirming(crew.first, call, records, searching.has_time, searching.searched()).run()


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
    plan_mean: float
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
        plan_mean=statistics.fmean(one.plan_regret for one in found),
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
        print(f"  {'the plans':10}" + "".join(f"{100 * cell.plan_mean:16.1f}" for cell in row))
        print(f"  {'trials':10}" + "".join(f"{cell.trials:16.1f}" for cell in row))
        print(f"  {'prepared':10}" + "".join(f"{cell.prepared:16.1f}" for cell in row))
    print()
    for words, holds in asked(by_key):
        print(f"{'holds' if holds else 'MISSED':7} {words}")


def asked(cells: Mapping[tuple[float, float, str, str], Figures]) -> Iterator[tuple[str, bool]]:
    """Each bound, and whether it holds."""
    worse = [
        f"{kind} at {minutes:g} min, noise {noise:.0%}: {ours.mean:.3f} against {theirs.mean:.3f}"
        for noise, minutes, kind in product(NOISES, MINUTES, KINDS)
        if minutes >= 5
        and (ours := cells[noise, minutes, kind, "product"]).mean
        > (theirs := cells[noise, minutes, kind, "random"]).mean + 0.01
    ]
    words = "no kind is worse than `random` by more than 0.01, at 5 minutes and more"
    yield "; ".join([words, *worse]), not worse
    above = [
        f"{minutes:g} min, noise {noise:.0%}"
        for noise, minutes in product(NOISES, MINUTES)
        if cells[noise, minutes, "all", "product"].mean >= cells[noise, minutes, "all", "random"].mean
    ]
    yield "; ".join(["all kinds together are better than `random` at every budget", *above]), not above
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
    parser.add_argument("--seeds", type=int, default=20)
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
