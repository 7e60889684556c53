"""Throughput: as many samples per second as possible, summed over the instances."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Final

from autotune.objectives.objective import Direction, Objective
from autotune.objectives.outcome import Outcome, Resources


@dataclass(frozen=True)
class Throughput(Objective):
    """Samples per second; what they take does not matter."""

    direction: ClassVar[Direction] = "maximize"
    merit: ClassVar[str] = "throughput"
    better: ClassVar[str] = "faster"

    @property
    def name(self) -> str:
        """`throughput`."""
        return "throughput"

    @property
    def title(self) -> str:
        """`throughput`."""
        return "throughput"

    @property
    def unit(self) -> str:
        """`samples/s`."""
        return "samples/s"

    def score(self, outcome: Outcome) -> float:
        """Samples per second."""
        return outcome.throughput_sps

    def surpasses(self, gain: str) -> str:
        """`serves 2.3 times as much as the baseline`."""
        return f"serves {gain} times as much as the baseline"

    def implied_throughput_sps(self, score: float, resources: Resources) -> float:  # noqa: ARG002
        """The score itself."""
        return score


THROUGHPUT: Final = Throughput()
