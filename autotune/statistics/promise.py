"""Whether a figure that was stated once still holds, judged by an interval of the same figure now."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from autotune.statistics.paired import Interval

Agreement = Literal["holds", "better", "worse", "undecided"]


@dataclass(frozen=True)
class Promise:
    """A positive figure as it was stated, larger is better.

    Attributes:
        low, high: the interval that was stated with it; both `value` where none was.
    """

    value: float
    low: float
    high: float

    def floor(self, tolerance: float) -> float:
        """The least that it may be: its own uncertainty, and the tolerance as a share, below."""
        return self.low / (1 + tolerance)

    def ceiling(self, tolerance: float) -> float:
        """What it must exceed to be more than was stated."""
        return self.high * (1 + tolerance)


def agreement(promise: Promise, now: Interval | None, tolerance: float) -> Agreement:
    """Compare the figure of now with the promise; each answer but `undecided` is shown, not presumed.

    - `better`: the whole interval lies above the promise's ceiling;
    - `holds`: it lies above the floor;
    - `worse`: it lies below the floor;
    - `undecided`: it has the floor within it, or nothing was measured.

    With an interval of 95 %, that a figure is called worse which is not below the floor has a probability of
    2.5 % at most, and so has that one is said to hold which is below it. (Two one-sided tests against a
    margin, as of non-inferiority. Source: S. Wellek, Testing Statistical Hypotheses of Equivalence and
    Noninferiority, chapter 2.)
    """
    if now is None:
        return "undecided"
    if now.low > promise.ceiling(tolerance):
        return "better"
    if now.low >= promise.floor(tolerance):
        return "holds"
    return "worse" if now.high < promise.floor(tolerance) else "undecided"
