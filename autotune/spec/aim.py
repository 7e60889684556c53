"""What a person writes of the objective: which one, and where it makes sense.

What an objective *is* (its score, direction, unit and words) is said in `autotune.objectives`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Literal, get_args

from autotune.spec.configuration import Scenario
from autotune.spec.part import Part, Percentile

Kind = Literal["throughput", "latency", "cost"]
KINDS: Final[tuple[Kind, ...]] = get_args(Kind)
"""Every objective that a study file may name."""

SCENARIOS: Final[Mapping[Kind, tuple[Scenario, ...]]] = {
    "throughput": ("offline", "single_stream", "server"),
    "latency": ("single_stream", "offline"),
    "cost": ("offline", "single_stream", "server"),
}
"""Scenarios in which each objective means something; the first is the one where a study says nothing."""

PRICED: Final[frozenset[str]] = frozenset(("cost",))
"""Objectives that mean nothing without a price."""


class Aim(Part):
    """What is optimised: throughput up, one percentile of latency down, or the cost of a million samples."""

    kind: Kind
    percentile: Percentile = 50.0
    """Of latency; without meaning for others."""

    @property
    def is_priced(self) -> bool:
        """Whether it means nothing without a price."""
        return self.kind in PRICED

    @property
    def scenarios(self) -> tuple[Scenario, ...]:
        """Scenarios in which it means something."""
        return SCENARIOS[self.kind]

    @property
    def usual_scenario(self) -> Scenario:
        """The scenario of a study that names none."""
        return self.scenarios[0]
