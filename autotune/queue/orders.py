"""What a service tells the process that it starts for a job, as one line of JSON on its standard input.

A database's URL may hold a password, which no command line and no environment is to show.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass

from autotune.errors import JobError


@dataclass(frozen=True)
class JobOrders:
    """Which queue a process takes its job from, and what it may do.

    Attributes:
        store: database URL.
        machine: name of the machine whose next job it takes.
        state: the service's state folder, for the job's log and the sockets of those who listen.
        cpus: what it and all that it starts run on, as Linux writes lists; empty = as the service does.
        webhook_hosts: hosts that may be told of results; see `autotune.queue.webhooks`.
    """

    store: str
    machine: str
    state: str
    cpus: str = ""
    webhook_hosts: tuple[str, ...] = ()


def orders_to_json(orders: JobOrders) -> bytes:
    """Write orders as one line."""
    return json.dumps(asdict(orders)).encode() + b"\n"


def orders_from_json(line: bytes) -> JobOrders:
    """Read what `orders_to_json` wrote.

    Raises:
        JobError: it is something else, or nothing, as of a service that has ended meanwhile.
    """
    try:
        values = json.loads(line)
        return JobOrders(**{**values, "webhook_hosts": tuple(values["webhook_hosts"])})
    except (ValueError, TypeError, KeyError) as error:
        raise JobError(
            f"a job's process was told nothing that it can read: {error}",
            remedy="let the service start it, not a shell",
        ) from error
