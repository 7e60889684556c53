"""The confirmation as a contest: who runs in the next round, when it is decided, and for whom.

Finalists, a twin of the search's leader and the baseline run in rounds, each once per round in fresh
processes, in random order. The search's own figures have no part in it. What may be concluded:

- *Beats the baseline*, or *is worse than it*: one-sided paired t-tests of the log-ratios, round by round.
- *Worse than the leader*: t-test in the randomised block design of the finalists; the twin is a second run of
  its configuration in every round.
- The *leader* has the highest lower bound of the ratio to the baseline, by all contenders' spread.

Each of these families of tests keeps the probability of any wrong claim at or below `ALPHA`, whichever
finalist turns out to lead and however often one looks: its level is divided by the number of its comparisons
(Bonferroni) and by the number of looks, which are at 3, 6, 12, ... rounds and at the last.
"""

from __future__ import annotations

import math
import random
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from autotune.statistics.blocks import BlockDesign, Observed
from autotune.statistics.paired import Interval, mean_interval, paired_ratio, t_tail
from autotune.statistics.shrinkage import unlucky_factor
from autotune.statistics.spread import deviation

ALPHA = 0.0125
"""Probability of any wrong claim in one family of tests; there are three. Together that is less than the 5 %
that are promised, because real errors are not quite normal."""

MIN_ROUNDS = 3
"""Rounds before the first look: fewer say next to nothing of their own spread."""

Role = Literal["baseline", "finalist", "twin"]
Standing = Literal["tied", "worse", "failed"]


@dataclass(frozen=True)
class Contender:
    """Who takes part; of equally good ones that with fewer cores, knobs, bytes, instances is taken.

    Attributes:
        name: unique in its contest.
        role: the `twin` is a second run of the first finalist's configuration.
    """

    name: str
    role: Role
    cores: int = 0
    memory_bytes: int = 0
    instances: int = 0
    knobs: int = 0

    @property
    def cost(self) -> tuple[int, int, int, int]:
        """What decides between equally good ones."""
        return self.cores, self.knobs, self.memory_bytes, self.instances


@dataclass(frozen=True)
class RivalVerdict:
    """What the contest says of a finalist that did not win.

    Attributes:
        ratio: of its goodness to the winner's, below 1 where it is worse; None where it failed.
        reason: of the failure.
    """

    name: str
    standing: Standing
    ratio: Interval | None
    reason: str = ""


@dataclass(frozen=True)
class Verdict:
    """How a contest ended.

    Attributes:
        winner: a finalist, or the baseline where none beats it.
        beats_baseline: shown with 95 % confidence; None where there is no baseline to beat.
        gain: ratio of the winner's goodness to the baseline's; None where there is none.
        estimate: the winner's goodness, over all its runs; this and the gain without what chance adds to the
            best of several (`autotune.statistics.shrinkage`).
        rivals: the other finalists, in the order given.
        twin: the twin's goodness over the leader's, which are the same configuration; None without both.
        spread: standard deviation of the logarithm of one run within its round; None where unknown.
        rounds: how many were run.
    """

    winner: str
    beats_baseline: bool | None
    gain: Interval | None
    estimate: Interval
    rivals: tuple[RivalVerdict, ...]
    twin: Interval | None
    spread: float | None
    rounds: int


