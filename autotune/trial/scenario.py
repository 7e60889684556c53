"""What the parent does in each scenario: beside the instances, and to measure them.

`autotune.trial.NAME.scenario.conducting` begins it for the scenario NAME.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from importlib import import_module
from typing import Final, Protocol

from autotune.measurement.measurement import Measurement
from autotune.spec.scenario import SCENARIOS, Scenario
from autotune.trial.asked import Asked
from autotune.trial.conductor import Drain, Exchange, Schedule
from autotune.trial.server.rate_search import Demand
from autotune.trial.watch import Observer


class Conducting(Protocol):
    """Measures the instances of one trial."""

    @property
    def drains(self) -> Sequence[Drain]:
        """Streams to keep empty meanwhile, beside the workers' stderr."""
        ...

    @property
    def pids(self) -> Sequence[int]:
        """Processes beside the workers that belong to the trial."""
        ...

    def conduct(
        self, exchange: Exchange, schedule: Schedule, asked: Asked, observer: Observer | None = None
    ) -> Measurement:
        """Wait for all to be ready, prove that they are what was asked, and measure.

        Args:
            observer: looks at the host around all that is measured; None = nobody does.

        Raises:
            InstanceError: a worker failed, is not what was asked, or the host disturbed too much.
        """
        ...


class Begin(Protocol):
    """Begins what the parent does beside the instances, and ends it with the trial."""

    def __call__(
        self, cpus: Sequence[Sequence[int]], demand: Demand | None
    ) -> AbstractContextManager[Conducting]:
        """Start what runs beside instances on these cpus.

        Raises:
            ValueError: the scenario needs a demand and there is none.
        """
        ...


_BEGIN: Final[Mapping[Scenario, Begin]] = {
    name: import_module(f"autotune.trial.{name}.scenario").conducting for name in SCENARIOS
}


def conducting(
    scenario: Scenario, cpus: Sequence[Sequence[int]], demand: Demand | None
) -> AbstractContextManager[Conducting]:
    """Begin what a scenario has the parent do beside instances, and give what measures them.

    Args:
        cpus: of each instance; empty = wherever the kernel puts it.
        demand: what is asked where a rate is sought; others take no notice.

    Raises:
        ValueError: a rate is sought and there is no demand.
    """
    return _BEGIN[scenario](cpus, demand)
