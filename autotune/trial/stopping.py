"""When a trial has been measured for long enough: turns blocks into numbers and asks the statistics."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from autotune.spec.configuration import Scenario
from autotune.spec.study import Objective
from autotune.statistics.quantiles import supports
from autotune.statistics.sequential import is_worse, needed_count
from autotune.statistics.spread import deviation
from autotune.trial.measurement import Block, Measurement, StopReason
from autotune.trial.statistics import block_score, latency_count

MAX_STRETCH = 10
"""Measuring for the sake of a percentile ends after so many times `blocks`."""


@dataclass(frozen=True)
class Rival:
    """The best configuration so far, against which a trial races.

    Attributes:
        scores: of its blocks, in order, as `block_score` gives them.
        spread: standard deviation of the logarithms of block scores within one trial, as `spread` gives it.
        freedom: the degrees of freedom that it stands on.
    """

    scores: tuple[float, ...]
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
        keeps_disturbed: blocks that the host disturbed count like others.
    """

    scenario: Scenario
    objective: Objective
    blocks: int
    max_blocks: int
    percentile: float | None = None
    rival: Rival | None = None
    max_measuring_s: float | None = None
    keeps_disturbed: bool = False

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
        needed = needed_count(self._scores(blocks[:first]), spread=spread, freedom=freedom)
        return (int(needed), "precise") if needed <= self.max_blocks else (self.max_blocks, "blocks")

    def _is_worse(self, blocks: Sequence[Block]) -> bool:
        rival = self.rival
        if rival is None:
            return False
        ones, others = self._goodness(self._scores(blocks)), self._goodness(rival.scores)
        return is_worse(ones, others, spread=rival.spread, freedom=rival.freedom)

    def _scores(self, blocks: Sequence[Block]) -> list[float]:
        return [block_score(block, self.scenario, self.objective) for block in blocks]

    def _goodness(self, scores: Sequence[float]) -> Sequence[float]:
        """Scores of which the larger is the better."""
        return scores if self.objective.kind == "throughput" else [1 / score for score in scores]


def spread(measurements: Sequence[Measurement], objective: Objective) -> tuple[float, int]:
    """How block scores vary within a trial, pooled over trials: the standard deviation of their logarithms.

    Beside it, the degrees of freedom that it stands on; (0.0, 0) where no trial has two blocks. Those of a
    `server` do not count: how much was sent in a block is chance.
    """
    squares, freedom = 0.0, 0
    for measurement in (one for one in measurements if one.scenario != "server"):
        scores = [block_score(block, measurement.scenario, objective) for block in measurement.blocks]
        if len(scores) > 1:
            squares += (len(scores) - 1) * deviation(map(math.log, scores)) ** 2
            freedom += len(scores) - 1
    return (math.sqrt(squares / freedom), freedom) if freedom else (0.0, 0)


def scores_of(measurement: Measurement, objective: Objective) -> tuple[float, ...]:
    """The scores of a measurement's blocks, in order: what a `Rival` is made of."""
    return tuple(block_score(block, measurement.scenario, objective) for block in measurement.blocks)
