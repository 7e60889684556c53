"""Who runs when in a series: every point once in each round, in random order."""

from __future__ import annotations

import random
from collections.abc import Collection, Sequence


class Lineup:
    """The rounds of a series; knows nothing of processes.

    A round's order depends on the seed and its number alone, so that a series that was interrupted goes on as
    it would have gone on. Rounds are run whole: points are compared within them.
    """

    def __init__(
        self,
        names: Sequence[str],
        *,
        rounds: int,
        seed: int,
        done: Collection[int] = (),
        failed: Collection[str] = (),
    ) -> None:
        """Begin, or go on.

        Args:
            rounds: how many there are to be.
            done: rounds (from 1) that need not be run.
            failed: names that do not run, whatever is tried.
        """
        self._names = tuple(names)
        self._last = rounds
        self._seed = seed
        self._done = frozenset(done)
        self._failed = set(failed)
        self._round = 0

    @property
    def rounds(self) -> int:
        """How many rounds have begun."""
        return self._round

    def next_round(self) -> tuple[str, ...] | None:
        """Begin the next round that is left to run: its names, in order; None after the last."""
        while self._round < self._last:
            self._round += 1
            if self._round not in self._done and (names := self._order()):
                return names
        return None

    def record(self, name: str, goodness: float | None, covariates: tuple[float, ...] = ()) -> None:
        """Hear what one reached: nothing depends on it."""

    def fail(self, name: str, reason: str) -> None:  # noqa: ARG002
        """Leave out a point that does not run, from the next round on."""
        self._failed.add(name)

    def _order(self) -> tuple[str, ...]:
        names = list(self._names)
        random.Random(f"{self._seed} {self._round}").shuffle(names)
        return tuple(name for name in names if name not in self._failed)
