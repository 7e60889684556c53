"""What all parts of one call of `tune` share."""

from __future__ import annotations

from dataclasses import dataclass

from autotune.bench.clock import Clock
from autotune.bench.orders import Orders
from autotune.events import Emit
from autotune.preflight.setup import Setup
from autotune.spec.study import StudySpec
from autotune.stop import Stop
from autotune.store.store import StudyStore


@dataclass(frozen=True)
class StudyCall:
    """One call of a study.

    Attributes:
        setup: what was found out before.
        store: keeps what is measured, at once.
        orders: numbers the launches.
        clock: the time that it goes by.
        emit, stop: told of progress, and asked before anything is begun.
    """

    setup: Setup
    store: StudyStore
    orders: Orders
    clock: Clock
    emit: Emit
    stop: Stop

    @property
    def spec(self) -> StudySpec:
        """The study as it was found."""
        return self.setup.spec
