"""The whole service, in real processes, when something dies, stops, fills up, is locked or is damaged.

After each of them what was measured is kept, nothing was measured twice, no process is left, the database is
whole, and the words say what happened.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import sqlite3
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager, suppress
from pathlib import Path
from typing import Any

import psutil
import pytest

from autotune.client.client import Client
from autotune.client.patience import Patience
from autotune.events import TrialEnded
from autotune.store.jobs import JobQueue
from autotune.store.store import read_store
from autotune.testing.fake_model import SCHEMA
from autotune.testing.fake_trial import processes_of
from tests.service.serving import WAIT_S, Served, run_autotune, serving, until
from tests.store.databases import own_postgresql

pytestmark = pytest.mark.skipif(
    len(os.sched_getaffinity(0)) < 2, reason="a search over one cpu has nothing to choose"
)

STUDY: dict[str, Any] = {
    "name": "small",
    "problem": {"batch_size": 2, "sequence_length": 32},
    "search": {"placements": ["close"], "precisions": ["fp32"]},
    "measure": {
        "warmup": "100ms",
        "block": "50ms",
        "blocks": 2,
        "max_blocks": 2,
        "disturbed": "keep",
        "trial_timeout": "20s",
    },
    "confirm": {"finalists": 1, "rounds": 3},
    "budget": {"trials": 50, "minutes": 9.0},
}
"""Five trials of a second each, and three rounds."""

JSON = {"Content-Type": "application/json"}

HOLD_THE_LOCK = """
import sqlite3, sys
connection = sqlite3.connect(sys.argv[1], isolation_level=None)
connection.execute("BEGIN EXCLUSIVE")
print("locked", flush=True)
sys.stdin.read()
"""


@pytest.fixture
def folder(tmp_path: Path, own_cache: Path) -> Path:
    """Of a service, with a model in it."""
    model = {"schema": SCHEMA, "serial_s": 0.008, "parallel_s_per_token": 4e-4, "thread_efficiency": 0.5}
    (tmp_path / "model.json").write_text(json.dumps(model))
    return tmp_path


@contextmanager
def served(folder: Path, *options: str) -> Iterator[Served]:
    with serving(folder, "--root", str(folder), *options) as service:
        yield service


def client_of(service: Served) -> Client:
    return Client(f"http://127.0.0.1:{service.port}", token=service.token, patience=Patience())


def submit(client: Client, folder: Path, **changes: Any) -> str:
    study = {**STUDY, "model": f"fake:{folder / 'model.json'}", **changes}
    return str(client.submit(study)["id"])


def holder_pid(folder: Path) -> int:
    """The process that runs a job; 0 while none does."""
    with read_store(f"sqlite:///{folder}/autotune.db") as store:
        running = JobQueue(store).jobs(states=("running",))
        return running[0].holder.pid if running and running[0].holder is not None else 0


def kill_with_children(*pids: int) -> None:
    """Kill processes and all that they started, as where a machine's memory is full."""
    all_of_them = [psutil.Process(pid) for pid in pids]
    for process in [*all_of_them, *(child for one in all_of_them for child in one.children(recursive=True))]:
        process.kill()


def watch_until_trial(client: Client, job: str, number: int) -> int:
    """Follow a job until a trial of it has ended, and give how many events that were."""
    for count, event in enumerate(client.watch(job), start=1):
        if isinstance(event, TrialEnded) and event.number >= number:
            return count
    raise AssertionError("the job ended before")


def ended(client: Client, job: str) -> dict[str, Any]:
    """Follow a job to its end, and give its document."""
    for _ in client.watch(job):
        pass
    return client.job(job)


def check_all(folder: Path, study: str = "small", url: str = "") -> None:
    """What holds after every fault."""
    assert until(lambda: processes_of(folder) == []), processes_of(folder)
    with read_store(url or f"sqlite:///{folder}/autotune.db") as store:
        trials = store.trial_summaries(study)
        configurations = Counter(trial.configuration for trial in trials if trial.score is not None)
        assert configurations
        assert max(configurations.values()) == 1
        for job in JobQueue(store).jobs():
            told = JobQueue(store).events(job.id)
            assert [event.number for event in told] == list(range(1, len(told) + 1))
    if not url.startswith("postgresql"):
        with closing(sqlite3.connect(url.removeprefix("sqlite:///") or folder / "autotune.db")) as connection:
            assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]


