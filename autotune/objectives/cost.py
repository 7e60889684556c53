"""Cost: as little money as possible for a million samples.

What is charged are the cores that a configuration takes, whether they are busy or not: all physical cores on
which its instances may run, for as long as they serve. A plan on half of a machine's cores leaves the others
to somebody else, and pays for half of the machine. What is not pinned may run everywhere and leaves nothing:
it pays for all cores that this process may use. An SMT sibling that idles is paid for with its core. Memory
is not charged.

What is left of the machine is worth its price only to somebody who has a use for it: whoever rents whole
machines and runs nothing else there wants throughput, which makes the same machine cheapest.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Final

from autotune.objectives.objective import Direction, Objective
from autotune.objectives.outcome import Outcome, Resources

SAMPLES: Final = 1_000_000
"""Of which the cost is told."""
SECONDS_PER_HOUR: Final = 3_600
HOURS_PER_MONTH: Final = 730
"""365 days of 24 hours over 12 months, as providers of clouds count them."""


@dataclass(frozen=True)
class Cost(Objective):
    """What a million samples cost, in a currency."""

    currency: str
    """Its code of three letters."""

    direction: ClassVar[Direction] = "minimize"
    merit: ClassVar[str] = "samples for the money (1 / cost)"
    better: ClassVar[str] = "cheaper"
    core_exponent: ClassVar[float] = 1.0

    @property
    def name(self) -> str:
        """`cost_USD`."""
        return f"cost_{self.currency}"

    @property
    def title(self) -> str:
        """`cost`."""
        return "cost"

    @property
    def unit(self) -> str:
        """`USD per million`."""
        return f"{self.currency} per million"

    def score(self, outcome: Outcome) -> float:
        """What a million samples cost: the cores that are taken, while so many are served.

        Raises:
            ValueError: cores or price are not known.
        """
        return cost_per_second(outcome.resources) * SAMPLES / outcome.throughput_sps

    def surpasses(self, gain: str) -> str:
        """`serves 2.3 times as much for the money as the baseline`."""
        return f"serves {gain} times as much for the money as the baseline"

    def implied_throughput_sps(self, score: float, resources: Resources) -> float:
        """The throughput at which the cores that are taken cost so much for a million samples."""
        return cost_per_second(resources) * SAMPLES / score


def cost_per_second(resources: Resources) -> float:
    """What the cores that are taken cost while they are.

    Raises:
        ValueError: cores or price are not known.
    """
    if resources.cores is None or resources.price is None:
        raise ValueError(f"what was taken has no cost: {resources} lacks cores or price")
    return resources.price.of_core_hour * resources.cores / SECONDS_PER_HOUR
