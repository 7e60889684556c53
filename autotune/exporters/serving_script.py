"""What scripts of bash that start and watch servers are told of each instance."""

from __future__ import annotations

from typing import Any

from autotune.errors import ExportError
from autotune.machine.cpus import format_cpu_list
from autotune.plan.launch import LaunchedInstance


def instance_values(instance: LaunchedInstance) -> dict[str, Any]:
    """Give an instance in the words of the templates; all of it is quoted there."""
    return {
        "index": instance.index,
        "port": "" if instance.port is None else instance.port,
        "ports": [] if instance.port is None else [instance.port],
        "directory": instance.directory,
        "cpus": format_cpu_list(instance.cpus),
        "memory_nodes": format_cpu_list(instance.memory_nodes),
        "unset": instance.unset,
        "variables": [f"{name}={value}" for name, value in instance.environment.items()],
        "arguments": instance.argv,
    }


def refuse_what_env_mistakes(program: str, remedy: str) -> None:
    """Refuse a program that `env`, which sets variables in front of it, would take for something else.

    Raises:
        ExportError: its path has `=` in it, or begins with a dash.
    """
    if "=" in program or program.startswith("-"):
        raise ExportError(
            f"`env` would take the program {program!r:.80} for a variable or an option", remedy=remedy
        )
