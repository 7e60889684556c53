"""Who holds a job, and whether he lives: as the kernel says, whatever the clocks do."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from autotune.queue.holding import children_of, holder_of, is_alive, is_here, process_facts, send, watched
from autotune.queue.stopping import bury, has_ended
from autotune.store.job_records import JobHolder

SLEEP = [sys.executable, "-c", "import time; time.sleep(600)"]


@pytest.fixture
def sleeper() -> Iterator[subprocess.Popen[bytes]]:
    with subprocess.Popen(SLEEP) as process:
        try:
            yield process
        finally:
            process.kill()


def test_this_process_lives_and_is_here() -> None:
    holder = holder_of(os.getpid())
    assert is_alive(holder)
    assert is_here(holder)
    assert holder.host == socket.gethostname()


@pytest.mark.parametrize(
    "other",
    [{"boot": "another"}, {"started_ticks": 1}, {"pid": 2**22 + 1}],
    ids=["of an earlier boot", "of a process whose id was given to this one", "of no process"],
)
def test_a_holder_is_dead_whose_boot_or_process_is_another(other: dict[str, object]) -> None:
    holder = replace(holder_of(os.getpid()), **other)  # type: ignore[arg-type]
    assert not is_alive(holder)
    with watched(holder) as descriptor:
        assert descriptor is None
    assert not send(holder, signal.SIGTERM)


def test_a_process_that_is_stopped_lives_and_one_that_nobody_has_waited_for_does_not(
    sleeper: subprocess.Popen[bytes],
) -> None:
    holder = holder_of(sleeper.pid)
    sleeper.send_signal(signal.SIGSTOP)
    os.waitid(os.P_PID, sleeper.pid, os.WSTOPPED | os.WNOWAIT)
    assert is_alive(holder)
    assert not has_ended(holder, 0.0)
    assert send(holder, signal.SIGKILL)
    assert has_ended(holder, None)
    assert process_facts(sleeper.pid) is not None
    assert not is_alive(holder)


def test_children_are_listed_and_their_ends_noted_once(sleeper: subprocess.Popen[bytes]) -> None:
    assert sleeper.pid in children_of(os.getpid())
    assert bury(sleeper.pid) is None
    sleeper.kill()
    assert has_ended(holder_of(sleeper.pid), 60.0)
    sleeper.wait()
    assert sleeper.pid not in children_of(os.getpid())
    assert bury(sleeper.pid) is None


def test_a_process_with_any_name_is_read(tmp_path: Path) -> None:
    (tmp_path / "7").mkdir()
    (tmp_path / "7" / "stat").write_text(f"7 (a) b ( c) S 3 {' '.join(map(str, range(1, 30)))}\n")
    facts = process_facts(7, tmp_path)
    assert facts is not None
    assert (facts.state, facts.parent, facts.started_ticks, facts.is_alive) == ("S", 3, 18, True)
    assert children_of(3, tmp_path) == (7,)
    assert process_facts(8, tmp_path) is None


def test_a_holder_of_another_host_is_not_looked_at_here() -> None:
    assert not is_here(JobHolder("elsewhere", "boot", 1, 1))
