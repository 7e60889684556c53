"""Latency: one percentile of the time to an answer, as short as possible."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from autotune.objectives.objective import Direction, Objective
from autotune.objectives.outcome import Outcome


@dataclass(frozen=True)
class Latency(Objective):
    """Seconds at one percentile, which is the nearest-rank one of all latencies together."""

    of: float
    """The percentile."""

    direction: ClassVar[Direction] = "minimize"
    scale: ClassVar[float] = 1000.0
    merit: ClassVar[str] = "speed (1 / latency)"
    better: ClassVar[str] = "faster"

    @property
    def name(self) -> str:
        """`latency_p99`."""
        return f"latency_{self.prefix}"

    @property
    def title(self) -> str:
        """`p99 latency`."""
        return f"{self.prefix} latency"

    @property
    def unit(self) -> str:
        """`ms`."""
        return "ms"

    @property
    def prefix(self) -> str:
        """`p99`."""
        return f"p{self.of:g}"

    @property
    def percentile(self) -> float:
        """The one that is short or long."""
        return self.of

    def score(self, outcome: Outcome) -> float:
        """Seconds."""
        from autotune.statistics.quantiles import percentile_of  # which listings of plans do without

        return percentile_of(outcome.latencies_s, self.of)

    def surpasses(self, gain: str) -> str:
        """`answers 2.3 times as fast as the baseline (p99 latency)`."""
        return f"answers {gain} times as fast as the baseline ({self.title})"
