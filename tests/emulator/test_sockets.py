"""On an emulated machine of 2 sockets x 2 nodes with SMT, instances run where their placements say.

The emulator is optional: `AUTOTUNE_NUMA_VM` names it, else it is looked for beside the checkout. It shows
whether placements are right, never whether they pay: nothing is timed.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from autotune.machine.cpus import format_cpu_list
from autotune.placement.place import place
from autotune.store.records import TrialRecord
from autotune.store.store import open_store
from autotune.testing.machines import build_machine
from autotune.trial.measurement import Measurement

REPOSITORY = Path(__file__).parents[2]
EMULATOR = Path(os.environ.get("AUTOTUNE_NUMA_VM", REPOSITORY.parent / "shared" / "numa-vm" / "numa-vm"))
SHAPE = ("--sockets=2", "--nodes-per-socket=2", "--cores=2", "--threads=2")

MODEL = {"schema": "autotune.fake/1", "serial_s": 0.02}
STUDY = """
name: sockets
model: fake:model.json
problem: {batch_size: 8, sequence_length: 128}
objective: throughput
search:
  precisions: [fp32]
  instances: [2, 4]
  threads: [2, 4]
  placements: [close, spread, per-node]
  smt: [false, true]
measure: {warmup: 1s, block: 200ms, blocks: 1, max_blocks: 1, disturbed: keep, trial_timeout: 240s}
budget: {trials: 5, minutes: 60}
"""
SEARCH = """
import autotune
from autotune.report.progress import Observer
from autotune.tuning import TuningInterrupted

class SearchOnly(Observer):
    trials = 0

    def trial_ended(self, record, progress):
        self.trials += 1

    def wants_to_stop(self):
        return self.trials == 5

try:
    autotune.tune("study.yaml", observer=SearchOnly())
except TuningInterrupted as interrupted:
    assert interrupted.plan is not None, interrupted.reason
"""
"""The five trials without the confirmation, which would launch the same again for minutes."""

TUNE = '"$PYTHON" -P search.py'
LAUNCH = """
"$PYTHON" -P -m autotune export latest --to numactl -o launch
bash launch/launch.sh --seconds 1 > launched.txt
"""
SCRIPTS = {"adjacent": TUNE, "split": f"set -e\n{TUNE}\n{LAUNCH}"}
"""What runs inside, by numbering; the launch takes a minute, and once is enough."""


def siblings(numbering: str) -> list[list[tuple[int, ...]]]:
    """The cpus of each core of each node, from the emulator's documentation and not from our reader."""
    adjacent = numbering == "adjacent"
    return [[(2 * c, 2 * c + 1) if adjacent else (c, c + 8) for c in (2 * n, 2 * n + 1)] for n in range(4)]


def emulator_missing() -> str:
    """Why the emulator cannot be used; empty if it can."""
    if not EMULATOR.is_file():
        return f"no emulator at {EMULATOR}; AUTOTUNE_NUMA_VM names another"
    boot = subprocess.run(
        [EMULATOR, "--sockets=1", "--", "true"], capture_output=True, text=True, check=False
    )
    return f"the emulator does not start: {boot.stderr.strip()}" if boot.returncode else ""


@pytest.fixture(scope="module", params=SCRIPTS)
def tuned(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Path]:
    """The numbering, and the folder that a tune inside the emulated machine left."""
    if reason := emulator_missing():
        pytest.skip(reason)
    folder = tmp_path_factory.mktemp(request.param)
    (folder / "model.json").write_text(json.dumps(MODEL))
    (folder / "study.yaml").write_text(STUDY)
    (folder / "search.py").write_text(SEARCH)
    ran = subprocess.run(
        [EMULATOR, *SHAPE, f"--numbering={request.param}", "--timeout=900", f"--writable={folder}",
         f"--cwd={folder}", "--", "sh", "-c", SCRIPTS[request.param]],
        env={**os.environ, "PYTHON": sys.executable, "AUTOTUNE_CACHE": str(folder / "cache")},
        capture_output=True,
        text=True,
        check=False,
    )  # fmt: skip
    assert ran.returncode == 0, f"{ran.stdout}\n{ran.stderr}"
    return request.param, folder


