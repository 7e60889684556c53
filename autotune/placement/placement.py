"""Which cpus and memory nodes each instance gets, and the command that starts it, as frozen values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, order=True)
class InstancePlacement:
    """One instance's cpus and memory nodes, ascending; both empty for an unpinned instance."""

    cpus: tuple[int, ...]
    memory_nodes: tuple[int, ...]


@dataclass(frozen=True)
class Placement:
    """Where every instance of a configuration runs; the instances' cpus are disjoint."""

    instances: tuple[InstancePlacement, ...]


@dataclass(frozen=True)
class Command:
    """How one instance is started: the launcher runs it, every exporter renders it.

    Attributes:
        argv: the worker's command line, argv[0] an absolute path.
        environment: the worker's whole environment, nothing is inherited.
        cpus: the affinity mask, set before argv[0] is executed; empty = left alone.
        memory_nodes: the nodes that its memory is bound to (MPOL_BIND); empty = left alone, as where there is
            one node and nothing to choose.
    """

    argv: tuple[str, ...]
    environment: Mapping[str, str]
    cpus: tuple[int, ...]
    memory_nodes: tuple[int, ...]
