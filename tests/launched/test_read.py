"""What is read back of a process: of recordings, and of real ones."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from importlib.metadata import version
from pathlib import Path

import pytest

from autotune.launched.proc import ProcFiles
from autotune.launched.read import MemoryPolicy, own_memory_bytes, parse_policy, read_process
from autotune.launched.versions import loaded_versions
from tests.launched.recorded import write_process


def test_a_recorded_process_is_read_whole(tmp_path: Path) -> None:
    write_process(
        tmp_path,
        10,
        environment={"A": "1=2", "EMPTY": "", "LINES": "a\nb"},
        cpus="0-1,4",
        threads={12: ("4", "bind:1"), 11: ("0-7", "default")},
        nodes="0-1",
        policy="bind:0-1",
        own="anon=300 dirty=300 N0=100 N1=200 kernelpagesize_kB=4",
        mapped=("/lib/a.so", "/lib/a.so", "/lib/gone.so (deleted)"),
        inner=7,
    )
    process = read_process(10, ProcFiles(tmp_path))
    assert process is not None
    assert [(thread.id, thread.cpus) for thread in process.threads] == [
        (10, (0, 1, 4)),
        (11, tuple(range(8))),
        (12, (4,)),
    ]
    assert [thread.policy for thread in process.threads] == [
        MemoryPolicy("bind", (0, 1)),
        MemoryPolicy("default"),
        MemoryPolicy("bind", (1,)),
    ]
    assert process.main.name == "server (1) x"
    assert process.main.cpu_s == 200 / os.sysconf("SC_CLK_TCK")
    assert process.cpus == frozenset(range(8))
    assert process.environment == {"A": "1=2", "EMPTY": "", "LINES": "a\nb"}
    assert process.mapped == frozenset({"/lib/a.so", "/lib/gone.so"})
    assert process.memory_bytes == {0: 100 * 4096, 1: 200 * 4096}
    assert process.allowed_nodes == (0, 1)
    assert process.inner_pid == 7
    assert process.unread == {}


def test_the_main_thread_is_first_also_where_the_kernel_began_anew_with_low_ids(tmp_path: Path) -> None:
    write_process(tmp_path, 30_000, cpus="0", threads={2_000: ("1", "default"), 30_001: ("1", "default")})
    process = read_process(30_000, ProcFiles(tmp_path))
    assert process is not None
    assert [thread.id for thread in process.threads] == [30_000, 2_000, 30_001]
    assert process.main.cpus == (0,)


def test_what_may_not_be_read_is_none_with_the_kernels_reason(tmp_path: Path) -> None:
    write_process(tmp_path, 10, environment=None)
    for name in ("maps", "numa_maps"):
        (tmp_path / "10" / name).unlink()
    (tmp_path / "10" / "task" / "10" / "numa_maps").unlink()
    process = read_process(10, ProcFiles(tmp_path))
    assert process is not None
    assert (process.environment, process.mapped, process.memory_bytes) == (None, None, None)
    assert process.main.policy is None
    assert process.unread == {
        "environment": "Is a directory",
        "files": "No such file or directory",
        "memory": "No such file or directory",
    }


def test_a_process_that_has_ended_is_none(tmp_path: Path) -> None:
    assert read_process(10, ProcFiles(tmp_path)) is None
    write_process(tmp_path, 11, environment={})
    status = tmp_path / "11" / "status"
    status.write_text(status.read_text().replace("S (sleeping)", "Z (zombie)"))
    assert read_process(11, ProcFiles(tmp_path)) is None


@pytest.mark.parametrize(
    ("state", "held"),
    [
        ("S (sleeping)", ""),
        ("T (stopped)", "stopped by a signal"),
        ("t (tracing stop)", "stopped by a debugger"),
    ],
)
def test_a_process_that_does_not_go_on_says_why(tmp_path: Path, state: str, held: str) -> None:
    write_process(tmp_path, 10, environment={}, state=state)
    process = read_process(10, ProcFiles(tmp_path))
    assert process is not None
    assert process.held == held


@pytest.mark.parametrize(
    ("line", "policy"),
    [
        ("7f00 default anon=1", MemoryPolicy("default")),
        ("7f00 bind:0-1,3 heap", MemoryPolicy("bind", (0, 1, 3))),
        ("7f00 bind=static:2", MemoryPolicy("bind", (2,))),
        ("7f00 bind=static|balancing:2 heap", MemoryPolicy("bind", (2,))),
        ("7f00 prefer:1 stack", MemoryPolicy("prefer", (1,))),
        ("7f00 prefer (many):0-1 stack", MemoryPolicy("prefer (many)", (0, 1))),
        ("7f00 weighted interleave:0-1 stack", MemoryPolicy("weighted interleave", (0, 1))),
        ("7f00 local", MemoryPolicy("local")),
        ("", None),
        ("garbage", None),
    ],
)
def test_policies_are_read_as_the_kernel_writes_them(line: str, policy: MemoryPolicy | None) -> None:
    assert parse_policy(line) == policy


def test_only_memory_of_no_file_counts_in_pages_of_its_size() -> None:
    text = (
        "1 default file=/lib/a.so anon=5 dirty=5 N3=5 kernelpagesize_kB=4\n"
        "2 default heap anon=2 dirty=2 N0=1 N1=1 kernelpagesize_kB=4\n"
        "3 default anon=3 dirty=3 N1=3 kernelpagesize_kB=2048\n"
        "4 default stack\n"
    )
    assert own_memory_bytes(text) == {0: 4096, 1: 4096 + 3 * 2048 * 1024}


def test_a_real_process_is_read_as_it_is() -> None:
    pinned = min(os.sched_getaffinity(0))
    program = "import os, sys\nos.sched_setaffinity(0, {int(sys.argv[1])})\nprint(1, flush=True)\ninput()"
    with subprocess.Popen(
        [sys.executable, "-S", "-c", program, str(pinned)],
        env={"MARK": "kept"},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as child:
        assert child.stdout is not None
        child.stdout.readline()
        process = read_process(child.pid, ProcFiles())
        child.communicate(b"\n")
    assert process is not None
    assert process.main.cpus == (pinned,)
    assert process.environment is not None
    assert process.environment["MARK"] == "kept"
    assert process.mapped is not None
    assert any("python" in path for path in process.mapped)
    if Path("/proc/self/numa_maps").exists():
        assert process.main.policy is not None
        assert sum((process.memory_bytes or {}).values()) > 100_000
    assert read_process(child.pid, ProcFiles()) is None


def test_the_threads_of_this_process_are_all_there() -> None:
    done = threading.Event()
    threads = [threading.Thread(target=done.wait) for _ in range(5)]
    for thread in threads:
        thread.start()
    process = read_process(os.getpid(), ProcFiles())
    done.set()
    assert process is not None
    assert {thread.native_id for thread in threads} <= {thread.id for thread in process.threads}
    assert process.threads[0].id == os.getpid()


def test_versions_stand_beside_the_libraries_that_are_loaded(tmp_path: Path) -> None:
    site = tmp_path / "lib" / "python3.11" / "site-packages"
    for name in ("onnxruntime-1.31.0", "Other_Engine-2.0+cpu", "torch-2.13.0"):
        (site / f"{name}.dist-info").mkdir(parents=True)
    mapped = {
        f"{site}/onnxruntime/capi/a.so",
        f"{site}/other_engine.libs/b.so",
        "/usr/lib/torch/c.so",
    }
    names = ("onnxruntime", "other-engine", "torch", "absent")
    assert loaded_versions(mapped, names, Path) == {"onnxruntime": "1.31.0", "other-engine": "2.0+cpu"}
    assert loaded_versions(mapped, names, lambda _: tmp_path / "nowhere") == {}


@pytest.mark.engines
def test_the_version_of_a_real_engine_is_read_off_a_process_that_has_loaded_it() -> None:
    program = "import onnxruntime\nprint(1, flush=True)\ninput()"
    with subprocess.Popen(
        [sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as child:
        assert child.stdout is not None
        child.stdout.readline()
        process = read_process(child.pid, ProcFiles(), ("onnxruntime", "torch"))
        child.communicate(b"\n")
    assert process is not None
    assert process.versions == {"onnxruntime": version("onnxruntime")}
