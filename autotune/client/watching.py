"""The events of a job as they are told, over as many connections as it takes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import httpx2

from autotune.client.connection import PREFIX, Connection
from autotune.client.refusals import is_distrust, refusal, unreachable
from autotune.errors import AutotuneError
from autotune.events import Event, from_json

END: Final = "job"
"""Tag of the last event of a stream: the job has ended."""


def watch_events(connection: Connection, job_id: str, after: int) -> Iterator[Event]:
    """Give each event of a job once, until it has ended.

    A connection that is lost is opened anew, from behind the last event that was read. Events of a later
    version of autotune are passed over.

    Args:
        after: number of an event; those up to it are left out.

    Raises:
        AutotuneError: the service refuses, or stays out of reach; the job goes on.
    """
    last, pauses_s = after, connection.patience.pauses_s(watching=True)
    while True:
        pause_s = next(pauses_s, None)
        reason: AutotuneError | None = None
        try:
            with connection.stream(f"{PREFIX}/jobs/{job_id}/events", last=last) as response:
                if response.is_success:
                    connection.answered()
                    for sent in httpx2.EventSource(response):
                        pauses_s = connection.patience.pauses_s(watching=True)
                        if sent.event == END:
                            return
                        number = int(sent.id) if sent.id.isdigit() else last + 1
                        if number > last:
                            last = number
                            yield from _events(sent.data)
                else:
                    pause_s = connection.pause_s(response, pause_s, watching=True)
                    reason = refusal(response)
                    if pause_s is None:
                        raise reason
        except httpx2.TransportError as error:
            if pause_s is None or is_distrust(error):
                raise unreachable(connection.url, error) from error
            reason = unreachable(connection.url, error)
        if pause_s is None:  # it was answered, but ended each time before the job did
            pause_s = connection.patience.most_s
        connection.wait(pause_s, reason)


def _events(data: str) -> tuple[Event, ...]:
    """Read an event; none where this version knows none like it."""
    try:
        return (from_json(data),)
    except ValueError:
        return ()
