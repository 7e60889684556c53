"""What a study has learned of how the host's conditions move its values, and values without that.

Slopes are learned within configurations, from every block that the study has measured, and drawn to the
priors of `autotune.measurement.covariates`: a signal counts as far as it has been seen to predict. Values are
brought to the usual conditions under the same load, never to a record.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from autotune.measurement.covariates import COVARIATES, UNEXPLAINED, Explanation, explanation, usual
from autotune.measurement.measurement import Conditions
from autotune.spec.configuration import Configuration
from autotune.statistics.linear import ScalePrior, fit

FIRST_NOISE = ScalePrior(scale=0.03, freedom=1.0)
"""Of blocks within a launch, before anything is known.

Source: 1 % on a quiet host, 10 % on the recorded one (studies/benchmarks/noise)."""

MAX_SHIFT = math.log(4)
"""No block is corrected by more than a factor of four: beyond what priors were seen to hold for."""


@dataclass(frozen=True)
class MeasuredLaunch:
    """The blocks of one launch.

    Attributes:
        values: of each block, positive, larger is better.
        explanations: of each block.
    """

    configuration: Configuration
    values: tuple[float, ...]
    explanations: tuple[Explanation, ...]


@dataclass(frozen=True)
class Correction:
    """How to bring a value to usual conditions; by default not at all.

    Attributes:
        slopes: of log value on each covariate; empty = nothing is corrected.
        errors: their standard errors.
        usual: the usual covariates by load; overall: where a load was never seen.
        noise: of one block's log value within its launch, after correction; freedom: what it stands on.
    """

    slopes: tuple[float, ...] = ()
    errors: tuple[float, ...] = ()
    usual: Mapping[int, tuple[float, ...]] = field(default_factory=dict)
    overall: tuple[float, ...] = ()
    noise: float = 0.0
    freedom: float = 0.0

    def deviations(self, covariates: Explanation, load: int) -> tuple[float, ...]:
        """By how much covariates differ from what is usual under this load; 0 where they are not known."""
        return tuple(_centered(covariates, self.usual.get(load, self.overall))) if self.slopes else ()

    def shift(self, covariates: Explanation, load: int) -> float:
        """By how much conditions have raised a value, in logarithms; 0 where they are not known."""
        if not self.slopes:
            return 0.0
        away = self.deviations(covariates, load)
        shift = sum(slope * deviation for slope, deviation in zip(self.slopes, away, strict=True))
        return max(-MAX_SHIFT, min(MAX_SHIFT, shift))

    def factor(self, conditions: Conditions | None, load: int) -> float:
        """What to multiply a block's goodness by, to have it under usual conditions."""
        return math.exp(-self.shift(explanation(conditions), load)) if self.slopes else 1.0


UNCORRECTED = Correction()


def load_of(configuration: Configuration) -> int:
    """How many threads a configuration has at work, on which clocks depend; 0 = as many as it likes."""
    return configuration.instances * configuration.threads_per_instance


def learn(launches: Sequence[MeasuredLaunch]) -> Correction:
    """Learn from every launch so far; the priors alone where there are none."""
    by_load = _by_load(launches)
    usually = usual(by_load)
    # Who takes as many threads as it likes has all cpus at work, as the highest load has. As its own load,
    # which the baseline and defaults alone have, its usual would be what these few launches happened to meet.
    usually = {0: usually[max(usually)], **usually} if usually else {}
    overall = usual({0: [[one for group in by_load.values() for launch in group for one in launch]]})[0]
    configurations = {launch.configuration: index for index, launch in enumerate(_first_of_each(launches))}
    rows, values = [], []
    for launch in launches:
        middle = usually[load_of(launch.configuration)]
        for value, covariates in zip(launch.values, launch.explanations, strict=True):
            own = [0.0] * len(configurations)
            own[configurations[launch.configuration]] = 1.0
            rows.append([*own, *_centered(covariates, middle)])
            values.append(math.log(value))
    count = len(configurations)
    found = fit(
        np.array(rows).reshape(len(values), count + len(COVARIATES)),
        np.array(values),
        mean=[*[0.0] * count, *(covariate.slope for covariate in COVARIATES)],
        precision=[*[0.0] * count, *(covariate.spread**-2 for covariate in COVARIATES)],
        prior=FIRST_NOISE,
    )
    errors = np.sqrt(np.diag(found.covariance))[count:]
    return Correction(
        slopes=tuple(map(float, found.coefficients[count:])),
        errors=tuple(map(float, errors)),
        usual=usually,
        overall=overall,
        noise=found.scale,
        freedom=found.freedom,
    )


def _centered(covariates: Explanation, middle: Sequence[float]) -> list[float]:
    """What cannot be read counts as usual."""
    return [0.0 if one is None else one - usually for one, usually in zip(covariates, middle, strict=True)]


def _by_load(launches: Sequence[MeasuredLaunch]) -> dict[int, list[Sequence[Explanation]]]:
    most = max((load_of(launch.configuration) for launch in launches), default=0)
    found: dict[int, list[Sequence[Explanation]]] = {}
    for launch in launches:
        known = [one for one in launch.explanations if one != UNEXPLAINED]
        found.setdefault(load_of(launch.configuration) or most, []).append(known)
    return found


def _first_of_each(launches: Sequence[MeasuredLaunch]) -> list[MeasuredLaunch]:
    """One launch of each configuration, in order."""
    first: dict[Configuration, MeasuredLaunch] = {}
    for launch in launches:
        first.setdefault(launch.configuration, launch)
    return list(first.values())
