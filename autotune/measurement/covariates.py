"""What the host did to a block, as numbers that may explain the block's value: its covariates.

Each is a logarithm, so that a slope of 1 says that the value follows in proportion. Beside each stands what a
slope is expected to be before this study has shown anything, and how surely.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from autotune.measurement.measurement import Conditions, Measurement

LEAST_GRANTED = 0.05
"""Share of its cpus' time that a block counts as having had at least."""


@dataclass(frozen=True)
class Covariate:
    """One number that may explain values.

    Attributes:
        name: for people.
        of: from conditions to the number; None where it cannot be read.
        slope, spread: of the prior, which is normal.
    """

    name: str
    of: Callable[[Conditions], float | None]
    slope: float
    spread: float


def log_speed(conditions: Conditions) -> float | None:
    """How fast the cpus computed around the block, in logarithms; only differences of it say anything."""
    return None if conditions.probe_s is None else -math.log(conditions.probe_s)


def log_granted(conditions: Conditions) -> float | None:
    """The share of the time that threads had a cpu when they wanted one, in logarithms; 0 = always."""
    if conditions.steal is None and conditions.waited is None:
        return None
    granted = (1 - (conditions.steal or 0.0)) * (1 - (conditions.waited or 0.0))
    return math.log(max(LEAST_GRANTED, granted))


COVARIATES: Final[tuple[Covariate, ...]] = (
    Covariate("speed", log_speed, slope=0.7, spread=0.35),
    Covariate("granted", log_granted, slope=1.0, spread=0.7),
)
"""The speed probe's mean over cpus and both probes, and steal and run delay together.

Source of the priors: three recordings on a two-cpu guest on AMD Zen 3 with neighbours (studies/benchmarks/
noise): slopes on speed 0.56, 0.83 and 0.84, on steal 1.6 to 6.4, on run delay 1.1 to 3.8, together. What the
probe saw explained 38 to 47 % of the variance; the slowest cpu in the slower probe 18 to 44 %; the spread of
request times inside the block 0 to 1 %.
"""

Explanation = tuple[float | None, ...]
"""The covariates of one block or one run, in the order of `COVARIATES`; None where one cannot be read."""

UNEXPLAINED: Final[Explanation] = (None,) * len(COVARIATES)


def explanation(conditions: Conditions | None) -> Explanation:
    """The covariates of one block."""
    if conditions is None:
        return UNEXPLAINED
    return tuple(covariate.of(conditions) for covariate in COVARIATES)


def mean_explanation(measurement: Measurement) -> Explanation:
    """The covariates of a whole run: the mean over its blocks, where all of them have it."""
    return mean_of([explanation(block.conditions) for block in measurement.blocks])


def mean_of(blocks: Sequence[Explanation]) -> Explanation:
    """The mean of several blocks' covariates; None where one of them lacks it."""
    columns = zip(*blocks, strict=True) if blocks else iter(())
    return tuple(_mean(column) for column in columns) or UNEXPLAINED


def _mean(column: Sequence[float | None]) -> float | None:
    known = [value for value in column if value is not None]
    return sum(known) / len(known) if known and len(known) == len(column) else None


def usual(blocks: Mapping[int, Sequence[Sequence[Explanation]]]) -> dict[int, tuple[float, ...]]:
    """What is usual under each load: the median of its blocks, drawn to that of all where launches are few.

    Clocks depend on how many cpus are at work, so that a configuration is not to be corrected for what it
    does to the cpus itself.

    Args:
        blocks: for each load (threads at work), for each launch, its blocks' covariates.
    """
    everything = [one for launches in blocks.values() for launch in launches for one in launch]
    overall = _medians(everything)
    found = {}
    for load, launches in blocks.items():
        own = _medians([one for launch in launches for one in launch], default=overall)
        trust = len(launches) / (len(launches) + FEW_LAUNCHES)
        found[load] = tuple(
            trust * here + (1 - trust) * all_ for here, all_ in zip(own, overall, strict=True)
        )
    return found


FEW_LAUNCHES = 3.0
"""So many launches of one load count as much for what is usual as all the others together: fewer may all have
met the same slow spell."""


def _medians(blocks: Sequence[Explanation], default: Sequence[float] | None = None) -> tuple[float, ...]:
    columns = zip(*blocks, strict=True) if blocks else [()] * len(COVARIATES)
    medians = []
    for index, column in enumerate(columns):
        known = [value for value in column if value is not None]
        without = default[index] if default is not None else 0.0
        medians.append(float(np.median(known)) if known else without)
    return tuple(medians)
