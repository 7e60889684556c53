"""What a plan starts: autotune's own workers, which measure it again, or the user's server in their place."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Final, Literal

from autotune.errors import ExportError
from autotune.machine.cpus import format_cpu_list
from autotune.placement.placement import Command
from autotune.placement.serving import measured_environment, server_environment
from autotune.placement.variables import unset_for_server
from autotune.plan.command_line import parse_command
from autotune.plan.document import Plan
from autotune.spec.launch import (
    FORM,
    LAST_PORT,
    TELLING_APART,
    LaunchSpec,
    filled,
)
from autotune.spec.launched import INSTANCE_VARIABLE, PLAN_VARIABLE

Program = Literal["worker", "command"]
"""autotune's own worker, or the command of the user's server."""

PLAN_FILE: Final = "plan.json"
"""Name of the plan's document beside what is exported."""


@dataclass(frozen=True)
class LaunchedInstance:
    """One process that a launch starts.

    Attributes:
        index: from 0, in the order of the plan.
        port: where it listens; None of a worker, and of a command that asks for no port.
        threads: 0 = as many as the engine takes by itself.
        environment: what is set.
        unset: names of variables that it must not inherit.
        argv: the command line; empty where somebody else decides what is started.
        directory: working folder; empty = that of whoever starts it.
    """

    index: int
    port: int | None
    threads: int
    cpus: tuple[int, ...]
    memory_nodes: tuple[int, ...]
    environment: Mapping[str, str]
    unset: tuple[str, ...]
    argv: tuple[str, ...]
    directory: str = ""


@dataclass(frozen=True)
class Launch:
    """All processes of a plan.

    Attributes:
        program: a worker's environment is whole, nothing is inherited; a server's is set on top of what it
            inherits.
        plan_path: of the exported plan.json, where the instances run; empty where none needs it.
    """

    plan: Plan
    program: Program
    instances: tuple[LaunchedInstance, ...]
    plan_path: str = ""

    @property
    def is_pinned(self) -> bool:
        """Whether any instance has cpus of its own."""
        return any(instance.cpus for instance in self.instances)

    @property
    def binds_memory(self) -> bool:
        """Whether any instance's memory is bound to nodes."""
        return any(instance.memory_nodes for instance in self.instances)

    @property
    def has_command(self) -> bool:
        """Whether it is known what is started."""
        return all(instance.argv for instance in self.instances)


def served_folders(plan: Plan, index: int) -> dict[str, str]:
    """Name the folders that a server reads through `autotune.runtime`, for targets that mount them.

    Returns:
        The folders of the `artifact`, of the prepared `requests`, and of the `model`, where its tokenizer is;
        those that the plan has.
    """
    worker, folder = plan.instances[index].worker, plan.model.get("folder")
    model = _whole(folder) if isinstance(folder, str) else None
    named = {"artifact": worker.artifact, "requests": worker.requests, "model": model}
    return {name: path for name, path in named.items() if path}


def _whole(folder: str) -> str:
    """The folder itself; of a snapshot in a hub's cache, which holds links alone, the one that has the files.

    Source: huggingface_hub, docs/guides/manage-cache.
    """
    path = PurePosixPath(folder)
    is_snapshot = path.parent.name == "snapshots" and path.parents[1].name.startswith("models--")
    return str(path.parents[1]) if is_snapshot else folder


def launch_of(plan: Plan, server: LaunchSpec | None = None, *, plan_path: str = "") -> Launch:
    """Give the processes of a plan: workers as they were measured, or a server in the place of each.

    Args:
        server: how it is started; one without a command is started by somebody else. None = the workers.
        plan_path: of plan.json, where a server runs.

    Raises:
        ExportError: the server's ports, variables or command do not fit the plan.
    """
    commands = plan.commands()
    if server is None:
        workers = tuple(_worker(index, command) for index, command in enumerate(commands))
        return Launch(plan, "worker", workers)
    _refuse_ports(server, len(commands))
    _refuse_equal_instances(server, len(commands))
    _refuse_a_plan_that_is_nowhere(server, plan_path)
    servers = tuple(_server(index, command, server, plan_path) for index, command in enumerate(commands))
    return Launch(plan, "command", servers, plan_path)


