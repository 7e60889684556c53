"""Leaves out of a search what has no room in memory, before anything is prepared or measured."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from autotune.errors import PlacementError
from autotune.machine.machine import Machine
from autotune.placement.place import UNPINNED
from autotune.placement.placement import Placement
from autotune.placement.room import Room, Rooms, rooms_of
from autotune.search.space import SearchSpace
from autotune.spec.configuration import Configuration, Precision
from autotune.units import format_bytes

BITS: Mapping[Precision, int] = {"fp32": 32, "bf16": 16, "fp16": 16, "int4-weights": 4}
"""Of a weight, by precision; the others have 8."""

REMEDY = "allow more memory (the cgroup's limit, the cpuset's memory nodes), or use a smaller model"


def with_room(
    space: SearchSpace, machine: Machine, weights: Mapping[str, float]
) -> tuple[SearchSpace, tuple[str, ...], tuple[str, ...]]:
    """Give the space without what has no room for a single instance, what was left out, and warnings.

    Configurations whose instances have room one by one, but not all together, stay, and are warned of:
    engines may map one file of weights into all instances.

    Args:
        weights: how many each model has at least, by `Configuration.model`; of others nobody knows.

    Raises:
        PlacementError: the baseline has no room, or no configuration has.
    """
    shortages = _shortages(space, machine, weights)
    too_large = {
        configuration: shortage for configuration, shortage in shortages.items() if not shortage.holds_one
    }
    if space.baseline in too_large:
        raise PlacementError(f"the baseline, {too_large[space.baseline]}", remedy=REMEDY)
    left_out = [too_large[one] for one in space.configurations if one in too_large]
    if left_out and len(left_out) == len(space.configurations):
        raise PlacementError(f"nothing has room in memory: {left_out[0]}", remedy=REMEDY)
    kept = _without(space.configurations, too_large)
    tight = [shortages[one] for one in kept if one in shortages]
    narrowed = replace(
        space,
        configurations=kept,
        placements={one: placement for one, placement in space.placements.items() if one not in too_large},
        recipes=_without(space.recipes, too_large),
        defaults=_without(space.defaults, too_large),
    )
    return narrowed, tuple(_of_left_out(left_out)), tuple(_of_tight(tight))


@dataclass(frozen=True)
class _Shortage:
    """A configuration whose instances have no room for their weights.

    Attributes:
        instance_bytes: what the weights of one instance take at least.
        room: where it has least memory; of those that share it, if one alone has room.
        holds_one: whether one instance has room.
    """

    configuration: Configuration
    instance_bytes: float
    room: Room
    holds_one: bool

    def __str__(self) -> str:
        instances = self.room.instances if self.holds_one else 1
        of = f"{instances} instances, unless the engine shares them" if self.holds_one else "one instance"
        size = format_bytes(round(self.instance_bytes * instances))
        return f"{self.configuration} needs {size} for the weights of {of}, and there are only {self.room}"


def _shortages(
    space: SearchSpace, machine: Machine, weights: Mapping[str, float]
) -> dict[Configuration, _Shortage]:
    """Every configuration, the unpinned ones too, whose instances have no room."""
    placements = {id(placement): placement for placement in space.placements.values()}
    known = {key: rooms_of(placement, machine) for key, placement in placements.items()}
    rooms = {configuration: known[id(placement)] for configuration, placement in space.placements.items()}
    for configuration in (space.baseline, *space.defaults):
        rooms[configuration] = rooms_of(Placement((UNPINNED,) * configuration.instances), machine)
    found = (_shortage(configuration, own, weights) for configuration, own in rooms.items())
    return {shortage.configuration: shortage for shortage in found if shortage is not None}


def _shortage(configuration: Configuration, rooms: Rooms, weights: Mapping[str, float]) -> _Shortage | None:
    instance_bytes = weights.get(configuration.model, 0.0) * BITS.get(configuration.precision, 8) / 8
    for room, together in ((rooms.smallest, False), (rooms.tightest, True)):
        if room is not None and not room.holds(instance_bytes, together=together):
            return _Shortage(configuration, instance_bytes, room, holds_one=together)
    return None


def _without(
    configurations: Iterable[Configuration], too_large: Mapping[Configuration, _Shortage]
) -> tuple[Configuration, ...]:
    return tuple(configuration for configuration in configurations if configuration not in too_large)


def _of_left_out(left_out: Sequence[_Shortage]) -> Iterator[str]:
    """What is not searched, with an example."""
    if left_out:
        yield f"{_counted(left_out)} without room in memory: {left_out[0]}"


def _of_tight(tight: Sequence[_Shortage]) -> Iterator[str]:
    """What may fail, with the example of fewest instances."""
    if tight:
        mildest = min(tight, key=lambda shortage: shortage.room.instances)
        yield f"{_counted(tight)} may run out of memory: {mildest}"


def _counted(shortages: Sequence[_Shortage]) -> str:
    return "1 configuration" if len(shortages) == 1 else f"{len(shortages)} configurations"
