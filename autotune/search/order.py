"""In which order configurations are tried when nothing is known of them yet."""

from __future__ import annotations

import random
from collections.abc import Iterable, Sequence
from itertools import chain, zip_longest

from autotune.spec.configuration import Configuration, Prepared


def promising_order(configurations: Sequence[Configuration], seed: int) -> tuple[Configuration, ...]:
    """All configurations, ordered so that stopping early is still a good answer.

    What is prepared once (a model for a backend at a precision) takes turns, in the order in which it is
    given. Of the configurations that run it, two of those that fill most of the machine are followed by one
    from anywhere, because small problems can run fastest on a part of it; equally full ones are shuffled by
    `seed`.
    """
    shuffled = list(configurations)
    random.Random(seed).shuffle(shuffled)
    cpus = _most_threads(configurations)
    turns = [
        _two_to_one(sorted(group, key=lambda one: _threads(one) / cpus[one.smt], reverse=True), group)
        for group in _by_prepared(configurations, shuffled)
    ]
    return _taking_turns(*turns)


def _by_prepared(
    given: Sequence[Configuration], shuffled: Sequence[Configuration]
) -> list[list[Configuration]]:
    """The shuffled configurations of each that is prepared, these as they are first given."""
    groups: dict[Prepared, list[Configuration]] = {one.prepared: [] for one in given}
    for one in shuffled:
        groups[one.prepared].append(one)
    return list(groups.values())


def _two_to_one(many: Sequence[Configuration], few: Sequence[Configuration]) -> tuple[Configuration, ...]:
    """Two of the one, then one of the other, each configuration once."""
    return _taking_turns(many[0::2], many[1::2], few)


def _taking_turns(*sequences: Sequence[Configuration]) -> tuple[Configuration, ...]:
    turns = chain.from_iterable(zip_longest(*sequences))
    return tuple(dict.fromkeys(one for one in turns if one is not None))


def _threads(configuration: Configuration) -> int:
    return configuration.instances * max(1, configuration.threads_per_instance)


def _most_threads(configurations: Iterable[Configuration]) -> dict[bool, int]:
    """The most threads that any configuration runs, without and with SMT siblings."""
    most: dict[bool, int] = {}
    for one in configurations:
        most[one.smt] = max(most.get(one.smt, 1), _threads(one))
    return most
