"""Starts the process that takes a machine's next job, detached from the service that starts it."""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from pathlib import Path

from autotune.errors import JobError
from autotune.queue.job_log import FOLDER
from autotune.queue.orders import JobOrders, orders_to_json

MODULE = "autotune.queue.process"

LOG = "starting.log"
"""Where a process prints until it has begun a job, in the folder of the jobs' logs."""

_IN, _OUT, _ERR = 0, 1, 2
_MODE = 0o600


def start_process(orders: JobOrders) -> int:
    """Start the process of the next job in a session of its own, and give its process id.

    It is a child of this process, which has to wait for its end, and goes on when this process ends.

    Raises:
        JobError: it cannot be started.
    """
    log = Path(orders.state) / FOLDER / LOG
    reading, writing = os.pipe()
    try:
        log.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        actions = [
            (os.POSIX_SPAWN_DUP2, reading, _IN),
            (os.POSIX_SPAWN_OPEN, _OUT, str(log), os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_APPEND, _MODE),
            (os.POSIX_SPAWN_DUP2, _OUT, _ERR),
        ]
        command = [sys.executable, "-m", MODULE]
        pid = os.posix_spawn(
            sys.executable, command, os.environ, file_actions=actions, setsid=True, setsigmask=()
        )
        with suppress(BrokenPipeError):  # it has ended already, which its status tells
            os.write(writing, orders_to_json(orders))
    except OSError as error:
        raise JobError(
            f"the process of a job cannot be started: {error}",
            remedy="see that the machine has memory and the state folder can be written",
        ) from error
    finally:
        os.close(reading)
        os.close(writing)
    return pid
