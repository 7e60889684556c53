"""Whole studies by the product's own `tune` on a simulated host, and what their plans claim.

Nothing is started and nobody waits: the host is behind the same waist as a real one
(`autotune.testing.simulated_host`), on a virtual clock.
"""

from __future__ import annotations

import json
import math
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

import optuna
from optuna.storages import InMemoryStorage

from autotune.bench.crew import Crew
from autotune.errors import NoisyMachineError, NoPlanError
from autotune.jobs.doubting import CONTRADICTION
from autotune.jobs.tuning import tune_in
from autotune.measurement.measurement import Measurement
from autotune.measurement.statistics import block_seconds
from autotune.plan.document import Plan
from autotune.plan.evidence import Range
from autotune.preflight.setup import Setup, set_up
from autotune.preflight.survey import survey
from autotune.rounds.contest import MARGIN
from autotune.spec.study import StudySpec
from autotune.store.store import StudyStore, open_store
from autotune.testing.fake_model import SCHEMA
from autotune.testing.machines import build_machine
from autotune.testing.noise import Noise
from autotune.testing.simulated_host import SimulatedHost
from autotune.testing.simulation import SimulatedMachine

REQUEST_S = 0.2
"""Seconds of the baseline's request."""

IN_MEMORY = Path("/dev/shm")
"""Where stores of simulated studies lie, so that nobody waits for a disk either."""


@dataclass(frozen=True)
class PlanClaim:
    """A figure that a plan states, its interval, and what it should hold.

    Attributes:
        low, high: 0 and infinity where the plan states no interval.
    """

    estimate: float
    low: float
    high: float
    truth: float

    @property
    def holds(self) -> bool:
        """Whether the truth lies in the interval."""
        return self.low <= self.truth <= self.high

    @property
    def is_open(self) -> bool:
        """Whether there is no interval."""
        return not (self.low > 0 and math.isfinite(self.high))


@dataclass(frozen=True)
class SimulatedOutcome:
    """How a simulated study ended.

    Attributes:
        plan: None where `tune` gave none; reason: why.
        truths: samples per second without noise, by configuration.
        searched: the scores of the search.
        baseline: the one that is not searched for; defaults: engines as their documentation starts them.
        entrants: those that ran in the rounds; rounds: how many there were.
        seconds: what search and confirmation took on the host's clock.
        blocks: how many were measured; measured_s: their length; counted_s: of those that count.
        mean_speed: of the host meanwhile, where 1 is without noise.
    """

    plan: Plan | None
    reason: str
    truths: Mapping[str, float]
    searched: Mapping[str, float]
    baseline: str
    defaults: tuple[str, ...]
    entrants: frozenset[str]
    rounds: int
    seconds: float
    blocks: int
    measured_s: float
    counted_s: float
    mean_speed: float

    @property
    def is_contradicted(self) -> bool:
        """Whether there is no plan because the rounds contradict the search."""
        return self.plan is None and CONTRADICTION in self.reason

    @property
    def winner(self) -> str | None:
        """The plan's configuration."""
        return None if self.plan is None else str(self.plan.configuration)

    @property
    def declares_difference(self) -> bool:
        """Whether the plan says that any of its configurations is better or worse than another."""
        if self.plan is None:
            return False
        confirmation = self.plan.confirmation
        beaten = any(rival.standing == "worse" for rival in confirmation.rivals)
        return beaten or confirmation.verdict == "better"

    @property
    def ships_worse(self) -> bool:
        """Whether the plan is slower than the baseline in truth, by more than the contest's margin."""
        return self.winner is not None and (
            self.truths[self.winner] < (1 - MARGIN) * self.truths[self.baseline]
        )

    @property
    def optimism(self) -> float | None:
        """By which share the plan's own value is above the truth; None without a plan."""
        if self.plan is None or self.winner is None:
            return None
        return self.plan.estimate.objective_value / self.truths[self.winner] - 1

    @property
    def loss(self) -> float | None:
        """By which share the plan is slower in truth than the best there is; None without a plan."""
        return None if self.winner is None else 1 - self.truths[self.winner] / max(self.truths.values())

    @property
    def search_optimism(self) -> float:
        """By which share the best score of the search is above the truth."""
        best = max(self.searched, key=self.searched.__getitem__)
        return self.searched[best] / self.truths[best] - 1

    def claims(self) -> dict[str, list[PlanClaim]]:
        """List every interval: `gain` over the baseline, `estimate`, `rivals` by winner, `twin` by leader."""
        kinds = ("gain", "estimate", "rivals", "twin")
        return {kind: [claim for claim in self._stated(kind) if not claim.is_open] for kind in kinds}

    def ratios(self) -> list[PlanClaim]:
        """List every ratio of the plan to another, those without an interval too."""
        return [claim for kind in ("rivals", "gain", "default") for claim in self._stated(kind)]

    def _stated(self, kind: str) -> list[PlanClaim]:
        return [] if self.plan is None else STATED[kind](self.plan, self.truths, self.baseline)


def _claim(estimate: float | None, span: Range | None, truth: float) -> list[PlanClaim]:
    if estimate is None:
        return []
    low, high = (0.0, math.inf) if span is None else (span.low, span.high)
    return [PlanClaim(estimate, low, high, truth)]


def _gain(plan: Plan, truths: Mapping[str, float], baseline: str) -> list[PlanClaim]:
    gain = None if plan.is_baseline else plan.gain
    return _claim(gain, plan.gain_range, truths[str(plan.configuration)] / truths[baseline])


