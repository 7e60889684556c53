"""Sorts what went wrong with a worker into the closed set of failure kinds.

Imported by workers too, so it needs the standard library alone.
"""

from __future__ import annotations

import re
import signal
from collections.abc import Sequence

from autotune.errors import PlacementError, UnsupportedError
from autotune.machine.cpus import format_cpu_list
from autotune.measurement.measurement import FailureKind
from autotune.placement.pin import REFUSED_STATUS

MAX_REASON_CHARS = 2_000
"""Longest reason kept; engines put whole graphs into their messages."""

OUT_OF_MEMORY = re.compile(
    r"bad_alloc|MemoryError|can(?:'|no)t allocate memory|failed to allocate memory|out of memory",
    re.IGNORECASE,
)
"""Words of an allocation that failed.

Source: std::bad_alloc of libstdc++; CPython; PyTorch's c10/core/impl/alloc_cpu.cpp ("can't allocate memory:
you tried to allocate"); strerror(ENOMEM); ONNX Runtime's bfc_arena.cc ("Failed to allocate memory for
requested buffer").
"""

_PIN_WORDS = re.compile(r"^pin: (.*)$", re.MULTILINE)
"""What `autotune.placement.pin` says, on stderr, when it does not start the worker."""

_ESCAPE = re.compile(r"\x1b\[[0-9;?]*[ -/]*[@-~]")
"""A terminal's control sequence. Source: ECMA-48, 5.4."""


class InstanceError(Exception):
    """A worker failed; carries what the trial's `Failure` needs and does not leave this room.

    Attributes:
        instance: index of the worker; None where no single one is to blame.
        ended: the worker closed its channel without a word, so its exit status is to be asked.
    """

    def __init__(
        self, kind: FailureKind, reason: str, *, instance: int | None = None, ended: bool = False
    ) -> None:
        super().__init__(reason)
        self.kind = kind
        self.reason = reason
        self.instance = instance
        self.ended = ended


def kind_of_exception(error: BaseException) -> FailureKind:
    """Sort what a worker caught while it loaded or ran its engine."""
    if isinstance(error, InstanceError):
        return error.kind
    if isinstance(error, UnsupportedError):
        return FailureKind.UNSUPPORTED
    if isinstance(error, PlacementError):
        return FailureKind.PLACEMENT
    if isinstance(error, MemoryError) or OUT_OF_MEMORY.search(str(error)):
        return FailureKind.OUT_OF_MEMORY
    return FailureKind.CRASH


def reason_of_exception(error: BaseException) -> str:
    """Say what a worker caught, in the engine's own words, bounded."""
    words = str(error).strip()
    name = type(error).__name__
    is_own = isinstance(error, InstanceError | UnsupportedError | PlacementError)
    text = words if is_own and words else f"{name}: {words}" if words else name
    return readable(text)[:MAX_REASON_CHARS]


def sort_exit(
    returncode: int | None, stderr: str, *, oom_killed: bool | None, memory_nodes: Sequence[int] = ()
) -> tuple[FailureKind, str]:
    """Give kind and reason of a worker that ended without a word.

    Args:
        returncode: as `subprocess` has it, -N for signal N; None if it closed its channel but lives on.
        stderr: the tail of what it wrote there.
        oom_killed: the kernel has killed a process for want of memory during the trial; None where it does
            not tell.
        memory_nodes: that the worker's memory was bound to.
    """
    if returncode is None:
        return FailureKind.CRASH, "closed its channel without a result, and lives on"
    pin_words = _PIN_WORDS.search(stderr)
    if returncode == REFUSED_STATUS and pin_words:
        return FailureKind.PLACEMENT, pin_words[1]
    if returncode == -signal.SIGKILL and oom_killed:
        return FailureKind.OUT_OF_MEMORY, f"killed by the kernel because {_memory_words(memory_nodes)}"
    if returncode != 0 and OUT_OF_MEMORY.search(stderr):
        return FailureKind.OUT_OF_MEMORY, f"{_exit_words(returncode)} after an allocation failed"
    because = f": {pin_words[1]}" if pin_words else ""
    if returncode == -signal.SIGKILL and oom_killed is None:
        because = "; whether for want of memory, the kernel does not tell here"
    return FailureKind.CRASH, f"{_exit_words(returncode)} without a result{because}"


def _memory_words(nodes: Sequence[int]) -> str:
    """What a worker ran out of; the kernel tells no more than that it was memory."""
    if not nodes:
        return "the memory limit was reached, or the machine's memory was used up"
    bound = f"memory node{'' if len(nodes) == 1 else 's'} {format_cpu_list(nodes)}"
    return f"the memory limit was reached, or the memory of {bound}, to which it was bound, was used up"


def _exit_words(returncode: int) -> str:
    """Name a signal, or give the exit status."""
    if returncode >= 0:
        return f"ended with exit status {returncode}"
    try:
        return f"was killed by {signal.Signals(-returncode).name}"
    except ValueError:
        return f"was killed by signal {-returncode}"


def readable(text: str) -> str:
    """Drop control characters, terminal escapes among them; keep lines, make other white space blanks."""
    lines = _ESCAPE.sub("", text.replace("\r\n", "\n").replace("\r", "\n"))
    kept = (char if char == "\n" or char.isprintable() else " " * char.isspace() for char in lines)
    return "".join(kept)
