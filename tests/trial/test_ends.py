"""However a trial's parent ends, its workers end; and limits of the kernel have their failure kinds."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest

from autotune.testing.fake_trial import processes_of

PARENT = """
import json, pathlib, sys
from autotune.spec.study import Measure
from autotune.testing.fake_trial import FakeTrial
folder, model, cgroup = pathlib.Path(sys.argv[1]), json.loads(sys.argv[2]), sys.argv[3]
if cgroup:
    pathlib.Path(cgroup, "cgroup.procs").write_text("0")
measure = Measure(warmup_s=1.0, block_s=0.3, blocks=int(sys.argv[4]), trial_timeout_s=60.0)
try:
    result = FakeTrial(folder, model, instances=int(sys.argv[5])).run(measure)
except KeyboardInterrupt:
    print("interrupted")
    raise SystemExit(130)
print(json.dumps([type(result).__name__, getattr(result, "kind", ""), getattr(result, sys.argv[6], "")]))
"""


def start_parent(
    folder: Path,
    model: dict[str, Any],
    *,
    cgroup: str = "",
    blocks: int = 1,
    instances: int = 1,
    told: str = "reason",
) -> subprocess.Popen[str]:
    arguments = [str(folder), json.dumps(model), cgroup, str(blocks), str(instances), told]
    return subprocess.Popen(
        [sys.executable, "-P", "-c", PARENT, *arguments], stdout=subprocess.PIPE, text=True
    )


def workers_of(parent: subprocess.Popen[str], folder: Path, count: int) -> list[int]:
    """The process ids of a parent's workers, once there are so many and all have mapped their own program."""
    for _ in range(600):
        workers = [process.pid for process in processes_of(folder) if process.pid != parent.pid]
        if len(workers) == count:
            return workers
        time.sleep(0.05)
    raise AssertionError(f"{len(workers)} workers instead of {count}")


def assert_gone(folder: Path) -> None:
    give_up = time.monotonic() + 5
    while time.monotonic() < give_up and processes_of(folder):
        time.sleep(0.05)
    assert processes_of(folder) == []


@pytest.mark.parametrize("fault", [None, "hang_ignoring_sigterm"])
def test_workers_end_with_a_parent_that_is_killed(tmp_path: Path, fault: str | None) -> None:
    model = {"faults": [{"fault": fault}]} if fault else {}
    with start_parent(tmp_path, model, blocks=100, instances=2) as parent:
        workers_of(parent, tmp_path, 2)
        parent.kill()
    assert_gone(tmp_path)


@pytest.mark.parametrize("fault", [None, "hang_ignoring_sigterm"])
def test_workers_end_with_a_parent_that_is_interrupted(tmp_path: Path, fault: str | None) -> None:
    model = {"faults": [{"fault": fault}]} if fault else {}
    with start_parent(tmp_path, model, blocks=100, instances=2) as parent:
        workers_of(parent, tmp_path, 2)
        parent.send_signal(signal.SIGINT)
        output, _ = parent.communicate(timeout=30)
        assert processes_of(tmp_path) == []
    assert (parent.returncode, output) == (130, "interrupted\n")


def test_a_worker_that_is_killed_from_outside_is_a_crash(tmp_path: Path) -> None:
    with start_parent(tmp_path, {"load_s": 60.0}) as parent:
        (worker,) = workers_of(parent, tmp_path, 1)
        os.kill(worker, signal.SIGKILL)
        output, _ = parent.communicate(timeout=30)
    assert json.loads(output) == ["Failure", "crash", "was killed by SIGKILL without a result"]


@pytest.mark.skipif(len(os.sched_getaffinity(0)) < 2, reason="needs two cpus")
def test_a_worker_that_ends_while_a_cpu_is_away_says_nothing_though_it_is_back_before_anybody_looks(
    tmp_path: Path, make_cgroup: Callable[..., Path]
) -> None:
    first, second = sorted(os.sched_getaffinity(0))[:2]
    both = f"{first},{second}"
    cgroup = make_cgroup("cpuset", cpus=both)
    (cgroup / "cpuset.mems").write_text("0")
    with start_parent(tmp_path, {"load_s": 60.0}, cgroup=str(cgroup), told="may_pass") as parent:
        (worker,) = workers_of(parent, tmp_path, 1)
        parent.send_signal(signal.SIGSTOP)
        (cgroup / "cpuset.cpus").write_text(str(first))
        os.kill(worker, signal.SIGKILL)
        while psutil.Process(worker).status() != psutil.STATUS_ZOMBIE:
            time.sleep(0.01)
        (cgroup / "cpuset.cpus").write_text(both)
        parent.send_signal(signal.SIGCONT)
        output, _ = parent.communicate(timeout=30)
    assert json.loads(output) == ["Failure", "crash", True]


@pytest.mark.quiet  # the kernel counts what it kills for the whole host
def test_a_worker_that_is_killed_by_the_memory_limit_is_out_of_memory(
    tmp_path: Path, memory_cgroup: Path
) -> None:
    model = {"faults": [{"fault": "allocate_bytes", "bytes": 2_000_000_000, "instance": 1}]}
    with start_parent(tmp_path, model, cgroup=str(memory_cgroup), instances=2) as parent:
        output, _ = parent.communicate(timeout=60)
    kind, failure, reason = json.loads(output)
    assert (kind, failure) == ("Failure", "out_of_memory"), reason
    assert "instance 1 of 2: killed by the kernel" in reason


@pytest.mark.quiet  # it must have had as much as the quota allows
def test_a_window_in_which_the_quota_throttled_is_disturbed(
    tmp_path: Path, make_cgroup: Callable[..., Path]
) -> None:
    cgroup = make_cgroup("cpu", max="30000 100000", cfs_quota_us="30000")
    with start_parent(tmp_path, {"timing": "busy"}, cgroup=str(cgroup)) as parent:
        output, _ = parent.communicate(timeout=60)
    kind, failure, reason = json.loads(output)
    assert (kind, failure) == ("Failure", "disturbed"), reason
    assert "throttled" in reason
