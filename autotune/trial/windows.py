"""Measures instances that send their own requests, over common windows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from autotune.measurement.measurement import Measurement
from autotune.trial.asked import Asked
from autotune.trial.conductor import BlockCheck, Drain, Exchange, Schedule, conduct
from autotune.trial.watch import Observer


@dataclass(frozen=True)
class Windows:
    """A `Conducting` that has nothing beside the instances.

    Attributes:
        check: refuses a block that is no measurement in this scenario; None = none is refused.
    """

    check: BlockCheck | None = None
    drains: Sequence[Drain] = ()
    pids: Sequence[int] = ()

    def conduct(
        self, exchange: Exchange, schedule: Schedule, asked: Asked, observer: Observer | None = None
    ) -> Measurement:
        """Measure window after window."""
        return conduct(exchange, schedule, asked, observer, self.check)
