"""A real service over a store with real studies of a fake engine, and a real browser in front of it."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from autotune.errors import NoPlanError
from autotune.events import Progress, SearchEnded, to_json
from autotune.jobs.tuning import tune
from autotune.spec.load import parse_study
from autotune.store.job_records import JobFault, JobHolder, JobRequest
from autotune.store.jobs import JobQueue
from autotune.store.store import open_store, read_store
from autotune.testing.fake_model import SCHEMA
from tests.service.serving import Served

playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")

CHROMIUM = Path("/usr/bin/chromium")
FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
WAIT_MS = 60_000

MODEL: Mapping[str, Any] = {
    "schema": SCHEMA,
    "serial_s": 0.008,
    "parallel_s_per_token": 4e-4,
    "thread_efficiency": 0.5,
    "speed": {"fp32": 1.0, "int8-dynamic": 8.0},
    "faults": [{"fault": "crash", "at": "load", "when": {"instances": 2, "precision": "fp32"}}],
}
STUDY: Mapping[str, Any] = {
    "model": "fake:model.json",
    "problem": {"batch_size": 2, "sequence_length": 32},
    "objective": "throughput",
    "search": {
        "placements": ["close"],
        "instances": [1, 2],
        "threads": [1],
        "precisions": ["fp32", "int8-dynamic"],
    },
    "measure": {
        "warmup": "100ms",
        "block": "50ms",
        "blocks": 2,
        "max_blocks": 2,
        "disturbed": "keep",
        "trial_timeout": "20s",
    },
    "confirm": {"finalists": 2, "rounds": 3},
    "budget": {"trials": 8, "minutes": 3},
}
"""A crash is among its trials."""

PLAIN, LIMITED, HOPELESS = "embed-sentences", "answers-in-time", "impossible"
STUDIES: Mapping[str, Mapping[str, Any]] = {
    PLAIN: {},
    LIMITED: {"limits": {"latency": {"p50": "30ms"}}, "price": {"per_core_hour": 0.05}},
    HOPELESS: {"limits": {"latency": {"p50": "1ms"}}, "budget": {"trials": 3, "minutes": 3}},
}


def fill(folder: Path) -> None:
    """Run the studies in a folder, into its store."""
    (folder / "model.json").write_text(json.dumps(MODEL), encoding="utf-8")
    for name, changes in STUDIES.items():
        spec = parse_study(json.dumps({**STUDY, **changes, "name": name}), name=name)
        try:
            tune(spec, base=folder, store=store_url(folder), offline=True)
        except NoPlanError:
            assert name == HOPELESS


HOSTILE = "<script>document.title='taken'</script><img src=x onerror=\"document.title='taken'\">"
ELSEWHERE = "another-machine"


def add_jobs(folder: Path) -> Mapping[str, str]:
    """Add jobs of another machine, which nobody begins here: a failed one with hostile texts, and two."""
    holder = JobHolder(ELSEWHERE, "boot", 1, 1)
    with open_store(store_url(folder)) as store:
        queue = JobQueue(store)
        failed, _ = queue.enqueue(
            JobRequest("tune", HOSTILE[:64], ELSEWHERE, {"format": 1}, asked_by=HOSTILE[:64])
        )
        queue.begin(ELSEWHERE, holder)
        progress = Progress(2, 9, 1, 12.0, "12.0 samples/s", 1.5, 60.0)
        queue.tell(failed.id, holder, to_json(SearchEnded(HOSTILE, progress)))
        queue.end(failed.id, holder, "failed", fault=JobFault("ModelError", HOSTILE, f"write {HOSTILE}"))
        waiting, _ = queue.enqueue(JobRequest("tune", "waits", ELSEWHERE, {"format": 1}, priority=3))
        queue.enqueue(JobRequest("verify", "comes-later", ELSEWHERE, {"format": 1}))
    return {"job-failed": failed.id, "job-waiting": waiting.id}


def store_url(folder: Path) -> str:
    return f"sqlite:///{folder / 'autotune.db'}"


def plan_of(folder: Path, study: str) -> str:
    """The id of a study's newest plan."""
    with read_store(store_url(folder)) as store:
        return store.plan(study).id


@dataclass
class Visitor:
    """A browser's page that keeps whatever it complains of.

    Attributes:
        name: of this way to look, in names of pictures.
        complaints: errors of the console and of scripts, refused resources and policies among them.
    """

    page: Any
    origin: str
    complaints: list[str] = field(default_factory=list)
    name: str = ""

    def __post_init__(self) -> None:
        self.page.set_default_timeout(WAIT_MS)
        self.page.on("console", self._hear)
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))

    def _hear(self, message: Any) -> None:
        if message.type in ("error", "warning"):
            self.complaints.append(f"{self.page.url}: {message.text}")

    def visit(self, path: str) -> Any:
        """Go to a path of the service."""
        return self.page.goto(self.origin + path, wait_until="load")


@contextmanager
def visiting(served: Served, browser: Any, **options: Any) -> Iterator[Visitor]:
    """Sign a new browser profile in with the operator's token."""
    context = browser.new_context(accept_downloads=True, **options)
    try:
        visitor = Visitor(context.new_page(), f"http://127.0.0.1:{served.port}")
        visitor.visit("/login")
        visitor.page.get_by_label("Token").fill(served.token)
        visitor.page.get_by_role("button", name="Sign in").click()
        visitor.page.get_by_role("heading", name="Studies and queue").wait_for()
        yield visitor
    finally:
        context.close()


def pages_of(folder: Path, jobs: Mapping[str, str]) -> Mapping[str, str]:
    """Every page by a short name."""
    plain, limited = plan_of(folder, PLAIN), plan_of(folder, LIMITED)
    return {
        "home": "/",
        "study": f"/studies/{PLAIN}",
        "study-limited": f"/studies/{LIMITED}?order=best",
        "study-hopeless": f"/studies/{HOPELESS}",
        "plan": f"/plans/{plain}",
        "plan-priced": f"/plans/{limited}",
        "export": f"/plans/{plain}/export/numactl",
        "export-refused": f"/plans/{plain}/export/systemd",
        "compare": f"/compare?a={plain}&b={limited}",
        "compare-empty": "/compare",
        "fleet": "/fleet",
        "fleet-wrong": "/fleet?rate=many",
        "new": "/new",
        "new-text": "/new?as_text=true",
        "machine": "/machine",
        "machine-examined": "/machine?examine=true",
        "missing": "/studies/none",
        **{name: f"/jobs/{job}" for name, job in jobs.items()},
    }


SCREENSHOTS = os.environ.get("AUTOTUNE_SCREENSHOTS", "")
"""Folder for pictures of every page; empty = none are taken."""
