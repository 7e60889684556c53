"""What serving with a plan costs: the plan, its baseline, and the best of every smaller machine.

Each figure has the interval of the throughput that it is of. A month has 730 hours, and is paid for in whole
machines: as many copies as a rate takes when each is given all that it bears. A latency to keep to, spare
machines and zones are another question (docs/fleet.md).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from autotune.errors import MachineError, PlanError
from autotune.machine.cpus import parse_cpu_list
from autotune.objectives.cost import HOURS_PER_MONTH, SAMPLES, SECONDS_PER_HOUR
from autotune.objectives.throughput import THROUGHPUT
from autotune.plan.document import Plan, price_of
from autotune.plan.evidence import Estimate
from autotune.spec.machine_price import MachinePrice
from autotune.spec.price import Price

PLAN, BASELINE = "plan", "baseline"


@dataclass(frozen=True)
class Figure:
    """A figure and its 95 % interval; both ends None where fewer than two runs say nothing of it."""

    estimate: float
    low: float | None = None
    high: float | None = None

    def falling(self, of: Callable[[float], float]) -> Figure:
        """Give what falls as this grows: its low end is of this one's high."""
        if self.low is None or self.high is None:
            return Figure(of(self.estimate))
        return Figure(of(self.estimate), of(self.high), of(self.low))


@dataclass(frozen=True)
class Month:
    """What a rate costs a month.

    Attributes:
        machines: copies that it takes, each given all that it bears.
        cost: of all of them.
        used: the share of what they bear that is asked for.
    """

    machines: Figure
    cost: Figure
    used: float


@dataclass(frozen=True)
class Bill:
    """What one configuration costs while it serves.

    Attributes:
        name: `plan`, `baseline`, or `2 cores`.
        price: of the cores that it pays for, together.
        served_sps: samples per second.
        samples_per_request: on average.
        confirmed: whether that is of the rounds; else it is the search's own, which flatters.
        energy_j_per_million: of samples; None where it was not readable.
    """

    name: str
    configuration: str
    price: MachinePrice
    served_sps: Figure
    samples_per_request: float
    confirmed: bool = True
    energy_j_per_million: float | None = None

    @property
    def per_million(self) -> Figure:
        """What a million samples cost."""
        return self.served_sps.falling(lambda sps: SAMPLES * self._per_s / sps)

    @property
    def per_request(self) -> Figure:
        """What a request costs."""
        return self.served_sps.falling(lambda sps: self.samples_per_request * self._per_s / sps)

    def month(self, requests_per_s: float) -> Month:
        """Say what a rate of requests costs a month, in whole machines."""
        asked_sps = requests_per_s * self.samples_per_request
        machines = self.served_sps.falling(lambda sps: float(math.ceil(asked_sps / sps)))
        month = HOURS_PER_MONTH * self.price.per_hour
        ends = [None if end is None else end * month for end in (machines.low, machines.high)]
        used = asked_sps / (machines.estimate * self.served_sps.estimate)
        return Month(machines, Figure(machines.estimate * month, *ends), used)

    @property
    def _per_s(self) -> float:
        return self.price.per_hour / SECONDS_PER_HOUR


@dataclass(frozen=True)
class Unbilled:
    """A smaller machine of which there is no figure, and why, as a clause."""

    name: str
    missing: str


@dataclass(frozen=True)
class PlanCosts:
    """What a plan costs beside its baseline and smaller machines.

    Attributes:
        price: as it is stated; each bill has that of its own cores.
        unbilled: smaller machines without a figure.
    """

    plan: Plan
    price: MachinePrice
    bills: tuple[Bill, ...]
    unbilled: tuple[Unbilled, ...] = ()


def costs_of(plan: Plan, price: MachinePrice | None = None) -> PlanCosts:
    """Work out what a plan costs.

    Args:
        price: in the place of what the plan's study states.

    Raises:
        PlanError: nobody states a price, or the document does not say how many cores it takes.
    """
    stated = price or _stated(plan)
    samples = _samples_per_request(plan)
    bills = [
        Bill(
            name=name,
            configuration=configuration,
            price=replace(stated, per_hour=stated.of_core_hour * cores, cores=cores),
            served_sps=_served(plan, estimate),
            samples_per_request=samples,
            confirmed=confirmed,
            energy_j_per_million=estimate.energy_j_per_million,
        )
        for name, configuration, cores, estimate, confirmed in _rows(plan)
    ]
    unbilled = tuple(
        Unbilled(_machine(of.cores), of.missing) for of in plan.confirmation.by_cores if of.estimate is None
    )
    return PlanCosts(plan, stated, tuple(bills), unbilled)


