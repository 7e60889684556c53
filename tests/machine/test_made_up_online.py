"""Containers see a made-up list of online cpus (lxcfs): what this process may run on is believed first."""

from __future__ import annotations

import json
import os
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from autotune.errors import MachineError
from autotune.machine.document import machine_document
from autotune.machine.machine import Machine
from autotune.machine.read import read_machine

CPUS = "sys/devices/system/cpu"
Case = Callable[[str], Path]


def allow(root: Path, cpus: str) -> None:
    (root / "proc/self/status").write_text(f"Cpus_allowed_list:\t{cpus}\nMems_allowed_list:\t0\n")
    for file in (root / "sys/fs/cgroup").rglob("cpuset.cpus.effective"):
        file.write_text(f"{cpus}\n")


@pytest.mark.parametrize("allowed", ["2-5", "4-7", "0-3", "8,31"])
def test_cpus_that_the_affinity_allows_are_there_whatever_the_list_says(
    recorded_case: Case, allowed: str
) -> None:
    root = recorded_case("lxcfs-overlap")
    allow(root, allowed)
    assert machine_document(read_machine(root))["allowed"] == allowed


@pytest.mark.parametrize("allowed", ["2-5", "4-7"])
def test_where_the_list_is_made_up_every_cpu_whose_folder_shows_it_running_is_online(
    recorded_case: Case, allowed: str
) -> None:
    root = recorded_case("lxcfs-overlap")
    allow(root, allowed)
    (root / CPUS / "cpu9/online").write_text("0\n")
    shutil.rmtree(root / CPUS / "cpu9/topology")
    document = machine_document(read_machine(root))
    assert document["online"] == "0-8,10-31"
    assert document["nodes"] == {"0": "0-8,10-31"}


def test_cpus_that_cannot_be_taken_offline_have_no_file_that_says_they_run(recorded_case: Case) -> None:
    root = recorded_case("lxcfs-overlap")
    for file in (root / CPUS).glob("cpu*/online"):
        file.unlink()
    assert machine_document(read_machine(root))["online"] == "0-31"


def test_a_container_that_shows_fewer_folders_than_cpus_still_runs_on_all_of_them(
    recorded_case: Case,
) -> None:
    root = recorded_case("lxcfs-overlap")
    allow(root, "4-7")
    for cpu in range(4, 32):
        shutil.rmtree(root / CPUS / f"cpu{cpu}")
    document = machine_document(read_machine(root))
    assert document["allowed"] == "4-7"
    assert document["cores"][-4:] == ["4", "5", "6", "7"]


def test_an_affinity_may_name_cpus_that_are_offline(recording: Path, two_sockets: Machine) -> None:
    """As a process has it that nobody has restricted, on a machine that could have more cpus."""
    (recording / "proc/self/status").write_text("Cpus_allowed_list:\t0-127\n")
    (recording / "sys/fs/cgroup/job/cpuset.cpus.effective").unlink()
    (recording / "sys/fs/cgroup/cpuset.cpus.effective").unlink()
    for cpu in (16, 17):
        (recording / CPUS / f"cpu{cpu}").mkdir()
        (recording / CPUS / f"cpu{cpu}/online").write_text("0\n")
    assert read_machine(recording) == two_sockets


def test_cpus_that_are_all_offline_cannot_be_run_on(recorded_case: Case) -> None:
    root = recorded_case("lxcfs-overlap")
    allow(root, "8-9")
    for cpu in (8, 9):
        (root / CPUS / f"cpu{cpu}/online").write_text("0\n")
    with pytest.raises(MachineError, match="leave nothing"):
        read_machine(root)


AS_LXCFS = """
mount --bind {folder}/online /sys/devices/system/cpu/online || exit 77
mount --bind {folder}/stat /proc/stat || exit 77
exec {python} -c {program}
"""
PROGRAM = """
import json, os
from pathlib import Path
from autotune.machine.read import read_machine
from autotune.machine.state import StateReader
from autotune.machine.sysfs import Tree

def see(cpus):
    os.sched_setaffinity(0, cpus)
    return [sorted(read_machine().allowed), sorted(StateReader(Tree(Path("/"))).host(()).cpus)]

everything = os.sched_getaffinity(0)
print(json.dumps([see({0}), see(everything)]))
"""


def test_on_a_host_as_lxcfs_shows_it_the_affinity_is_believed_before_lists_and_counters(
    tmp_path: Path,
) -> None:
    cpus = sorted(os.sched_getaffinity(0))
    if os.geteuid() != 0 or len(cpus) < 2 or cpus[0] != 0:
        pytest.skip("needs root, and cpu 0 beside another")
    (tmp_path / "online").write_text("0\n")
    (tmp_path / "stat").write_text("cpu  1 1 1 1\ncpu0 1 1 1 1\n")
    script = AS_LXCFS.format(folder=tmp_path, python=sys.executable, program=shlex.quote(PROGRAM))
    ended = subprocess.run(
        ["unshare", "--mount", "sh", "-c", script], capture_output=True, text=True, check=False
    )
    if not ended.stdout and ended.returncode in (1, 77):
        pytest.skip(f"nothing can be mounted here: {ended.stderr}")
    assert json.loads(ended.stdout) == [[[0], [0]], [cpus, []]]
