"""What the processes of a plan's instances should be: what a launch of the plan starts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from autotune.backends.protocol import LoadsWith
from autotune.backends.registry import get_backend
from autotune.errors import BackendError, MachineError
from autotune.machine.cpus import parse_cpu_list
from autotune.plan.document import Plan
from autotune.plan.launch import PLAN_FILE, LaunchedInstance, launch_of, server_of
from autotune.spec.launch import LaunchSpec, placeholders_of
from autotune.spec.launched import INSTANCE_VARIABLE, PLAN_VARIABLE, UNBOUND_WORDS

LOOSE: Final = frozenset({"port", "plan", "artifact"})
"""Placeholders whose values hang on where, and how, the plan was exported."""

_OWN: Final = "autotune"
"""A distribution without libraries, of which no process shows that it has loaded it."""


@dataclass(frozen=True)
class Expected:
    """What the processes of one instance should be.

    Attributes:
        instances: their numbers; several where one process is to stand for several instances.
        launched: what a launch starts.
        environment: what it sets in them, but for what they are found by.
        loose: names of those variables of which only the presence counts; see `LOOSE`.
        allowed: cpus that the plan's machine left it, where its processes are not pinned.
        versions: of the distributions that compute, by name, as the plan was measured with them.
        is_unbound: the kernel did not bind memory to the plan's nodes when it was measured, either.
    """

    instances: tuple[int, ...]
    launched: LaunchedInstance
    environment: Mapping[str, str]
    loose: frozenset[str]
    allowed: frozenset[int]
    versions: Mapping[str, str]
    is_unbound: bool = False

    @property
    def cpus(self) -> frozenset[int]:
        """Where its threads may run."""
        return frozenset(self.launched.cpus) or self.allowed


def expected_of(plan: Plan) -> tuple[Expected, ...]:
    """Give what a launch of a user's server starts, instance by instance.

    The command itself is no matter: whoever started the server may have named another one than the study.

    Raises:
        ExportError: what the study says of the server does not fit the plan.
    """
    stated = server_of(plan) or LaunchSpec()
    server = stated.model_copy(update={"command": None, "directory": None})
    loose = {name for name, text in server.environment.items() if placeholders_of(text) & LOOSE}
    allowed, versions = _allowed(plan.machine), _versions(plan)
    return tuple(
        Expected(
            instances=(launched.index,),
            launched=launched,
            environment={
                name: value
                for name, value in launched.environment.items()
                if name not in (PLAN_VARIABLE, INSTANCE_VARIABLE)
            },
            loose=frozenset(loose),
            allowed=allowed,
            versions=versions,
            is_unbound=UNBOUND_WORDS in plan.warnings,
        )
        for launched in launch_of(plan, server, plan_path=PLAN_FILE).instances
    )


def merged(parts: Sequence[Expected]) -> Expected:
    """Give what a process should be that stands for several instances at once, as one of Triton does."""
    launched = replace(
        parts[0].launched,
        threads=sum(part.launched.threads for part in parts),
        cpus=tuple(sorted({cpu for part in parts for cpu in part.launched.cpus})),
        memory_nodes=tuple(sorted({node for part in parts for node in part.launched.memory_nodes})),
    )
    return replace(
        parts[0], instances=tuple(index for part in parts for index in part.instances), launched=launched
    )


def _allowed(machine: Mapping[str, Any]) -> frozenset[int]:
    try:
        return parse_cpu_list(str(machine.get("allowed", "")))
    except MachineError:
        return frozenset()


def _versions(plan: Plan) -> dict[str, str]:
    """Give the versions that the plan states of what its engine computes with."""
    try:
        backend = get_backend(plan.configuration.backend)
    except BackendError:
        return {}
    names = backend.loads_with if isinstance(backend, LoadsWith) else backend.packages
    return {name: plan.versions[name] for name in names if name in plan.versions and name != _OWN}