def server_of(plan: Plan, command: str | None = None, port: int | None = None) -> LaunchSpec | None:
    """Give the server that the plan's study names, or the one that is named here, which wins.

    Args:
        command: words as in a shell; placeholders as in a study file; None = the study's.
        port: of instance 0; None = the study's.

    Returns:
        None where neither names a command, a port, or anything else of a server.

    Raises:
        ExportError: the command is none.
        PlanError: the study in the plan is wrong.
    """
    stated = _stated(plan)
    changes = {
        **({} if command is None else {"command": parse_command(command)}),
        **({} if port is None else {"port": port}),
    }
    if stated is None and not changes:
        return None
    return (stated or LaunchSpec()).model_copy(update=changes)


def _stated(plan: Plan) -> LaunchSpec | None:
    """What the study in the plan says of the server; the rest of the study need not be whole."""
    from pydantic import ValidationError

    values = plan.study.stated("launch")
    if values is None:
        return None
    try:
        return LaunchSpec.model_validate(
            {key: tuple(entry) if isinstance(entry, list) else entry for key, entry in values.items()}
        )
    except (AttributeError, ValidationError) as error:
        raise ExportError(
            f"the plan {plan.id} does not say how the server is started: study.spec.launch is {values!r:.80}",
            remedy="give the command with --command",
        ) from error


def _worker(index: int, command: Command) -> LaunchedInstance:
    return LaunchedInstance(
        index=index,
        port=None,
        threads=command.worker.assignment.threads,
        cpus=command.cpus,
        memory_nodes=command.memory_nodes,
        environment=command.environment,
        unset=(),
        argv=command.argv,
        directory="/",
    )


def _server(index: int, command: Command, server: LaunchSpec, plan_path: str) -> LaunchedInstance:
    assignment, port = command.worker.assignment, server.port + index
    values = {
        "instance": str(index),
        "port": str(port),
        "threads": str(assignment.threads),
        "cpus": format_cpu_list(command.cpus),
        "artifact": str(assignment.artifact),
        "plan": plan_path,
    }
    _refuse_what_the_plan_sets(server, command)
    environment = {
        **server_environment(command),
        **{name: filled(text, values) for name, text in server.environment.items()},
        **({PLAN_VARIABLE: plan_path} if plan_path else {}),
        INSTANCE_VARIABLE: str(index),
    }
    listens = server.command is None or "port" in server.placeholders
    return LaunchedInstance(
        index=index,
        port=port if listens else None,
        threads=assignment.threads,
        cpus=command.cpus,
        memory_nodes=command.memory_nodes,
        environment=environment,
        unset=unset_for_server(environment),
        argv=tuple(filled(word, values) for word in server.command or ()),
        directory=filled(server.directory or "", values),
    )


def _refuse_ports(server: LaunchSpec, instances: int) -> None:
    last = server.port + instances - 1
    if server.port < 1 or last > LAST_PORT:
        raise ExportError(
            f"port {server.port} is out of range: {instances} instances take {server.port} to {last}",
            remedy=f"give a port from 1 to {LAST_PORT - instances + 1} (--port, or launch.port)",
        )


def _refuse_equal_instances(server: LaunchSpec, instances: int) -> None:
    if instances > 1 and server.command is not None and not server.tells_instances_apart:
        wanted = " or ".join(sorted(f"{{{name}}}" for name in TELLING_APART))
        raise ExportError(
            f"the command {' '.join(server.command)[:80]!r} is the same for all {instances} instances of the "
            "plan, which would ask for one port",
            remedy=f"write {wanted} into it, as in {FORM}",
        )


def _refuse_a_plan_that_is_nowhere(server: LaunchSpec, plan_path: str) -> None:
    if not plan_path and "plan" in server.placeholders:
        raise ExportError(
            "the command asks for {plan}, and plan.json is written nowhere",
            remedy="give a folder (-o DIR), or where it lies on the machine that serves (--set plan=PATH)",
        )


def _refuse_what_the_plan_sets(server: LaunchSpec, command: Command) -> None:
    """Refuse variables that would undo what was measured."""
    measured = measured_environment(command)
    for name in server.environment:
        if name in measured:
            raise ExportError(
                f"launch.environment sets {name} to {server.environment[name]!r:.40}, and the plan was "
                f"measured with {measured[name]!r:.40}",
                remedy=f"leave {name} out of launch.environment",
            )
