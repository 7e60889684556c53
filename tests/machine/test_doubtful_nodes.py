"""NUMA nodes that share cpus, as a kernel booted with `numa=fake` has them, and nodes without memory."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from autotune.machine.describe import describe
from autotune.machine.document import machine_differences, machine_document
from autotune.machine.machine import Machine
from autotune.machine.read import read_machine
from autotune.testing.recordings import write_recording

Case = Callable[[str], Path]


def shown(root: Path) -> str:
    """What `autotune machine` prints."""
    program = "from autotune.cli.main import main; main()"
    command = [sys.executable, "-c", program, "machine", "--root", str(root)]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def test_nodes_of_the_same_cpus_are_named_as_left_out(recorded_case: Case) -> None:
    root = recorded_case("fake-numa-rpi5")
    machine = read_machine(root)
    assert [node.number for node in machine.nodes] == [0]
    assert machine.doubtful_nodes == set(range(1, 8))
    assert "NUMA nodes 1-7 are left out" in shown(root)
    assert "memory will not be bound" in shown(root)


def test_nodes_that_share_only_some_cpus_are_doubtful_too(recording: Path) -> None:
    (recording / "sys/devices/system/node/node2/cpumap").write_text("0000300f\n")
    assert read_machine(recording).doubtful_nodes == {2}


def test_doubtful_nodes_are_written_as_they_are_read(tmp_path: Path, two_sockets: Machine) -> None:
    doubtful = replace(two_sockets, doubtful_nodes=frozenset({7}))
    assert read_machine(write_recording(tmp_path / "unknown", doubtful)) == doubtful
    allowed = two_sockets.allowed_nodes | {7}
    known = replace(doubtful, doubtful_memory=((7, 1 << 30),), allowed_nodes=allowed)
    assert read_machine(write_recording(tmp_path / "known", known)) == known


def test_a_cpuset_that_bars_some_of_them_is_noticed_and_named(recorded_case: Case) -> None:
    """A memory container, for which `numa=fake` was made."""
    root = recorded_case("fake-numa-rpi5")
    before = read_machine(root)
    assert before.allowed_nodes == set(range(8))
    assert before.allowed_memory_bytes == 8 << 30
    assert "bars" not in shown(root)
    status = root / "proc/self/status"
    status.write_text(status.read_text().replace("Mems_allowed_list:\t0-7", "Mems_allowed_list:\t4-7"))
    after = read_machine(root)
    assert after.allowed_memory_bytes == 4 << 30
    assert "bars memory nodes 0-3\n" in shown(root)
    assert machine_differences(machine_document(before), machine_document(after)) == [
        "the set of allowed memory nodes differs: 0-7 then, 4-7 now"
    ]


def test_nodes_without_a_doubt_are_not_spoken_of(two_sockets: Machine) -> None:
    assert "left out" not in describe(two_sockets)


def test_no_cpuset_bars_a_node_that_has_no_memory(recorded_case: Case) -> None:
    root = recorded_case("lpar-small-first")
    assert read_machine(root).allowed_nodes == {0, 1, 3}
    assert "bars" not in shown(root)


def test_a_cpuset_that_bars_memory_is_named_by_the_nodes_that_have_some(recorded_case: Case) -> None:
    root = recorded_case("lpar-small-first")
    status = root / "proc/self/status"
    status.write_text(status.read_text().replace("Mems_allowed_list:\t0-1,3", "Mems_allowed_list:\t3"))
    assert "bars memory nodes 0-1\n" in shown(root)
