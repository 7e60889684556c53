"""Has a process of its own do what needs libraries, memory or time that the HTTP process is to do without."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from typing import Any, Final

from autotune import errors
from autotune.errors import AutotuneError, BusyError, FileFault, ServiceError, StudyFileError

LONGEST_S: Final = 60.0
"""A dry run on a machine with 256 cores takes a few seconds."""

_ASKING: Final = threading.BoundedSemaphore(2)
"""One is at work while one more waits: each that waits keeps one of the few threads."""
_ONE: Final = threading.Lock()


def ask_child(task: str, asked: dict[str, Any]) -> dict[str, Any]:
    """Have a child do a task of `autotune.service.child`, one at a time, and give its answer.

    Raises:
        BusyError: others ask, too.
        TimeoutError: it took too long, and was ended.
        ServiceError: it ended without an answer.
        AutotuneError: what it met.
    """
    if not _ASKING.acquire(blocking=False):
        raise BusyError("others ask for this, too", remedy="ask again in a moment", after_s=5)
    try:
        with _ONE:
            answer = _run({"task": task, **asked})
    finally:
        _ASKING.release()
    if "error" in answer:
        raise _error(answer["error"])
    return answer


def _run(asked: dict[str, Any]) -> dict[str, Any]:
    command = [sys.executable, "-P", "-m", "autotune.service.child"]
    try:
        ended = subprocess.run(
            command, input=json.dumps(asked), capture_output=True, text=True, timeout=LONGEST_S, check=False
        )
    except subprocess.TimeoutExpired:
        raise TimeoutError from None
    if ended.returncode != 0:
        last = (ended.stderr.strip().splitlines() or ["no word"])[-1]
        raise ServiceError(
            f"the process that looks at this ended with {ended.returncode}: {last[:300]}",
            remedy="look on the machine itself: autotune tune STUDY.yaml --dry-run, or autotune doctor",
        )
    answer: dict[str, Any] = json.loads(ended.stdout)
    return answer


def _error(told: dict[str, Any]) -> AutotuneError:
    """Give the error that the child has met."""
    kind = getattr(errors, told["kind"], AutotuneError)
    if kind is StudyFileError:
        faults = [FileFault(**fault) for fault in told["faults"]]
        return StudyFileError(told["problem"], remedy=told["remedy"], faults=faults)
    error: AutotuneError = kind(told["problem"], remedy=told["remedy"])
    return error
