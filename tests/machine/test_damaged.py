from __future__ import annotations

import contextlib
import os
import shutil
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from autotune.errors import MachineError
from autotune.machine.document import machine_document
from autotune.machine.machine import Machine
from autotune.machine.read import read_machine

CPUS = "sys/devices/system/cpu"


def test_a_root_that_is_missing_is_refused(tmp_path: Path) -> None:
    with pytest.raises(MachineError, match="No such file or directory") as caught:
        read_machine(tmp_path / "nowhere")
    assert "nowhere" in caught.value.problem
    assert caught.value.remedy


def test_a_root_that_is_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(MachineError, match="Not a directory"):
        read_machine(tmp_path / "file")


def test_a_root_without_a_machine_is_refused(tmp_path: Path) -> None:
    with pytest.raises(MachineError, match="no cpu found"):
        read_machine(tmp_path)


def test_a_root_with_a_zero_byte_in_its_name_is_refused() -> None:
    with pytest.raises(MachineError, match="null byte"):
        read_machine(Path("a\0b"))


@pytest.mark.parametrize(
    ("file", "content"),
    [
        (f"{CPUS}/online", "0-1000000000\n"),
        (f"{CPUS}/online", "\x7fELF\x02\x01"),
        (f"{CPUS}/cpu0/topology/core_cpus", "not a mask\n"),
        (f"{CPUS}/cpu0/cache/index3/shared_cpu_map", "f" * 20000),
        ("sys/devices/system/node/node0/cpumap", "0x\n"),
        ("sys/devices/system/node/online", "0-\n"),
        ("proc/self/status", "Cpus_allowed_list:\tall\n"),
        ("sys/fs/cgroup/job/cpuset.cpus.effective", "0;rm\n"),
    ],
)
def test_a_file_of_garbage_is_refused_by_its_name(recording: Path, file: str, content: str) -> None:
    (recording / file).write_text(content)
    with pytest.raises(MachineError) as caught:
        read_machine(recording)
    assert str(recording / file) in caught.value.problem
    assert len(caught.value.problem) < 400


def test_a_process_that_may_run_nowhere_is_refused(recording: Path) -> None:
    (recording / "proc/self/status").write_text("Cpus_allowed_list:\t100-200\n")
    with pytest.raises(MachineError, match="leave nothing"):
        read_machine(recording)


def test_a_pipe_among_the_files_does_not_block(recording: Path, two_sockets: Machine) -> None:
    for name in ("proc/cmdline", "sys/devices/system/node/node0/distance"):
        (recording / name).unlink(missing_ok=True)
        os.mkfifo(recording / name)
    assert read_machine(recording).nodes[0].distances == ()


def test_a_folder_in_a_files_place_counts_as_missing(recording: Path, two_sockets: Machine) -> None:
    (recording / f"{CPUS}/online").unlink()
    (recording / f"{CPUS}/online").mkdir()
    descriptors = len(os.listdir("/proc/self/fd"))  # noqa: PTH208 - counted, not walked
    assert read_machine(recording) == two_sockets
    assert len(os.listdir("/proc/self/fd")) == descriptors  # noqa: PTH208 - counted, not walked


def test_a_link_to_itself_counts_as_missing(recording: Path, two_sockets: Machine) -> None:
    (recording / f"{CPUS}/online").unlink()
    (recording / f"{CPUS}/online").symlink_to("online")
    (recording / f"{CPUS}/cpu99").symlink_to(".")
    assert read_machine(recording).online == two_sockets.online


@pytest.mark.parametrize("target", ["/proc/meminfo", "../../../etc/hostname"])
def test_links_out_of_the_root_are_not_followed(recording: Path, target: str) -> None:
    (recording / "proc/meminfo").unlink()
    (recording / "proc/meminfo").symlink_to(target)
    assert read_machine(recording).memory_bytes is None


def test_links_within_the_root_are_followed(recording: Path, two_sockets: Machine) -> None:
    (recording / CPUS).rename(recording / "sys/cpus")
    (recording / CPUS).symlink_to("../../cpus")
    assert read_machine(recording) == two_sockets


def test_a_root_behind_a_link_is_read(recording: Path, two_sockets: Machine) -> None:
    link = recording.with_name("link")
    link.symlink_to(recording)
    assert read_machine(link) == two_sockets


def test_entries_with_impossible_numbers_are_left_aside(recording: Path, two_sockets: Machine) -> None:
    for name in ("cpu99999999999", "cpu70000", "cpu007", "cpu-1", "cpux"):
        shutil.copytree(recording / CPUS / "cpu0", recording / CPUS / name)
    (recording / CPUS / "online").unlink()
    assert read_machine(recording).online == two_sockets.online


def test_the_longest_possible_list_of_cpus_is_read(tmp_path: Path) -> None:
    (tmp_path / CPUS).mkdir(parents=True)
    (tmp_path / CPUS / "online").write_text("0-65535\n")
    assert len(read_machine(tmp_path).cores) == 65536


def test_masks_that_contradict_each_other_still_put_each_cpu_in_one_core(recording: Path) -> None:
    for cpu, mask in ((0, "0007"), (1, "0003"), (2, "ff04"), (3, "0000"), (9, "ffff")):
        (recording / CPUS / f"cpu{cpu}/topology/core_cpus").write_text(f"{mask}\n")
    machine = read_machine(recording)
    assert sorted(cpu for core in machine.cores for cpu in core.cpus) == list(range(16))


contents = st.none() | st.binary(max_size=40) | st.text("0123456789-,abc\n ").map(str.encode)


def test_whatever_the_files_hold_a_machine_or_a_machine_error_comes_out(recording: Path) -> None:
    originals = {path: path.read_bytes() for path in sorted(recording.rglob("*")) if path.is_file()}

    @given(st.dictionaries(st.sampled_from(list(originals)), contents, max_size=4))
    @settings(max_examples=200, deadline=None)
    def check(changed: dict[Path, bytes | None]) -> None:
        for path, content in changed.items():
            path.unlink() if content is None else path.write_bytes(content)
        try:
            with contextlib.suppress(MachineError):
                assert_usable(read_machine(recording))
        finally:
            for path in changed:
                path.write_bytes(originals[path])

    check()


def assert_usable(machine: Machine) -> None:
    assert machine.allowed
    assert machine.allowed <= machine.online
    assert machine.online == frozenset().union(*machine.packages) == frozenset().union(*machine.l3)
    assert sorted(machine.online) == sorted(cpu for core in machine.cores for cpu in core.cpus)
    assert {core.node for core in machine.cores} <= {node.number for node in machine.nodes}
    assert machine_document(machine)["fingerprint"]
