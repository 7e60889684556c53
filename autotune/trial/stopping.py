"""When a trial has been measured for long enough: turns blocks into numbers and asks the statistics."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from autotune.measurement.correction import UNCORRECTED, Correction
from autotune.measurement.covariates import explanation
from autotune.measurement.measurement import Block, StopReason
from autotune.measurement.outcomes import BlockOutcome
from autotune.measurement.statistics import latency_count
from autotune.objectives.objective import Objective
from autotune.objectives.outcome import UNKNOWN, Figures, Resources
from autotune.spec.scenario import Scenario
from autotune.spec.study import DisturbedTreatment
from autotune.statistics.quantiles import supports
from autotune.statistics.sequential import is_worse, needed_count

MAX_STRETCH = 10
"""Measuring for the sake of a percentile ends after so many times `blocks`."""


@dataclass(frozen=True)
class Rival:
    """The best configuration so far, against which a trial races.

    Attributes:
        goodness: of its blocks, in order, as `goodness_of_blocks` gives them.
        spread: standard deviation of the logarithms of blocks' goodness within one trial.
        freedom: the degrees of freedom that it stands on.
    """

    goodness: tuple[float, ...]
    spread: float
    freedom: int


@dataclass(frozen=True)
class Rule:
    """How many blocks a trial gets.

    Attributes:
        blocks: at least, unless it is clearly worse than its rival.
        max_blocks: at most, but for the sake of the percentile; no more than `blocks` is a fixed plan.
        percentile: of latency, that must be supported by enough requests; None = none.
        rival: None = no race.
        max_measuring_s: after which it ends once it has `blocks`; None = never.
        treatment: what becomes of blocks that the host disturbed, as `Measure.disturbed` says.
        correction: brings blocks to usual conditions, as far as the study has learned that they matter.
        load: threads at work, as `autotune.measurement.correction.load_of` says.
        resources: what the trial takes, as far as that is known.
    """

    scenario: Scenario
    objective: Objective
    blocks: int
    max_blocks: int
    percentile: float | None = None
    rival: Rival | None = None
    max_measuring_s: float | None = None
    treatment: DisturbedTreatment = "correct"
    correction: Correction = UNCORRECTED
    load: int = 0
    resources: Resources = UNKNOWN

    def score(self, block: Block) -> float:
        """The objective's value in one block."""
        return self.objective.score(BlockOutcome(block, self.scenario, self.resources))

    def score_at(self, samples_per_s: float) -> float:
        """The objective's value of a bare rate."""
        return self.objective.score(Figures(samples_per_s, resources=self.resources))

    def verdict(self, blocks: Sequence[Block]) -> StopReason | None:
        """Why these undisturbed blocks are enough; None = they are not. To be asked after every block."""
        if self._is_worse(blocks):
            return "worse"
        planned, reason = self._plan(blocks)
        if len(blocks) < planned:
            return None
        if self.is_supported(blocks):
            return reason if len(blocks) == planned else "percentile"
        return "time" if len(blocks) >= max(planned, MAX_STRETCH * self.blocks) else None

    def is_supported(self, blocks: Sequence[Block]) -> bool:
        """Whether there are latencies enough for the percentile that is needed."""
        if self.percentile is None:
            return True
        count = sum(latency_count(block, self.scenario) for block in blocks)
        return supports(count, self.percentile)

    def _plan(self, blocks: Sequence[Block]) -> tuple[int, StopReason]:
        """How many blocks there are to be by what the first of them show, and why so many."""
        if self.max_blocks <= self.blocks:
            return self.blocks, "planned"
        first = max(self.blocks, 2)
        if len(blocks) < first:
            return first, "precise"
        spread, freedom = (0.0, 0) if self.rival is None else (self.rival.spread, self.rival.freedom)
        needed = needed_count(self._goodness(blocks[:first]), spread=spread, freedom=freedom)
        return (int(needed), "precise") if needed <= self.max_blocks else (self.max_blocks, "blocks")

    def _is_worse(self, blocks: Sequence[Block]) -> bool:
        rival = self.rival
        if rival is None:
            return False
        return is_worse(self._goodness(blocks), rival.goodness, spread=rival.spread, freedom=rival.freedom)

    def loss(self, block: Block) -> float:
        """By which share the block's value is expected to be below what is usual; at least 0."""
        return max(0.0, -math.expm1(self.correction.shift(explanation(block.conditions), self.load)))

    def _goodness(self, blocks: Sequence[Block]) -> list[float]:
        """What each block is worth, larger is better, under usual conditions where that is asked."""
        return goodness_of_blocks(
            blocks, self.scenario, self.objective, self._applied, self.load, self.resources
        )

    @property
    def _applied(self) -> Correction:
        return self.correction if self.treatment == "correct" else UNCORRECTED


def goodness_of_blocks(
    blocks: Sequence[Block],
    scenario: Scenario,
    objective: Objective,
    correction: Correction = UNCORRECTED,
    load: int = 0,
    resources: Resources = UNKNOWN,
) -> list[float]:
    """What each block is worth to the objective, larger is better.

    Args:
        correction: brings them to usual conditions.
        load: threads at work.
        resources: what the configuration takes.
    """
    return [
        objective.goodness_of(BlockOutcome(block, scenario, resources))
        * correction.factor(block.conditions, load)
        for block in blocks
    ]
