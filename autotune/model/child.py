"""Child processes for work that the parent must not do itself: importing engines and hub clients.

The request goes in on stdin and the reply comes out on the child's original stdout, one JSON document
each; whatever the child's libraries print goes to stderr. The child has its own session and dies with the
parent, however that ends.
"""

from __future__ import annotations

import ctypes
import json
import os
import pwd
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import IO, Any

from autotune import errors

PR_SET_PDEATHSIG = 1
"""Source: prctl(2), linux/prctl.h."""

STDERR_TAIL_BYTES = 8192

Handle = Callable[[dict[str, Any]], dict[str, Any]]
"""What a child does: from the request to the reply."""

CHILD_VARIABLES = ("HOME", "LANG", "LC_ALL", "LD_LIBRARY_PATH", "PATH", "PYTHONPATH", "TMPDIR", "VIRTUAL_ENV")
"""What every child inherits; the rest of the parent's environment (thread counts, affinity) stays out."""


@dataclass(frozen=True)
class ChildResult:
    """How a child ended.

    Attributes:
        reply: what it answered; None when it ended without an answer.
        returncode: as `subprocess` has it, negative for a signal.
        stderr_tail: the last of what it wrote to stderr; empty where stderr was shown instead.
    """

    reply: dict[str, Any] | None
    returncode: int
    stderr_tail: str
    timed_out: bool

    def raise_error(self) -> None:
        """Raise the error that the child answered, if it answered one."""
        if self.reply is None or "error" not in self.reply:
            return
        kind = getattr(errors, self.reply["error"])
        raise kind(self.reply["problem"], remedy=self.reply["remedy"])

    def last_words(self) -> str:
        """The last lines that it wrote to stderr, on one line; empty if it wrote none."""
        lines = [line.strip() for line in self.stderr_tail.splitlines() if line.strip()]
        return " | ".join(lines[-3:])


def run_child(
    module: str,
    request: Mapping[str, Any],
    *,
    timeout_s: float | None,
    variables: Mapping[str, str] | None = None,
    show_stderr: bool = False,
) -> ChildResult:
    """Run `module` in a child process and wait for its reply; nothing of it is alive afterwards.

    Args:
        module: a module whose main program calls `answer_parent`.
        variables: environment besides `CHILD_VARIABLES`.
        show_stderr: let it write to our stderr (progress), instead of keeping the tail.
    """
    with tempfile.TemporaryFile() as stderr:
        child = subprocess.Popen(
            [sys.executable, "-P", "-m", module, str(os.getpid())],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=None if show_stderr else stderr,
            env={**inherited_variables(), **(variables or {})},
            start_new_session=True,
        )
        output, timed_out = _communicate(child, json.dumps(request).encode(), timeout_s)
        return ChildResult(parse_reply(output), child.returncode, read_tail(stderr), timed_out)


def inherited_variables() -> dict[str, str]:
    """Give what a child's environment begins with."""
    inherited = {name: os.environ[name] for name in CHILD_VARIABLES if name in os.environ}
    return {**_stand_ins(), **inherited}


def _stand_ins() -> dict[str, str]:
    """A home and a name for a user that is in no list, such as one that a container was started with.

    Libraries ask for them when they are imported, if only to know where a cache would lie.
    """
    try:
        pwd.getpwuid(os.geteuid())
    except KeyError:
        return {"HOME": tempfile.gettempdir(), "LOGNAME": f"user-{os.geteuid()}"}
    return {}


def _communicate(
    child: subprocess.Popen[bytes], request: bytes, timeout_s: float | None
) -> tuple[bytes, bool]:
    try:
        output, _ = child.communicate(request, timeout=timeout_s)
    except subprocess.TimeoutExpired:
        return b"", True
    else:
        return output, False
    finally:
        _kill_session(child)


def _kill_session(child: subprocess.Popen[bytes]) -> None:
    """Kill whatever is left of the child's session; also on Ctrl-C, which reaches only the parent."""
    with suppress(ProcessLookupError):
        os.killpg(child.pid, signal.SIGKILL)
    child.wait()
    for pipe in (child.stdin, child.stdout):
        if pipe is not None and not pipe.closed:
            pipe.close()


def parse_reply(output: bytes) -> dict[str, Any] | None:
    """The one JSON document that a child answered; None if it did not."""
    try:
        reply = json.loads(output)
    except ValueError:
        return None
    return reply if isinstance(reply, dict) else None


def read_tail(file: IO[bytes]) -> str:
    """The last of what a child wrote to stderr."""
    size = file.seek(0, os.SEEK_END)
    file.seek(max(0, size - STDERR_TAIL_BYTES))
    return file.read().decode(errors="replace")


def answer_parent(handle: Handle) -> None:
    """Be a child: read the request, hand it to `handle`, write its reply.

    An `AutotuneError` that `handle` raises is the reply; any other exception ends the child with its
    traceback on stderr.
    """
    die_with_parent(int(sys.argv[1]))
    answer(handle)


def answer(handle: Handle) -> None:
    """Answer the request on stdin as `answer_parent` does; what libraries print goes to stderr."""
    replies = os.dup(1)
    os.dup2(2, 1)
    request = json.load(sys.stdin)
    try:
        reply = handle(request)
    except errors.AutotuneError as error:
        reply = {"error": type(error).__name__, "problem": error.problem, "remedy": error.remedy}
    with os.fdopen(replies, "w") as stream:
        json.dump(reply, stream)


def die_with_parent(parent: int) -> None:
    """Have the kernel kill this process when its parent dies; exit at once if it is dead already."""
    ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(1)
