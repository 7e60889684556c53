"""What is asked of fleets, from a plan or several to the whole answer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from autotune.errors import FleetError
from autotune.fleet.capability import Capability, capability_of
from autotune.fleet.check import ReplayCheck, check
from autotune.fleet.choice import Choice, choose
from autotune.fleet.price import AskedPrice, MonthlyBudget
from autotune.fleet.sizing import Fleet, size
from autotune.fleet.uncertainty import FleetRange, range_of_fleet, speed_of
from autotune.fleet.workload import Workload
from autotune.plan.document import Plan
from autotune.spec.machine_price import MachinePrice


@dataclass(frozen=True)
class FleetAnswer:
    """How many machines that run a plan serve a workload.

    Attributes:
        between: the fleets of both ends of the speed's interval; None where none is known.
        check: what a replay says; None without one.
    """

    plan: Plan
    capability: Capability
    fleet: Fleet
    between: FleetRange | None
    check: ReplayCheck | None


def answer_fleet(plan: Plan, workload: Workload, asked: AskedPrice, *, replay: bool = True) -> FleetAnswer:
    """Size a fleet, and check it by a replay.

    Raises:
        FleetError: what the plan bears is not known, no number of machines suffices, or a machine type is
            asked for, and the plan does not fit it.
    """
    capability = capability_of(plan)
    if isinstance(capability, str):
        raise FleetError(f"what the plan {plan.id} bears is not known", remedy=capability)
    sized = size(capability, workload, _price(plan, asked))
    speed = speed_of(plan)
    between = None if speed is None else range_of_fleet(capability, sized, speed)
    return FleetAnswer(plan, capability, sized, between, check(capability, sized) if replay else None)


def answer_choice(
    plans: Sequence[Plan], workload: Workload, budget: MonthlyBudget | None, asked: AskedPrice
) -> Choice:
    """Choose among plans.

    Raises:
        FleetError: see `choose`; or a machine type is asked for, and no plan fits it.
    """
    choice = choose(plans, workload, budget=budget, prices=asked.of)
    if asked.of_type is not None and not choice.by_price:
        best = choice.chosen
        raise FleetError(
            f"no plan has a price by --type: {best.plan.id}: {best.unpriced}",
            remedy="name another --type, or give what one machine costs an hour (--price 0.808USD)",
        )
    return choice


def _price(plan: Plan, asked: AskedPrice) -> MachinePrice | None:
    """Give what one machine costs; None where nobody says.

    Raises:
        FleetError: a machine type is asked for, and the plan does not fit it.
    """
    price = asked.of(plan)
    if not isinstance(price, str):
        return price
    if asked.of_type is None:
        return None
    raise FleetError(
        f"what a machine costs that runs the plan {plan.id} is not known: {price}",
        remedy="name another --type, or give what one machine costs an hour (--price 0.808USD)",
    )
