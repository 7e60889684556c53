"""A service, gate and all, whose jobs wait forever: `python -m tests.service.api.waiting_service STATE`.

It prints its port and its operator's token. Its store has a study with trials, a plan, a schedule, and jobs
that wait or have ended.
"""

from __future__ import annotations

import sys
from pathlib import Path

from autotune.events import RateEnded, to_json
from autotune.queue.requests import TuneValues, tune_request
from autotune.service.app import create_app
from autotune.service.binding import bind
from autotune.service.context import Context, open_context
from autotune.service.guard.gate import guarded, open_keys
from autotune.service.server import SleepingServer, server_config
from autotune.service.settings import ServiceSettings
from autotune.spec.load import parse_study
from autotune.store.job_records import JobHolder, JobState
from autotune.store.schedule_records import ScheduleRecord
from autotune.store.schedules import ScheduleBook
from tests.service.api.conftest import MACHINE, STUDY_TEXT, filled

HOLDER = JobHolder(MACHINE, "boot", 1, 1)
ENDS: tuple[JobState, ...] = ("done", "failed", "cancelled")


def main() -> None:
    state = Path(sys.argv[1])
    settings = ServiceSettings(store=f"sqlite:///{state}/store.db", state=state, port=0)
    with bind(settings.host, 0) as listening:
        port = int(listening.getsockname()[1])
        keys = open_keys(settings, port)
        with open_context(settings, MACHINE) as context:
            filled(context)
            queue_up(context)
            config = server_config(guarded(create_app(context), settings, keys), settings)
            ready = f"{port} {keys.tokens.operator_token}"
            server = SleepingServer(config, lambda: tell(ready), settings.times.handshake_s)
            server.run([listening])


def tell(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def queue_up(context: Context) -> None:
    """Jobs, those that have ended with an event each; and a schedule."""
    for number in range(len(ENDS) + 1):
        values = TuneValues(study=parse_study(STUDY_TEXT, name=f"study-{number}"))
        context.queue.enqueue(tune_request(values, MACHINE))
    for end in ENDS:
        job = context.queue.begin(MACHINE, HOLDER)
        assert job is not None
        context.queue.tell(job.id, HOLDER, to_json(RateEnded(1.0, 1, 1, "good")))
        context.queue.end(job.id, HOLDER, end)
    ScheduleBook(context.store).put(ScheduleRecord("nightly", "quickstart", MACHINE, every_s=86_400.0))


if __name__ == "__main__":
    main()
