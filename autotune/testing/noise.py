"""Programmed noise: the factors by which a machine that is not quiet makes requests longer or shorter.

What a machine does to everybody at once (`block`, `drift`, `spikes`) is a function of seed and time alone, so
that all workers of a trial and a simulation of them meet the same; what differs between launches and requests
is drawn for each launch. Every factor has the median 1 but spikes, which only slow down.
"""

from __future__ import annotations

import math
import random
from dataclasses import dataclass
from functools import lru_cache


@dataclass(frozen=True)
class Spikes:
    """Stretches of time in which everything is slower.

    Attributes:
        share: of the time, in [0, 1).
        factor: by which requests take longer meanwhile, at least 1.
        mean_s: mean length of one; they are uniform between 0 and twice this, and may overlap.
    """

    share: float = 0.0
    factor: float = 2.0
    mean_s: float = 0.5


@dataclass(frozen=True)
class Noise:
    """How much of which noise; none by default.

    Attributes:
        launch: standard deviation of the logarithm of a factor that holds for one launch.
        block: likewise of a factor that holds for `block_s` seconds.
        request: likewise of a factor of one request.
        drift: amplitude, in logarithms, of a sinusoid with the period `drift_period_s`.
    """

    launch: float = 0.0
    block: float = 0.0
    block_s: float = 1.0
    request: float = 0.0
    drift: float = 0.0
    drift_period_s: float = 60.0
    spikes: Spikes = Spikes()


class NoiseSource:
    """One launch's noise, the same again for the same arguments.

    Args:
        seed: of what the machine does to all launches.
        launch: tells this launch from others of the same seed.
    """

    def __init__(self, noise: Noise, seed: int, launch: int = 0) -> None:
        self._noise = noise
        self._seed = seed
        self._own = random.Random(f"launch {seed} {launch}")
        self._launch = noise.launch * self._own.gauss(0, 1)
        self._phase = math.tau * random.Random(f"drift {seed}").random()

    def factor(self, at_s: float) -> float:
        """How many times as long as without noise a request takes that begins at `at_s`."""
        noise = self._noise
        logarithm = self._launch
        if noise.request:
            logarithm += noise.request * self._own.gauss(0, 1)
        if noise.block:
            logarithm += noise.block * _deviate(self._seed, math.floor(at_s / noise.block_s))
        if noise.drift:
            logarithm += noise.drift * math.sin(math.tau * at_s / noise.drift_period_s + self._phase)
        slower = noise.spikes.factor if in_spike(noise.spikes, self._seed, at_s) else 1.0
        return slower * math.exp(logarithm)


def in_spike(spikes: Spikes, seed: int, at_s: float) -> bool:
    """Whether the time lies in a spike.

    Spikes begin as a Poisson process of the rate r = -ln(1 - share) / mean_s: the share of time in which at
    least one of them lasts is 1 - exp(-r * mean_s) = share.

    Source: L. Takacs, Introduction to the Theory of Queues (M/G/infinity, probability of an empty system).
    """
    if not spikes.share:
        return False
    longest_s = 2 * spikes.mean_s
    cell = math.floor(at_s / longest_s)
    return any(
        start_s <= at_s < end_s
        for index in (cell - 1, cell)
        for start_s, end_s in _spikes_of_cell(spikes, seed, index)
    )


@lru_cache(maxsize=4096)
def _deviate(seed: int, window: int) -> float:
    """A standard normal deviate of this window of time."""
    return random.Random(f"block {seed} {window}").gauss(0, 1)


@lru_cache(maxsize=4096)
def _spikes_of_cell(spikes: Spikes, seed: int, index: int) -> tuple[tuple[float, float], ...]:
    """Start and end of the spikes that begin in one cell of time, which is as long as the longest spike."""
    source = random.Random(f"spikes {seed} {index}")
    longest_s = 2 * spikes.mean_s
    rate_per_s = -math.log1p(-spikes.share) / spikes.mean_s
    found = []
    at_s = source.expovariate(rate_per_s)
    while at_s < longest_s:
        start_s = index * longest_s + at_s
        found.append((start_s, start_s + longest_s * source.random()))
        at_s += source.expovariate(rate_per_s)
    return tuple(found)
