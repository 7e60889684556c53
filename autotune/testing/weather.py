"""What a host does to everything that runs on it, over time: the same for all, a function of seed and clock.

A `Weather` turns work into seconds and says what a watch would have seen meanwhile. This module makes
synthetic ones on a grid of time; `autotune.testing.replays` plays recordings.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from scipy.signal import lfilter

from autotune.testing.noise import Spikes

Trace = NDArray[np.float64]

STEP_S = 0.05
"""Resolution of synthetic weather: half of the shortest dwell time that is asked for."""

LENGTH_S = 600.0
"""After which the same weather begins anew: twice as long as a study of five minutes is to take."""

CPUS = (0, 1)
"""All that these hosts have."""

MULTIPLICATION_S = 0.00125
"""CPU seconds of one probe multiplication at full speed. Source: a 2-cpu guest on AMD Zen 3."""

PROBING_S = 0.01
"""Between a probe and the window beside it; one probe serves the windows on both sides. Source: 13 to 25 ms
from one block to the next, of which half is probing, on that guest."""

PROBE_NOISE = 0.02
"""Standard deviation of a probe's logarithm on a host that does nothing. Source: a quiet 2-cpu guest on Xeon,
where single multiplications vary by up to 14 %; a probe is the median of five."""

CORRELATION_S = 1.21
"""Time constant of noise: averages over neighbouring seconds have an autocorrelation of 0.6, as on a 2-cpu
guest on AMD Zen 3. Of an Ornstein-Uhlenbeck process with a = 1 s / constant it is
(1 - exp(-a))² / (2 (a - 1 + exp(-a))).
Source: C. W. Gardiner, Handbook of Stochastic Methods, section 3.8 (correlation exp(-t / constant))."""

AVERAGED = 0.8795
"""Standard deviation of its average over a second, where that of a moment is 1:
sqrt(2 (a - 1 + exp(-a))) / a."""

SEEN = 0.6
"""Share of the noise's variance that is of the kind that a probe sees."""

PROBE_GAIN, PROBE_BLUR = 0.947, 0.85
"""What a probe makes of that noise: its logarithm is multiplied by the gain, and noise of each reading is
added with the blur as a share of its standard deviation. With these the logarithm of a block's value has a
slope of 0.8 on the mean of the block's four readings, which explain 40 % of its variance, as there."""


@dataclass(frozen=True)
class Surroundings:
    """What a watch sees of a window.

    Attributes:
        before_s, after_s: CPU seconds of one multiplication by cpu.
        steal, waited: as shares, as `Conditions` has them; others_cpus: in cpus.
    """

    before_s: tuple[float, ...]
    after_s: tuple[float, ...]
    steal: float = 0.0
    waited: float = 0.0
    others_cpus: float = 0.0


class Weather(Protocol):
    """What a host does over time; times are seconds of the host's clock, which begins at 0."""

    def ends_s(self, start_s: float, work_s: Trace) -> Trace:
        """When so much work is done that begins at `start_s`; seconds of work without noise, rising."""
        ...

    def work_s(self, start_s: float, end_s: float) -> float:
        """How much work is done in between."""
        ...

    def around(self, start_s: float, end_s: float) -> Surroundings:
        """What a watch sees of the window."""
        ...

    def met_by(self, *, is_pinned: bool, is_confirming: bool) -> Weather:
        """The weather that such workers meet, where it is not the same for all."""
        ...


WeatherMaker = Callable[[int], Weather]
"""Makes the weather of a seed."""


