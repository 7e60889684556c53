"""Plans to choose from."""

from __future__ import annotations

from dataclasses import dataclass

from autotune.objectives.catalogue import objective_named
from autotune.service.context import Context
from autotune.store.plan_lines import plan_lines


@dataclass(frozen=True)
class PlanChoice:
    """A plan in a list to choose from."""

    id: str
    told: str


MOST = 200


def plan_choices(context: Context) -> list[PlanChoice]:
    """Give the newest plans of the store, each with its score and its configuration."""
    return [
        PlanChoice(
            plan.id, f"{plan.id}: {objective_named(plan.objective).told(plan.score)}, {plan.configuration}"
        )
        for plan in plan_lines(context.store, MOST)
    ]
