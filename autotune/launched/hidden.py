"""Names the processes that may not be looked at, and might be a plan's for all that can be told.

Not all that is hidden leaves a question open. What was started before the plan was made is none of its
instances, and neither is the first process of a machine or a container that only minds the others.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final

from autotune.launched.proc import ProcFiles

INITS: Final = frozenset(
    {
        *("systemd", "init", "runit", "s6-svscan", "catatonit", "tini", "tini-static", "dumb-init"),
        *("docker-init", "podman-init", "pause", "supervisord"),
    }
)
"""Names of programs that are the first process of a machine or a container, and serve nothing themselves."""

CLOCK_S: Final = 60.0
"""By so much a clock may have been set since a plan was made."""


@dataclass(frozen=True)
class HiddenProcess:
    """A process whose variables may not be read.

    Attributes:
        name: as the kernel has it: the program's, at most 15 characters.
        user: the number of the user that it runs as; -1 where the kernel does not say.
    """

    pid: int
    name: str
    user: int

    @property
    def in_words(self) -> str:
        """As `812 ('python' of user 1000)`."""
        return f"{self.pid} ({self.name!r} of user {'unknown' if self.user < 0 else self.user})"


def hidden_processes(
    pids: Iterable[int], files: ProcFiles, *, made_s: float = 0.0
) -> Iterator[HiddenProcess]:
    """Give those of some unreadable processes that may be an instance of a plan.

    Args:
        made_s: Unix time at which the plan was made; 0 = not known.
    """
    for pid in pids:
        try:
            status, started_s = files.fields(pid, "status"), files.started_s(pid)
        except OSError:
            continue  # it has ended
        name = status.get("Name", "")
        is_older = started_s is not None and started_s < made_s - CLOCK_S
        if not is_older and not (name in INITS and _is_first(pid, status.get("NSpid", ""))):
            user = status.get("Uid", "").split()
            yield HiddenProcess(pid, name, int(user[0]) if user and user[0].isdigit() else -1)


def _is_first(pid: int, inner: str) -> bool:
    return pid == 1 or inner.split()[-1:] == ["1"]
