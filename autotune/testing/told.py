"""A machine that measures what it is told to, without processes."""

from __future__ import annotations

import math
import random
from collections.abc import Mapping

from autotune.measurement.measurement import Failure, TrialResult
from autotune.rounds.running import Entrant
from autotune.testing.plans import build_measurement


class Told:
    """Measures samples per second by the entrant's name, with log-normal noise that the seed decides."""

    def __init__(self, values: Mapping[str, float | Failure], *, noise: float = 0.005, seed: int = 0) -> None:
        """Tell it, by name, what is to be measured, or how that fails; `noise` is of the logarithm."""
        self._values = values
        self._noise = noise
        self._random = random.Random(f"told {seed}")

    def measure(self, entrant: Entrant) -> TrialResult:
        """What was told, with noise."""
        value = self._values[entrant.name]
        if isinstance(value, Failure):
            return value
        request_s = math.exp(self._random.gauss(0, self._noise)) / value
        return build_measurement(request_s=request_s, samples_per_request=1)
