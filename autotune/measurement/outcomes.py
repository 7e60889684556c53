"""What a trial, or one block of it, gave and took, as objectives and limits look at it.

Figures are computed when they are asked for: an objective looks at one or two of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from autotune.measurement.measurement import Block, Measurement
from autotune.measurement.statistics import (
    block_latencies_s,
    block_throughput_sps,
    latencies_s,
    memory_bytes,
    throughput_sps,
)
from autotune.measurement.steps import kept_step, shown_latency_s
from autotune.objectives.outcome import UNKNOWN, Resources
from autotune.spec.scenario import Scenario, traits_of


@dataclass(frozen=True)
class TrialOutcome:
    """What a measurement gave and took."""

    measurement: Measurement
    resources: Resources = UNKNOWN

    @property
    def throughput_sps(self) -> float:
        """Samples per second: the median over blocks, or of a `server` that of the kept rate."""
        return throughput_sps(self.measurement)

    @property
    def latencies_s(self) -> Sequence[float]:
        """Every latency, block by block."""
        return latencies_s(self.measurement)

    @property
    def promised_s(self) -> float | None:
        """`server`: what the limited percentile is shown not to exceed at the kept rate."""
        if not traits_of(self.measurement.scenario).seeks_rate:
            return None
        return shown_latency_s(kept_step(self.measurement))

    @property
    def memory_bytes(self) -> int:
        """Proportional set size after warm-up, summed over instances."""
        return memory_bytes(self.measurement)


@dataclass(frozen=True)
class BlockOutcome:
    """What one block gave and took; of memory it says nothing."""

    block: Block
    scenario: Scenario
    resources: Resources = UNKNOWN

    @property
    def throughput_sps(self) -> float:
        """Samples per second in it."""
        return block_throughput_sps(self.block)

    @property
    def latencies_s(self) -> Sequence[float]:
        """Every latency in it."""
        return block_latencies_s(self.block, self.scenario)

    @property
    def promised_s(self) -> None:
        """A block by itself promises nothing."""
        return

    @property
    def memory_bytes(self) -> int:
        """Not looked at block by block."""
        return 0
