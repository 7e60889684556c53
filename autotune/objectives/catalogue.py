"""Which objectives there are: of a study, and of a name in a document or a store."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from autotune.objectives.cost import Cost
from autotune.objectives.latency import Latency
from autotune.objectives.objective import Objective
from autotune.objectives.throughput import THROUGHPUT

if TYPE_CHECKING:
    from autotune.spec.study import StudySpec

NAME_PATTERN: Final = (
    r"^(throughput|latency_p(?P<percentile>[0-9]{1,3}([.][0-9]{1,6})?)|cost_(?P<currency>[A-Z]{3}))$"
)
"""Every name that `Objective.name` gives, and those of older documents."""


def objective_of(spec: StudySpec) -> Objective:
    """The objective of a study."""
    aim = spec.objective
    if aim.kind == "latency":
        return Latency(aim.percentile)
    if aim.kind == "cost":
        assert spec.price is not None, "a study for cost has a price, or is none"
        return Cost(spec.price.currency)
    return THROUGHPUT


def objective_named(name: str) -> Objective:
    """The objective of this name.

    Raises:
        ValueError: there is none.
    """
    found = re.match(NAME_PATTERN, name)
    if found is None:
        raise ValueError(f"{name!r:.80} is no objective: throughput, latency_pNN, or cost_USD")
    percentile, currency = found["percentile"], found["currency"]
    if currency is not None:
        return Cost(currency)
    return THROUGHPUT if percentile is None else Latency(float(percentile))
