"""What the HTTP process imports and takes: beside a study, memory is the study's."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

from tests.service.serving import Served, read_answer, request_bytes, serving

MOST_BYTES = 120 * 10**6
UNWANTED = (
    "alembic",
    "matplotlib",
    "numpy",
    "optuna",
    "scipy",
    "torch",
    "transformers",
    "autotune.trial.run",
)
PATHS = (
    *("/", "/new", "/machine", "/compare", "/fleet", "/metrics", "/openapi.json"),
    *("/api/v1/jobs", "/api/v1/studies", "/api/v1/plans", "/api/v1/machine", "/api/v1/engines"),
)


def test_the_service_imports_no_large_library() -> None:
    code = "import sys, autotune.service.running; print(*sorted(set(sys.argv[1:]) & set(sys.modules)))"
    ended = subprocess.run(
        [sys.executable, "-c", code, *UNWANTED], capture_output=True, text=True, check=True
    )
    assert ended.stdout.split() == []


def test_the_service_stays_small_when_everything_was_asked_for_at_once_and_many_listen(
    tmp_path: Path,
) -> None:
    with serving(tmp_path) as service:
        for path in PATHS:
            assert service.ask("GET", path, service.bearer).status == 200
        assert service.memory_bytes() < MOST_BYTES
        with ThreadPoolExecutor(24) as pool, ExitStack() as clients:
            asked = [pool.submit(service.ask, "GET", path, service.bearer) for path in 12 * PATHS]
            assert {answer.result().status for answer in asked} <= {200, 503}
            for _ in range(100):
                clients.enter_context(listening(service))
            assert service.memory_bytes() < MOST_BYTES


def listening(service: Served) -> socket.socket:
    """Open a stream of events, and leave it open."""
    client = socket.create_connection(("127.0.0.1", service.port), timeout=30)
    client.sendall(request_bytes("GET", "/api/v1/events", {"Host": service.host, **service.bearer}))
    assert read_answer(client).status == 200
    return client


def test_answers_give_way_to_jobs_on_cpus_that_they_share_but_jobs_are_begun_at_usual_priority(
    tmp_path: Path,
) -> None:
    usual = os.getpriority(os.PRIO_PROCESS, 0)
    with serving(tmp_path) as service:
        assert service.ask("GET", "/api/v1/jobs", service.bearer).status == 200
        tasks = [int(task.name) for task in Path(f"/proc/{service.process.pid}/task").iterdir()]
        priorities = {task: os.getpriority(os.PRIO_PROCESS, task) for task in tasks}
    assert priorities.pop(service.process.pid) == min(usual + 10, 19)
    assert usual in priorities.values()
