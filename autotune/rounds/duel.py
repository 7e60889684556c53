"""A duel: one configuration beside another, or alone, round by round, until it is clear what can be said."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence

from autotune.rounds.looks import MIN_ROUNDS, look_rounds
from autotune.statistics.paired import CONFIDENCE, Interval, mean_interval, paired_ratio


class Duel:
    """Knows nothing of trials and processes; goodness is positive, and larger is better.

    It is looked at after 3, 6, 12, ... rounds and after the last. Each look's intervals leave out a part of
    the 5 % only (Bonferroni), so that with 95 % confidence those of all looks hold the truth, however it is
    decided when to stop. It ends at once when one of the two does not run, and at a look before which no
    round could be measured.
    """

    def __init__(
        self,
        names: Sequence[str],
        *,
        max_rounds: int,
        seed: int,
        is_decided: Callable[[Duel], bool],
    ) -> None:
        """Begin.

        Args:
            names: the one in question, and whom it runs beside, if anybody.
            is_decided: asked at every look but the last.
        """
        self._names = tuple(names)
        self._looks = look_rounds(max(MIN_ROUNDS, max_rounds))
        self._random = random.Random(seed)
        self._is_decided = is_decided
        self._rounds: list[dict[str, float]] = []
        self._failed: dict[str, str] = {}

    @property
    def rounds(self) -> int:
        """How many rounds have begun."""
        return len(self._rounds)

    @property
    def failed(self) -> Mapping[str, str]:
        """Why one does not run, by its name."""
        return self._failed

    @property
    def confidence(self) -> float:
        """Of one look's intervals."""
        return 1 - (1 - CONFIDENCE) / len(self._looks)

    def next_round(self) -> tuple[str, ...] | None:
        """Begin a round: the names in the order to run them; None when it is decided."""
        if self._failed or self.rounds >= self._looks[-1]:
            return None
        if self.rounds in self._looks and (not self._whole_rounds() or self._is_decided(self)):
            return None
        names = list(self._names)
        self._random.shuffle(names)
        self._rounds.append({})
        return tuple(names)

    def record(
        self,
        name: str,
        goodness: float | None,
        covariates: tuple[float, ...] = (),  # noqa: ARG002 - pairs run side by side, and rounds are many
    ) -> None:
        """Add what one reached in the round under way; None = nothing that could be measured."""
        if goodness is not None:
            self._rounds[-1][name] = goodness

    def fail(self, name: str, reason: str) -> None:
        """End the duel after this round: one of the two does not run reliably."""
        self._failed.setdefault(name, reason)

    def ratio(self) -> Interval | None:
        """How many times as good the first is as the second, in the rounds that have both."""
        both = self._whole_rounds()
        if len(self._names) < 2 or not both:
            return None
        ones, others = ([one[name] for one in both] for name in self._names)
        return paired_ratio(ones, others, self.confidence)

    def value(self, name: str) -> Interval | None:
        """The goodness of one, over all its rounds."""
        values = [one[name] for one in self._rounds if name in one]
        return mean_interval(values, self.confidence) if values else None

    def _whole_rounds(self) -> list[dict[str, float]]:
        """Those in which everybody was measured."""
        return [one for one in self._rounds if all(name in one for name in self._names)]
