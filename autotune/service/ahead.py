"""Dry runs over HTTP: in a process of their own, one at a time, within bounds of time and memory.

What lays out a study's space needs libraries, memory and cpus that the HTTP process is to do without; and a
stranger's study may have an absurd space.
"""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from dataclasses import dataclass
from typing import Any, Final

from autotune import errors
from autotune.errors import AutotuneError, BusyError, FileFault, RequestError, ServiceError, StudyFileError
from autotune.service.context import Context
from autotune.spec.study import StudySpec

LONGEST_S: Final = 60.0
"""A dry run of a machine with 256 cores takes a few seconds."""

_ASKING: Final = threading.BoundedSemaphore(2)
"""One dry run is under way while one more waits: each that waits keeps one of the few threads."""
_ONE: Final = threading.Lock()

MEASURING: Final = (
    "a job measures on this machine and the service has no cpu of its own, so the study was checked, and its "
    "space not laid out"
)


@dataclass(frozen=True)
class Ahead:
    """What a study would do.

    Attributes:
        document: as `autotune tune --dry-run --json` prints it; None where it was not laid out.
        lines: as `autotune tune --dry-run` prints it.
        skipped: why it was not laid out; empty where it was.
    """

    document: dict[str, Any] | None
    lines: tuple[str, ...] = ()
    skipped: str = ""


def look_ahead(context: Context, spec: StudySpec) -> Ahead:
    """Say what an admitted study would try here, and for how long; nothing is measured or stored.

    Raises:
        BusyError: others have asked for dry runs, too.
        RequestError: the space is too large to be laid out in time.
        AutotuneError: the study would be refused.
    """
    if not context.settings.cpus and context.queue.running(context.machine) is not None:
        return Ahead(None, skipped=MEASURING)
    if not _ASKING.acquire(blocking=False):
        raise BusyError("other dry runs are under way", remedy="ask again in a moment", after_s=5)
    try:
        with _ONE:
            answer = _run({"study": spec.model_dump(mode="json"), "offline": not context.settings.hub})
    finally:
        _ASKING.release()
    if "error" in answer:
        raise _error(answer["error"])
    return Ahead(answer["document"], tuple(answer["lines"]))


def _run(asked: dict[str, Any]) -> dict[str, Any]:
    """Have a child look, and give its answer."""
    command = [sys.executable, "-P", "-m", "autotune.service.ahead_child"]
    try:
        ended = subprocess.run(
            command, input=json.dumps(asked), capture_output=True, text=True, timeout=LONGEST_S, check=False
        )
    except subprocess.TimeoutExpired:
        raise RequestError(
            f"the study's space cannot be laid out within {LONGEST_S:g} s",
            path="study.search",
            remedy="name fewer values in `search`",
        ) from None
    if ended.returncode != 0:
        last = (ended.stderr.strip().splitlines() or ["no word"])[-1]
        raise ServiceError(
            f"the dry run ended with {ended.returncode}: {last[:300]}",
            remedy="run on the machine itself: autotune tune STUDY.yaml --dry-run",
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
