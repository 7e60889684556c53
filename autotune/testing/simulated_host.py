"""Hosts without processes behind the same waist as a real one: any machine, on a clock nobody waits for.

What decides how long a trial is, and what becomes of it, is the product's own: the loop that collects blocks,
and its rule. What a host takes for a request is its `Surface`, and what it does to everybody its nature
(`autotune.testing.nature`): programmed noise, weather, or a recording of a noisy host. What instances do to
each other is the surface's to say.

```python
clock = VirtualClock()
host = SimulatedHost("one", setup, SimulatedMachine(surface_of(model, problem), Noise(block=0.03), 1, clock))
tune_on(Crew([host], clock), setup, store=url)
```
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from autotune.backends.registry import get_backend
from autotune.bench.crew import Begun, LostError
from autotune.bench.host import Admission, HostFacts, Seen
from autotune.bench.local import measure_of, resources_taken
from autotune.bench.order import Order
from autotune.errors import HostLostError
from autotune.measurement.correction import load_of
from autotune.measurement.measurement import Failure, TrialResult
from autotune.model.artifacts.artifact import Artifact
from autotune.model.assessment import EXEMPT
from autotune.objectives.catalogue import objective_of
from autotune.placement.command import Service, worker_commands
from autotune.placement.place import place
from autotune.preflight.setup import Setup
from autotune.search.score import needed_percentile
from autotune.spec.configuration import Configuration, Prepared
from autotune.spec.scenario import Scenario
from autotune.spec.study import Measure
from autotune.stop import Stop
from autotune.testing.simulation import SimulatedMachine, VirtualClock
from autotune.trial.stopping import Rule
from autotune.worker.failures import InstanceError

SIMULATED: Scenario = "offline"
"""All that there is to run on them."""

NOWHERE = Path("/simulated")
"""Where the artifacts of simulated hosts would lie."""

Fate = Callable[[Configuration], Failure | None]
"""Says of which configurations a trial fails, and how; None = it is measured."""


def nothing_fails(configuration: Configuration) -> Failure | None:  # noqa: ARG001 - whatever it is
    """Have every trial measured."""
    return None


@dataclass
class SimulatedHost:
    """See `autotune.bench.host.Host` for what it does; it knows the scenario `offline` alone.

    Attributes:
        setup: the study, and the machine that this one pretends to be.
        nature: what runs on it takes its time there.
        preparation_s: that the first order of what is prepared takes more; where that is not the same for
            all, a function says it, which is asked once of each.
        seen: what it says when it is asked to look, for as long as that took; fate: what fails.
        dies_at_s: time of its clock at which it is gone, in the middle of whatever it runs; None = never.
        begun, ended: orders, in order.
    """

    name: str
    setup: Setup
    nature: SimulatedMachine
    preparation_s: float | Callable[[Prepared], float] = 0.0
    seen: Seen = field(default_factory=Seen)
    fate: Fate = nothing_fails
    dies_at_s: float | None = None
    begun: list[Order] = field(default_factory=list)
    ended: list[Order] = field(default_factory=list)
    _ready: set[Prepared] = field(default_factory=set)

    def __post_init__(self) -> None:
        if self.setup.spec.scenario != SIMULATED:
            raise ValueError(f"a simulated host cannot run the scenario {self.setup.spec.scenario}")

    def describe(self) -> HostFacts:
        """See `Host`; it waits for nobody."""
        return HostFacts(self.name, self.setup.machine, self.setup.versions, ready=frozenset(self._ready))

    def rehearse(self) -> None:
        """See `Host`; there is no reference."""

    def look(self) -> Seen:
        """See `Host`."""
        self.nature.clock.now_s += self.seen.looking_s
        return self.seen

    def admit(self, configuration: Configuration, *, compare: bool = True, wait: bool = True) -> Admission:  # noqa: ARG002
        """See `Host`; whatever it answers is right."""
        variant = self.setup.variant(configuration)
        artifact = Artifact(
            key="simulated",
            directory=NOWHERE / configuration.backend / configuration.precision,
            backend=configuration.backend,
            precision=configuration.precision,
            model_digest=variant.model.digest,
            size_bytes=0,
        )
        spec = self.setup.spec
        commands = worker_commands(
            configuration,
            place(configuration, self.setup.machine),
            artifact,
            get_backend(configuration.backend),
            Service(spec.problem, spec.scenario, spec.seed, spec.measure.warmup_s),
        )
        return Admission(commands, quality=EXEMPT if compare else None)

    def run(self, order: Order) -> TrialResult:
        """See `Host`."""
        self.begun.append(order)
        start_s, clock = self.nature.clock.now_s, self.nature.clock
        result = self._measured(order)
        if self.dies_at_s is not None and clock.now_s >= self.dies_at_s:
            clock.now_s = max(start_s, self.dies_at_s)
            raise HostLostError(f"{self.name} is gone, with the order {order.id}", remedy="give another host")
        self.ended.append(order)
        return result

    def release(self) -> None:
        """See `Host`; it keeps nothing."""

    def _measured(self, order: Order) -> TrialResult:
        configuration, measure = order.configuration, measure_of(order, self.setup.spec)
        if configuration.prepared not in self._ready:
            seconds = self.preparation_s
            self.nature.clock.now_s += seconds(configuration.prepared) if callable(seconds) else seconds
        if (failure := self.fate(configuration)) is not None:
            return failure
        self._ready.add(configuration.prepared)
        try:
            is_confirming = order.purpose == "confirm"
            rule = self._rule(order, measure)
            return self.nature.measure(configuration, rule, measure, is_confirming=is_confirming)
        except InstanceError as error:
            return Failure(error.kind, error.reason)

    def _rule(self, order: Order, measure: Measure) -> Rule:
        """Have a trial decided as a real one is; see `autotune.trial.run.run_trial`."""
        spec = self.setup.spec
        commands = order.commands or self.admit(order.configuration).commands
        return Rule(
            spec.scenario,
            objective_of(spec),
            measure.blocks,
            measure.max_blocks,
            needed_percentile(spec),
            order.rival,
            order.max_measuring_s,
            treatment=measure.disturbed,
            correction=order.correction,
            load=load_of(order.configuration),
            resources=resources_taken(order.configuration, commands, self.setup),
        )


class SimulatedConveyor:
    """Has simulated hosts run side by side on one clock: who ends first is heard first.

    Each order is run at once, and its end kept; the clock is set back to its begin, as others begin then too.
    """

    def __init__(self, clock: VirtualClock) -> None:
        self._clock = clock
        self._ends: list[tuple[float, Begun, TrialResult | HostLostError]] = []

    def begin(self, begun: Begun) -> None:
        """See `Conveyor`."""
        start_s = self._clock.now_s
        result: TrialResult | HostLostError
        try:
            result = begun.host.run(begun.order)
        except HostLostError as error:
            result = error
        self._ends.append((self._clock.now_s, begun, result))
        self._clock.now_s = start_s

    def next_ended(self, stop: Stop) -> tuple[Begun, TrialResult]:
        """See `Conveyor`."""
        stop.heed()
        first = min(self._ends, key=lambda end: end[0])
        self._ends.remove(first)
        end_s, begun, result = first
        self._clock.now_s = end_s
        if isinstance(result, HostLostError):
            raise LostError(begun, result)
        return begun, result
