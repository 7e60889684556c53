"""What comes out where running processes are compared with their plan: a sentence for each aspect."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal, get_args

Aspect = Literal["processes", "cpus", "memory", "threads", "environment", "libraries"]
"""What is compared of an instance."""
ASPECTS: Final[tuple[Aspect, ...]] = get_args(Aspect)

Likeness = Literal["as planned", "differs", "cannot be told"]

DECISIVE: Final[frozenset[Aspect]] = frozenset({"processes", "cpus", "memory", "environment"})
"""Where one of these cannot be told, nobody can say that nothing differs. Threads and libraries are known as
far as a server has used them, and no further."""


@dataclass(frozen=True)
class Finding:
    """One aspect of an instance, or of all instances together.

    Attributes:
        instance: None = of the plan as a whole.
        said: in a clause, with the value that was found and the plan's.
        remedy: what helps; empty where there is nothing to do.
        pids: processes that it is about.
    """

    instance: int | None
    aspect: Aspect
    likeness: Likeness
    said: str
    remedy: str = ""
    pids: tuple[int, ...] = ()


ANEW: Final = "end it, and start it by a launch of the plan: autotune export REF -o launch/"
READABLE: Final = "run this as the user of these processes, or as root"
READABLE_TO_ROOT: Final = (
    "run this as the user of these processes, or on the host as root; root of a container may look at them "
    "with the capability SYS_PTRACE (docker run --cap-add SYS_PTRACE)"
)
"""The same where root asks already, and was refused."""

_NAMED: Final = 6
"""So many of a list are named."""


def listed(items: Sequence[object]) -> str:
    """Name the first few of a list, and count the rest: `7, 8, 9, 10, 11, 12 and 37 more`."""
    named = ", ".join(map(str, items[:_NAMED]))
    return f"{named} and {len(items) - _NAMED} more" if len(items) > _NAMED else named


def differing(aspect: Aspect, said: str, pids: tuple[int, ...], remedy: str = ANEW) -> Finding:
    """Give a difference of whichever instance is looked at."""
    return Finding(None, aspect, "differs", said, remedy, pids)


def untold(aspect: Aspect, said: str, pids: tuple[int, ...], remedy: str = READABLE) -> Finding:
    """Give what cannot be told of whichever instance is looked at."""
    return Finding(None, aspect, "cannot be told", said, remedy, pids)


def alike(aspect: Aspect, said: str) -> Finding:
    """Give what is as planned of whichever instance is looked at."""
    return Finding(None, aspect, "as planned", said)