@pytest.mark.slow
def test_a_job_goes_on_when_the_http_process_is_killed_and_its_stream_when_there_is_another(
    folder: Path,
) -> None:
    with served(folder) as service, client_of(service) as client:
        job = submit(client, folder)
        seen = watch_until_trial(client, job, 0)
        measuring = holder_pid(folder)
        service.process.kill()
        service.process.wait(WAIT_S)
        assert psutil.pid_exists(measuring)
        with serving(folder, "--root", str(folder), "--port", str(service.port)), client_of(service) as again:
            rest = list(again.watch(job, after=seen))
            done = again.job(job)
    assert done["state"] == "done", done
    assert done["attempts"] == 1
    assert done["plan"]
    with read_store(f"sqlite:///{folder}/autotune.db") as store:
        assert len(JobQueue(store).events(job)) == seen + len(rest)
    check_all(folder)


@pytest.mark.slow
def test_a_job_goes_on_with_the_next_service_when_everything_is_killed_at_once(folder: Path) -> None:
    with served(folder) as service, client_of(service) as client:
        job = submit(client, folder)
        watch_until_trial(client, job, 1)
        kill_with_children(service.process.pid, holder_pid(folder))
        service.process.wait(WAIT_S)
    assert until(lambda: processes_of(folder) == [])
    with served(folder) as service, client_of(service) as client:
        done = ended(client, job)
        events = list(client.watch(job))
    assert (done["state"], done["attempts"]) == ("done", 2), done
    finished = Counter(event.number for event in events if isinstance(event, TrialEnded))
    assert max(finished.values()) == 1
    check_all(folder)


@pytest.mark.slow
def test_a_job_goes_on_while_the_http_process_is_stopped_which_catches_up_later(folder: Path) -> None:
    with served(folder) as service, client_of(service) as client:
        job = submit(client, folder)
        seen = watch_until_trial(client, job, 0)
        service.process.send_signal(signal.SIGSTOP)
        try:
            assert until(lambda: count_events(folder, job) >= seen + 4)
        finally:
            service.process.send_signal(signal.SIGCONT)
        done = ended(client, job)
    assert (done["state"], done["attempts"]) == ("done", 1), done
    check_all(folder)


def count_events(folder: Path, job: str) -> int:
    with read_store(f"sqlite:///{folder}/autotune.db") as store:
        return len(JobQueue(store).events(job))


@pytest.mark.slow
def test_two_services_on_one_store_run_one_job_at_a_time_and_both_tell_of_each(folder: Path) -> None:
    options = ("--root", str(folder), "--store", f"sqlite:///{folder}/autotune.db")
    homes = [folder / "one", folder / "other"]
    with ExitStack() as stack:
        for home in homes:
            home.mkdir()
        services = [stack.enter_context(serving(home, *options)) for home in homes]
        one, other = (stack.enter_context(client_of(service)) for service in services)
        jobs = [submit(one, folder, name="first"), submit(other, folder, name="second")]
        first, second = ended(other, jobs[0]), ended(one, jobs[1])
    assert (first["state"], second["state"]) == ("done", "done")
    assert (first["attempts"], second["attempts"]) == (1, 1)
    earlier, later = sorted((first, second), key=lambda job: float(job["started_s"]))
    assert earlier["ended_s"] <= later["started_s"]
    check_all(folder, "first")
    check_all(folder, "second")


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Have another process hold the database."""
    with subprocess.Popen(
        [sys.executable, "-c", HOLD_THE_LOCK, path], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "locked\n"
        yield
        process.communicate()


@pytest.mark.slow
def test_a_store_that_another_process_locks_is_told_and_no_trial_is_lost(folder: Path) -> None:
    with served(folder) as service, client_of(service) as client:
        job = submit(client, folder)
        watch_until_trial(client, job, 0)
        with locked(folder / "autotune.db"):
            asked = service.ask("GET", "/api/v1/jobs", service.bearer)
            ready = service.ask("GET", "/health/ready")
            assert service.ask("GET", "/health/live").status == 200
        done = ended(client, job)
    assert asked.status == 503
    assert "is locked by another process" in asked.problem["detail"]
    assert asked.problem["remedy"]
    assert ready.status == 503
    assert ready.problem["detail"] == "the store does not answer"
    assert "is locked by another process" in (folder / "service.log").read_text()
    assert (done["state"], done["attempts"]) == ("done", 1), done
    check_all(folder)


def damage(path: Path) -> bytes:
    """Overwrite all but the first page, and give what the file holds then."""
    text = path.read_bytes()
    path.write_bytes(text[:4096] + b"\x5a" * (len(text) - 4096))
    return path.read_bytes()


def test_a_service_does_not_start_on_a_corrupt_store_and_leaves_it_as_it_is(folder: Path) -> None:
    with served(folder):
        pass
    damaged = damage(folder / "autotune.db")
    refused = run_autotune("serve", "--port", "0", folder=folder)
    assert refused.returncode not in (0, 1)
    assert "is corrupt" in refused.stderr
    assert "Traceback" not in refused.stderr
    assert (folder / "autotune.db").read_bytes() == damaged


def test_a_store_that_is_damaged_meanwhile_is_told_and_left_as_it_is(folder: Path) -> None:
    with served(folder) as service:
        assert service.ask("GET", "/health/ready").status == 200
        damaged = damage(folder / "autotune.db")
        asked = service.ask("GET", "/api/v1/jobs", service.bearer)
        ready = service.ask("GET", "/health/ready")
        live = service.ask("GET", "/health/live")
    assert asked.status == 503
    assert "corrupt" in asked.problem["detail"]
    assert asked.problem["remedy"]
    assert ready.status == 503
    assert ready.problem["detail"] == "the store does not answer"
    assert "is corrupt" in (folder / "service.log").read_text()
    assert live.status == 200
    assert (folder / "autotune.db").read_bytes() == damaged


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 2 MB; skips the test where none can be mounted."""
    place = tmp_path / "small"
    place.mkdir()
    mounting = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", str(place)], capture_output=True, check=False
    )
    if mounting.returncode != 0:
        pytest.skip(f"no tmpfs can be mounted: {mounting.stderr.decode().strip()}")
    yield place
    subprocess.run(["umount", str(place)], check=True)


