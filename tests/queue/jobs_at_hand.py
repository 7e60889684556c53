"""A folder with a fake study, a store and a state folder, in which real processes run real jobs."""

from __future__ import annotations

import json
import os
import signal
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import psutil

from autotune.events import Event, from_json
from autotune.queue.dispatch import Dispatcher
from autotune.queue.orders import JobOrders
from autotune.queue.requests import TuneValues, tune_request
from autotune.spec.study import StudySpec
from autotune.store.job_records import JobRecord
from autotune.store.jobs import JobQueue
from autotune.store.store import StudyStore, open_store
from autotune.testing.fake_model import SCHEMA

MACHINE = "here"
WAIT_S = 120.0
"""How long these tests wait for something that must happen."""

MODEL: dict[str, Any] = {
    "schema": SCHEMA,
    "serial_s": 0.008,
    "parallel_s_per_token": 4e-4,
    "thread_efficiency": 0.5,
    "speed": {"fp32": 1.0, "int8-dynamic": 8.0},
}
STUDY: dict[str, Any] = {
    "name": "small",
    "problem": {"batch_size": 2, "sequence_length": 32},
    "objective": {"kind": "throughput"},
    "search": {"placements": ["close"], "instances": [1, 2], "threads": [1], "precisions": ["int8-dynamic"]},
    "measure": {
        "warmup_s": 0.1,
        "block_s": 0.1,
        "blocks": 2,
        "max_blocks": 2,
        "disturbed": "keep",  # other tests may run on this host
        "trial_timeout_s": 20.0,
    },
    "confirm": {"finalists": 1, "rounds": 3},
    "budget": {"trials": 10, "minutes": 9.0},
}

Seen = TypeVar("Seen")


def until(look: Callable[[], Seen | None], wait_s: float = WAIT_S) -> Seen:
    """Look until there is something to see."""
    give_up_s = time.monotonic() + wait_s
    while time.monotonic() < give_up_s:
        seen = look()
        if seen:
            return seen
        time.sleep(0.02)
    raise AssertionError("it did not happen in time")


@dataclass
class JobFolder:
    """A queue that real processes work on.

    Attributes:
        news: ids of jobs that a dispatcher has heard of.
    """

    path: Path
    url: str
    store: StudyStore
    news: list[str] = field(default_factory=list)

    @property
    def queue(self) -> JobQueue:
        return JobQueue(self.store)

    @property
    def orders(self) -> JobOrders:
        return JobOrders(self.url, MACHINE, str(self.path / "state"))

    def spec(self, **study: Any) -> StudySpec:
        model = f"fake:{self.path / 'model.json'}"
        return StudySpec.model_validate_json(json.dumps({**STUDY, "model": model, **study}))

    def ask(self, *, key: str | None = None, priority: int = 0, **study: Any) -> str:
        request = tune_request(
            TuneValues(study=self.spec(**study)), MACHINE, client_key=key, priority=priority
        )
        return self.queue.enqueue(request)[0].id

    def dispatcher(self, **others: Any) -> Dispatcher:
        return Dispatcher(self.store, self.orders, news=self.news.append, **others)

    def events(self, job_id: str) -> list[Event]:
        return [from_json(told.event) for told in self.queue.events(job_id)]

    def ended(self, job_id: str) -> JobRecord:
        return until(lambda: self._if(job_id, lambda job: job.is_ended))

    def running(self, job_id: str) -> JobRecord:
        """Give the job once a process has it, and has told of it."""
        return until(lambda: self._if(job_id, lambda job: job.state == "running"))

    def _if(self, job_id: str, holds: Callable[[JobRecord], bool]) -> JobRecord | None:
        job = self.queue.job(job_id)
        return job if holds(job) else None

    def in_trial(self, job_id: str, *, after: int = 0) -> JobRecord:
        """Give the job once its workers run, after so many trials of this attempt."""

        def measures() -> JobRecord | None:
            tags = [json.loads(told.event)["event"] for told in self.queue.events(job_id)]
            own = tags[len(tags) - tags[::-1].index("attempt_began") :] if "attempt_began" in tags else []
            job = self.queue.job(job_id)
            if job.state != "running" or job.holder is None:
                return None
            is_between = own.count("trial_began") <= own.count("trial_ended")
            return job if own.count("trial_ended") >= after and not is_between and workers_of(job) else None

        return until(measures)

    def configurations(self, study: str = "small") -> Counter[Any]:
        """Count how often each configuration was measured in the search."""
        return Counter(trial.configuration for trial in self.store.trials(study) if trial.score is not None)


def processes_below(job: JobRecord) -> list[psutil.Process]:
    """Give the process of a job, and all that it has started; the keeper not."""
    if job.holder is None:
        return []
    with suppress(psutil.Error):
        return psutil.Process(job.holder.pid).children(recursive=True)
    return []


def workers_of(job: JobRecord) -> list[psutil.Process]:
    """Give the instances that measure, which are children of the job's process."""
    found = []
    for process in processes_below(job):
        with suppress(psutil.Error):
            words = process.cmdline()
            if any("worker" in word for word in words) and not any("pin.py" in word for word in words):
                found.append(process)
    return found


def kill(*pids: int, number: signal.Signals = signal.SIGKILL) -> None:
    for pid in pids:
        with suppress(ProcessLookupError):
            os.kill(pid, number)


@contextmanager
def job_folder(path: Path, url: str) -> Iterator[JobFolder]:
    (path / "model.json").write_text(json.dumps(MODEL))
    with open_store(url) as store:
        folder = JobFolder(path, url, store)
        try:
            yield folder
        finally:
            job = folder.queue.running(MACHINE)
            if job is not None and job.holder is not None:
                kill(job.holder.pid)
