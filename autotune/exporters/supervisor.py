"""Program sections for supervisor: one for each instance, and a group over all of them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Annotated, ClassVar, Final, Literal

from pydantic import Field

from autotune.errors import ExportError
from autotune.exporters.option_values import User
from autotune.exporters.protocol import Exported, ExportOptions, Keeps, Loss
from autotune.exporters.serving_script import refuse_what_env_mistakes
from autotune.machine.cpus import format_cpu_list
from autotune.plan.launch import Launch, LaunchedInstance, Program

SupervisorRestart = Literal["false", "unexpected", "true"]


class SupervisorOptions(ExportOptions):
    """How the programs are called, and what becomes of a server that ends."""

    name: Annotated[
        str,
        Field(
            pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,99}$",
            title="a name of letters, digits and _ . -, a letter or digit first, such as encoder",
        ),
    ] = "autotune"
    """Name of the group; its programs are NAME-0, NAME-1 and so on."""
    user: User = ""
    """User that the servers run as; by default that of supervisord."""
    restart: SupervisorRestart = "unexpected"
    """When a server that ended is started again: `false`, `unexpected` (it failed) or `true`."""
    grace_s: Annotated[int, Field(ge=0, le=3_600)] = 10
    """Seconds that a server is given to end after SIGTERM, before it is killed."""


class SupervisorExporter:
    """Writes `NAME.conf`, for the folder that `[include]` of supervisord.conf names.

    The command line carries everything. supervisor's own `environment=` knows no escapes, and `directory=` no
    quotes.
    """

    name: ClassVar[str] = "supervisor"
    summary: ClassVar[str] = "NAME.conf, with a program for each instance"
    programs: ClassVar[frozenset[Program]] = frozenset({"command"})
    is_starting: ClassVar[bool] = True
    keeps: ClassVar[Keeps] = Keeps(argv="exact", environment="exact", cpus="asked", memory_nodes="exact")
    options: ClassVar[type[SupervisorOptions]] = SupervisorOptions

    def render(self, launch: Launch, options: SupervisorOptions) -> Exported:
        """Give `NAME.conf`.

        Raises:
            ExportError: supervisor cannot be given a text.
        """
        names = [f"{options.name}-{instance.index}" for instance in launch.instances]
        lines = [
            f"; All instances of plan {launch.plan.id}; autotune export --to supervisor",
            f"[group:{options.name}]",
            f"programs={','.join(names)}",
        ]
        for name, instance in zip(names, launch.instances, strict=True):
            lines += ["", f"[program:{name}]", *_program(instance, options)]
        text = "".join(f"{line}\n" for line in lines)
        return Exported({f"{options.name}.conf": text}, losses=tuple(_losses(launch)))


def _program(instance: LaunchedInstance, options: SupervisorOptions) -> Iterator[str]:
    yield f"command={' '.join(_quoted(word) for word in _words(instance))}"
    if options.user:
        yield f"user={options.user}"
    yield "autostart=true"
    yield f"autorestart={options.restart}"
    yield f"stopwaitsecs={options.grace_s}"
    yield "killasgroup=true"


def _words(instance: LaunchedInstance) -> Iterator[str]:
    """The server's command line, with what sets and pins it in front; each becomes the next."""
    refuse_what_env_mistakes(instance.argv[0], "give it a path without '=', and no '-' in front")
    yield "env"
    if instance.directory:
        yield f"--chdir={instance.directory}"
    for name in instance.unset:
        yield f"--unset={name}"
    for name, value in instance.environment.items():
        yield f"{name}={value}"
    if instance.memory_nodes:
        yield "numactl"
        if instance.cpus:
            yield f"--physcpubind={format_cpu_list(instance.cpus)}"
        yield f"--membind={format_cpu_list(instance.memory_nodes)}"
    elif instance.cpus:
        yield from ("taskset", "-c", format_cpu_list(instance.cpus))
    yield from instance.argv


def _losses(launch: Launch) -> Iterator[Loss]:
    if launch.is_pinned and not launch.binds_memory:
        yield Loss(
            "cpus",
            "taskset takes what it can get: where one of an instance's cpus cannot be used, it runs on the "
            "others, and nothing says so.",
        )


_QUOTED: Final = {
    "'": "'\"'\"'",
    "%": "%%''",  # expanded twice, and `%(here)s` even where its % is doubled
    ";": "'';",  # a comment where a blank is before it
    "#": "''#",
    "\n": "''\n    ''",  # blanks at both ends of a line are taken away
}
"""What supervisor mistakes within single quotes; `''` ends and opens them, so that something is between.

Source: supervisor, UnhosedConfigParser and expand in options.py, get_execv_args in process.py.
"""


def _quoted(word: str) -> str:
    """One word of a command, as shlex reads it after configparser and supervisor's own expansions."""
    if "\r" in word:
        raise ExportError(
            f"supervisor cannot be given {word!r:.80}, as it reads a carriage return as a line's end",
            remedy="leave carriage returns out of it",
        )
    if re.fullmatch(r"[\w@+=:,./-]+", word, re.ASCII):
        return word
    return f"'{''.join(_QUOTED.get(char, char) for char in word)}'"
