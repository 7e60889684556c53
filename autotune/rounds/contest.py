"""Decides a confirmation: which configuration becomes the plan, and how surely it is the best.

Some finalists, a twin of the leader (where there is time for one), the best default and the baseline run in
rounds, each once per round in fresh processes, in random order. The search's own figures have no part in it,
but for what they say of the noise and of how the host's conditions move values
(`autotune.rounds.posterior`: all runs in one model).

*What is chosen* is what is probably best: the highest expected goodness among those that are worse by more
than `MARGIN` than the baseline, and than the best default, with a probability of at most `RISK` each. Of
finalists that are as good within the indifference zone, the one that needs least.

*What is said* is careful: `shown` with 95 % confidence, `likely` with its probability, or `untold`, with how
many more rounds would tell. Claims of the kind `shown` are of three families (over the baseline and the
default, below them, between finalists); each keeps the probability of any wrong claim at or below `ALPHA`,
whichever finalist turns out to lead and however often one looks: its level is divided by the number of its
comparisons (Bonferroni) and by the number of looks, which are at 3, 6, 12, ... rounds and at the last. A
ratio's interval is that of one comparison, and may exclude 1 before that is shown; never the other way round.

*What is doubted*: while the rounds contradict what the search had measured
(`autotune.rounds.contradiction`), nothing is shown, everybody runs, and the contest is not decided.
"""

from __future__ import annotations

import math
import random
from collections.abc import Iterable, Sequence

from autotune.rounds.contradiction import Compared, compare
from autotune.rounds.looks import MIN_ROUNDS, look_rounds
from autotune.rounds.posterior import ContestPrior, Posterior, ScoredRun
from autotune.rounds.verdict import (
    LIKELY,
    Advantage,
    Contender,
    FinalistStanding,
    RivalVerdict,
    Role,
    Verdict,
    more_rounds,
    said_of,
)
from autotune.statistics.paired import Interval, paired_ratio
from autotune.statistics.shrinkage import NO_LUCK, Luck, luck

ALPHA = 0.0125
"""Probability of any wrong claim in one family; there are three. Together that is less than the 5 % that are
promised, because real errors are not quite those of the model."""

MARGIN, RISK = 0.02, 0.05
"""A plan is worse than the baseline, or than the best default, by more than the first with a probability of
at most the second."""

HOPELESS = 0.1
"""A finalist that is better than the leader with less than this probability runs no further. Source: stated;
it is chosen no more, and nothing is claimed of it by that."""

FAR, SURELY = 1.25, 0.99
"""A baseline or default that the leader surpasses by more than this factor, with this confidence, runs no
further."""


