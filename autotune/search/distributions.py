"""The named Optuna parameters of a search space and their distributions."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import fields

from optuna.distributions import BaseDistribution, CategoricalDistribution, IntDistribution

from autotune.search.space import SearchSpace
from autotune.spec.configuration import Configuration

NAMES: tuple[str, ...] = tuple(field.name for field in fields(Configuration))
"""The parameters' names: the fields of `Configuration`, in order."""

KNOBS = "knobs"
"""The parameter whose values are not those of the space: `autotune.search.second_stage` chooses it."""


def distributions(space: SearchSpace) -> dict[str, BaseDistribution]:
    """One distribution per named parameter, wide enough for every legal configuration and the baseline.

    `instances` is an integer on a logarithmic scale, `threads_per_instance` an integer from the baseline's
    0 (the engine's default) up; everything else is categorical, in ascending order. The box is wider
    than the legal set: `autotune.search.sampler` proposes legal points of it only.
    """
    points = (space.baseline, *space.defaults, *space.recipes, *space.configurations)
    made: dict[str, BaseDistribution] = {
        "instances": IntDistribution(1, max(point.instances for point in points), log=True),
        "threads_per_instance": IntDistribution(0, max(point.threads_per_instance for point in points)),
    }
    for name in NAMES:
        made.setdefault(name, _categorical(getattr(point, name) for point in points))
    made[KNOBS] = _categorical(space.knobs.texts)
    return {name: made[name] for name in NAMES}


def _categorical(values: Iterable[str | bool]) -> CategoricalDistribution:
    return CategoricalDistribution(sorted(set(values)))