def stated_costs(plan: Plan) -> PlanCosts | None:
    """Work out what a plan costs at its study's price; None where its document lacks what that takes."""
    try:
        return costs_of(plan)
    except PlanError:
        return None


def paid_cores(plan: Plan) -> int | None:
    """Count the physical cores that a plan pays for; None where its document does not say.

    Those of the smaller machine that it was measured as, else those on which its instances may run: all that
    may be used where they are not pinned.
    """
    if plan.configuration.cores:
        return plan.configuration.cores
    return _charged(plan, plan.estimate, [cpu for instance in plan.instances for cpu in instance.cpus])


def stated_price(plan: Plan) -> Price | None:
    """Read the price of a plan's study, whatever else that lacks; None where it states none."""
    return price_of(plan.study.spec)


def _rows(plan: Plan) -> Iterator[tuple[str, str, int, Estimate, bool]]:
    """Name, configuration, cores, figures, and whether these are confirmed."""
    confirmed = plan.confirmation.verdict != "unconfirmed"
    yield PLAN, str(plan.configuration), _known(plan, paid_cores(plan)), plan.estimate, confirmed
    if plan.baseline is not None:
        cores = _known(plan, _charged(plan, plan.baseline, ()))
        yield BASELINE, "what is run today", cores, plan.baseline, confirmed
    for of in plan.confirmation.by_cores:
        if of.estimate is not None:
            is_plan = of.configuration == plan.configuration
            estimate = plan.estimate if is_plan else of.estimate
            yield _machine(of.cores), str(of.configuration), of.cores, estimate, of.confirmed


def _machine(cores: int) -> str:
    return f"{cores} core{'' if cores == 1 else 's'}"


def _stated(plan: Plan) -> MachinePrice:
    """The price of a plan's study, of one machine.

    Raises:
        PlanError: there is none.
    """
    price = stated_price(plan)
    if price is None or not price.is_known:
        raise PlanError(
            f"the plan {plan.id} was made without a price",
            remedy="name a machine type of a table (--type, --prices FILE), or write `price` into the study "
            "file and tune again",
        )
    return price.machine


def _charged(plan: Plan, estimate: Estimate, cpus: Sequence[int]) -> int | None:
    """How many cores were charged for; where that is not stated, those of the cpus, or all without any."""
    return _counted(plan.machine, cpus) if estimate.charge is None else estimate.charge.cores


def _known(plan: Plan, cores: int | None) -> int:
    if cores is None:
        raise PlanError(
            f"the plan {plan.id} does not say how many cores it takes",
            remedy="tune again with this version of autotune",
        )
    return cores


def _counted(machine: Mapping[str, object], cpus: Sequence[int]) -> int | None:
    cores, allowed = machine.get("cores"), machine.get("allowed")
    if not isinstance(cores, list) or not isinstance(allowed, str):
        return None
    try:
        used = set(cpus) or set(parse_cpu_list(allowed))
        count = sum(bool(used & set(parse_cpu_list(str(core)))) for core in cores)
    except MachineError:
        return None
    return count or None


def _samples_per_request(plan: Plan) -> float:
    """Sequences of a request: of all requests where they differ, else of the study's batch."""
    if plan.requests is not None:
        return plan.requests.sequences / plan.requests.requests
    batch = plan.study.stated("problem", "batch_size")
    if type(batch) is int and batch > 0:
        return float(batch)
    raise PlanError(
        f"study.spec.problem.batch_size of the plan {plan.id}: {batch!r:.80} is no number of sequences",
        remedy="give a plan as `autotune tune` stores it",
    )


def _served(plan: Plan, estimate: Estimate) -> Figure:
    """The throughput, with the interval that the cost was stated with, or that of throughput as objective."""
    if plan.objective == THROUGHPUT.name and estimate.objective_range is not None:
        between = estimate.objective_range
        return Figure(estimate.throughput_sps, between.low, between.high)
    charge = estimate.charge
    if charge is not None and charge.per_million_range is not None:
        scale = charge.per_million * estimate.throughput_sps
        between = charge.per_million_range
        return Figure(estimate.throughput_sps, scale / between.high, scale / between.low)
    return Figure(estimate.throughput_sps)
