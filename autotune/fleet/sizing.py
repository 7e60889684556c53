"""How many machines serve a workload, at what cost, and what the loss of some of them does.

One machine bears `bearable` requests per second at the target. Planned with a headroom h, it is given at
most bearable x (1 - h) of them, so that a rate R needs n = ceil(R / (bearable x (1 - h))) machines. To these
come the spare ones; and, spread over several zones, as many more as it takes for the others to bear R when
the largest zone is lost. Requests are spread evenly and at random: what arrives at a machine is a Poisson
process, too.

Source: of the arithmetic, "How we scaled BERT to serve 1+ billion daily requests on CPUs" (Roblox, 2020):
3,000 requests per second a server, more than a billion a day. S. M. Ross, Introduction to Probability
Models, proposition 5.2: a Poisson process that is split at random is several of them.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final, Literal

from autotune.errors import FleetError
from autotune.fleet.capability import Bearable, Capability
from autotune.fleet.workload import Workload
from autotune.objectives.cost import HOURS_PER_MONTH, SECONDS_PER_HOUR
from autotune.spec.machine_price import MachinePrice
from autotune.units import format_latency, format_significant

BILLION: Final = 1_000_000_000
MANY_TIMES: Final = 10
"""From here on a ratio reads better than a percentage."""

_ROUNDING: Final = 1e-9
"""Of a quotient: so much above a whole number is an error of arithmetic."""


@dataclass(frozen=True)
class Outage:
    """What is left when machines are lost at the workload's peak.

    Attributes:
        what: a machine, or the largest zone; machines: how many that are.
        utilisation: of the others; more than 1 where their queues grow without end.
        latency_s: the target's percentile then; infinite where the queues grow.
    """

    what: Literal["machine", "zone"]
    machines: int
    left: int
    utilisation: float
    latency_s: float
    is_met: bool


@dataclass(frozen=True)
class FleetCost:
    """What a fleet costs while it runs, whether it is busy or not.

    Attributes:
        price: of one machine.
        per_billion: requests, at the workload's rate.
        per_billion_full: the same of machines that are given as much as they bear at the target, so that
            nothing is left free, spare or rounded up.
    """

    price: MachinePrice
    per_hour: float
    per_billion: float
    per_billion_full: float

    @property
    def currency(self) -> str:
        """Its code of three letters."""
        return self.price.currency

    @property
    def per_month(self) -> float:
        """What `HOURS_PER_MONTH` cost."""
        return self.per_hour * HOURS_PER_MONTH


@dataclass(frozen=True)
class Fleet:
    """Machines that all run one plan.

    Attributes:
        bearable: the highest rate at which one of them keeps to the target.
        machines: how many there are to be.
        needed: of them, those that leave the headroom; bare: the fewest that keep to the target, with nothing
            left free.
        utilisation: share of their capacity that is used at the workload's rate, of all of them.
        latency_s: the target's percentile at the workload's rate.
        cost: None where no price is known.
    """

    workload: Workload
    bearable: Bearable
    machines: int
    needed: int
    bare: int
    utilisation: float
    latency_s: float
    losses: tuple[Outage, ...]
    cost: FleetCost | None = None

    @property
    def rate_per_machine_s(self) -> float:
        """Requests per second that each gets."""
        return self.workload.rate_per_s / self.machines


def size(capability: Capability, workload: Workload, price: MachinePrice | None = None) -> Fleet:
    """Say how many machines serve a workload, and at what cost.

    Args:
        price: of one machine; None = not known.

    Raises:
        FleetError: not even a lone request keeps to the target on such a machine.
    """
    bearable = capability.bearable(workload.target)
    if bearable is None:
        raise FleetError(unmet_words(capability, workload), remedy=unmet_remedy(capability, workload))
    return fleet_of(capability, bearable, workload, price)


def fleet_of(
    capability: Capability, bearable: Bearable, workload: Workload, price: MachinePrice | None = None
) -> Fleet:
    """Give the fleet of machines that bear so much; see `size`."""
    rate = workload.rate_per_s
    needed = machines_for(rate, bearable.rate_per_s * (1 - workload.headroom))
    bare = machines_for(rate, bearable.rate_per_s)
    machines = needed + workload.spare
    if workload.zones > 1:
        machines = max(machines, _surviving(bare, workload.zones))
    return Fleet(
        workload,
        bearable,
        machines,
        needed,
        bare,
        utilisation=rate / machines / bearable.capacity_per_s,
        latency_s=capability.latency_s(rate / machines, workload.target.percentile),
        losses=tuple(_losses(capability, bearable, machines, workload)),
        cost=None if price is None else _cost(price, machines, bearable, rate),
    )


def machines_for(rate_per_s: float, per_machine_s: float) -> int:
    """Give the fewest machines that serve a rate when each serves so much of it; at least one."""
    return max(1, math.ceil(rate_per_s / per_machine_s * (1 - _ROUNDING)))


def unmet_words(capability: Capability, workload: Workload) -> str:
    """Say by how much a target is missed that no rate keeps to."""
    target = workload.target
    least_s = capability.least_s(target.percentile)
    ratio = least_s / target.max_s
    if ratio >= MANY_TIMES:
        beyond = f", {format_significant(ratio)} times as much"
    elif ratio > 1:
        beyond = f", {ratio - 1:.0%} more"
    else:
        beyond = ", which leaves too little for those that do"
    return (
        f"no number of machines keeps to {target.in_words}: a request that never waits has a "
        f"p{target.percentile:g} of {format_latency(least_s)}{beyond}"
    )


def unmet_remedy(capability: Capability, workload: Workload) -> str:
    """Say what would be kept to, and how to get nearer to what was asked."""
    least_s = max(capability.least_s(workload.target.percentile), workload.target.max_s)
    return (
        f"allow more than {format_latency(least_s)}, or tune for latency: `limits: {{latency: "
        f"{{p{workload.target.percentile:g}: {format_significant(workload.target.max_s * 1000)}ms}}}}`"
    )


def _surviving(bare: int, zones: int) -> int:
    """Give the fewest machines of which `bare` are left when the largest zone is lost.

    Of m machines floor(m x (zones - 1) / zones) are left, as the largest zone has ceil(m / zones).
    """
    return -(-bare * zones // (zones - 1))


def _largest_zone(machines: int, zones: int) -> int:
    return math.ceil(machines / zones)


def _losses(capability: Capability, bearable: Bearable, machines: int, workload: Workload) -> list[Outage]:
    lost: list[tuple[Literal["machine", "zone"], int]] = [("machine", 1)]
    if workload.zones > 1:
        lost.append(("zone", _largest_zone(machines, workload.zones)))
    return [_loss(capability, bearable, what, count, machines, workload) for what, count in lost]


def _loss(
    capability: Capability,
    bearable: Bearable,
    what: Literal["machine", "zone"],
    lost: int,
    machines: int,
    workload: Workload,
) -> Outage:
    left = machines - lost
    if left == 0:
        return Outage(what, lost, 0, math.inf, math.inf, is_met=False)
    rate = workload.rate_per_s / left
    return Outage(
        what,
        lost,
        left,
        utilisation=rate / bearable.capacity_per_s,
        latency_s=capability.latency_s(rate, workload.target.percentile),
        is_met=rate <= bearable.rate_per_s * (1 + _ROUNDING),
    )


def _cost(price: MachinePrice, machines: int, bearable: Bearable, rate_per_s: float) -> FleetCost:
    per_request_hour = BILLION / SECONDS_PER_HOUR
    return FleetCost(
        price,
        per_hour=price.per_hour * machines,
        per_billion=price.per_hour * machines / rate_per_s * per_request_hour,
        per_billion_full=price.per_hour / bearable.rate_per_s * per_request_hour,
    )