class Contest:
    """One confirmation under way; knows nothing of trials and processes.

    Goodness is positive and larger is better, as an objective says it.
    """

    def __init__(
        self,
        contenders: Sequence[Contender],
        *,
        tie: float,
        max_rounds: int,
        seed: int,
        prior: ContestPrior | None = None,
    ) -> None:
        """Begin.

        Args:
            tie: the indifference zone as a share, e.g. 0.02.
            prior: of the noise and of the covariates' slopes, as the search has left them.
        """
        self._contenders = {contender.name: contender for contender in contenders}
        self._finalists = [contender.name for contender in contenders if contender.role == "finalist"]
        self._baseline = _of_role(contenders, "baseline")
        self._default = _of_role(contenders, "default")
        self._twin = _of_role(contenders, "twin")
        self._zone = math.log1p(tie)
        self._looks = look_rounds(max(MIN_ROUNDS, max_rounds))
        self._level = ALPHA / len(self._looks)
        self._random = random.Random(seed)
        self._prior = prior or ContestPrior()
        self._runs: list[ScoredRun] = []
        self._own: list[str] = []
        self._rounds = 0
        self._failed: dict[str, str] = {}
        self._shown: set[tuple[str, str]] = set()
        self._known: Posterior | None = None
        self._doubted_from: int | None = None

    @property
    def rounds(self) -> int:
        """How many rounds have begun."""
        return self._rounds

    def next_round(self) -> tuple[str, ...] | None:
        """Begin a round: the names to run, in the order to run them; None when it is decided."""
        if self._rounds in self._looks:
            self._look()
            if self._is_decided():
                return None
        names = [name for name in self._contenders if self._still_runs(name)]
        self._random.shuffle(names)
        self._rounds += 1
        return tuple(names)

    def record(self, name: str, goodness: float | None, covariates: tuple[float, ...] = ()) -> None:
        """Add what a contender reached in the round under way; None = nothing that could be measured.

        Args:
            covariates: of the run, as deviations from what is usual, in the order of the prior's slopes.
        """
        if goodness is not None:
            self._runs.append(ScoredRun(self._rounds, self._configuration(name), goodness, covariates))
            self._own.append(name)
            self._known = None

    def fail(self, name: str, reason: str) -> None:
        """Take a contender out: its configuration does not run reliably, or misses a limit."""
        self._failed.setdefault(self._configuration(name), reason)
        self._known = None

    def compared(self) -> tuple[Compared, ...]:
        """Search and rounds of all contenders that have both and have not failed, the baseline first."""
        contenders = sorted(self._contenders.values(), key=lambda contender: contender.role != "baseline")
        earlier = {
            contender.name: contender.earlier
            for contender in contenders
            if contender.earlier is not None and contender.name != self._twin
        }
        return compare(earlier, self._posterior())

    @property
    def is_contradicted(self) -> bool:
        """Whether some contender's rounds contradict what the search had measured of it."""
        return any(compared.contradiction for compared in self.compared())

    def extend(self) -> bool:
        """Allow the rounds that a contradiction is owed, however many were allowed before.

        That is `MIN_ROUNDS` since it was first seen. Whether there are any to run.
        """
        self._look()
        if self._doubted_from is None:
            return False
        last = self._doubted_from + MIN_ROUNDS
        self._looks = (*(look for look in self._looks if look < last), last)
        return last > self._rounds

    def verdict(self) -> Verdict | None:
        """Conclude from what there is; None when nothing was measured that could be a plan."""
        self._look()
        winner = self._choice()
        if winner is None:
            return None
        lucky, posterior = self._luck(winner), self._posterior()
        factor = self._factor(winner, winner, lucky)
        baseline = self._comparison(winner, self._baseline, factor)
        return Verdict(
            winner=winner,
            estimate=posterior.value(winner).moved(factor),
            rivals=tuple(self._rival(name, winner, lucky) for name in self._finalists if name != winner),
            twin=self._twin_ratio(),
            spread=posterior.spread if posterior.freedom > 0 else None,
            rounds=self._rounds,
            baseline=baseline,
            default=self._comparison(winner, self._default, factor),
            baseline_estimate=self._of_baseline(posterior),
            failed=dict(self._failed),
        )

    def _of_baseline(self, posterior: Posterior) -> Interval | None:
        if self._baseline is None or not self._is_running(self._baseline):
            return None
        return posterior.value(self._baseline)

    def _choice(self) -> str | None:
        """What is probably best and, with the risk that is taken, not worse than what people start today."""
        running = self._running()
        if not running:
            return None
        best = max(running, key=self._posterior().expected)
        safe = [name for name in running if self._is_safe(name)]
        if not safe:
            references = [name for name in running if name in (self._baseline, self._default)]
            return max(references, key=self._posterior().expected) if references else best
        winner = max(safe, key=self._posterior().expected)
        return self._most_economical(winner, [name for name in safe if name in self._finalists])

    def _is_safe(self, name: str) -> bool:
        """Whether it is hardly worse than the baseline and than the default, as far as they run."""
        return all(
            self._posterior().probability(name, reference, 1 - MARGIN) >= 1 - RISK
            for reference in (self._baseline, self._default)
            if reference is not None and reference != name and self._is_running(reference)
        )

    def _most_economical(self, winner: str, eligible: Sequence[str]) -> str:
        """The winner, or a finalist that is as good by test and by estimate and needs less."""
        if winner not in self._finalists:
            return winner
        equal = [
            name
            for name in eligible
            if name != winner
            and not self._is_behind(name)
            and self._posterior().gap(winner, name)[0] <= self._zone
        ]
        return min([winner, *equal], key=lambda name: self._contenders[name].cost)

    def _comparison(self, winner: str, other: str | None, factor: float) -> Advantage | None:
        """The winner beside the baseline or the default; None where there is none, or it is the winner."""
        if other is None or other == winner or not self._is_running(other):
            return None
        ratio = self._posterior().ratio(winner, other).moved(factor)
        probability = self._posterior().probability_of(ratio)
        said = said_of(ratio, probability, is_shown=(winner, other) in self._shown)
        more = None if said == "shown" else self._more_rounds(winner, other, ratio)
        return Advantage(other, ratio, probability, said, more)

    def _more_rounds(self, winner: str, other: str, ratio: Interval) -> int | None:
        """How many more would show it, at the level that this takes and by the interval that is stated."""
        confidence = 1 - 2 * self._level_of(winner, other)
        return more_rounds(self._rounds, self._posterior().ratio(winner, other, confidence), ratio)

    def _luck(self, winner: str) -> Luck:
        """Say what the winner and its like owe to luck; nothing for the baseline, which nobody chose."""
        if winner == self._baseline:
            return NO_LUCK
        posterior = self._posterior()
        near = [name for name in self._finalists if name != winner and self._is_near(name)]
        spread = posterior.spread if posterior.freedom > 0 else math.inf
        return luck(posterior.values(winner), [posterior.values(name) for name in near], spread)

    def _is_near(self, name: str) -> bool:
        return self._is_running(name) and not self._is_behind(name)

    def _factor(self, name: str, winner: str, lucky: Luck) -> float:
        """What takes the luck out of the figures of the winner, or of a finalist near it."""
        return lucky.factor(self._posterior().values(name)) if name == winner or self._is_near(name) else 1.0

    def _rival(self, name: str, winner: str, lucky: Luck) -> RivalVerdict:
        if not self._is_running(name):
            reason = self._failed.get(name, "it gave no measurement")
            return RivalVerdict(name, "failed", None, reason)
        posterior, factor = self._posterior(), self._factor(name, winner, lucky)
        ratio = posterior.ratio(name, winner).moved(factor / self._factor(winner, winner, lucky))
        probability = 1 - posterior.probability_of(ratio)
        is_behind = self._is_behind(name)
        if (is_behind or (winner, name) in self._shown) and ratio.high < 1:
            return RivalVerdict(name, "worse", ratio, probability=probability)
        standing: FinalistStanding = "likely" if probability >= LIKELY else "tied"
        more = None if is_behind else self._more_rounds(winner, name, ratio)
        return RivalVerdict(name, standing, ratio, probability=probability, more_rounds=more)

    @property
    def _is_doubted(self) -> bool:
        """Whether the rounds contradicted the search at the last look."""
        return self._doubted_from is not None

    def _still_runs(self, name: str) -> bool:
        """Whether further rounds of it could matter: it has not failed, and may still be the plan.

        The baseline and the default run on as long as their ratio to the plan is of interest.
        """
        own = self._configuration(name)
        if own in self._failed:
            return False
        if self._rounds < MIN_ROUNDS or self._is_doubted or not self._is_running(own):
            return True
        if own in (self._baseline, self._default):
            return not self._is_far_behind(own)
        return not (self._is_behind(own) or self._is_hopeless(own))

    def _is_far_behind(self, name: str) -> bool:
        """Whether the leader is so much better for sure that nobody asks how much exactly."""
        leader = self._leader()
        return leader != name and self._posterior().ratio(leader, name, SURELY).low > FAR

    def _is_hopeless(self, name: str) -> bool:
        """Whether it is hardly ever the best: what is saved is better spent on the others."""
        leader = self._leader()
        return leader != name and self._posterior().probability(name, leader) < HOPELESS

    def _leader(self) -> str:
        """Who has the highest expected goodness of all that run."""
        return max(self._running(), key=self._posterior().expected)

    def _is_behind(self, name: str) -> bool:
        """Whether a finalist or the default was shown to be better."""
        return any(worse == name and better != self._baseline for better, worse in self._shown)

    def _is_decided(self) -> bool:
        """Whether more rounds are not allowed, or could not change what will be done and said."""
        if self._rounds >= self._looks[-1]:
            return True
        if self._is_doubted:
            return False
        racing = [name for name in self._finalists if self._is_running(name) and self._still_runs(name)]
        if not racing:
            return True
        posterior, winner = self._posterior(), self._choice()
        if winner is None or posterior.value(winner).half_width > self._zone:
            return False
        references = [name for name in (self._baseline, self._default) if name and name != winner]
        return all(
            (winner, name) in self._shown or (name, winner) in self._shown
            for name in references
            if self._is_running(name)
        ) and all(posterior.ratio(winner, name).half_width <= self._zone for name in racing if name != winner)

    def _look(self) -> None:
        """Test every family at a look's level and remember what is shown; it is never taken back.

        Nothing is tested while the rounds are doubted, which leaves that look's level to the rounds that they
        are owed.
        """
        if self.is_contradicted:
            self._doubted_from = self._rounds if self._doubted_from is None else self._doubted_from
            return
        self._doubted_from = None
        posterior = self._posterior()
        for family in self._families():
            level = self._level / max(1, len(family))
            self._shown.update(pair for pair in family if 1 - posterior.probability(*pair) <= level)

    def _families(self) -> tuple[list[tuple[str, str]], ...]:
        """Every pair of which it may be shown that the first is better, family by family."""
        finalists = [name for name in self._finalists if self._is_running(name)]
        references = [
            name for name in (self._baseline, self._default) if name is not None and self._is_running(name)
        ]
        beside = [(name, reference) for name in finalists for reference in references]
        beside += [(self._default or "", self._baseline or "")] if len(references) == 2 else []
        # Every ordered pair is tested, so that a family of n finalists has n * (n - 1) one-sided tests.
        between = [(one, other) for one in finalists for other in finalists if one != other]
        return beside, [(reference, name) for name, reference in beside], between

    def _level_of(self, better: str, worse: str) -> float:
        """The probability with which this claim may be wrong, at one look."""
        sizes = [len(family) for family in self._families() if (better, worse) in family]
        return self._level / max(sizes, default=1)

    def _running(self) -> list[str]:
        """All configurations that have not failed and have values: finalists, default, baseline."""
        names = [*self._finalists, self._default, self._baseline]
        return [name for name in dict.fromkeys(names) if name is not None and self._is_running(name)]

    def _is_running(self, name: str | None) -> bool:
        return name is not None and name not in self._failed and self._posterior().has(name)

    def _twin_ratio(self) -> Interval | None:
        """The second run of the first finalist's configuration over the first; the same thing twice."""
        if self._twin is None or not self._finalists:
            return None
        leader = self._in_rounds(self._finalists[0])
        twin = self._in_rounds(self._twin)
        both = [number for number in leader if number in twin]
        return (
            paired_ratio([twin[number] for number in both], [leader[number] for number in both])
            if both
            else None
        )

    def _in_rounds(self, name: str) -> dict[int, float]:
        """What one contender, the twin apart from its leader, reached by round."""
        return {
            run.round: run.goodness for run, own in zip(self._runs, self._own, strict=True) if own == name
        }

    def _posterior(self) -> Posterior:
        """What all runs say of those that have not failed; the twin's count for its configuration."""
        if self._known is None:
            kept = tuple(run for run in self._runs if run.configuration not in self._failed)
            self._known = Posterior(kept, self._prior)
        return self._known

    def _configuration(self, name: str) -> str:
        """The name that stands for its configuration: the twin is its leader."""
        return self._finalists[0] if name == self._twin and self._finalists else name


def _of_role(contenders: Iterable[Contender], role: Role) -> str | None:
    return next((contender.name for contender in contenders if contender.role == role), None)
