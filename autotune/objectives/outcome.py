"""What a configuration gave, and what it took: all that an objective or a limit may look at."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from autotune.spec.price import Price


@dataclass(frozen=True)
class Resources:
    """What a configuration takes while it serves.

    Attributes:
        cores: that nobody else can use meanwhile: the physical cores on which its instances may run. One that
            is not pinned takes all that this process may use. None = not known.
        price: of the cores; None = nobody has stated one.
    """

    cores: int | None = None
    price: Price | None = None


UNKNOWN = Resources()


class Outcome(Protocol):
    """What is judged: a trial, a block of one, or a bare rate."""

    @property
    def resources(self) -> Resources:
        """What it took."""
        ...

    @property
    def throughput_sps(self) -> float:
        """Samples per second, summed over instances."""
        ...

    @property
    def latencies_s(self) -> Sequence[float]:
        """Every latency."""
        ...

    @property
    def promised_s(self) -> float | None:
        """What a limited percentile is shown not to exceed, where a rate was sought that keeps to it."""
        ...

    @property
    def memory_bytes(self) -> int:
        """Memory of all instances together."""
        ...


@dataclass(frozen=True)
class Figures:
    """An outcome of which the figures are known and no raw values.

    Attributes:
        throughput_sps, latencies_s, promised_s, memory_bytes: as of every `Outcome`.
    """

    throughput_sps: float
    latencies_s: tuple[float, ...] = ()
    resources: Resources = UNKNOWN
    promised_s: float | None = None
    memory_bytes: int = 0
