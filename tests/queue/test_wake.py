"""Whoever is told something on this machine wakes all services that listen, and waits for none."""

from __future__ import annotations

import os
import select
import subprocess
import sys
from pathlib import Path

import pytest

from autotune.queue.wake import FOLDER, WakeListener, Waker


def sockets(state: Path) -> list[Path]:
    return list((state / FOLDER).iterdir())


@pytest.fixture(params=["state", "s" * 200], ids=["short", "long"])
def state(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """A state folder; the path of a socket in it may be longer than the kernel takes."""
    return tmp_path / str(request.param)


def test_every_listener_hears_of_a_job_once(state: Path) -> None:
    first, second = WakeListener(state), WakeListener(state)
    for job_id in ("a", "b", "a", ""):
        Waker(state).wake(job_id)
    assert select.select([first, second], [], [], 0)[0] == [first, second]
    assert first.heard() == second.heard() == ("a", "b", "")
    assert first.heard() == ()
    first.close()
    second.close()
    assert sockets(state) == []


def test_nobody_needs_to_listen(state: Path) -> None:
    Waker(state).wake("a")
    assert not state.exists()


def test_a_service_that_is_slow_to_listen_holds_nobody_up(state: Path) -> None:
    slow, other = WakeListener(state), WakeListener(state)
    told = [f"job-{number}" for number in range(5000)]
    heard: list[str] = []
    for job_id in told:
        Waker(state).wake(job_id)
        heard += other.heard()
    assert heard == told
    assert slow.heard()[0] == told[0]
    slow.close()
    other.close()


def test_the_socket_of_a_service_that_was_killed_is_cleared_away(state: Path) -> None:
    program = (
        "import os, pathlib, signal, sys\n"
        "from autotune.queue.wake import WakeListener\n"
        "listening = WakeListener(pathlib.Path(sys.argv[1]))\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    subprocess.run([sys.executable, "-c", program, str(state)], check=False)
    assert len(sockets(state)) == 1
    Waker(state).wake("a")
    assert sockets(state) == []


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_that_may_not_be_written_is_no_reason_to_end(state: Path) -> None:
    listening = WakeListener(state)
    (state / FOLDER).chmod(0o500)
    Waker(state).wake("a")
    assert listening.heard() == ("a",)
