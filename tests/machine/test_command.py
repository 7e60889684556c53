from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from autotune.cli.exits import exit_code
from autotune.errors import MachineError
from autotune.machine.document import machine_document
from autotune.machine.machine import Machine
from autotune.machine.read import read_machine


def autotune_machine(*arguments: str) -> subprocess.CompletedProcess[str]:
    program = "from autotune.cli.main import main; main()"
    command = [sys.executable, "-c", program, "machine", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_json_is_the_document_of_the_machine_below_the_root(recording: Path, two_sockets: Machine) -> None:
    run = autotune_machine("--root", str(recording), "--json")
    assert (run.returncode, run.stderr) == (0, "")
    assert json.loads(run.stdout) == machine_document(two_sockets)


def test_without_a_root_the_running_machine_is_shown() -> None:
    run = autotune_machine("--json")
    shown: dict[str, Any] = json.loads(run.stdout)
    assert shown == machine_document(read_machine())


def test_the_text_tells_what_the_host_is_and_what_may_be_used(recording: Path) -> None:
    (recording / "sys/fs/cgroup/job/cpuset.cpus.effective").write_text("0-7\n")
    (recording / "sys/fs/cgroup/job/cpuset.mems.effective").write_text("0-1\n")
    (recording / "sys/fs/cgroup/job/cpu.max").write_text("350000 100000\n")
    (recording / "sys/fs/cgroup/job/memory.max").write_text(f"{4 << 30}\n")
    run = autotune_machine("--root", str(recording))
    assert run.returncode == 0
    assert run.stdout.splitlines()[:10] == [
        "machine        Built CPU @ 2.00GHz (x86_64)",
        "sockets        2 (0-3,8-11 | 4-7,12-15)",
        "NUMA nodes     4 (0: 0-1,8-9, 8.0 GiB | 1: 2-3,10-11, 8.0 GiB | 2: 4-5,12-13, 8.0 GiB"
        " | 3: 6-7,14-15, 8.0 GiB)",
        "cores          8 with 2 cpus each, 16 cpus online",
        "L3 caches      4 (0-1,8-9 | 2-3,10-11 | 4-5,12-13 | 6-7,14-15)",
        "fp32 features  avx2 avx512f",
        "bf16 features  none",
        "int8 features  avx512_vnni",
        "memory         32.0 GiB",
        "allowed        8 cpus (0-7), a CPU quota of 3.5, a memory limit of 4.0 GiB; "
        "at most 3 computing threads",
    ]
    notes = [line for line in run.stdout.splitlines() if line.startswith("note: ")]
    words = ("bars cpus 8-15", "CPU quota", "memory nodes 2-3", "memory limit")
    assert all(word in note for word, note in zip(words, notes, strict=True))


def test_an_unrestricted_machine_gets_no_notes(recording: Path) -> None:
    run = autotune_machine("--root", str(recording))
    assert "note:" not in run.stdout
    assert "allowed        16 cpus (0-15); at most 16 computing threads" in run.stdout


def test_a_quota_under_which_tune_refuses_to_run_is_said_to_be_one(recording: Path) -> None:
    (recording / "sys/fs/cgroup/job/cpu.max").write_text("50000 100000\n")
    shown = autotune_machine("--root", str(recording)).stdout
    assert "allowed        16 cpus (0-15), a CPU quota of 0.5; too little for one thread\n" in shown
    (note,) = (line for line in shown.splitlines() if line.startswith("note: "))
    assert "`autotune tune` refuses to run under a CPU quota of 0.5 cpus" in note
    assert note.endswith("raise the quota of the cgroup or container to at least 1 cpu")


@pytest.mark.parametrize("make", ["missing", "empty", "file", "garbage"])
def test_a_machine_that_cannot_be_read_gives_one_clear_error(
    tmp_path: Path, recording: Path, make: str
) -> None:
    root = tmp_path / make
    if make == "empty":
        root.mkdir()
    elif make == "file":
        root.write_text("not a folder")
    elif make == "garbage":
        recording.rename(root)
        (root / "sys/devices/system/cpu/online").write_bytes(bytes(range(256)))
    run = autotune_machine("--root", str(root), "--json")
    assert run.returncode == exit_code(MachineError(""))
    assert run.stdout == ""
    assert "Traceback" not in run.stderr
    assert run.stderr.startswith("error: ")
    assert str(root) in run.stderr or "no cpu found" in run.stderr
