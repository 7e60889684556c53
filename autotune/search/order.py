"""In which order configurations are tried when nothing is known of them yet."""

from __future__ import annotations

import random
from collections.abc import Iterable, Sequence
from itertools import chain, zip_longest

from autotune.spec.configuration import Configuration


def promising_order(configurations: Sequence[Configuration], seed: int) -> tuple[Configuration, ...]:
    """All configurations, ordered so that stopping early is still a good answer.

    The (backend, precision) pairs take turns, in the order in which they are given; within a pair the
    configurations that fill more of the machine come first, and equally full ones are shuffled by `seed`.
    """
    shuffled = list(configurations)
    random.Random(seed).shuffle(shuffled)
    cpus = _most_threads(configurations)
    shuffled.sort(key=lambda one: _threads(one) / cpus[one.smt], reverse=True)
    groups: dict[tuple[str, str], list[Configuration]] = {pair(one): [] for one in configurations}
    for one in shuffled:
        groups[pair(one)].append(one)
    return tuple(one for one in chain.from_iterable(zip_longest(*groups.values())) if one is not None)


def pair(configuration: Configuration) -> tuple[str, str]:
    """The (backend, precision) of a configuration: what is prepared once."""
    return configuration.backend, configuration.precision


def _threads(configuration: Configuration) -> int:
    return configuration.instances * max(1, configuration.threads_per_instance)


def _most_threads(configurations: Iterable[Configuration]) -> dict[bool, int]:
    """The most threads that any configuration runs, without and with SMT siblings."""
    most: dict[bool, int] = {}
    for one in configurations:
        most[one.smt] = max(most.get(one.smt, 1), _threads(one))
    return most
