"""Whether a figure that was stated once still holds, judged by an interval of the same figure now."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from autotune.statistics.paired import Interval

PromiseVerdict = Literal["holds", "better", "worse", "undecided"]

OWN_MOST = 0.025
"""So much of a stated interval below its figure, as a share, is allowed for where a figure is to hold.

Were all of it allowed for, what is stated unsurely would hold whatever became of it: with the intervals of
usual confirmations, one plan in nine that had become 10 % worse. Source: studies/benchmarks/verification.py.
"""


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
        """Give the least that still holds: the tolerance, and its own interval up to `OWN_MOST`, below it."""
        return max(self.low, self.value / (1 + OWN_MOST)) / (1 + tolerance)

    def bottom(self, tolerance: float) -> float:
        """Give what it must lie below to be worse: its whole interval, and the tolerance, below it."""
        return self.low / (1 + tolerance)

    def ceiling(self, tolerance: float) -> float:
        """What it must exceed to be more than was stated."""
        return self.high * (1 + tolerance)


def agreement(promise: Promise, now: Interval | None, tolerance: float) -> PromiseVerdict:
    """Compare the figure of now with the promise; each answer but `undecided` is shown, not presumed.

    - `better`: the whole interval lies above the promise's ceiling;
    - `holds`: it lies above the floor;
    - `worse`: it lies below the bottom;
    - `undecided`: it has the floor or the bottom within it, lies between them, or nothing was measured.

    With an interval of 95 %, that a figure is called worse which is not below the bottom has a probability of
    2.5 % at most, and so has that one is said to hold which is below the floor. (Two one-sided tests against
    a margin, as of non-inferiority. Source: S. Wellek, Testing Statistical Hypotheses of Equivalence and
    Noninferiority, chapter 2.)
    """
    if now is None:
        return "undecided"
    if now.low > promise.ceiling(tolerance):
        return "better"
    if now.low >= promise.floor(tolerance):
        return "holds"
    return "worse" if now.high < promise.bottom(tolerance) else "undecided"


def joint_agreement(gain: PromiseVerdict, value: PromiseVerdict, *, may_hold: bool = False) -> PromiseVerdict:
    """Say what the gain over a baseline and the value itself show together: `holds` takes either of them.

    Where its value holds, a plan gives what it states, whatever its baseline does by now or did then; where
    its gain holds, it does so on a machine that is slower as a whole. `worse` and `better` take the gain, as
    the machine moves values. The level is shared: with intervals of 95 %, each figure wrongly shows that it
    holds with a probability of 2.5 % at most, so that a plan below both floors is said to hold with 5 % at
    most, and one that is not below is called worse with 2.5 % at most.

    Args:
        may_hold: whether the value, as far as it is known, would hold: then it is not called worse yet.
    """
    if gain in ("undecided", "worse") and value in ("holds", "better"):
        return "holds"
    return "undecided" if gain == "worse" and may_hold else gain
