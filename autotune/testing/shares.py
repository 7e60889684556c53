"""How often something was so in simulated studies, and how surely that is known."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class ObservedShare:
    """How many of `count` there were, as a share; not a number of none.

    Attributes:
        error: its standard error by the number of studies; what is of one study counts as dependent.
    """

    share: float
    count: int
    error: float


def share_of(studies: Sequence[Sequence[bool]]) -> ObservedShare:
    """The share of what is true, with the standard error of a ratio of sums over independent studies."""
    count = sum(map(len, studies))
    if not count:
        return ObservedShare(math.nan, 0, math.nan)
    share = sum(map(sum, studies)) / count
    squares = sum((sum(one) - share * len(one)) ** 2 for one in studies)
    return ObservedShare(share, count, math.sqrt(squares) / count)
