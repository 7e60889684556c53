"""Commands whose standard descriptors are closed, as a careless daemon starts them."""

from __future__ import annotations

import errno
import json
import os
import subprocess
import sys

import pytest

from autotune.cli.descriptors import UNSEEN
from autotune.files import write_remedy
from autotune.store.store import read_store
from autotune.testing.fake_plans import FakeStudy

AUTOTUNE = f"{sys.executable} -P -m autotune"


def shell(command: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["bash", "-c", command],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, **environment},
    )


@pytest.mark.parametrize("command", ["machine", "machine --json", "--version", "--help", "schema"])
def test_a_command_whose_stdout_is_closed_says_that_nothing_is_shown(command: str) -> None:
    ended = shell(f"{AUTOTUNE} {command} >&-")
    assert ended.returncode == 0
    assert ended.stderr == f"{UNSEEN}\n"


def test_closed_stdin_and_stderr_change_nothing() -> None:
    ended = shell(f"{AUTOTUNE} machine --json <&- 2>&-")
    assert ended.returncode == 0
    assert json.loads(ended.stdout)["schema"] == "autotune.machine/1"


@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-", "<&- >&- 2>&-"])
def test_errors_keep_their_exit_code_whatever_is_closed(closed: str) -> None:
    assert shell(f"{AUTOTUNE} tune no-such-study.yaml {closed}").returncode == 4


def test_a_study_is_tuned_and_stored_with_all_descriptors_closed(own_study: FakeStudy) -> None:
    (own_study.folder / "study.yaml").write_text(STUDY)
    ended = shell(f"cd {own_study.folder} && {AUTOTUNE} tune study.yaml --trials 2 <&- >&- 2>&-")
    assert ended.returncode == 0
    with read_store(f"sqlite:///{own_study.folder}/autotune.db") as store:
        assert [trial.number for trial in store.trials("fake")] == [0, 1]
        assert store.plan("latest").study.name == "fake"


STUDY = """
name: fake
model: fake:model.json
problem: {batch_size: 1, sequence_length: 1}
search: {instances: [1], threads: [1], placements: [close]}
measure: {warmup: 200ms, block: 100ms, blocks: 2, max_blocks: 2, disturbed: keep, trial_timeout: 20s}
confirm: {finalists: 1, rounds: 3}
budget: {minutes: 9}
"""
"""In less time than it takes for a twin to run in the rounds, too."""


def test_a_full_disk_is_told_with_what_helps() -> None:
    ended = shell(f"{AUTOTUNE} machine >/dev/full")
    assert ended.returncode == 1
    assert "No space left on device" in ended.stderr
    assert "free some space" in ended.stderr


def test_what_cannot_be_written_for_want_of_space_is_not_moved_to_another_folder_of_the_same_disk() -> None:
    for number in (errno.ENOSPC, errno.EDQUOT):
        assert write_remedy(OSError(number, ""), "give another folder").startswith("free some space")
    assert write_remedy(OSError(errno.EACCES, ""), "give another folder") == "give another folder"


def test_an_unknown_user_without_a_home_is_asked_for_a_cache() -> None:
    """As `docker run --user 12345` starts it."""
    if os.geteuid() != 0:
        pytest.skip("needs root to become somebody whom nobody knows")
    program = (
        "import contextlib, os, sys, autotune.model.artifacts.cache\n"
        "from autotune.cli.main import main\n"
        "sys.argv = ['autotune', 'cache', 'list', '--help']\n"
        "with contextlib.suppress(SystemExit):\n"
        "    main()\n"  # which imports what somebody else may not be let to read
        "os.setgroups([]); os.setgid(12345); os.setuid(12345)\n"
        "sys.argv = ['autotune', 'cache', 'list']\n"
        "main()"
    )
    known = {name: value for name, value in os.environ.items() if name not in UNSET}
    command = [sys.executable, "-c", program]
    ended = subprocess.run(command, capture_output=True, text=True, check=False, env=known)
    assert ended.returncode == 6, ended.stderr
    assert "set AUTOTUNE_CACHE" in ended.stderr
    assert "Traceback" not in ended.stderr


UNSET = ("HOME", "XDG_CACHE_HOME", "AUTOTUNE_CACHE")
