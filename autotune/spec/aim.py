"""What a person writes of the objective: which one, and where it makes sense.

What an objective *is* (its score, direction, unit and words) is said in `autotune.objectives`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Literal, get_args

from autotune.spec.part import Part, Percentile
from autotune.spec.scenario import SCENARIOS, USUAL, Scenario

ObjectiveKind = Literal["throughput", "latency", "cost"]
KINDS: Final[tuple[ObjectiveKind, ...]] = get_args(ObjectiveKind)
"""Every objective that a study file may name."""

USUAL_SCENARIOS: Final[Mapping[ObjectiveKind, Scenario]] = {
    "throughput": USUAL,
    "latency": "single_stream",
    "cost": USUAL,
}
"""The scenario of each objective where a study says nothing."""

OF_RATES: Final[frozenset[str]] = frozenset(("throughput", "cost"))
"""Objectives that mean something where the highest rate is sought: latency is what limits that."""

PRICED: Final[frozenset[str]] = frozenset(("cost",))
"""Objectives that mean nothing without a price."""


class Aim(Part):
    """What is optimised: throughput up, one percentile of latency down, or the cost of a million samples."""

    kind: ObjectiveKind
    percentile: Percentile = 50.0
    """Of latency; without meaning for others."""

    @property
    def is_priced(self) -> bool:
        """Whether it means nothing without a price."""
        return self.kind in PRICED

    @property
    def scenarios(self) -> tuple[Scenario, ...]:
        """Scenarios in which it means something."""
        return tuple(
            name for name, traits in SCENARIOS.items() if self.kind in OF_RATES or not traits.seeks_rate
        )

    @property
    def usual_scenario(self) -> Scenario:
        """The scenario of a study that names none."""
        return USUAL_SCENARIOS[self.kind]
