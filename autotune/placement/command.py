"""The command of every instance: program, environment, cpus and memory nodes. Nobody else decides these."""

from __future__ import annotations

import os
import sys
import sysconfig
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from autotune.backends.asking import environment_of
from autotune.backends.protocol import Backend
from autotune.errors import PlacementError
from autotune.machine.cpus import format_cpu_list
from autotune.model.artifacts.artifact import Artifact
from autotune.placement.assignment import Assignment
from autotune.placement.knobs import knob_environment
from autotune.placement.placement import Command, Placement, WorkerProgram
from autotune.placement.variables import PASSED_ON, SINGLE_THREADED, tokenization_environment
from autotune.spec.configuration import Configuration
from autotune.spec.knobs import parse_knobs
from autotune.spec.problem import Problem
from autotune.spec.scenario import Scenario, traits_of

_PIN = str(Path(__file__).with_name("pin.py"))


@dataclass(frozen=True)
class Service:
    """What the instances are to serve.

    Attributes:
        seed: of made-up requests.
        warmup_s: upper bound of the warm-up.
        requests: the stream of them; None where they are of one length.
    """

    problem: Problem
    scenario: Scenario
    seed: int
    warmup_s: float
    requests: Artifact | None = None


def worker_commands(
    configuration: Configuration,
    placement: Placement,
    artifact: Artifact,
    backend: Backend,
    service: Service,
) -> tuple[Command, ...]:
    """Give the command of every instance, in the order of the placement.

    Instances each serve requests of the whole batch, or, where the scenario splits them, shares that are as
    even as it goes, larger ones first.

    Raises:
        PlacementError: a batch that is split has fewer sequences than there are instances.
        UnsupportedError: a knob asks for a library that is not on this host; or the engine's plug-in breaks.
    """
    threads, problem = configuration.threads_per_instance, service.problem
    variables = {
        **environment_of(backend, threads),
        **knob_environment(parse_knobs(configuration.knobs)),
        **(tokenization_environment(threads) if problem.include else {}),
    }
    environment = worker_environment(os.environ, variables, pinned=threads > 0)
    interpreter = _interpreter()
    shares = batch_shares(problem.batch_size, configuration.instances, service.scenario)
    return tuple(
        Command(
            WorkerProgram(interpreter, _assignment(configuration, artifact, service, index, share)),
            environment,
            place.cpus,
            place.memory_nodes,
        )
        for index, (place, share) in enumerate(zip(placement.instances, shares, strict=True))
    )


def _assignment(
    configuration: Configuration, artifact: Artifact, service: Service, instance: int, share: int
) -> Assignment:
    requests = service.requests
    length = service.problem.sequence_length if requests is None else 0
    assert length is not None
    return Assignment(
        backend=configuration.backend,
        precision=configuration.precision,
        artifact=artifact.directory,
        batch_size=share,
        threads=configuration.threads_per_instance,
        seed=service.seed,
        warmup_s=service.warmup_s,
        instance=instance,
        instances=configuration.instances,
        sequence_length=length,
        requests=None if requests is None else requests.directory,
        knobs=configuration.knobs,
    )


def batch_shares(batch_size: int, instances: int, scenario: Scenario) -> tuple[int, ...]:
    """How many sequences of a request each instance gets.

    Raises:
        PlacementError: an instance would get none.
    """
    if not traits_of(scenario).is_split:
        return (batch_size,) * instances
    if instances > batch_size:
        raise PlacementError(
            f"a request of {batch_size} sequences cannot be split over {instances} instances",
            remedy=f"use at most {batch_size} instances, or the scenario offline",
        )
    share, left = divmod(batch_size, instances)
    return tuple(share + (index < left) for index in range(instances))


def request_shapes(
    configuration: Configuration, problem: Problem, scenario: Scenario
) -> frozenset[tuple[int, int]]:
    """`(batch, tokens)` of all requests of one length that the instances of a configuration will get.

    Raises:
        PlacementError: as from `batch_shares`.
    """
    assert problem.sequence_length is not None
    shares = batch_shares(problem.batch_size, configuration.instances, scenario)
    return frozenset((share, problem.sequence_length) for share in shares)


def worker_environment(
    caller: Mapping[str, str], engine: Mapping[str, str], *, pinned: bool
) -> dict[str, str]:
    """A worker's whole environment: what is passed on, what bounds stray pools, and the engine's own.

    PYTHONPATH is made absolute, and leads to this autotune where it is not installed: workers have
    another working directory.
    """
    passed_on = {name: caller[name] for name in PASSED_ON if name in caller}
    if import_path := _import_path(caller.get("PYTHONPATH", "")):
        passed_on["PYTHONPATH"] = import_path
    return {**passed_on, **(SINGLE_THREADED if pinned else {}), **engine}


def pinned_argv(command: Command) -> tuple[str, ...]:
    """The command line that a trial starts: `pin.py`, which becomes the worker. Ends with this process."""
    options: list[str] = ["--parent", str(os.getpid())]
    if command.cpus:
        options += ["--cpus", format_cpu_list(command.cpus)]
    if command.memory_nodes:
        options += ["--membind", format_cpu_list(command.memory_nodes)]
    return (_interpreter(), "-I", "-S", _PIN, *options, "--", *command.argv)


def _interpreter() -> str:
    """This interpreter, absolute; links stay as they are, because a virtual environment is known by its link.

    Raises:
        PlacementError: Python does not know where it lies.
    """
    if not sys.executable:
        raise PlacementError("this Python does not know its own path", remedy="start it by an absolute path")
    return os.path.abspath(sys.executable)  # noqa: PTH100 - Path.absolute keeps `..`


def _import_path(callers: str) -> str:
    """The caller's PYTHONPATH, and before it this package's folder unless that is a site-packages folder."""
    folders = [os.path.abspath(entry) for entry in callers.split(os.pathsep) if entry]  # noqa: PTH100
    own = str(Path(__file__).absolute().parents[2])
    if own not in (*map(sysconfig.get_path, ("purelib", "platlib")), *folders):
        folders.insert(0, own)
    return os.pathsep.join(folders)