class Synthetic:
    """Weather on a grid of time, which repeats after `LENGTH_S`."""

    def __init__(self, log_speed: Trace, log_shown: Trace, own: Trace, *, in_guest: bool = True) -> None:
        """Begin at 0 s.

        Args:
            log_speed: of work, by step, but for what `own` leaves of it.
            log_shown: speed by probe, by cpu and step.
            own: share of the first cpu that is left for the workers, by step. They wait for each other, so
                that they run at this share of their speed.
            in_guest: a process of this host takes the rest, and no hypervisor.
        """
        self._grid_s = np.asarray(STEP_S * np.arange(len(log_speed) + 1), dtype=np.float64)
        self._work_s = _running_sum(np.exp(log_speed) * own)
        self._taken_s = _running_sum(1 - own)
        self._shown = log_shown
        self._in_guest = in_guest

    def ends_s(self, start_s: float, work_s: Trace) -> Trace:
        """See `Weather`."""
        return _inverse(self._grid_s, self._work_s, _at(self._grid_s, self._work_s, start_s) + work_s)

    def work_s(self, start_s: float, end_s: float) -> float:
        """See `Weather`."""
        return _between(self._grid_s, self._work_s, start_s, end_s)

    def around(self, start_s: float, end_s: float) -> Surroundings:
        """See `Weather`."""
        taken = _between(self._grid_s, self._taken_s, start_s, end_s) / (end_s - start_s)
        share = taken / len(CPUS)
        return Surroundings(
            self._probe_s(start_s - PROBING_S),
            self._probe_s(end_s + PROBING_S),
            steal=0.0 if self._in_guest else share,
            waited=share if self._in_guest else 0.0,
            others_cpus=taken if self._in_guest else 0.0,
        )

    def met_by(self, *, is_pinned: bool, is_confirming: bool) -> Weather:  # noqa: ARG002
        """See `Weather`: the same for all."""
        return self

    def _probe_s(self, at_s: float) -> tuple[float, ...]:
        step = round(at_s / STEP_S) % self._shown.shape[1]
        return tuple(MULTIPLICATION_S * math.exp(-float(shown)) for shown in self._shown[:, step])


class Arriving:
    """Weather that changes when a search is over: who comes then slows everybody, or the unpinned alone."""

    def __init__(self, before: Weather, after: Weather, *, slows_pinned: bool) -> None:
        """Begin with what is there before."""
        self._before = before
        self._after = after
        self._slows_pinned = slows_pinned

    def ends_s(self, start_s: float, work_s: Trace) -> Trace:
        """See `Weather`: before anybody comes."""
        return self._before.ends_s(start_s, work_s)

    def work_s(self, start_s: float, end_s: float) -> float:
        """See `Weather`: before anybody comes."""
        return self._before.work_s(start_s, end_s)

    def around(self, start_s: float, end_s: float) -> Surroundings:
        """See `Weather`: before anybody comes."""
        return self._before.around(start_s, end_s)

    def met_by(self, *, is_pinned: bool, is_confirming: bool) -> Weather:
        """See `Weather`."""
        return self._after if is_confirming and (self._slows_pinned or not is_pinned) else self._before


def noisy(block: float) -> WeatherMaker:
    """Log-normal noise with this standard deviation of a second's logarithm."""
    return lambda seed: _synthetic(seed, block=block)


def regimes(dwell_s: float, slow: float = 0.5, block: float = 0.01) -> WeatherMaker:
    """Two regimes at speed 1 and `slow`, each for exponential times of this mean; the probe sees them."""

    def make(seed: int) -> Weather:
        source = np.random.default_rng((seed, 1))
        changes_s = np.cumsum(source.exponential(dwell_s, 3 * math.ceil(LENGTH_S / dwell_s) + 10))
        passed = np.searchsorted(changes_s, _times_s())
        is_slow = (passed + source.integers(2)) % 2 == 1
        return _synthetic(seed, block=block, also=np.where(is_slow, math.log(slow), 0.0))

    return make


def spiky(spikes: Spikes, block: float = 0.01) -> WeatherMaker:
    """Stretches of time in which everything is slower; see `autotune.testing.noise.in_spike`."""

    def make(seed: int) -> Weather:
        source = np.random.default_rng((seed, 2))
        rate_per_s = -math.log1p(-spikes.share) / spikes.mean_s
        starts_s = source.uniform(0, LENGTH_S, source.poisson(rate_per_s * LENGTH_S))
        lengths_s = source.uniform(0, 2 * spikes.mean_s, len(starts_s))
        begun = np.searchsorted(np.sort(starts_s), _times_s(), side="right")
        ended = np.searchsorted(np.sort(starts_s + lengths_s), _times_s(), side="right")
        also = np.where(begun > ended, -math.log(spikes.factor), 0.0)
        return _synthetic(seed, block=block, also=also)

    return make


