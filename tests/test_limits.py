"""Inside real cgroups a study never measures or plans more than it may use."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from autotune.cli import exits
from autotune.errors import ChangedMachineError
from autotune.machine.cpus import format_cpu_list
from autotune.measurement.measurement import Measurement
from autotune.plan.document import Plan
from autotune.spec.configuration import Configuration
from autotune.store.store import read_store

ROOT = Path("/sys/fs/cgroup")
JOIN_AND_RUN = 'echo $$ > "$0/cgroup.procs" && exec "$@"'
STUDY = {
    "name": "limited",
    "model": "fake:model.json",
    "problem": {"batch_size": 2, "sequence_length": 32},
    "search": {"precisions": ["fp32"]},
    "measure": {"warmup": "100ms", "block": "50ms", "max_blocks": 3, "disturbed": "keep"},
    "confirm": {"finalists": 1, "rounds": 3},
    "budget": {"minutes": 9.0},  # less than it takes for a twin to run in the rounds, too
}
MODEL = {"schema": "autotune.fake/1", "serial_s": 0.005}

pytestmark = pytest.mark.skipif(len(os.sched_getaffinity(0)) < 2, reason="one cpu is all there is")


@contextmanager
def cgroup(controller: str, **values: str) -> Iterator[Path]:
    """A cgroup below this process's root with these files set; of either version."""
    unified = (ROOT / "cgroup.controllers").exists()
    folder = (ROOT if unified else ROOT / controller) / f"autotune-test-{os.getpid()}"
    try:
        folder.mkdir()
        for name, value in values.items():
            (folder / f"{controller}.{name}").write_text(value)
    except OSError as error:
        with suppress(OSError):
            folder.rmdir()
        pytest.skip(f"no cgroup can be made here: {error}")
    try:
        yield folder
    finally:
        folder.rmdir()


def tune_inside(group: Path, folder: Path) -> tuple[Plan, list[Configuration], list[Measurement]]:
    """Tune in the cgroup; gives the plan, every configuration but the baseline, and what was measured."""
    with start_inside(group, folder) as process:
        _, err = process.communicate()
    assert process.returncode == 0, err
    with read_store(f"sqlite:///{folder}/autotune.db") as store:
        trials, confirmed = store.trials("limited"), store.confirmations("limited")
        plan = store.plan("latest")
    results = [trial.result for trial in trials] + [run.result for run in confirmed]
    measured = [result for result in results if isinstance(result, Measurement)]
    assert len(measured) == len(results)
    return plan, [trial.configuration for trial in trials if not trial.baseline], measured


def test_a_quota_of_one_and_a_half_cpus_is_never_exceeded(tmp_path: Path) -> None:
    unified = (ROOT / "cgroup.controllers").exists()
    quota = {"max": "150000 100000"} if unified else {"cfs_period_us": "100000", "cfs_quota_us": "150000"}
    with cgroup("cpu", **quota) as group:
        plan, tried, _ = tune_inside(group, tmp_path)
    assert {one.instances * one.threads_per_instance for one in tried} == {1}
    assert plan.configuration.instances == 1
    assert plan.configuration.threads_per_instance <= 1
    assert any("quota of 1.5 cpus" in warning for warning in plan.warnings)


def start_inside(group: Path, folder: Path) -> subprocess.Popen[str]:
    (folder / "model.json").write_text(json.dumps(MODEL))
    (folder / "study.yaml").write_text(json.dumps(STUDY))
    return subprocess.Popen(
        ["sh", "-c", JOIN_AND_RUN, group, sys.executable, "-m", "autotune", "tune", "study.yaml"],
        cwd=folder,
        env={**os.environ, "AUTOTUNE_CACHE": str(folder / "cache")},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )


def until(process: subprocess.Popen[str], text: str) -> str:
    """Read what it prints up to and including a line with this text."""
    assert process.stderr is not None
    lines: list[str] = []
    for line in process.stderr:
        lines.append(line)
        if text in line:
            break
    return "".join(lines)


def test_a_cpuset_that_shrinks_in_the_middle_ends_a_study_which_goes_on_once_it_is_back(
    tmp_path: Path,
) -> None:
    both = sorted(os.sched_getaffinity(0))[-2:]
    with cgroup("cpuset", mems="0", cpus=format_cpu_list(both)) as group:
        with start_inside(group, tmp_path) as process:
            until(process, "baseline: ")
            (group / "cpuset.cpus").write_text(str(both[0]))
            _, err = process.communicate()
        assert process.returncode == exits.EXIT_CODES[ChangedMachineError], err
        expected = f"the set of allowed cpus differs: {format_cpu_list(both)} then, {both[0]} now"
        assert expected in err
        with read_store(f"sqlite:///{tmp_path}/autotune.db") as store:
            kept = store.trials("limited")
        (group / "cpuset.cpus").write_text(format_cpu_list(both))
        _, tried, _ = tune_inside(group, tmp_path)
    with read_store(f"sqlite:///{tmp_path}/autotune.db") as store:
        assert store.trials("limited")[: len(kept)] == kept
    assert {one.instances * one.threads_per_instance for one in tried} == {1, 2}


def test_a_quota_that_comes_in_the_middle_ends_a_study(tmp_path: Path) -> None:
    unified = (ROOT / "cgroup.controllers").exists()
    none, less = ("max 100000", "150000 100000") if unified else ("-1", "150000")
    file = "max" if unified else "cfs_quota_us"
    with cgroup("cpu", **{file: none}) as group, start_inside(group, tmp_path) as process:
        until(process, "baseline: ")
        (group / f"cpu.{file}").write_text(less)
        _, err = process.communicate()
    assert process.returncode == exits.EXIT_CODES[ChangedMachineError], err
    assert "the CPU quota differs: none then, 1.5 now" in err


def test_a_cpuset_of_one_cpu_is_never_left(tmp_path: Path) -> None:
    only = max(os.sched_getaffinity(0))
    with cgroup("cpuset", mems="0", cpus=str(only)) as group:
        plan, tried, measured = tune_inside(group, tmp_path)
    assert {one.instances * one.threads_per_instance for one in tried} == {1}
    assert all(seen.cpus == (only,) for one in measured for seen in one.observations)
    assert {cpu for instance in plan.instances for cpu in instance.cpus} <= {only}
