"""What befalls those that run on a simulated machine: the one seat for noise, for weather and for recordings.

`Noise` is programmed (`autotune.testing.noise`); weather (`autotune.testing.weather`) and recordings of a
noisy host (`autotune.testing.replays`) are seen by a watch, too: their blocks have `Conditions`.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Protocol

import numpy as np

from autotune.measurement.measurement import Block, Conditions, InstanceBlock
from autotune.testing.noise import Noise, NoiseSource
from autotune.testing.weather import PROBING_S, Surroundings, Weather, WeatherMaker
from autotune.trial.speed import UsualSpeed

LAUNCH_NOISE, REQUEST_NOISE = 0.01, 0.01
"""Standard deviations of the logarithm of what one launch, and one request, have of their own in weather."""


@dataclass(frozen=True)
class Workers:
    """The instances of one launch, as nature meets them.

    Attributes:
        request_s: seconds of a request of each without noise; samples: in one request.
        is_pinned: whether they have cpus of their own.
        is_confirming: whether the search is over: who waits for that comes then.
    """

    request_s: float
    instances: int = 1
    samples: int = 1
    is_pinned: bool = True
    is_confirming: bool = False


BlockMaker = Callable[[float, float], tuple[Block, float]]
"""Measures launched workers from a time on for so many seconds; gives the time when the machine goes on."""


class Nature(Protocol):
    """What a machine does to all that runs on it."""

    def launch(self, workers: Workers) -> BlockMaker:
        """Start workers anew: what a launch has of its own is drawn."""
        ...


def nature_of(kind: Noise | WeatherMaker, seed: int) -> Nature:
    """Give the nature of this kind that the seed draws."""
    return ProgrammedNature(kind, seed) if isinstance(kind, Noise) else WeatheredNature(kind(seed), seed)


class ProgrammedNature:
    """Makes requests longer or shorter by `Noise`; no watch sees anything of it."""

    def __init__(self, noise: Noise, seed: int) -> None:
        self._noise = noise
        self._seed = seed
        self._launches = 0

    def launch(self, workers: Workers) -> BlockMaker:
        """See `Nature`."""
        self._launches += 1
        return partial(self.block, workers, NoiseSource(self._noise, self._seed, self._launches))

    def block(
        self, workers: Workers, source: NoiseSource, now_s: float, block_s: float
    ) -> tuple[Block, float]:
        """Run all instances over one window.

        It begins with a new window of `Noise.block`, so that this is the spread of blocks and not of parts.
        """
        start_s = self._noise.block_s * (now_s // self._noise.block_s + 1)
        parts = tuple(
            _programmed(workers, source, start_s, start_s + block_s) for _ in range(workers.instances)
        )
        return Block(start_s, parts), max(part.ends_s[-1] for part in parts)


def _programmed(workers: Workers, source: NoiseSource, start_s: float, end_s: float) -> InstanceBlock:
    """Run two requests or more, back to back until the first completion at or after the window's end."""
    times_s = [start_s]
    while len(times_s) < 3 or times_s[-1] < end_s:
        times_s.append(times_s[-1] + workers.request_s * source.factor(times_s[-1]))
    return InstanceBlock(workers.samples, tuple(times_s[:-1]), tuple(times_s[1:]))


class WeatheredNature:
    """Lets workers meet a weather, and says of each block what a watch would have seen.

    A launch and each request have a little noise of their own beside it.
    """

    def __init__(self, weather: Weather, seed: int) -> None:
        """Begin at 0 s.

        Args:
            seed: of the noise that launches and requests have of their own.
        """
        self._weather = weather
        self._own = np.random.default_rng((seed, 6))
        self._usual = UsualSpeed()

    def launch(self, workers: Workers) -> BlockMaker:
        """See `Nature`."""
        factor = math.exp(LAUNCH_NOISE * float(self._own.standard_normal()))
        return partial(self.block, replace(workers, request_s=workers.request_s * factor))

    def block(self, workers: Workers, now_s: float, block_s: float) -> tuple[Block, float]:
        """Run all instances over one window between two probes, watched."""
        start_s = now_s + PROBING_S
        weather = self._weather.met_by(is_pinned=workers.is_pinned, is_confirming=workers.is_confirming)
        parts = tuple(self._met(weather, workers, start_s, block_s) for _ in range(workers.instances))
        end_s = max(part.ends_s[-1] for part in parts)
        conditions = self._conditions(weather.around(start_s, end_s), end_s - start_s)
        return Block(start_s, parts, conditions), end_s + PROBING_S

    def _met(self, weather: Weather, workers: Workers, start_s: float, block_s: float) -> InstanceBlock:
        """Run two requests or more, back to back until the first completion at or after the window's end."""
        end_s = start_s + block_s
        room = weather.work_s(start_s, end_s) / workers.request_s
        factors = np.exp(REQUEST_NOISE * self._own.standard_normal(max(2, math.ceil(1.1 * room) + 4)))
        ends_s = weather.ends_s(start_s, workers.request_s * np.cumsum(factors))
        count = max(2, int(np.searchsorted(ends_s, end_s)) + 1)
        times_s = tuple(ends_s[:count].tolist())
        return InstanceBlock(workers.samples, (start_s, *times_s[:-1]), times_s)

    def _conditions(self, around: Surroundings, window_s: float) -> Conditions:
        probe_s = statistics.geometric_mean((*around.before_s, *around.after_s))
        speed = self._usual.speed(probe_s)
        self._usual.learn(probe_s)
        return Conditions(
            window_s=window_s,
            speed=speed,
            probe_s=probe_s,
            steal=around.steal,
            waited=around.waited,
            others_cpus=around.others_cpus,
        )
