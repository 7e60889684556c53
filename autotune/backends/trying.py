"""Gives up a way of export that ends its process, or takes too long, so that the next way is tried.

A process cannot say that it has crashed. So it writes down which way it tries before it does. Where it ends
meanwhile, whoever has started it starts another process, which goes on with the next way.
"""

from __future__ import annotations

import json
import shutil
import signal
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from autotune.backends.ending import WANT_OF_MEMORY
from autotune.model.child import ChildResult

TRIED_FILE = "tried.json"

LONGEST_WAY_S = 1200
"""What one way may take: of half an hour for all, it leaves the others ten minutes."""

CRASHES = frozenset((signal.SIGSEGV, signal.SIGABRT, signal.SIGBUS, signal.SIGILL, signal.SIGFPE))
"""Signals that a process gets for what it does itself."""


@contextmanager
def trying(
    directory: Path, failed: Mapping[str, str], way: str, longest_s: int = LONGEST_WAY_S
) -> Iterator[None]:
    """Note in `directory` which way this process tries; the kernel ends the process if that takes too long.

    Args:
        failed: why each way before it was not taken.
    """
    file = directory / TRIED_FILE
    file.write_text(json.dumps({"failed": dict(failed), "trying": way}))
    signal.alarm(longest_s)  # nobody handles it: in an exporter's own code no handler of Python's would run
    try:
        yield
    finally:
        signal.alarm(0)
        file.unlink()


def given_up(directory: Path) -> dict[str, str]:
    """Read why each way was not taken that earlier processes tried; empty where there were none."""
    file = directory / TRIED_FILE
    return dict(json.loads(file.read_bytes())["failed"]) if file.is_file() else {}


def going_on(run: Callable[[float], ChildResult], directory: Path, timeout_s: float) -> ChildResult:
    """Run a child that prepares in `directory`; where a way ends it, run another one, without that way.

    Args:
        run: runs a child for so many seconds at most.
        timeout_s: for all of them together.
    """
    until_s = time.monotonic() + timeout_s
    result = run(timeout_s)
    while (why := _crash(result)) and _give_up(directory, why):
        if (left_s := until_s - time.monotonic()) <= 0:
            break
        result = run(left_s)
    return result


def _crash(result: ChildResult) -> str:
    """Say how a child ended by its own doing, as a fault of the way; empty where it ended otherwise."""
    if any(phrase in result.last_words() for phrase in WANT_OF_MEMORY):
        return ""
    number = -result.returncode
    if number == signal.SIGALRM:
        return f"takes longer than {LONGEST_WAY_S} s"
    return f"ends its process with {signal.Signals(number).name}" if number in CRASHES else ""


def _give_up(directory: Path, why: str) -> bool:
    """Note why the way that ended a process is not to be tried again, and delete what it left behind.

    Returns:
        Whether it was a way that ended it.
    """
    file = directory / TRIED_FILE
    if not file.is_file():
        return False
    stated = json.loads(file.read_bytes())
    if not stated["trying"]:  # the process ended before it tried one
        return False
    shutil.rmtree(directory)
    directory.mkdir()
    file.write_text(json.dumps({"failed": {**stated["failed"], stated["trying"]: why}, "trying": ""}))
    return True
