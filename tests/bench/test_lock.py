from __future__ import annotations

import os
import stat
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from autotune.bench.lock import NAME, host_lock
from autotune.errors import StudyError

HOLDER = """
import sys, pathlib
from autotune.bench.lock import host_lock
with host_lock(print, [pathlib.Path(sys.argv[1])]):
    print("held", flush=True)
    sys.stdin.read()
"""


@contextmanager
def another_holder(folder: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A process that holds the lock until its stdin ends."""
    command = [sys.executable, "-P", "-c", HOLDER, str(folder)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout
        assert process.stdout.readline() == b"held\n"
        yield process


def test_a_free_lock_is_taken_without_a_word(tmp_path: Path) -> None:
    said: list[str] = []
    for _ in range(2):
        with host_lock(said.append, [tmp_path]) as waited_s:
            assert waited_s == 0
    assert said == []


def test_who_waits_is_told_for_whom_and_gets_the_lock_when_it_is_killed(tmp_path: Path) -> None:
    said: list[str] = []
    with another_holder(tmp_path) as process:

        def on_wait(text: str) -> None:
            said.append(text)
            process.kill()

        with host_lock(on_wait, [tmp_path]) as waited_s:
            assert process.wait() == -9
            assert waited_s > 0
    assert len(said) == 1
    assert f"process {process.pid}" in said[0]


def test_who_waits_waits_until_the_end(tmp_path: Path) -> None:
    got = threading.Event()
    waiting = threading.Event()

    def wait_for_it() -> None:
        with host_lock(lambda _: waiting.set(), [tmp_path]):
            got.set()

    with another_holder(tmp_path) as process:
        thread = threading.Thread(target=wait_for_it)
        thread.start()
        assert waiting.wait(30)
        assert not got.is_set()
        assert process.stdin
        process.stdin.close()
        thread.join()
    assert got.is_set()


def test_every_user_may_open_the_file_whatever_the_umask(tmp_path: Path) -> None:
    before = os.umask(0o077)
    try:
        with host_lock(print, [tmp_path]):
            pass
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / NAME).stat().st_mode) == 0o666


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root to become another user")
def test_another_user_waits_for_the_same_lock_in_a_sticky_folder(tmp_path: Path) -> None:
    tmp_path.chmod(0o1777)
    program = f"""
import os, sys, pathlib
from autotune.bench.lock import host_lock
os.setgid(65534), os.setuid(65534)
def on_wait(text):
    print(text)
    raise SystemExit(3)
with host_lock(on_wait, [pathlib.Path({str(tmp_path)!r})]):
    pass
"""
    for parent in tmp_path.parents[:3]:
        parent.chmod(0o755)
    with host_lock(print, [tmp_path]):
        command = [sys.executable, "-P", "-c", program]
        other = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (other.returncode, f"process {os.getpid()}" in other.stdout) == (3, True), other


def test_a_folder_that_does_not_work_is_passed_over(tmp_path: Path) -> None:
    with host_lock(print, [tmp_path / "missing", tmp_path]):
        assert (tmp_path / NAME).exists()


def test_a_symbolic_link_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / NAME).symlink_to(tmp_path / "elsewhere")
    with pytest.raises(StudyError, match="cannot be opened"), host_lock(print, [tmp_path]):
        pass
    assert not (tmp_path / "elsewhere").exists()


def test_no_place_at_all_is_an_error_with_a_remedy(tmp_path: Path) -> None:
    with pytest.raises(StudyError, match="/dev/shm or /tmp"), host_lock(print, [tmp_path / "missing"]):
        pass