def fill_up(place: Path) -> Path:
    """Leave no free block, in a file that is given."""
    filler = place / "filler"
    with filler.open("wb", buffering=0) as file, suppress(OSError):
        while file.write(b"\0" * 4096):
            pass
    return filler


@pytest.mark.slow
def test_a_job_whose_disk_is_full_says_so_and_goes_on_once_there_is_room(
    folder: Path, small_disk: Path
) -> None:
    url = f"sqlite:///{small_disk}/autotune.db"
    with served(folder, "--store", url) as service, client_of(service) as client:
        job = submit(client, folder)
        watch_until_trial(client, job, 0)
        filler = fill_up(small_disk)
        study = {**STUDY, "name": "another", "model": f"fake:{folder}/model.json"}
        body = json.dumps({"kind": "tune", "study": study}).encode()
        refused = service.ask("POST", "/api/v1/jobs", service.bearer | JSON, body)
        time.sleep(4.0)  # the trial that runs ends, and cannot be kept
        filler.unlink()
        done = ended(client, job)
    assert refused.status == 503
    assert "the disk is full" in refused.problem["detail"]
    assert done["state"] == "done", done
    check_all(folder, url=url)


def test_a_client_that_goes_away_in_the_middle_of_its_upload_leaves_nothing(folder: Path) -> None:
    with served(folder) as service:
        head = (
            f"POST /api/v1/jobs HTTP/1.1\r\nHost: {service.host}\r\nAuthorization: Bearer {service.token}\r\n"
            "Content-Type: application/json\r\nContent-Length: 100000\r\n\r\n"
        )
        for _ in range(20):
            with socket.create_connection(("127.0.0.1", service.port)) as connection:
                connection.sendall(head.encode() + b'{"kind": "tune", ')
        assert service.ask("GET", "/health/ready").status == 200
        assert json.loads(service.ask("GET", "/api/v1/jobs", service.bearer).body)["jobs"] == []
    check_log(folder)


def check_log(folder: Path) -> None:
    assert "Traceback" not in (folder / "service.log").read_text()


@pytest.mark.slow
def test_a_thousand_jobs_wait_in_their_order_and_survive_the_service(folder: Path) -> None:
    with served(folder) as service, client_of(service) as client:
        jobs = [submit(client, folder, name=f"study-{number}") for number in range(1000)]
        assert len(set(jobs)) == 1000
        service.process.kill()
        service.process.wait(WAIT_S)
    with read_store(f"sqlite:///{folder}/autotune.db") as store:
        waiting = [job.id for job in JobQueue(store).waiting()]
        counts = JobQueue(store).counts()
    begun = 1000 - len(waiting)
    assert waiting == jobs[begun:]
    assert sum(counts.values()) == 1000
    assert counts.get("failed", 0) == 0
    kill_with_children(*filter(None, [holder_pid(folder)]))
    assert until(lambda: processes_of(folder) == [])


@pytest.mark.slow
def test_a_service_answers_again_when_its_database_server_does_and_its_job_loses_nothing(
    folder: Path,
) -> None:
    with own_postgresql() as server:
        with served(folder, "--store", server.url) as service, client_of(service) as client:
            job = submit(client, folder)
            watch_until_trial(client, job, 0)
            server.stop()
            asked = service.ask("GET", "/api/v1/jobs", service.bearer)
            ready = service.ask("GET", "/health/ready")
            server.start()
            done = ended(client, job)
        check_all(folder, url=server.url)
    assert asked.status == 503
    assert asked.problem["remedy"]
    assert ready.status == 503
    assert done["state"] == "done", done
