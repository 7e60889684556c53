"""Studies of five minutes on noisy hosts: what is true in them, and what the product's own `tune` finds."""

from __future__ import annotations

import json
import random
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

import optuna

from autotune.measurement.correction import load_of
from autotune.preflight.setup import Setup, set_up
from autotune.preflight.survey import Survey
from autotune.search.space import build_space
from autotune.spec.configuration import Configuration, Precision
from autotune.spec.problem import Problem
from autotune.spec.study import Budget, Measure, Search, StudySpec
from autotune.testing.fake_model import SCHEMA
from autotune.testing.machines import build_machine
from autotune.testing.simulated_host import SimulatedHost
from autotune.testing.simulation import SimulatedMachine
from autotune.testing.weather import CPUS, WeatherMaker
from studies.benchmarks.simulated_tune import REQUEST_S, SimulatedOutcome, seeded, tuned

MINUTES = 5.0
"""The default minutes that issue and quickstart speak of."""

PREPARATION_S = 3.0
"""What an artifact takes, the first time: so little that all ten configurations fit into the search's part of
five minutes on a host as noisy as the recorded ones, as is asked of a search elsewhere."""

PRECISIONS: tuple[Precision, ...] = ("fp32", "bf16", "fp16", "int8-dynamic")
DEFAULT_PRECISION: Precision = "int8-static"
"""Tell configurations apart: what is true of each is drawn, whatever its precision."""

CANDIDATES = 2 * len(PRECISIONS)
"""On two cpus: one instance of two threads, and two of one, at each precision."""


@dataclass(frozen=True)
class World:
    """What is true: samples per second without noise, where the baseline's is 1.

    Attributes:
        default: of the best default.
        candidates: of the others.
    """

    default: float
    candidates: tuple[float, ...]

    @property
    def speeds(self) -> tuple[float, ...]:
        """The baseline, the default, the candidates."""
        return (1.0, self.default, *self.candidates)


def hosted_study(
    world: World, make: WeatherMaker, seed: int, *, disturbed: str | None = None
) -> SimulatedOutcome:
    """Tune once on a host with two cpus.

    Args:
        make: the host's weather.
        disturbed: value of `measure.disturbed`; None = the default.
    """
    setup = seeded(setup_of(disturbed), seed)
    speeds = placed(world, setup, seed)
    nature = SimulatedMachine(
        lambda configuration: configuration.instances * REQUEST_S / speeds[configuration], make, seed
    )
    host = SimulatedHost("hosted", setup, nature, preparation_s=PREPARATION_S)
    truths = {str(configuration): speed / REQUEST_S for configuration, speed in speeds.items()}
    return tuned(host, truths)


def placed(world: World, setup: Setup, seed: int) -> Mapping[Configuration, float]:
    """Say which configuration has which speed: those of the candidates in random order."""
    candidates = list(world.candidates)
    random.Random(f"placed {seed}").shuffle(candidates)
    space = setup.space
    return dict(
        zip(
            (space.baseline, *space.defaults, *space.configurations),
            (1.0, world.default, *candidates),
            strict=True,
        )
    )


@cache
def setup_of(disturbed: str | None = None) -> Setup:
    """Set up a study with the product's own defaults, of ten configurations that use both cpus."""
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    spec = StudySpec(
        name="hosted",
        model="fake:hosted.json",
        problem=Problem(batch_size=1, sequence_length=1),
        scenario="offline",
        search=Search(knobs="none"),
        measure=Measure() if disturbed is None else Measure.model_validate({"disturbed": disturbed}),
        budget=Budget(minutes=MINUTES),
    )
    machine = build_machine(packages=1, nodes_per_package=1, cores_per_node=len(CPUS), threads_per_core=1)
    engines = {"fake": PRECISIONS}
    surveyed = Survey(spec, machine, engines, {"": engines}, build_space(spec, machine, engines), ())
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "hosted.json").write_text(json.dumps({"schema": SCHEMA}), encoding="utf-8")
        setup = set_up(surveyed, base=Path(folder), offline=True)
    space = setup.space
    busy = {one: place for one, place in space.placements.items() if load_of(one) == len(CPUS)}
    assert len(busy) == CANDIDATES, f"{len(busy)} configurations use both cpus"
    default = replace(space.baseline, precision=DEFAULT_PRECISION)
    recipes = tuple(configuration for configuration in space.recipes if configuration in busy)
    return replace(
        setup,
        space=replace(
            space, configurations=tuple(busy), placements=busy, recipes=recipes, defaults=(default,)
        ),
    )
