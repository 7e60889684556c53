"""Who takes part in a contest, and how it ended: values alone."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from autotune.rounds.contradiction import Earlier
from autotune.statistics.paired import Interval

Role = Literal["baseline", "default", "finalist", "twin"]
FinalistStanding = Literal["tied", "likely", "worse", "failed"]
Said = Literal["shown", "likely", "untold"]

LIKELY = 0.8
"""A probability that is worth a word."""


@dataclass(frozen=True)
class Contender:
    """Who takes part; of equally good ones that with fewer cores, knobs, bytes, instances is taken.

    Attributes:
        name: unique in its contest.
        role: the `twin` is a second run of the first finalist's configuration; the `default` is the best of
            what engines do as their documentation starts them.
        earlier: what the search had measured of it; None where the rounds are not to be compared with that.
    """

    name: str
    role: Role
    cores: int = 0
    memory_bytes: int = 0
    instances: int = 0
    knobs: int = 0
    earlier: Earlier | None = None

    @property
    def cost(self) -> tuple[int, int, int, int]:
        """What decides between equally good ones."""
        return self.cores, self.knobs, self.memory_bytes, self.instances


@dataclass(frozen=True)
class Advantage:
    """The winner beside another.

    Attributes:
        ratio: of the winner's goodness to the other's, with the interval of this comparison alone.
        probability: that the winner is better, by that interval.
        said: what that allows to say; more_rounds: how many more would let it be shown, None = more than
            anybody would run, or nothing is left to show.
    """

    name: str
    ratio: Interval
    probability: float
    said: Said
    more_rounds: int | None = None


@dataclass(frozen=True)
class RivalVerdict:
    """What the contest says of a finalist, or a default, that did not win.

    Attributes:
        standing: `worse`: shown; `likely`: it is likely to be worse; `tied`: not told apart from the winner.
        ratio: of its goodness to the winner's, below 1 where it is worse; None where it failed.
        probability: that it is worse than the winner; None where it failed.
        reason: of the failure.
    """

    name: str
    standing: FinalistStanding
    ratio: Interval | None
    reason: str = ""
    probability: float | None = None
    more_rounds: int | None = None


@dataclass(frozen=True)
class Verdict:
    """How a contest ended.

    Attributes:
        winner: a finalist, or the baseline or the default where those are probably best.
        baseline, default: the winner beside them; None where there is none, or it is the winner itself.
        baseline_estimate: the baseline's goodness, over all its runs; None where it is out, or did not run.
        failed: why contenders are out, by name.
        gain: ratio of the winner's goodness to the baseline's; None where there is none.
        estimate: the winner's goodness, over all its runs; this and the ratios to baseline and default
            without what chance adds to the best of several (`autotune.statistics.shrinkage`).
        rivals: the other finalists, in the order given.
        twin: the twin's goodness over the leader's, which are the same configuration; None without both.
        spread: standard deviation of the logarithm of one run within its round; None where unknown.
        rounds: how many were run.
    """

    winner: str
    estimate: Interval
    rivals: tuple[RivalVerdict, ...]
    twin: Interval | None
    spread: float | None
    rounds: int
    baseline: Advantage | None = None
    default: Advantage | None = None
    baseline_estimate: Interval | None = None
    failed: Mapping[str, str] = field(default_factory=dict)

    @property
    def gain(self) -> Interval | None:
        """Over the baseline."""
        return None if self.baseline is None else self.baseline.ratio


MANY_ROUNDS = 200
"""Nobody is advised to run more."""


def said_of(ratio: Interval, probability: float, *, is_shown: bool) -> Said:
    """Decide what is said of the winner beside another.

    Args:
        ratio: as it is stated; probability: that it is more than 1.
        is_shown: whether it was shown at some look. An interval that includes 1 by now takes that back.
    """
    if is_shown and ratio.low > 1:
        return "shown"
    return "likely" if probability >= LIKELY else "untold"


def more_rounds(rounds: int, *ratios: Interval) -> int | None:
    """About how many more rounds would make all intervals leave 1: they narrow with their square root."""
    needed = [_needed(rounds, ratio) for ratio in ratios]
    most = max(needed, default=math.inf)
    return None if most > MANY_ROUNDS else max(1, math.ceil(most - rounds))


def _needed(rounds: int, ratio: Interval) -> float:
    gap, half_width = abs(math.log(ratio.estimate)), ratio.half_width
    return rounds * (half_width / gap) ** 2 if gap > 0 else math.inf
