"""Configurations that are known to do well, to be measured first."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from autotune.placement.policies import Ground
from autotune.search.bounds import Engine
from autotune.spec.configuration import Precision

CHEAPEST_FIRST: tuple[Precision, ...] = (
    *("int8-static", "int8-dynamic", "bf16", "fp16", "int8-weights", "fp32", "int4-weights"),
)
"""By the cost of their arithmetic; that of `…-weights` is the floating-point one, after unpacking."""


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


def recipe_engines(engines: Sequence[Engine]) -> tuple[Engine, ...]:
    """Every backend at its cheapest precision; the layouts that suit one suit its others too."""
    ranked = sorted(engines, key=lambda engine: CHEAPEST_FIRST.index(engine[1]))
    best = {backend: (backend, precision) for backend, precision in reversed(ranked)}
    return tuple(best[backend] for backend in dict.fromkeys(backend for backend, _ in engines))
