"""Files of variables, one for each instance, for whatever starts the user's server."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import ClassVar, Final, Literal

from autotune.errors import ExportError
from autotune.exporters.protocol import Exported, ExportOptions, Keeps, Loss
from autotune.machine.cpus import format_cpu_list
from autotune.plan.launch import Launch, LaunchedInstance, Program

Reader = Literal["any", "docker", "systemd", "shell"]


KEPT_BY_THE_SHELL: Final = frozenset(
    (
        *("_", "BASHOPTS", "BASHPID", "BASH_ARGC", "BASH_ARGV", "BASH_ARGV0", "BASH_LINENO"),
        *(
            "BASH_SOURCE",
            "BASH_SUBSHELL",
            "BASH_VERSINFO",
            "COMP_WORDBREAKS",
            "DIRSTACK",
            "EPOCHREALTIME",
            "EPOCHSECONDS",
        ),
        *("EUID", "FUNCNAME", "GROUPS", "HISTCMD", "LINENO", "PIPESTATUS", "PPID", "RANDOM", "SECONDS"),
        *("SHELLOPTS", "SRANDOM", "UID"),
    )
)
"""Variables that bash sets anew, or lets nobody set. Source: bash(1), Shell Variables."""


class EnvOptions(ExportOptions):
    """Who reads the files."""

    reader: Reader = "any"
    """Who reads the files, as each quotes in its own way: `docker` (--env-file, no quotes at all), `systemd`
    (EnvironmentFile=), `shell` (sourced with `set -a`), or `any` of these and compose, for values that need
    no quotes."""


class EnvExporter:
    """Writes `instance-N.env`; something else starts and pins the processes."""

    name: ClassVar[str] = "env"
    summary: ClassVar[str] = "a file of variables for each instance, for docker, systemd or a shell"
    programs: ClassVar[frozenset[Program]] = frozenset({"command"})
    is_starting: ClassVar[bool] = False
    keeps: ClassVar[Keeps] = Keeps(argv="lost", environment="asked", cpus="lost", memory_nodes="lost")
    options: ClassVar[type[EnvOptions]] = EnvOptions

    def render(self, launch: Launch, options: EnvOptions) -> Exported:
        """Give a file for each instance.

        Raises:
            ExportError: a value cannot be written for this reader.
        """
        files = {
            f"instance-{instance.index}.env": _text(launch, instance, options.reader)
            for instance in launch.instances
        }
        return Exported(files, losses=tuple(_losses(launch)))


def _text(launch: Launch, instance: LaunchedInstance, reader: Reader) -> str:
    if reader == "shell":
        _refuse_names_of_the_shell(instance)
    write = _WRITERS[reader]
    head = f"# Instance {instance.index} of plan {launch.plan.id}; autotune export --to env\n"
    lines = []
    for name, value in instance.environment.items():
        written = write(value)
        if written is None:
            raise ExportError(
                f"{name} has the value {value!r:.80}, which {_READERS[reader]} cannot be given",
                remedy=_REMEDIES[reader],
            )
        lines.append(f"{name}={written}\n")
    return head + "".join(lines)


def _refuse_names_of_the_shell(instance: LaunchedInstance) -> None:
    for name in instance.environment:
        if name in KEPT_BY_THE_SHELL:
            raise ExportError(
                f"a shell keeps the variable {name} to itself: no file sets it",
                remedy=f"leave {name} out of launch.environment, or name another reader (--set reader=...)",
            )


def _losses(launch: Launch) -> list[Loss]:
    losses = []
    first = launch.instances[0]
    if launch.has_command:
        losses.append(Loss("argv", "The files hold variables alone: start your server yourself."))
    if unset := " ".join(first.unset):
        losses.append(
            Loss(
                "environment", f"A file of variables can take none away: see that these are not set: {unset}."
            )
        )
    if launch.is_pinned:
        cpus = format_cpu_list(first.cpus)
        losses.append(
            Loss(
                "cpus",
                "Pin each process yourself, as with taskset -c, docker's --cpuset-cpus or systemd's "
                f"CPUAffinity: instance 0 to cpus {cpus}, and so on.",
            )
        )
    if launch.binds_memory:
        nodes = format_cpu_list(first.memory_nodes)
        losses.append(
            Loss(
                "memory_nodes",
                "Bind each process's memory yourself, as with numactl --membind, docker's --cpuset-mems or "
                f"systemd's NUMAMask: instance 0 to node {nodes}, and so on.",
            )
        )
    return losses


_PLAIN = re.compile(r"[^\s\"'`\\$#\x00-\x1f\x7f]*")


def _plain(value: str) -> str | None:
    """What every reader takes as it stands."""
    return value if _PLAIN.fullmatch(value) and value.isprintable() else None


def _docker(value: str) -> str | None:
    """Docker takes everything up to the end of the line. Source: docker/cli, pkg/kvfile."""
    return None if re.search(r"[\n\r\x00]", value) else value


def _systemd(value: str) -> str | None:
    """Quote with double quotes, in which a backslash stands before these four.

    Source: systemd, basic/env-file.c, and env_value_is_valid in basic/env-util.c.
    """
    if re.search(r"[\x00-\x08\x0b-\x1f\x7f]", value):
        return None  # systemd logs the line and passes over it
    return '"' + re.sub(r'(["\\`$])', r"\\\1", value) + '"'


def _shell(value: str) -> str | None:
    from autotune.exporters.shell import quoted

    return str(quoted(value))


_WRITERS: Final[Mapping[Reader, Callable[[str], str | None]]] = {
    "any": _plain,
    "docker": _docker,
    "systemd": _systemd,
    "shell": _shell,
}

_READERS: Final[Mapping[Reader, str]] = {
    "any": "some readers of such files",
    "docker": "docker's --env-file",
    "systemd": "systemd's EnvironmentFile",
    "shell": "a shell",
}

_REMEDIES: Final[Mapping[Reader, str]] = {
    "any": "name who reads them: --set reader=docker, systemd or shell",
    "docker": "leave line breaks out of it, or set it in another way",
    "systemd": "leave control characters out of it, or set it in another way",
    "shell": "",
}