class Contest:
    """One confirmation under way; knows nothing of trials and processes.

    Goodness is positive and larger is better: a throughput, or 1 / latency.
    """

    def __init__(self, contenders: Sequence[Contender], *, tie: float, max_rounds: int, seed: int) -> None:
        """Begin; `tie` is the indifference zone as a share, e.g. 0.02."""
        self._contenders = {one.name: one for one in contenders}
        self._finalists = [one.name for one in contenders if one.role == "finalist"]
        self._baseline = next((one.name for one in contenders if one.role == "baseline"), None)
        self._twin = next((one.name for one in contenders if one.role == "twin"), None)
        self._zone = math.log1p(tie)
        self._looks = look_rounds(max(MIN_ROUNDS, max_rounds))
        self._random = random.Random(seed)
        self._rounds: list[dict[str, float]] = []
        self._failed: dict[str, str] = {}
        self._better_than_baseline: set[str] = set()
        self._worse_than_baseline: set[str] = set()
        self._ahead: set[tuple[str, str]] = set()

    @property
    def rounds(self) -> int:
        """How many rounds have begun."""
        return len(self._rounds)

    def next_round(self) -> tuple[str, ...] | None:
        """Begin a round: the names to run, in the order to run them; None when it is decided."""
        if len(self._rounds) in self._looks:
            self._look()
            if self._is_decided():
                return None
        names = [name for name in self._contenders if self._still_runs(name)]
        self._random.shuffle(names)
        self._rounds.append({})
        return tuple(names)

    def record(self, name: str, goodness: float | None) -> None:
        """Add what a contender reached in the round under way; None = nothing that could be measured."""
        if goodness is not None:
            self._rounds[-1][name] = goodness

    def fail(self, name: str, reason: str) -> None:
        """Take a contender out: its configuration does not run reliably, or misses a limit."""
        self._failed.setdefault(self._configuration(name), reason)

    def verdict(self) -> Verdict | None:
        """Conclude from what there is; None when nothing was measured that could be a plan."""
        self._look()
        running = self._running()
        leader = max(running, key=self._rank, default=None)
        if self._baseline is not None and self._has_baseline():
            eligible = [name for name in running if name in self._better_than_baseline]
            if not eligible:
                return self._verdict(self._baseline)
        else:
            eligible = running
        if leader is None:
            return None
        return self._verdict(self._most_economical(max(eligible, key=self._rank), eligible))

    def _verdict(self, winner: str) -> Verdict:
        against = self._has_baseline() and winner != self._baseline
        factor = self._unlucky_factor(winner)
        return Verdict(
            winner=winner,
            beats_baseline=against if self._has_baseline() else None,
            gain=self._over_baseline(winner).scaled(factor) if against else None,
            estimate=mean_interval(self._values(winner)).scaled(factor),
            rivals=tuple(self._rival(name, winner) for name in self._finalists if name != winner),
            twin=self._twin_ratio(),
            spread=self._spread(),
            rounds=len(self._rounds),
        )

    def _unlucky_factor(self, winner: str) -> float:
        """What takes the luck out of the winner's figures; 1 for the baseline, which nobody chose."""
        if winner == self._baseline:
            return 1.0
        near = [name for name in self._running() if name != winner and not self._is_behind(name)]
        design = self._design()
        spread = design.spread if design.freedom >= 1 else math.inf
        return unlucky_factor(self._values(winner), [self._values(name) for name in near], spread)

    def _rival(self, name: str, winner: str) -> RivalVerdict:
        if name not in self._running():
            reason = self._failed.get(name, "it gave no undisturbed measurement")
            return RivalVerdict(name, "failed", None, reason)
        worse = self._is_behind(name) or (winner == self._baseline and name in self._worse_than_baseline)
        return RivalVerdict(name, "worse" if worse else "tied", self._ratio(name, winner))

    def _most_economical(self, leader: str, eligible: Sequence[str]) -> str:
        """The leader, or one that is as good by test and by estimate and needs less."""
        design = self._design()
        equal = [
            name
            for name in eligible
            if name != leader
            and not self._is_behind(name)
            and math.log(design.ratio(leader, name).estimate) <= self._zone
        ]
        return min([leader, *equal], key=lambda name: self._contenders[name].cost)

    def _still_runs(self, name: str) -> bool:
        """Whether further rounds of it could matter: it has not failed, and nobody is clearly ahead of it."""
        own = self._configuration(name)
        return not (own in self._failed or self._is_behind(own) or own in self._worse_than_baseline)

    def _is_behind(self, name: str) -> bool:
        return any(behind == name for _, behind in self._ahead)

    def _is_decided(self) -> bool:
        """Whether more rounds are not allowed, or could not change what will be said."""
        racing = [name for name in self._running() if self._still_runs(name)]
        if len(self._rounds) >= self._looks[-1] or not racing:
            return True
        leader = max(racing, key=self._rank)
        design = self._design()
        return (
            (not self._has_baseline() or leader in self._better_than_baseline)
            and mean_interval(self._values(leader)).half_width <= self._zone
            and all(design.ratio(leader, name).half_width <= self._zone for name in racing if name != leader)
        )

    def _look(self) -> None:
        """Test every family at a look's level and remember what is shown; it is never taken back."""
        level = ALPHA / len(self._looks)
        running = self._running()
        if self._has_baseline():
            for name in running:
                chance = self._chance_over_baseline(name)
                if chance <= level / len(running):
                    self._better_than_baseline.add(name)
                if 1 - chance <= level / len(running):
                    self._worse_than_baseline.add(name)
        design = self._design()
        # Every ordered pair is tested, so that a family of n finalists has n * (n - 1) one-sided tests.
        pairs = [(one, other) for one in running for other in running if one != other]
        self._ahead.update(pair for pair in pairs if design.chance(*pair) <= level / len(pairs))

    def _has_baseline(self) -> bool:
        return (
            self._baseline is not None
            and self._baseline not in self._failed
            and bool(self._values(self._baseline))
        )

    def _running(self) -> list[str]:
        """The finalists that have not failed and have values."""
        return [name for name in self._finalists if name not in self._failed and self._values(name)]

    def _rank(self, name: str) -> float:
        """The lower bound of the ratio to the baseline; without one, or after one round, the estimate.

        Of the block design, whose spread is of all contenders together: the spread of three pairs alone is
        so uncertain that a worse finalist with three ratios alike by chance would often lead.
        """
        if self._baseline is None or not self._has_baseline():
            interval = mean_interval(self._values(name))
        else:
            interval = self._design(self._baseline).ratio(name, self._baseline)
        return interval.low or interval.estimate

    def _over_baseline(self, name: str) -> Interval:
        ones, others = self._beside_baseline(name)
        return paired_ratio(ones, others)

    def _chance_over_baseline(self, name: str) -> float:
        """The one-sided p-value of being no better than the baseline; 0.5 where nothing can be said."""
        ones, others = self._beside_baseline(name)
        logs = [math.log(one / other) for one, other in zip(ones, others, strict=True)]
        if len(logs) < 2:
            return 0.5
        error = deviation(logs) / math.sqrt(len(logs))
        mean = statistics.fmean(logs)
        if error == 0:
            return 0.5 if mean == 0 else float(mean < 0)
        return t_tail(mean / error, len(logs) - 1)

    def _beside_baseline(self, name: str) -> tuple[list[float], list[float]]:
        """The goodness of a configuration and of the baseline, in the rounds that have both."""
        baseline = self._baseline or ""
        rounds = [one for one in self._rounds if baseline in one and self._in_round(name, one)]
        return [_mean(self._in_round(name, one)) for one in rounds], [one[baseline] for one in rounds]

    def _ratio(self, name: str, winner: str) -> Interval:
        if winner == self._baseline:
            return self._over_baseline(name)
        return self._design().ratio(name, winner)

    def _twin_ratio(self) -> Interval | None:
        """The second run of the first finalist's configuration over the first; the same thing twice."""
        if self._twin is None or not self._finalists:
            return None
        leader, twin = self._finalists[0], self._twin
        both = [one for one in self._rounds if leader in one and twin in one]
        return paired_ratio([one[twin] for one in both], [one[leader] for one in both]) if both else None

    def _spread(self) -> float | None:
        design = self._design()
        return design.spread if design.freedom >= 1 else None

    def _design(self, *more: str) -> BlockDesign[str]:
        """The runs of the finalists, and of these; the twin's count for its configuration."""
        running = {*self._running(), *more}
        return BlockDesign(
            Observed(number, self._configuration(name), value)
            for number, one in enumerate(self._rounds)
            for name, value in one.items()
            if self._configuration(name) in running
        )

    def _values(self, name: str) -> list[float]:
        """Every goodness of a configuration, its twin's included."""
        return [value for one in self._rounds for value in self._in_round(name, one)]

    def _in_round(self, name: str, one: Mapping[str, float]) -> list[float]:
        return [value for other, value in one.items() if self._configuration(other) == name]

    def _configuration(self, name: str) -> str:
        """The name that stands for its configuration: the twin is its leader."""
        return self._finalists[0] if name == self._twin and self._finalists else name


def look_rounds(max_rounds: int) -> tuple[int, ...]:
    """After which rounds a contest is looked at: 3, 6, 12, ... and the last."""
    looks = []
    at = MIN_ROUNDS
    while at < max_rounds:
        looks.append(at)
        at *= 2
    return (*looks, max_rounds)


def _mean(values: Sequence[float]) -> float:
    """The geometric mean of the replicates of one round."""
    return statistics.geometric_mean(values)
