"""How a child that was to prepare something has ended: with its answer, or why there is none."""

from __future__ import annotations

import signal
from typing import Any

from autotune.errors import MemoryShortageError, PreparationError
from autotune.model.child import ChildResult

WANT_OF_MEMORY = (
    *("can't allocate memory", "not enough memory", "bad_alloc", "Failed to allocate"),
    *("MemoryError", "Cannot allocate memory"),
)
"""How torch's, libstdc++'s and ONNX Runtime's allocators say so, CPython, and strerror(ENOMEM)."""

WANT_OF_SPACE = ("No space left on device", "os error 28")
"""How libraries that are not Python's say ENOSPC."""

MORE_MEMORY = "stop other programs, raise the memory limit, or use a smaller model"
AGAIN = "run it again: it goes on with what is prepared so far"
OR_WITHOUT = "run it again; if it ends so once more, leave this engine or precision out of the study"


def want_behind(error: BaseException | None) -> BaseException | None:
    """The want of memory or space that an error comes from, or is, which says nothing of the model."""
    while error is not None:
        words = str(error)
        if isinstance(error, MemoryError) or any(one in words for one in (*WANT_OF_MEMORY, *WANT_OF_SPACE)):
            return error
        error = error.__cause__
    return None


def says_nothing_of_model(error: Exception) -> bool:
    """Whether an error is of this machine, its memory or its disks, and not of a model or an engine."""
    is_of_disk = isinstance(error, OSError) and error.errno is not None
    return is_of_disk or want_behind(error) is not None


def reply_of(result: ChildResult, what: str, timeout_s: float, *, oom_killed: bool | None) -> dict[str, Any]:
    """The child's reply.

    Args:
        what: was to be prepared, for the message.
        oom_killed: the kernel has killed a process for want of memory meanwhile; None where it does not tell.

    Raises:
        AutotuneError: the one that it answered, or a PreparationError for how it ended: MemoryShortageError
            where the kernel killed it, or its last words say that an allocation failed.
    """
    result.raise_error()
    if result.timed_out:
        raise PreparationError(
            f"preparing {what} took longer than {timeout_s:g} s",
            remedy="allow more time, or use a smaller model",
        )
    if result.reply is not None:
        return result.reply
    how, helps = _end_in_words(result, oom_killed)
    words = result.last_words()
    remedies = (helps, f"its last words: {words}" if words else "")
    kind = MemoryShortageError if helps is MORE_MEMORY else PreparationError
    raise kind(f"preparing {what} {how}", remedy="; ".join(filter(None, remedies)))


def _end_in_words(result: ChildResult, oom_killed: bool | None) -> tuple[str, str]:
    """How a child ended that gave no answer, and what helps."""
    returncode = result.returncode
    if returncode == -signal.SIGKILL:
        return _kill_in_words(oom_killed)
    is_short = any(phrase in result.last_words() for phrase in WANT_OF_MEMORY)
    helps = MORE_MEMORY if is_short else OR_WITHOUT
    if returncode < 0:
        return f"crashed with {signal.Signals(-returncode).name}", helps
    return f"ended with exit status {returncode} and no answer", helps


def _kill_in_words(oom_killed: bool | None) -> tuple[str, str]:
    if oom_killed:
        return "was killed by the kernel for want of memory", MORE_MEMORY
    if oom_killed is None:
        how = "was killed by SIGKILL: for want of memory, which the kernel does not tell here, or by somebody"
        return how, f"{MORE_MEMORY}; if it was somebody, {AGAIN}"
    return "was killed by somebody (SIGKILL), not by the kernel for want of memory", AGAIN
