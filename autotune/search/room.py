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
from autotune.spec.scenario import traits_of
from autotune.spec.study import StudySpec
from autotune.units import format_bytes

BITS: Mapping[Precision, int] = {"fp32": 32, "bf16": 16, "fp16": 16, "int4-weights": 4}
"""Of a weight, by precision; the others have 8."""

REMEDY = "allow more memory (the cgroup's limit, the cpuset's memory nodes), or use a smaller model"


@dataclass(frozen=True)
class Least:
    """What instances take at least, by `Configuration.model`; of models that are not here nobody knows.

    Attributes:
        weights: how many each has at least.
        activations: how many numbers a token of a request takes in each at least.
    """

    weights: Mapping[str, float]
    activations: Mapping[str, float]
    spec: StudySpec

    def shared_bytes(self, configuration: Configuration) -> float:
        """What instances may have in common: engines may map one file of weights into all of them."""
        return self.weights.get(configuration.model, 0.0) * _bytes_each(configuration)

    def own_bytes(self, configuration: Configuration) -> float:
        """What every instance has for itself, for the requests that it answers."""
        numbers = self.activations.get(configuration.model, 0.0) * self._tokens(configuration)
        return numbers * _bytes_each(configuration, least=1.0)

    def _tokens(self, configuration: Configuration) -> int:
        """Of a request of one instance, where it is sure: of one length, or filled up to the longest."""
        problem = self.spec.problem
        is_split = traits_of(self.spec.scenario).is_split
        batch = problem.batch_size // configuration.instances if is_split else problem.batch_size
        if problem.sequence_length is not None:
            return batch * problem.sequence_length
        is_filled = configuration.padding == "max" and configuration.batching != "tokens"
        return batch * (problem.longest or 0) if is_filled and problem.cache is None else 0


def _bytes_each(configuration: Configuration, *, least: float = 0.0) -> float:
    return max(least, BITS.get(configuration.precision, 8) / 8)


def with_room(
    space: SearchSpace, machine: Machine, needs: Least
) -> tuple[SearchSpace, tuple[str, ...], tuple[str, ...]]:
    """Give the space without what has no room for sure, what was left out, and warnings.

    That is where a single instance has none, or where all together have none for what each has for itself.
    Configurations whose instances would have no room for weights of their own stay, and are warned of.

    Args:
        needs: what instances take at least.

    Raises:
        PlacementError: the baseline has no room, or no configuration has.
    """
    shortages = _shortages(space, machine, needs)
    too_large = {configuration: shortage for configuration, shortage in shortages.items() if shortage.is_sure}
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
    """A configuration whose instances have no room.

    Attributes:
        needed_bytes: what so many instances take at least.
        instances: in words, and what their memory is for.
        room: where they have least.
        is_sure: whether they cannot run; else it may be that they share their weights, and do.
    """

    configuration: Configuration
    needed_bytes: float
    instances: str
    room: Room
    is_sure: bool

    def __str__(self) -> str:
        size = format_bytes(round(self.needed_bytes))
        return f"{self.configuration} needs {size} for the {self.instances}, and there are only {self.room}"


def _shortages(space: SearchSpace, machine: Machine, needs: Least) -> dict[Configuration, _Shortage]:
    """Every configuration, the unpinned ones too, whose instances have no room."""
    placements = {id(placement): placement for placement in space.placements.values()}
    known = {key: rooms_of(placement, machine) for key, placement in placements.items()}
    rooms = {configuration: known[id(placement)] for configuration, placement in space.placements.items()}
    for configuration in (space.baseline, *space.defaults):
        rooms[configuration] = rooms_of(Placement((UNPINNED,) * configuration.instances), machine)
    found = (_shortage(configuration, own, needs) for configuration, own in rooms.items())
    return {shortage.configuration: shortage for shortage in found if shortage is not None}


def _shortage(configuration: Configuration, rooms: Rooms, needs: Least) -> _Shortage | None:
    shared, own = needs.shared_bytes(configuration), needs.own_bytes(configuration)
    smallest, tightest = rooms.smallest, rooms.tightest
    what = "weights and activations" if own else "weights"
    if smallest is not None and smallest.size_bytes < shared + own:
        return _Shortage(configuration, shared + own, f"{what} of one instance", smallest, is_sure=True)
    if tightest is None:
        return None
    count = tightest.instances
    if tightest.size_bytes < (needed := count * own):
        words = f"activations of {count} instances, without any weights"
        return _Shortage(configuration, needed, words, tightest, is_sure=True)
    if tightest.size_bytes < (needed := count * (shared + own)):
        words = f"{what} of {count} instances, unless the engine shares {'the weights' if own else 'them'}"
        return _Shortage(configuration, needed, words, tightest, is_sure=False)
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