def _own_value(plan: Plan, truths: Mapping[str, float], _: str) -> list[PlanClaim]:
    estimate = plan.estimate
    return _claim(estimate.objective_value, estimate.objective_range, truths[str(plan.configuration)])


def _rivals(plan: Plan, truths: Mapping[str, float], _: str) -> list[PlanClaim]:
    winner = truths[str(plan.configuration)]
    return [
        claim
        for rival in plan.confirmation.rivals
        for claim in _claim(rival.ratio, rival.ratio_range, truths[str(rival.configuration)] / winner)
    ]


def _twin(plan: Plan, _: Mapping[str, float], __: str) -> list[PlanClaim]:
    return _claim(plan.confirmation.twin_ratio, plan.confirmation.twin_range, 1.0)


def _beside_default(plan: Plan, truths: Mapping[str, float], _: str) -> list[PlanClaim]:
    default = plan.confirmation.default
    if default is None or default.is_baseline or default.said == "plan":
        return []
    truth = truths[str(plan.configuration)] / truths[str(default.configuration)]
    return _claim(default.ratio, default.ratio_range, truth)


STATED: Mapping[str, Callable[[Plan, Mapping[str, float], str], list[PlanClaim]]] = {
    "gain": _gain,
    "estimate": _own_value,
    "rivals": _rivals,
    "twin": _twin,
    "default": _beside_default,
}
"""What a plan states, by kind."""


Tuning = Callable[[StudyStore, Crew, Setup], Plan | None]
"""Tunes a study in an open store."""


def by_tune(store: StudyStore, crew: Crew, setup: Setup) -> Plan | None:
    """Tune as the product does."""
    return tune_in(store, crew, setup).plan


def tuned(host: SimulatedHost, truths: Mapping[str, float], tuning: Tuning = by_tune) -> SimulatedOutcome:
    """Tune the study of a simulated host, from its first trial to its plan.

    Args:
        truths: samples per second without noise, by configuration.
    """
    setup, nature = host.setup, host.nature
    with (
        tempfile.TemporaryDirectory(dir=IN_MEMORY if IN_MEMORY.is_dir() else None) as folder,
        open_store(f"sqlite:///{folder}/autotune.db", optuna=InMemoryStorage()) as store,
    ):
        plan, reason = None, ""
        try:
            plan = tuning(store, Crew([host], nature.clock), setup)
        except (NoPlanError, NoisyMachineError) as error:
            reason = error.problem
        trials, runs = store.trials(setup.spec.name), store.confirmations(setup.spec.name)
    results = [*(trial.result for trial in trials), *(run.result for run in runs)]
    measured = [result for result in results if isinstance(result, Measurement)]
    return SimulatedOutcome(
        plan=plan,
        reason=reason,
        truths=truths,
        searched={str(trial.configuration): trial.score for trial in trials if trial.score is not None},
        baseline=str(setup.space.baseline),
        defaults=tuple(map(str, setup.space.defaults)),
        entrants=frozenset(str(run.configuration) for run in runs),
        rounds=max((run.round for run in runs), default=0),
        seconds=nature.clock.now_s,
        blocks=nature.blocks,
        measured_s=nature.measured_s,
        counted_s=sum(block_seconds(block) for measurement in measured for block in measurement.blocks),
        mean_speed=nature.mean_speed,
    )


def simulated_tune(speeds: Sequence[float], noise: Noise, seed: int) -> SimulatedOutcome:
    """Tune a study on a simulated host, from its first trial to its plan.

    Args:
        speeds: of all configurations by their threads, where the baseline's is 1: that has 0.

    Raises:
        ValueError: there is no baseline, or nothing beside it.
    """
    if len(speeds) < 2:
        raise ValueError(f"{len(speeds)} configurations are no study")
    setup = seeded(setup_of(len(speeds) - 1), seed)
    nature = SimulatedMachine(
        lambda configuration: REQUEST_S / speeds[configuration.threads_per_instance], noise, seed
    )
    everything = (setup.space.baseline, *setup.space.configurations)
    truths = {
        str(configuration): speeds[configuration.threads_per_instance] / REQUEST_S
        for configuration in everything
    }
    return tuned(SimulatedHost("simulated", setup, nature), truths)


@cache
def setup_of(cores: int) -> Setup:
    """Set up a study of one instance with 1, 2, ... threads, on a machine with so many cores."""
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    described = {
        "name": "simulated",
        "model": "fake:model.json",
        "problem": {"batch_size": 1, "sequence_length": 1},
        "objective": {"kind": "throughput"},
        "scenario": "offline",
        "search": {
            "instances": [1],
            "threads": list(range(1, cores + 1)),
            "placements": ["close"],
            "precisions": ["fp32"],
            "knobs": "none",
        },
    }
    machine = build_machine(packages=1, nodes_per_package=1, cores_per_node=cores, threads_per_core=1)
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "model.json").write_text(json.dumps({"schema": SCHEMA}), encoding="utf-8")
        spec = StudySpec.model_validate_json(json.dumps(described))
        setup = set_up(survey(spec, machine), base=Path(folder), offline=True)
    threads = sorted(one.threads_per_instance for one in setup.space.configurations)
    assert threads == list(range(1, cores + 1)), f"{threads} on {cores} cores"
    return setup


def seeded(setup: Setup, seed: int) -> Setup:
    """Give the same study with another seed."""
    spec = setup.spec.model_copy(update={"seed": seed})
    return replace(setup, found=replace(setup.found, spec=spec))
