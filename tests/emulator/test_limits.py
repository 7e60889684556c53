"""On an emulated machine of two sockets, a study within cgroup v2 limits plans no more than they allow."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from autotune.plan.document import Plan
from autotune.store.store import open_store

Emulate = Callable[[Path, tuple[str, ...], str], None]

STUDY = """
name: NAME
model: fake:model.json
problem: {batch_size: 4, sequence_length: 128}
search: {precisions: [fp32], placements: [close]}
measure: {warmup: 1s, block: 200ms, blocks: 1, max_blocks: 1, disturbed: keep, trial_timeout: 240s}
budget: {trials: 2, minutes: 60}
"""
SCRIPT = """
set -e
groups=/sys/fs/cgroup
mkdir "$groups/quota" "$groups/cpuset"
echo "150000 100000" > "$groups/quota/cpu.max"
echo 3 > "$groups/cpuset/cpuset.cpus"
"$PYTHON" -P search.py 2 "quota.yaml@$groups/quota" "cpuset.yaml@$groups/cpuset"
"""


@pytest.fixture(scope="module")
def folder(emulate: Emulate, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What two studies inside the emulated machine left: `quota` of 1.5 cpus, and `cpuset` of cpu 3 alone."""
    path = tmp_path_factory.mktemp("limits")
    (path / "model.json").write_text(json.dumps({"schema": "autotune.fake/1", "serial_s": 0.02}))
    for name in ("quota", "cpuset"):
        (path / f"{name}.yaml").write_text(STUDY.replace("NAME", name))
    emulate(path, ("--sockets=2", "--cores=2", "--threads=1"), SCRIPT)
    return path


pytestmark = [pytest.mark.emulator, pytest.mark.slow, pytest.mark.timeout(1900)]


def planned(folder: Path, name: str) -> tuple[Plan, set[int]]:
    """The study's plan, and every number of threads that was tried, the baseline's left out."""
    with open_store(f"sqlite:///{folder}/autotune.db") as store:
        trials = [trial.configuration for trial in store.trials(name) if not trial.baseline]
        return store.plan(name), {one.instances * one.threads_per_instance for one in trials}


def test_a_quota_of_one_and_a_half_cpus_allows_one_thread(folder: Path) -> None:
    plan, threads = planned(folder, "quota")
    assert threads == {1}
    assert plan.configuration.instances == 1
    assert plan.machine["quota_cpus"] == 1.5


def test_a_cpuset_of_one_cpu_allows_that_cpu(folder: Path) -> None:
    plan, threads = planned(folder, "cpuset")
    assert threads == {1}
    assert plan.machine["allowed"] == "3"
    assert {cpu for instance in plan.instances for cpu in instance.cpus} <= {3}
