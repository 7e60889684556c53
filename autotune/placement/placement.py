"""Which cpus and memory nodes each instance gets, and the command that starts it, as frozen values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from autotune.placement.assignment import WORKER_MODULE, Assignment


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
class WorkerProgram:
    """autotune's own worker, which loads the artifact and measures.

    Attributes:
        interpreter: the Python that runs it, an absolute path.
        assignment: what it is asked to run.
    """

    interpreter: str
    assignment: Assignment

    @property
    def argv(self) -> tuple[str, ...]:
        """Its command line."""
        return (self.interpreter, "-P", "-m", WORKER_MODULE, *self.assignment.arguments())


@dataclass(frozen=True)
class ServerProgram:
    """A program that is known by its command line alone, such as the user's server or the load generator.

    Attributes:
        argv: its command line; of what autotune starts itself, argv[0] is an absolute path.
    """

    argv: tuple[str, ...]


@dataclass(frozen=True)
class Command:
    """How one instance is started: the launcher runs it, every exporter renders it.

    Attributes:
        program: what is executed.
        environment: the program's whole environment, nothing is inherited.
        cpus: the affinity mask, set before the program is executed; empty = left alone.
        memory_nodes: the nodes that its memory is bound to (MPOL_BIND); empty = left alone, as where there is
            one node and nothing to choose.
    """

    program: WorkerProgram | ServerProgram
    environment: Mapping[str, str]
    cpus: tuple[int, ...]
    memory_nodes: tuple[int, ...]

    @property
    def argv(self) -> tuple[str, ...]:
        """The program's command line, which only the program itself reads."""
        return self.program.argv

    @property
    def worker(self) -> WorkerProgram:
        """The program, where it is known to be autotune's worker: every command of a configuration is.

        Raises:
            TypeError: it is another program.
        """
        if not isinstance(self.program, WorkerProgram):
            raise TypeError(f"{self.argv[:1]} is not autotune's worker")
        return self.program
