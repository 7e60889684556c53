"""What a service tells a job's process: on its standard input, where no password is seen by others."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from autotune.errors import JobError
from autotune.queue.dispatch import Dispatcher
from autotune.queue.holding import holder_of
from autotune.queue.job_log import FOLDER
from autotune.queue.orders import JobOrders, orders_from_json, orders_to_json
from autotune.queue.starting import LOG, start_process
from autotune.queue.stopping import bury, has_ended
from autotune.store.jobs import JobQueue
from autotune.store.store import open_store
from autotune.testing.queue_contract import MACHINE, tune_of
from tests.queue.jobs_at_hand import until

ORDERS = JobOrders("postgresql+psycopg://me:secret@db/autotune", "here", "/var/lib/a", "2-3", ("a.example",))


def test_orders_come_back_as_they_were_written() -> None:
    assert orders_from_json(orders_to_json(ORDERS)) == ORDERS


@pytest.mark.parametrize("line", [b"", b"{}", b"[]", b'{"store": 1, "webhook_hosts": []}'])
def test_what_are_no_orders_is_refused(line: bytes) -> None:
    with pytest.raises(JobError, match="nothing that it can read"):
        orders_from_json(line)


def test_a_process_of_a_shell_is_refused_in_words() -> None:
    ended = subprocess.run(
        [sys.executable, "-m", "autotune.queue.process"],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 1
    assert "let the service start it, not a shell" in ended.stderr


def test_a_process_that_finds_no_job_ends_well_and_shows_no_password(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'secret.db'}"
    with open_store(url):
        pid = start_process(JobOrders(url, MACHINE, str(tmp_path / "state")))
        shown = [Path(f"/proc/{pid}/{name}").read_bytes() for name in ("cmdline", "environ")]
        assert has_ended(holder_of(pid), 60.0)
        assert bury(pid) == 0
    assert all(b"secret.db" not in text for text in shown)
    assert (tmp_path / "state" / FOLDER / LOG).read_text() == ""


def test_a_process_that_cannot_begin_is_started_again_and_its_job_waits(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'autotune.db'}"
    orders = JobOrders(f"sqlite:///{tmp_path}/none/autotune.db", MACHINE, str(tmp_path / "state"))
    log = tmp_path / "state" / FOLDER / LOG
    with open_store(url) as store, Dispatcher(store, orders) as dispatcher:
        job = JobQueue(store).enqueue(tune_of("a"))[0]
        dispatcher.waker.wake(job.id)
        first = until(lambda: log.stat().st_mtime_ns if log.exists() and log.stat().st_size else None)
        until(lambda: log.stat().st_mtime_ns != first and "StoreError" in log.read_text())
        assert JobQueue(store).job(job.id) == job