def drifting(amplitude: float, period_s: float, block: float = 0.01) -> WeatherMaker:
    """A slow sinusoid of speed, which the probe sees."""

    def make(seed: int) -> Weather:
        phase = math.tau * np.random.default_rng((seed, 3)).random()
        also = amplitude * np.sin(math.tau * _times_s() / period_s + phase)
        return _synthetic(seed, block=block, also=also)

    return make


def neighboured(
    earliest_s: float, latest_s: float, *, in_guest: bool, left: float = 0.5, block: float = 0.01
) -> WeatherMaker:
    """A neighbour that comes in between, stays, and leaves the workers this share of one of two cpus.

    The probe, which counts CPU time, does not see it; steal, or waiting and others' CPU time, do.
    """

    def make(seed: int) -> Weather:
        from_s = np.random.default_rng((seed, 4)).uniform(earliest_s, latest_s)
        own = np.where(_times_s() >= from_s, left, 1.0)
        return _synthetic(seed, block=block, own=own, in_guest=in_guest)

    return make


def arriving(*, in_guest: bool, left: float, slows_pinned: bool = True, block: float = 0.01) -> WeatherMaker:
    """A neighbour as that of `neighboured`, that comes when the search is over and the rounds begin.

    Args:
        slows_pinned: it slows everybody; else unpinned workers alone, whose threads wait for the one that
            shares its cpu.
    """

    def make(seed: int) -> Weather:
        own = np.full(len(_times_s()), left)
        return Arriving(
            _synthetic(seed, block=block),
            _synthetic(seed, block=block, own=own, in_guest=in_guest),
            slows_pinned=slows_pinned,
        )

    return make


def _synthetic(
    seed: int, *, block: float, also: Trace | None = None, own: Trace | None = None, in_guest: bool = True
) -> Weather:
    """Noise of this size, and what else the probe sees just as work meets it."""
    source = np.random.default_rng((seed, 0))
    times_s = _times_s()
    moment = block / AVERAGED
    seen = math.sqrt(SEEN) * moment * _correlated(source, len(times_s))
    unseen = math.sqrt(1 - SEEN) * moment * _correlated(source, len(times_s))
    other = np.zeros(len(times_s)) if also is None else also
    blur = math.hypot(PROBE_NOISE, PROBE_BLUR * PROBE_GAIN * math.sqrt(SEEN) * moment)
    readings = blur * source.standard_normal((len(CPUS), len(times_s)))
    return Synthetic(
        seen + unseen + other,
        PROBE_GAIN * seen + other + readings,
        np.ones(len(times_s)) if own is None else own,
        in_guest=in_guest,
    )


def _times_s() -> Trace:
    """The middles of all steps."""
    steps = np.arange(round(LENGTH_S / STEP_S), dtype=np.float64)
    return np.asarray(STEP_S * (steps + 0.5), dtype=np.float64)


def _correlated(source: np.random.Generator, count: int) -> Trace:
    """Standard normal deviates with the autocorrelation exp(-t / `CORRELATION_S`)."""
    kept = math.exp(-STEP_S / CORRELATION_S)
    fresh = math.sqrt(1 - kept**2) * source.standard_normal(count)
    fresh[0] = source.standard_normal()
    return np.asarray(lfilter([1.0], [1.0, -kept], fresh), dtype=np.float64)


def _running_sum(rate: Trace) -> Trace:
    return np.concatenate(([0.0], np.cumsum(rate * STEP_S)))


def _at(grid_s: Trace, summed: Trace, at_s: float) -> float:
    """The sum up to a time, which may be later than the grid."""
    times, rest_s = divmod(at_s, float(grid_s[-1]))
    return times * float(summed[-1]) + float(np.interp(rest_s, grid_s, summed))


def _between(grid_s: Trace, summed: Trace, start_s: float, end_s: float) -> float:
    return _at(grid_s, summed, end_s) - _at(grid_s, summed, start_s)


def _inverse(grid_s: Trace, summed: Trace, wanted: Trace) -> Trace:
    """When the sum is reached; likewise."""
    times, rest = np.divmod(wanted, summed[-1])
    return np.asarray(times * grid_s[-1] + np.interp(rest, summed, grid_s), dtype=np.float64)
