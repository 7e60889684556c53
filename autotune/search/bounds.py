"""The values that a study's bounds stand for on a machine: what `auto` means, and which sockets and engines.

`auto` is exhaustive up to a thread budget of `SMALL_BUDGET`. Above it the choices are those that fill
something, because uneven thread counts are known to be slow:

* threads: powers of two, and divisors of what an L3 group, a node, a package and the machine hold;
* instances: powers of two, the most that fit, and 1, 2, 4, ... or the most on each L3 group, node, package;
* sockets: every set of up to `FEW_PACKAGES` packages; of more the first 1, 2, 4, ... and all;
* cores: this machine, and no smaller one.

With SMT, threads come in whole cores.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import combinations

from autotune.backends.availability import Engines
from autotune.errors import PlacementError, StudyFileError
from autotune.machine.cpus import format_cpu_list, parse_cpu_list
from autotune.machine.machine import Machine
from autotune.placement.place import open_ground, usable_packages
from autotune.placement.policies import Ground
from autotune.placement.smaller import usable_cores
from autotune.placement.terrain import Level
from autotune.spec.configuration import PlacementPolicy, Precision
from autotune.spec.study import Search

SMALL_BUDGET = 16
FEW_PACKAGES = 4

POLICY_ORDER: tuple[PlacementPolicy, ...] = ("close", "per-l3", "per-node", "spread")
"""Of placements that are equal under several names the first of these is kept."""

_FILLED: tuple[Level, ...] = ("l3", "node", "package", "kind", "machine")

Engine = tuple[str, Precision]


def chosen_engines(search: Search, engines: Engines) -> tuple[Engine, ...]:
    """The (backend, precision) pairs to search, in the order of `engines`.

    Raises:
        StudyFileError: a listed backend or precision is not available.
    """
    backends = engines if search.backends == "auto" else search.backends
    _refuse_missing("backends", search.backends, engines)
    available = {precision for name in backends for precision in engines[name]}
    _refuse_missing("precisions", search.precisions, available)
    wanted = available if search.precisions == "auto" else search.precisions
    pairs = tuple(
        (name, one) for name in engines if name in backends for one in engines[name] if one in wanted
    )
    _refuse_missing("backends", search.backends, {name for name, _ in pairs})
    return pairs


def core_counts(search: Search, machine: Machine) -> tuple[int, ...]:
    """Cores of the machines to search, ascending: `Configuration.cores`; 0 alone where the study names none.

    Raises:
        StudyFileError: there are not so many.
    """
    if search.cores == "auto":
        return (0,)
    most = usable_cores(machine)
    for index, cores in enumerate(search.cores):
        if cores != "all" and cores > most:
            raise StudyFileError(
                f"{cores} cores are more than the {most} that may be used here",
                path=f"search.cores[{index}]",
                remedy=f"list at most {most}, or all: what a larger machine does is not to be seen here",
            )
    return tuple(sorted({most if cores == "all" else cores for cores in search.cores}))


def _refuse_missing(field: str, listed: str | Iterable[str], available: Iterable[str]) -> None:
    if isinstance(listed, str):
        return
    there = sorted(available)
    for index, value in enumerate(listed):
        if value not in there:
            raise StudyFileError(
                f"{value!r} cannot be used on this machine with the study's other engines and precisions",
                path=f"search.{field}[{index}]",
                remedy=f"choose among {', '.join(there)}: `autotune engines` says why"
                if there
                else "nothing can be used: widen the search",
            )


def grounds(search: Search, machine: Machine) -> Iterator[tuple[str, bool, Ground]]:
    """The (sockets, smt, ground) to search: one cpu per core first, fewest sockets first.

    Where a study tries both values of `smt`, machines without SMT siblings go without.

    Raises:
        StudyFileError: listed sockets are not there or may not be used, or SMT is asked for in vain.
    """
    for smt in sorted(search.smt):
        for index, sockets in _socket_sets(search, machine):
            try:
                yield sockets, smt, open_ground(machine, sockets, smt=smt)
            except PlacementError as error:
                if smt and (False in search.smt or search.sockets == "auto"):
                    continue
                path = "search.sockets" if index is None else f"search.sockets[{index}]"
                raise StudyFileError(error.problem, path=path, remedy=error.remedy) from error


def _socket_sets(search: Search, machine: Machine) -> list[tuple[int | None, str]]:
    """Index in the study's list, and sockets; fewest first."""
    if search.sockets == "auto":
        return [(None, format_cpu_list(packages)) for packages in _package_sets(usable_packages(machine))]

    def size(one: tuple[int, str]) -> tuple[int, list[int]]:
        packages = sorted(parse_cpu_list(one[1]))
        return len(packages), packages

    return [*sorted(enumerate(search.sockets), key=size)]


def _package_sets(packages: tuple[int, ...]) -> Iterator[tuple[int, ...]]:
    count = len(packages)
    if count > FEW_PACKAGES:
        yield from (packages[:size] for size in sorted({*_doublings(count), count}))
        return
    for size in range(1, count + 1):
        yield from combinations(packages, size)


def thread_counts(search: Search, ground: Ground, budget: int) -> tuple[int, ...]:
    """Threads per instance to try, ascending."""
    if search.threads != "auto":
        return tuple(sorted(search.threads))
    most = min(budget, ground.terrain.root.capacity)
    counts = set(range(1, most + 1)) if budget <= SMALL_BUDGET else _filling_threads(search, ground, most)
    siblings = ground.terrain.siblings
    whole = {count for count in counts if count % siblings == 0}
    return tuple(sorted(count for count in whole or counts if count <= most))


def _filling_threads(search: Search, ground: Ground, most: int) -> set[int]:
    capacities = {domain.capacity for level in _FILLED for domain in ground.terrain.domains(level)}
    divisors = {count for capacity in capacities for count in range(1, capacity + 1) if capacity % count == 0}
    listed = () if search.instances == "auto" else search.instances
    shares = {most // instances for instances in listed if instances <= most}
    return divisors | shares | {most, *_doublings(most)}


def instance_counts(search: Search, ground: Ground, threads: int, budget: int) -> tuple[int, ...]:
    """Numbers of instances of `threads` threads to try, ascending."""
    if search.instances != "auto":
        return tuple(sorted(search.instances))
    most = min(budget // threads, len(ground.packing(threads).close))
    if budget <= SMALL_BUDGET:
        return tuple(range(1, most + 1))
    counts = {*_doublings(most), most}
    for level in _FILLED:
        domains = len(ground.terrain.domains(level))
        counts.update(domains * each for each in (*_doublings(most // domains), most // domains))
    return tuple(sorted(counts - {0}))


def policies(search: Search) -> tuple[PlacementPolicy, ...]:
    """The policies to try, in `POLICY_ORDER`."""
    return tuple(one for one in POLICY_ORDER if search.placements == "auto" or one in search.placements)


def _doublings(most: int) -> list[int]:
    """1, 2, 4, ... up to `most`."""
    return [1 << bit for bit in range(most.bit_length())]
