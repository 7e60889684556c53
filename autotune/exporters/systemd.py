"""Units of systemd: a template, a drop-in for each instance, and a target over all of them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Annotated, ClassVar, Final, Literal

from pydantic import Field

from autotune.errors import ExportError
from autotune.exporters.option_values import User
from autotune.exporters.protocol import EVERYTHING, Exported, ExportOptions, Keeps
from autotune.machine.cpus import format_cpu_list
from autotune.plan.launch import Launch, LaunchedInstance, Program

SystemdRestart = Literal["no", "on-failure", "always"]

NAME_PATTERN: Final = r"^[A-Za-z0-9][A-Za-z0-9:_.-]{0,99}$"


class SystemdOptions(ExportOptions):
    """How the units are called, and what becomes of a server that ends."""

    name: Annotated[
        str,
        Field(
            pattern=NAME_PATTERN,
            title="a name of letters, digits and : _ . -, a letter or digit first, such as encoder",
        ),
    ] = "autotune"
    """Name of the units: NAME.target starts NAME@0.service, NAME@1.service and so on."""
    user: User = ""
    """User that the servers run as; by default root, as systemd has it."""
    restart: SystemdRestart = "on-failure"
    """When a server that ended is started again: `no`, `on-failure` or `always`."""
    restart_s: Annotated[int, Field(ge=0, le=3_600)] = 1
    """Seconds before it is started again."""
    grace_s: Annotated[int, Field(ge=0, le=3_600)] = 10
    """Seconds that a server is given to end after SIGTERM, before it is killed."""


class SystemdExporter:
    """Writes NAME@.service, NAME@N.service.d/launch.conf and NAME.target, for /etc/systemd/system."""

    name: ClassVar[str] = "systemd"
    summary: ClassVar[str] = "units: a template, a drop-in for each instance, and a target"
    programs: ClassVar[frozenset[Program]] = frozenset({"command"})
    is_starting: ClassVar[bool] = True
    keeps: ClassVar[Keeps] = EVERYTHING
    options: ClassVar[type[SystemdOptions]] = SystemdOptions

    def render(self, launch: Launch, options: SystemdOptions) -> Exported:
        """Give the units.

        Raises:
            ExportError: the program is no absolute path, or systemd cannot be given a text.
        """
        name = options.name
        drop_ins = {
            f"{name}@{instance.index}.service.d/launch.conf": _lines(_drop_in(launch, instance))
            for instance in launch.instances
        }
        services = [f"{name}@{instance.index}.service" for instance in launch.instances]
        return Exported(
            {
                f"{name}@.service": _lines(_template(launch, options)),
                **drop_ins,
                f"{name}.target": _lines(_target(launch, services)),
            }
        )


def _template(launch: Launch, options: SystemdOptions) -> Iterator[str]:
    """What all instances have in common; without a drop-in there is nothing to start."""
    yield "[Unit]"
    yield f"Description=Instance %i of plan {launch.plan.id}"
    yield f"PartOf={options.name}.target"
    yield "After=network.target"
    yield ""
    yield "[Service]"
    yield "Type=exec"
    if options.user:
        yield f"User={options.user}"
    yield f"Restart={options.restart}"
    yield f"RestartSec={options.restart_s}"
    yield "KillMode=mixed"
    yield f"TimeoutStopSec={options.grace_s}"


def _drop_in(launch: Launch, instance: LaunchedInstance) -> Iterator[str]:
    yield f"# Instance {instance.index} of plan {launch.plan.id}; autotune export --to systemd"
    yield "[Service]"
    if instance.unset:
        yield f"UnsetEnvironment={' '.join(instance.unset)}"
    for name, value in instance.environment.items():
        yield f"Environment={_variable(name, value)}"
    if instance.directory:
        yield f"WorkingDirectory={_directory(instance.directory)}"
    if instance.cpus:
        cpus = format_cpu_list(instance.cpus).replace(",", " ")
        yield f"CPUAffinity={cpus}"
        yield f"AllowedCPUs={cpus}"
    if instance.memory_nodes:
        nodes = format_cpu_list(instance.memory_nodes).replace(",", " ")
        yield "NUMAPolicy=bind"
        yield f"NUMAMask={nodes}"
        yield f"AllowedMemoryNodes={nodes}"
    program, *arguments = instance.argv
    words = [_program(program), *(_quoted(word).replace("$", "$$") for word in arguments)]
    yield f"ExecStart={' '.join(words)}"


def _target(launch: Launch, services: list[str]) -> Iterator[str]:
    yield "[Unit]"
    yield f"Description=All instances of plan {launch.plan.id}"
    yield f"Wants={' '.join(services)}"
    yield ""
    yield "[Install]"
    yield "WantedBy=multi-user.target"


def _lines(lines: Iterator[str]) -> str:
    return "".join(f"{line}\n" for line in lines)


_ESCAPES: Final = {'"': r"\"", "\\": r"\\", "\n": r"\n", "\t": r"\t", "\r": r"\r", "%": "%%"}


def _quoted(text: str) -> str:
    """One word, in double quotes with C's escapes; no specifier is expanded. Source: systemd.syntax(7)."""
    return f'"{"".join(map(_escaped, text))}"'


def _escaped(char: str) -> str:
    if char in _ESCAPES:
        return _ESCAPES[char]
    return f"\\x{ord(char):02x}" if ord(char) < 32 or ord(char) == 127 else char


def _variable(name: str, value: str) -> str:
    """An assignment, of which systemd passes over those with control characters.

    Source: systemd, env_value_is_valid in basic/env-util.c.
    """
    if re.search(r"[\x00-\x08\x0b-\x1f\x7f]", value):
        raise ExportError(
            f"{name} has the value {value!r:.80}, which systemd cannot be given",
            remedy="leave control characters out of it",
        )
    return _quoted(f"{name}={value}")


def _program(path: str) -> str:
    """The program, which systemd wants by an absolute path of harmless characters.

    Source: systemd, string_is_safe in basic/string-util.c; `$` is expanded in arguments alone.
    """
    if not path.startswith("/"):
        raise ExportError(
            f"systemd looks for the program {path!r:.80} in its own folders alone",
            remedy="give its absolute path, such as /srv/venv/bin/uvicorn",
        )
    if re.search(r"[\x00-\x1f\x7f\"'\\$]", path):
        raise ExportError(
            f"systemd takes no program with quotes, backslashes, `$` or control characters, as {path!r:.80}",
            remedy="make a link to it under another path",
        )
    return _quoted(path)


def _directory(path: str) -> str:
    """A folder, which systemd takes as it stands up to the end of the line."""
    if re.search(r"[\x00-\x1f\x7f]", path) or path.endswith((" ", "\\")):
        raise ExportError(
            f"systemd cannot be given the working directory {path!r:.80}",
            remedy="name one without control characters, and without a blank or backslash at its end",
        )
    return path.replace("%", "%%")
