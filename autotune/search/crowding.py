"""Says which configurations have no room in memory, by what fewer instances of the same took when measured.

What instances hold in common (weights in one mapped file, libraries) counts once, however many there are.
What a further one adds is its own: activations, arenas of its engine, its tokenised requests. Two measured
numbers of instances tell how much that is.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import combinations

from autotune.machine.machine import Machine
from autotune.measurement.measurement import Measurement, TrialResult
from autotune.measurement.statistics import memory_bytes
from autotune.placement.room import Room, Rooms, rooms_of
from autotune.search.space import SearchSpace
from autotune.search.study import SearchStudy
from autotune.spec.configuration import Configuration
from autotune.spec.scenario import traits_of
from autotune.spec.study import StudySpec
from autotune.units import format_bytes

SURELY = 0.8
"""Of what instances are expected to take by what others added, so much is taken for sure. Source: stated;
memory after warm-up of one configuration varies by a few per cent from launch to launch."""


@dataclass(frozen=True)
class Crowd:
    """A configuration whose instances have no room together.

    Attributes:
        each_bytes: that a further instance added when fewer were measured.
        room: where they have least.
    """

    configuration: Configuration
    each_bytes: float
    room: Room

    def __str__(self) -> str:
        each = format_bytes(round(self.each_bytes))
        return (
            f"{self.configuration} has no room in memory: each further instance took {each} more when fewer "
            f"were measured, and for {self.room.instances} there are only {self.room}"
        )


@dataclass
class Crowding:
    """What is known of the room in memory of a study's configurations.

    Attributes:
        known: to have none.
    """

    spec: StudySpec
    space: SearchSpace
    machine: Machine
    known: set[Configuration] = field(default_factory=set)
    _rooms: dict[int, Rooms] = field(default_factory=dict)

    def leave_out(self, search: SearchStudy, trials: Iterable[tuple[Configuration, TrialResult]]) -> str:
        """Have a search propose nothing that surely has no room; says what is new of that, or nothing."""
        new = [crowd for crowd in self.crowded(trials) if crowd.configuration not in self.known]
        for crowd in new:
            search.leave_out(crowd.configuration)
            self.known.add(crowd.configuration)
        return f"{new[0]}{f', nor have {len(new) - 1} others' if new[1:] else ''}" if new else ""

    def crowded(self, trials: Iterable[tuple[Configuration, TrialResult]]) -> tuple[Crowd, ...]:
        """Name the configurations that surely have no room, of those that were not measured.

        None where requests are split: what an instance takes is less the more of them there are.
        """
        if traits_of(self.spec.scenario).is_split:
            return ()
        measured = {one: result for one, result in trials if isinstance(result, Measurement)}
        found = (
            self._crowd(one, each_bytes)
            for alike, each_bytes in _each_bytes(measured).items()
            for one in self._families.get(alike, ())
            if one not in measured
        )
        return tuple(crowd for crowd in found if crowd is not None)

    @cached_property
    def _families(self) -> Mapping[Configuration, Sequence[Configuration]]:
        """The configurations by what is alike; a large space has many."""
        families: dict[Configuration, list[Configuration]] = {}
        for one in self.space.placements:
            families.setdefault(_alike(one), []).append(one)
        return families

    def _crowd(self, configuration: Configuration, each_bytes: float) -> Crowd | None:
        placement = self.space.placements[configuration]
        if id(placement) not in self._rooms:
            self._rooms[id(placement)] = rooms_of(placement, self.machine)
        room = self._rooms[id(placement)].tightest
        if room is None or SURELY * each_bytes * room.instances <= room.size_bytes:
            return None
        return Crowd(configuration, each_bytes, room)


def _alike(configuration: Configuration) -> Configuration:
    """What decides how much an instance takes, but for its threads: nothing of where it runs."""
    return replace(
        configuration, instances=1, threads_per_instance=1, placement="close", sockets="0", smt=False
    )


def _each_bytes(measured: Mapping[Configuration, Measurement]) -> dict[Configuration, float]:
    """What a further instance adds at least, by what is alike; only where that shows in what was measured.

    Of two trials the one with more instances must not have more threads in all: a thread takes memory, too.
    """
    families: dict[Configuration, list[tuple[int, int, int]]] = {}
    for one, result in measured.items():
        if one.placement != "unpinned":
            threads = one.instances * one.threads_per_instance
            families.setdefault(_alike(one), []).append((one.instances, threads, memory_bytes(result)))
    found = {}
    for alike, family in families.items():
        growths = [
            (more_bytes - bytes_taken) / (more - instances)
            for (instances, threads, bytes_taken), (more, more_threads, more_bytes) in combinations(
                sorted(family), 2
            )
            if more > instances and more_threads <= threads
        ]
        if growths and min(growths) > 0:
            found[alike] = min(growths)
    return found
