"""How far a fleet may be off: the interval of a plan's speed, carried to machines and money.

A plan's rounds say with a 95 % interval how fast its processes are, launch by launch; a curve is of one
launch at each rate. Where a machine is v times as fast in all that it does, service times are 1 / v as long,
and what it bears is what the same queue bears on a clock that is v times as fast. At the slow end that may be
nothing.
"""

from __future__ import annotations

from dataclasses import dataclass

from autotune.fleet.capability import Capability
from autotune.fleet.sizing import Fleet, fleet_of
from autotune.objectives.catalogue import objective_named
from autotune.plan.document import Plan


@dataclass(frozen=True)
class Speed:
    """The 95 % interval of a plan's speed, as shares of what is stated of it: around 1.

    Attributes:
        runs: launches of fresh processes that it stands on.
    """

    low: float
    high: float
    runs: int


@dataclass(frozen=True)
class FleetRange:
    """The same fleet at both ends of the interval.

    Attributes:
        slow, fast: None where no number of machines keeps to the target then.
    """

    speed: Speed
    slow: Fleet | None
    fast: Fleet | None


def speed_of(plan: Plan) -> Speed | None:
    """Read how surely a plan's speed is known, by its objective; None where fewer than two runs say it."""
    stated, between = plan.estimate.objective_value, plan.estimate.objective_range
    if between is None:
        return None
    objective = objective_named(plan.objective)
    low, high = sorted(objective.ratio(end, stated) for end in (between.low, between.high))
    return Speed(min(1.0, low), max(1.0, high), plan.estimate.runs)


def range_of_fleet(capability: Capability, fleet: Fleet, speed: Speed) -> FleetRange:
    """Size a fleet again for machines that are as slow, and as fast, as the interval has them."""
    slow, fast = (_at_speed(capability, fleet, times) for times in (speed.low, speed.high))
    return FleetRange(speed, slow, fast)


def _at_speed(capability: Capability, fleet: Fleet, times: float) -> Fleet | None:
    """Give the fleet of machines that are so many times as fast; None where none keeps to the target."""
    at_speed = capability.at_speed(times)
    bearable = at_speed.bearable(fleet.workload.target)
    if bearable is None:
        return None
    return fleet_of(at_speed, bearable, fleet.workload, fleet.cost.price if fleet.cost else None)
