"""Configurations that are known to do well, which come first among equals.

`autotune.search.prospects` decides what is tried first, from what this machine has shown; where that knows of
no difference, these come in the order in which they are given:

1. the most promising variant of the model at the most promising precision of each of the first `LEADERS`
   backends, in every layout of `recipe_shapes`;
2. each of the next `LEADERS` variants at its most promising, in every layout too, as the first may be refused
   for its answers;
3. the first variant at the most promising precision of every other backend, and every other variant at its
   own, in the first layout;
4. what `autotune.search.order` makes of the rest.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence

from autotune.placement.policies import Ground
from autotune.search.expectations import Expectation
from autotune.spec.configuration import Prepared

LEADERS = 3
"""Backends, and other variants of the model, that are tried in every layout of the recipes."""


def recipe_shapes(ground: Ground, budget: int) -> tuple[tuple[int, int], ...]:
    """(instances, threads per instance) of each recipe, as far as the thread budget goes.

    One instance per socket with all its cores; four cores per instance, as many as fit; one thread on
    every core.
    """
    seats = ground.terrain.root.seats
    sockets = Counter(seat.core.package for seat in seats for _ in seat.cpus)
    of_four = 4 * ground.terrain.siblings
    shapes = (
        (len(sockets), min(*sockets.values(), budget // len(sockets))),
        (min(len(ground.packing(of_four).close), budget // of_four), of_four),
        (min(len(seats), budget), 1),
    )
    return tuple(shape for shape in shapes if all(shape))


def by_promise(choices: Iterable[Prepared], expected: Mapping[Prepared, Expectation]) -> tuple[Prepared, ...]:
    """Put that first of which the most speed is expected, of equals the first variant."""
    listed = tuple(choices)
    models = list(dict.fromkeys(choice.model for choice in listed))

    def place(choice: Prepared) -> tuple[float, int, str, str]:
        speed = round(expected[choice].log_speed, 9)
        return (-speed, models.index(choice.model), choice.backend, choice.precision)

    return tuple(sorted(listed, key=place))


def leading_choices(
    promising: Sequence[Prepared],
) -> tuple[tuple[Prepared, ...], tuple[Prepared, ...]]:
    """Which to try in every layout of the recipes, and which in the first alone.

    Args:
        promising: by promise, as `by_promise` orders them; at least one.
    """
    top = promising[0].model
    engines = _first_of_each((one for one in promising if one.model == top), lambda one: one.backend)
    others = _first_of_each((one for one in promising if one.model != top), lambda one: one.model)
    return engines[:LEADERS] + others[:LEADERS], engines[LEADERS:] + others[LEADERS:]


def _first_of_each(choices: Iterable[Prepared], kind: Callable[[Prepared], str]) -> tuple[Prepared, ...]:
    first: dict[str, Prepared] = {}
    for one in choices:
        first.setdefault(kind(one), one)
    return tuple(first.values())
