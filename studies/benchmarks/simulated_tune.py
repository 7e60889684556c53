"""Whole studies by the product's own `tune` on a simulated host, and what their plans claim.

Nothing is started and nobody waits: the host is behind the same waist as a real one
(`autotune.testing.simulated_host`), on a virtual clock.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

import optuna
from optuna.storages import InMemoryStorage

from autotune.bench.crew import Crew
from autotune.errors import NoisyMachineError, NoPlanError
from autotune.jobs.tuning import tune_in
from autotune.plan.document import Plan
from autotune.plan.evidence import Range
from autotune.preflight.setup import Setup, set_up
from autotune.preflight.survey import survey
from autotune.rounds.contest import MARGIN
from autotune.spec.study import StudySpec
from autotune.store.store import open_store
from autotune.testing.fake_model import SCHEMA
from autotune.testing.machines import build_machine
from autotune.testing.noise import Noise
from autotune.testing.simulated_host import SimulatedHost
from autotune.testing.simulation import SimulatedMachine, VirtualClock

REQUEST_S = 0.2
"""Seconds of the baseline's request."""

IN_MEMORY = Path("/dev/shm")
"""Where stores of simulated studies lie, so that nobody waits for a disk either."""


@dataclass(frozen=True)
class PlanClaim:
    """An interval that a plan states, and what it should hold."""

    low: float
    high: float
    truth: float

    @property
    def holds(self) -> bool:
        """Whether the truth lies in the interval."""
        return self.low <= self.truth <= self.high


@dataclass(frozen=True)
class SimulatedOutcome:
    """How a simulated study ended.

    Attributes:
        plan: None where `tune` gave none; reason: why.
        truths: samples per second without noise, by configuration.
        searched: the scores of the search.
        baseline: the one that is not searched for.
        seconds: what search and confirmation took on the host's clock.
        blocks: how many were measured.
    """

    plan: Plan | None
    reason: str
    truths: Mapping[str, float]
    searched: Mapping[str, float]
    baseline: str
    seconds: float
    blocks: int

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
        if self.plan is None or self.winner is None:
            return {kind: [] for kind in ("gain", "estimate", "rivals", "twin")}
        plan, winner = self.plan, self.truths[self.winner]
        confirmation = plan.confirmation
        rivals = [
            claim
            for rival in confirmation.rivals
            for claim in _claim(rival.ratio_range, self.truths[str(rival.configuration)] / winner)
        ]
        gain = [] if plan.is_baseline else _claim(plan.gain_range, winner / self.truths[self.baseline])
        return {
            "gain": gain,
            "estimate": _claim(plan.estimate.objective_range, winner),
            "rivals": rivals,
            "twin": _claim(confirmation.twin_range, 1.0),
        }


def _claim(span: Range | None, truth: float) -> list[PlanClaim]:
    return [] if span is None else [PlanClaim(span.low, span.high, truth)]


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
    clock = VirtualClock()
    nature = SimulatedMachine(lambda one: REQUEST_S / speeds[one.threads_per_instance], noise, seed, clock)
    host = SimulatedHost("simulated", setup, nature)
    with (
        tempfile.TemporaryDirectory(dir=IN_MEMORY if IN_MEMORY.is_dir() else None) as folder,
        open_store(f"sqlite:///{folder}/autotune.db", optuna=InMemoryStorage()) as store,
    ):
        plan, reason = None, ""
        try:
            plan = tune_in(store, Crew([host], clock), setup).plan
        except (NoPlanError, NoisyMachineError) as error:
            reason = error.problem
        trials = store.trial_summaries(setup.spec.name)
    everything = (setup.space.baseline, *setup.space.configurations)
    return SimulatedOutcome(
        plan=plan,
        reason=reason,
        truths={str(one): speeds[one.threads_per_instance] / REQUEST_S for one in everything},
        searched={str(trial.configuration): trial.score for trial in trials if trial.score is not None},
        baseline=str(setup.space.baseline),
        seconds=clock.now_s,
        blocks=nature.blocks,
    )


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
