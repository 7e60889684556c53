"""Virtual hosts: they turn a configuration's true request time into blocks, on a clock that nobody waits for.

What the host does to everybody is its `Weather`; a launch and each request have a little noise of their own.
A block has the `Conditions` that a watch would have given it.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping
from dataclasses import fields
from itertools import chain

import numpy as np

from autotune.measurement.measurement import Block, Conditions, InstanceBlock
from autotune.testing.noise import Spikes
from autotune.testing.weather import (
    CPUS,
    PROBING_S,
    Surroundings,
    Weather,
    WeatherMaker,
    arriving,
    drifting,
    neighboured,
    noisy,
    regimes,
    spiky,
)

LAUNCH_S = 3.0
"""From a launch to its first block: an engine's import, load and warm-up."""

LAUNCH_NOISE, REQUEST_NOISE = 0.01, 0.01
"""Standard deviations of the logarithm of what one launch, and one request, have of their own."""

HOSTS: Mapping[str, WeatherMaker] = {
    "quiet": noisy(0.01),
    "noise 3 %": noisy(0.03),
    "noise 10 %": noisy(0.10),
    "noise 30 %": noisy(0.30),
    "regimes 0.1 s": regimes(0.1),
    "regimes 1 s": regimes(1.0),
    "regimes 10 s": regimes(10.0),
    "regimes 60 s": regimes(60.0),
    "spikes": spiky(Spikes(share=0.05, factor=2.0, mean_s=0.5)),
    "drift": drifting(0.10, 600.0),
    "neighbour": neighboured(60.0, 240.0, in_guest=True),
    "stolen": neighboured(60.0, 240.0, in_guest=False),
    "late neighbour": arriving(in_guest=True, left=0.5),
    "late stolen": arriving(in_guest=False, left=0.5),
    "late on unpinned": arriving(in_guest=True, left=0.1, slows_pinned=False),
}
"""Weather by name: noise a block of one second; two regimes at speed 1.0 and 0.5 by their mean dwell time;
5 % of the time at half speed; a drift of 10 % in 10 minutes; a process, or a guest, that comes in the middle
of a study of five minutes and takes half of one of two cpus; the same when its search is over; a process that
comes then and slows unpinned workers alone, to a tenth."""


class VirtualHost:
    """A host on which time passes only when something runs.

    Attributes:
        clock_s: its time; blocks: how many were measured on it; worked_s: seconds of work without noise that
            were done in them; ran_s: seconds that it took.
        is_confirming: whether the search is over: who waits for that comes then.
    """

    def __init__(self, weather: Weather, seed: int) -> None:
        """Begin at 0 s.

        Args:
            seed: of the noise that launches and requests have of their own.
        """
        self.clock_s = 0.0
        self.is_confirming = False
        self.blocks = 0
        self.worked_s = 0.0
        self.ran_s = 0.0
        self._weather = weather
        self._own = np.random.default_rng((seed, 6))
        self._fastest = [math.inf] * len(CPUS)

    @property
    def mean_speed(self) -> float:
        """Of all blocks until now, where 1 is without noise."""
        return self.worked_s / self.ran_s if self.ran_s else 1.0

    def launch(self) -> float:
        """Start workers anew, which takes `LAUNCH_S`, and draw by which factor all their requests differ."""
        self.clock_s += LAUNCH_S
        return math.exp(LAUNCH_NOISE * float(self._own.standard_normal()))

    def block(
        self, request_s: float, block_s: float, samples_per_request: int = 1, *, is_pinned: bool = True
    ) -> Block:
        """Run one instance on all cpus over one window, watched.

        Args:
            request_s: seconds of its requests without noise.
            block_s: the window goes on to the first completion at or after so many seconds.
        """
        start_s = self.clock_s + PROBING_S
        weather = self._weather.met_by(is_pinned=is_pinned, is_confirming=self.is_confirming)
        ends_s = self._ends_s(weather, request_s, start_s, block_s)
        starts_s = (start_s, *ends_s[:-1])
        self.blocks += 1
        self.worked_s += request_s * len(ends_s)
        self.ran_s += ends_s[-1] - start_s
        self.clock_s = ends_s[-1] + PROBING_S
        instance = InstanceBlock(samples_per_request, starts_s, ends_s)
        conditions = self._conditions(weather.around(start_s, ends_s[-1]), ends_s[-1] - start_s)
        return Block(start_s, (instance,), conditions)

    def _ends_s(
        self, weather: Weather, request_s: float, start_s: float, block_s: float
    ) -> tuple[float, ...]:
        """Two requests or more, back to back until the first completion at or after the end of the window."""
        end_s = start_s + block_s
        room = weather.work_s(start_s, end_s) / request_s
        factors = np.exp(REQUEST_NOISE * self._own.standard_normal(max(2, math.ceil(1.1 * room) + 4)))
        ends_s = weather.ends_s(start_s, request_s * np.cumsum(factors))
        count = max(2, int(np.searchsorted(ends_s, end_s)) + 1)
        return tuple(ends_s[:count].tolist())

    def _conditions(self, around: Surroundings, window_s: float) -> Conditions:
        probes = (around.before_s, around.after_s)
        for probe in probes:
            self._fastest = [min(pair) for pair in zip(self._fastest, probe, strict=True)]
        return _known(
            window_s=window_s,
            speed=min(
                best / seconds for probe in probes for best, seconds in zip(self._fastest, probe, strict=True)
            ),
            probe_s=statistics.geometric_mean(chain.from_iterable(probes)),
            steal=around.steal,
            waited=around.waited,
            others_cpus=around.others_cpus,
        )


_FIELDS = frozenset(field.name for field in fields(Conditions))


def _known(**facts: float) -> Conditions:
    """Conditions of what they can hold, so that an older version's guard can be played on the same hosts."""
    return Conditions(**{name: value for name, value in facts.items() if name in _FIELDS})  # type: ignore[arg-type]
