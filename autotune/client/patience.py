"""How often something is tried again, and how long is waited before."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass

SPREAD = 0.5
"""Of a pause, the part that is drawn at random: clients that were cut off together come back one by one."""


@dataclass(frozen=True)
class Patience:
    """How long a client goes on where the service cannot be reached, or asks to be left alone for a while.

    Attributes:
        tries: requests at most, the first one included.
        watching_tries: the same of connections to a stream of events without anything new: a service may be
            started anew meanwhile, and the job goes on in any case.
        first_s: the pause before the second one; each further pause is twice as long.
        most_s: the longest pause.
        most_asked_s: the longest pause that a service may ask for; a longer one ends the trying.
    """

    tries: int = 5
    watching_tries: int = 30
    first_s: float = 0.25
    most_s: float = 10.0
    most_asked_s: float = 60.0

    def pauses_s(self, *, watching: bool = False) -> Iterator[float]:
        """Give the pause before each further try."""
        for number in range((self.watching_tries if watching else self.tries) - 1):
            whole_s = min(self.most_s, self.first_s * 2**number)
            yield whole_s * (1 - SPREAD * random.random())
