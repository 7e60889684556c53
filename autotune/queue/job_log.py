"""The log of a job: what its process and the libraries in it print, in a file that cannot grow for ever."""

from __future__ import annotations

import faulthandler
import logging
import os
import sys
from pathlib import Path

FOLDER = "jobs"
"""Of the logs, in the service's state folder."""

LOG_BYTES = 2**20
"""What a log may hold before its older half goes."""

_FORM = "%(asctime)s %(levelname)s %(message)s"
_STDERR = 2
_MODE = 0o600


def job_log(state: Path, job_id: str) -> Path:
    """Name the log of a job, which is there once it was begun."""
    return state / FOLDER / f"{job_id}.log"


def begin_log(state: Path, job_id: str) -> None:
    """Have all that this process prints go to the job's log from now on, behind what is there."""
    path = job_log(state, job_id)
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, _MODE)
    for number in (1, _STDERR):
        os.dup2(descriptor, number)
    os.close(descriptor)
    faulthandler.enable()
    bound_log()
    logging.basicConfig(level=logging.INFO, format=_FORM, stream=sys.stderr, force=True)


def bound_log(most_bytes: int = LOG_BYTES) -> None:
    """Where a log on stderr has grown too long, keep the newer half of what it may hold."""
    try:
        if os.fstat(_STDERR).st_size <= most_bytes:
            return
        size = os.fstat(_STDERR).st_size
        kept = os.pread(_STDERR, most_bytes // 2, size - most_bytes // 2)
        os.ftruncate(_STDERR, 0)
        os.write(_STDERR, b"[older lines are left out]\n" + kept.partition(b"\n")[2])
    except OSError:  # no file, or one that only others may change
        return
