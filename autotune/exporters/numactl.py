"""A bash script that starts the plan's processes with numactl or taskset, and shows what they do."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterable, Mapping
from functools import cache
from typing import ClassVar

from jinja2 import Environment, PackageLoader, StrictUndefined, Template

from autotune.errors import ExportError, PlanError
from autotune.machine.cpus import format_cpu_list
from autotune.placement.placement import Command
from autotune.plan.document import Plan
from autotune.plan.study import spec_of
from autotune.spec.scenario import traits_of
from autotune.trial.asked import AskedRate, ask, asked_to_json

SCRIPT = "launch.sh"


class NumactlExporter:
    """Writes `launch.sh`, for bash 4.4 or newer.

    Binding memory needs numactl, and cpus alone need taskset. A plan for one memory node binds no memory.
    """

    name: ClassVar[str] = "numactl"
    executable: ClassVar[frozenset[str]] = frozenset({SCRIPT})

    def render(self, plan: Plan) -> Mapping[str, str]:
        """Give `launch.sh`.

        Raises:
            ExportError: a program's path has `=` in it, which `env` would take for a variable.
        """
        commands = plan.commands()
        for command in commands:
            _check_program(command.argv[0])
        text = _template().render(
            plan=plan,
            interpreter=commands[0].argv[0],
            asked=json.dumps(asked_to_json(ask(commands, plan.configuration, plan.scenario, _rate(plan)))),
            artifact=plan.model.get("artifact") or "",
            requests=plan.model.get("requests") or "",
            instances=[_instance(command) for command in commands],
        )
        return {SCRIPT: text}


class _Shell(str):
    """Text that is already safe in a script."""

    __slots__ = ()


def _quoted(value: object) -> _Shell:
    """Quote what a template inserts as one word of the shell, unless it is `_Shell` already."""
    if isinstance(value, _Shell):
        return value
    text = str(value)
    return _Shell(shlex.quote(text) if text.isprintable() else f"$'{''.join(map(_escaped, text))}'")


def _escaped(char: str) -> str:
    """One character within `$'...'`: what could steer a terminal or an editor is spelled out in bytes."""
    if char.isprintable() and char not in "'\\":
        return char
    return "".join(f"\\x{byte:02x}" for byte in char.encode())


def _words(values: Iterable[object]) -> _Shell:
    """Quote each, and put blanks between."""
    return _Shell(" ".join(map(_quoted, values)))


def _comment(value: object) -> _Shell:
    """Make text safe behind a `#`: one line, nothing that steers a terminal."""
    return _Shell("".join(char if char.isprintable() else f"\\u{ord(char):04x}" for char in str(value)))


@cache
def _template() -> Template:
    """The template; whatever it inserts is quoted, so that no expression in it can forget to."""
    environment = Environment(
        loader=PackageLoader("autotune.exporters"),
        finalize=_quoted,
        undefined=StrictUndefined,
        autoescape=False,
        comment_start_string="{##",  # bash writes `${#array[@]}`
        comment_end_string="##}",
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters |= {"comment": _comment, "words": _words}
    return environment.get_template(f"{SCRIPT}.j2")


def _rate(plan: Plan) -> AskedRate | None:
    """The load that a `server` was found to bear.

    Raises:
        ExportError: the plan does not say which latency it keeps to.
    """
    if not traits_of(plan.scenario).seeks_rate:
        return None
    try:
        spec = spec_of(plan)
    except PlanError as error:
        raise ExportError(f"the plan {plan.id} holds no study", remedy="tune again") from error
    if spec.limits.latency is None:
        raise ExportError(f"the plan {plan.id} of a server has no limit of latency", remedy="tune again")
    rate_per_s = plan.estimate.throughput_sps / spec.problem.batch_size
    return AskedRate(rate_per_s, spec.limits.latency.percentile, spec.limits.latency.max_s)


def _instance(command: Command) -> dict[str, object]:
    variables = [f"{name}={value}" for name, value in command.environment.items()]
    return {
        "cpus": format_cpu_list(command.cpus),
        "memory_nodes": format_cpu_list(command.memory_nodes),
        "variables": variables,
        "arguments": list(command.argv),
    }


def _check_program(path: str) -> None:
    if "=" in path or path.startswith("-"):
        raise ExportError(
            f"`env` would take the program {path!r} for a variable or an option",
            remedy="install autotune under a path without '=', and tune again",
        )
