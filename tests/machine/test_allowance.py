"""What may change of a machine while it runs: whatever a study depends on shows, and nothing else does."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from autotune.errors import MachineError
from autotune.machine.allowance import read_allowance
from autotune.machine.document import machine_differences, machine_document
from autotune.machine.read import read_machine

Change = Callable[[Path], object]


def writing(path: str, text: str) -> Change:
    return lambda root: (root / path).write_text(text)


def allow(root: Path, key: str, cpus: str) -> None:
    status = root / "proc/self/status"
    kept = [line for line in status.read_text().splitlines() if not line.startswith(f"{key}:")]
    status.write_text("\n".join((*kept, f"{key}:\t{cpus}")) + "\n")


def take_offline(root: Path, last: int) -> None:
    """As the kernel does: the list is shorter, and the cpu's folder has no topology any more."""
    (root / "sys/devices/system/cpu/online").write_text(f"0-{last - 1}\n")
    shutil.rmtree(root / f"sys/devices/system/cpu/cpu{last}/topology")


CHANGES: dict[str, Change] = {
    "cpuset": writing("sys/fs/cgroup/job/cpuset.cpus.effective", "0-7\n"),
    "memory nodes of the cpuset": writing("sys/fs/cgroup/job/cpuset.mems.effective", "0\n"),
    "affinity": lambda root: allow(root, "Cpus_allowed_list", "0-3"),
    "memory nodes": lambda root: allow(root, "Mems_allowed_list", "1"),
    "quota": writing("sys/fs/cgroup/job/cpu.max", "50000 100000\n"),
    "quota of a parent": writing("sys/fs/cgroup/cpu.max", "150000 100000\n"),
    "memory limit": writing("sys/fs/cgroup/job/memory.max", f"{1 << 30}\n"),
    "offline cpus": lambda root: take_offline(root, 15),
    "offline nodes": writing("sys/devices/system/node/online", "0-2\n"),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_a_change_that_a_study_depends_on_shows(recording: Path, change: Change) -> None:
    before, machine = read_allowance(recording), machine_document(read_machine(recording))
    assert read_allowance(recording) == before
    change(recording)
    assert machine_differences(machine, machine_document(read_machine(recording)))
    assert read_allowance(recording) != before


def test_the_running_process_is_asked_for_its_affinity() -> None:
    cpu = min(os.sched_getaffinity(0))
    program = (
        "import os; from autotune.machine.allowance import read_allowance;"
        f"before = read_allowance(); os.sched_setaffinity(0, {{{cpu}}});"
        f"assert read_allowance().affinity == {{{cpu}}};"
        "assert before.affinity"
    )
    subprocess.run([sys.executable, "-P", "-c", program], check=True)


def test_garbage_is_refused(recording: Path) -> None:
    (recording / "sys/fs/cgroup/job/cpuset.cpus.effective").write_text("many\n")
    with pytest.raises(MachineError, match="holds 'many'"):
        read_allowance(recording)