def measured(folder: Path) -> list[tuple[TrialRecord, Measurement]]:
    """The trials that measured something, pinned ones only."""
    with open_store(f"sqlite:///{folder}/autotune.db") as store:
        trials = store.trials("sockets")
    assert trials[0].baseline
    for trial in trials:
        assert isinstance(trial.result, Measurement), f"{trial.configuration}: {trial.result}"
    return [(one, one.result) for one in trials[1:] if isinstance(one.result, Measurement)]


pytestmark = [pytest.mark.emulator, pytest.mark.timeout(1000)]


def test_the_machine_is_read_as_the_emulator_built_it(tuned: tuple[str, Path]) -> None:
    numbering, folder = tuned
    with open_store(f"sqlite:///{folder}/autotune.db") as store:
        study = store.find_study("sockets")
    assert study is not None
    machine = study.machine
    cores = sorted(core for node in siblings(numbering) for core in node)
    assert machine["cores"] == [f"{a}-{b}" if b == a + 1 else f"{a},{b}" for a, b in cores]
    assert len(machine["packages"]) == 2
    assert sorted(machine["nodes"]) == ["0", "1", "2", "3"]


def test_every_instance_is_pinned_and_bound_as_its_placement_says(tuned: tuple[str, Path]) -> None:
    numbering, folder = tuned
    machine = build_machine(
        packages=2,
        nodes_per_package=2,
        cores_per_node=2,
        threads_per_core=2,
        numbering="adjacent" if numbering == "adjacent" else "split",
    )
    trials = measured(folder)
    assert len(trials) == 4
    assert max(len(result.observations) for _, result in trials) >= 4, "no trial used all four nodes"
    for trial, result in trials:
        placement = place(trial.configuration, machine)
        for instance, seen in zip(placement.instances, result.observations, strict=True):
            assert seen.cpus == instance.cpus, trial.configuration
            assert all(set(thread.cpus) <= set(instance.cpus) for thread in seen.threads), trial.configuration
            assert (seen.memory_policy, seen.memory_nodes) == ("bind", instance.memory_nodes), (
                trial.configuration
            )


def test_no_instance_shares_a_core_or_leaves_its_node_without_need(tuned: tuple[str, Path]) -> None:
    numbering, folder = tuned
    tree = siblings(numbering)
    node_of = {cpu: node for node, cores in enumerate(tree) for core in cores for cpu in core}
    core_of = {cpu: core for cores in tree for core in cores for cpu in core}
    for trial, result in measured(folder):
        cores = [{core_of[cpu] for cpu in seen.cpus} for seen in result.observations]
        assert sum(map(len, cores)) == len(set().union(*cores)), (
            f"{trial.configuration}: a core has two instances"
        )
        for seen, own in zip(result.observations, cores, strict=True):
            nodes = {node_of[cpu] for cpu in seen.cpus}
            assert seen.memory_nodes == tuple(sorted(nodes))
            assert len(nodes) == -(-len(own) // 2), f"{trial.configuration}: {seen.cpus} lie on nodes {nodes}"
            assert trial.configuration.smt or len(seen.cpus) == len(own), "two siblings of one core, unasked"


@pytest.mark.parametrize("tuned", ["split"], indirect=True)
def test_the_exported_script_starts_instances_where_the_plan_says(tuned: tuple[str, Path]) -> None:
    _, folder = tuned
    with open_store(f"sqlite:///{folder}/autotune.db") as store:
        plan = store.plan("latest")
    assert plan.configuration.placement != "unpinned"
    lines = (folder / "launched.txt").read_text().splitlines()
    for index, (line, instance) in enumerate(zip(lines, plan.instances, strict=False)):
        where = (
            f"on cpus {format_cpu_list(instance.cpus)}, memory bind {format_cpu_list(instance.memory_nodes)},"
        )
        assert line.startswith(f"instance {index}: ")
        assert where in line
    assert lines[len(plan.instances)].startswith("throughput: ")
