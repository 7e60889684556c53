"""What every objective can do: score an outcome, say which way is better, and speak to people.

Two numbers are told apart. A *score* is the objective's value in its own unit, as it is stored and stated. A
*goodness* is what is compared and averaged: positive, and larger is better. Both orders are the same or
opposite, so that a goodness is the score itself or one over it; ratios of goodness are gains.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from dataclasses import replace
from typing import TYPE_CHECKING, ClassVar, Literal

from autotune.objectives.outcome import Outcome, Resources
from autotune.units import format_significant

if TYPE_CHECKING:
    from autotune.statistics.paired import Interval

Direction = Literal["maximize", "minimize"]
"""Which way a score is better, in Optuna's words."""


class Objective(ABC):
    """One objective; a frozen value that equals another of the same name.

    Attributes:
        direction: which way a score is better.
        scale: how many of the unit that people read make one of the score's own: 1000 for ms of seconds.
        merit: what its goodness is called.
        better: what the better of two is called.
        core_exponent: at the same throughput, its goodness falls with this power of the cores that are taken.
    """

    direction: ClassVar[Direction]
    scale: ClassVar[float] = 1.0
    merit: ClassVar[str]
    better: ClassVar[str]
    core_exponent: ClassVar[float] = 0.0

    @property
    @abstractmethod
    def name(self) -> str:
        """What documents and stores call it; `objective_named` is the inverse."""

    @property
    @abstractmethod
    def title(self) -> str:
        """What people call it: `p99 latency`."""

    @property
    @abstractmethod
    def unit(self) -> str:
        """The unit that people read."""

    @property
    def prefix(self) -> str:
        """What stands before a value where nothing else says which it is: `p99`; mostly nothing."""
        return ""

    @property
    def percentile(self) -> float | None:
        """The percentile of latency that it needs requests enough for; None = none."""
        return None

    @abstractmethod
    def score(self, outcome: Outcome) -> float:
        """Its value, above 0, of what a trial, or a block of one, gave and took."""

    @abstractmethod
    def surpasses(self, gain: str) -> str:
        """What a plan with this gain does, beside the baseline, as the predicate of a sentence."""

    def implied_throughput_sps(self, score: float, resources: Resources) -> float | None:  # noqa: ARG002
        """The throughput that stands behind a score; None where the score does not tell."""
        return None

    @property
    def is_maximized(self) -> bool:
        """Whether a larger score is better."""
        return self.direction == "maximize"

    def goodness(self, score: float) -> float:
        """What a score is worth, larger is better; its own inverse."""
        return score if self.is_maximized else 1 / score

    def goodness_of(self, outcome: Outcome) -> float:
        """What an outcome is worth, larger is better."""
        return self.goodness(self.score(outcome))

    def ratio(self, one: float, other: float) -> float:
        """How many times better one score is than another; more than 1 is better."""
        return self.goodness(one) / self.goodness(other)

    def interval(self, goodness: Interval) -> Interval:
        """An interval of goodness as one of scores; what it leaves open stays open."""
        if self.is_maximized:
            return goodness
        low = 1 / goodness.high if math.isfinite(goodness.high) else 0.0
        high = 1 / goodness.low if goodness.low > 0 else math.inf
        return replace(goodness, estimate=1 / goodness.estimate, low=low, high=high)

    def shown(self, score: float) -> float:
        """A score in the unit that people read."""
        return score * self.scale

    def read(self, shown: float) -> float:
        """The score of a value in the unit that people read."""
        return shown / self.scale

    def format(self, score: float) -> str:
        """A score with its unit, three significant digits: `12.3 ms`."""
        return f"{format_significant(self.shown(score))} {self.unit}"

    def told(self, score: float) -> str:
        """A score that says which it is: `p99 12.3 ms`."""
        return f"{self.prefix} {self.format(score)}".lstrip()

    @property
    def label(self) -> str:
        """The name of an axis: what it is, its unit, and which way it is better."""
        way = "higher" if self.is_maximized else "lower"
        return f"{self.title}, {self.unit} ({way} is better)"
