"""On an emulated machine of 2 sockets x 2 nodes with SMT, instances run where their placements say.

Within cgroup v2 limits, a study plans no more there than they allow.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import pytest

from autotune.machine.cpus import format_cpu_list
from autotune.measurement.measurement import Measurement
from autotune.placement.place import place
from autotune.plan.document import Plan
from autotune.store.records import TrialRecord
from autotune.store.store import open_store
from autotune.testing.machines import build_machine

Emulate = Callable[[Path, tuple[str, ...], str], None]
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
SERVER = """
import os, sys, threading, time
held = bytearray(b"x") * 2**25
for _ in range(int(sys.argv[1])):
    threading.Thread(target=time.sleep, args=(3600,)).start()
with open("begun.pid" + sys.argv[2], "w") as file:
    file.write(str(os.getpid()))
os.rename("begun.pid" + sys.argv[2], "pid." + sys.argv[2])
"""
"""Holds 32 MiB and some threads more than its instance, and serves nothing."""
LAUNCH = {"launch": {"command": [sys.executable, "-S", "server.py", "{threads}", "{instance}"]}}
BY_HAND = """
taskset -cp 0-15 "$(cat pid.0)"
migratepages "$(cat pid.0)" all 3
"""
"""Lets the first instance run everywhere, and moves its memory to the last node."""
TRIALS = {"adjacent": 3, "split": 5}
"""By numbering; a trial takes a minute."""
LIMITED = """
name: NAME
model: fake:model.json
problem: {batch_size: 4, sequence_length: 128}
search: {precisions: [fp32], placements: [close]}
measure: {warmup: 1s, block: 200ms, blocks: 1, max_blocks: 1, disturbed: keep, trial_timeout: 240s}
budget: {trials: 2, minutes: 60}
"""
LIMITS = ("quota", "cpuset")
SCRIPTS = {
    "adjacent": f"""
set -e
groups=/sys/fs/cgroup
mkdir "$groups/quota" "$groups/cpuset"
echo "150000 100000" > "$groups/quota/cpu.max"
echo 3 > "$groups/cpuset/cpuset.cpus"
"$PYTHON" -P steps.py "search {TRIALS["adjacent"]} study.yaml" \\
    "search 2 quota.yaml $groups/quota" "search 2 cpuset.yaml $groups/cpuset"
""",
    "split": f"""
set -e
"$PYTHON" -P steps.py "search {TRIALS["split"]} study.yaml" \\
    "autotune exported.txt export latest --to numactl --workers -o launch" \\
    "autotune served.txt export latest --to numactl -o serve" \\
    "start serve/launch.sh" \\
    "ends-with 0 verified.json verify serve/ --launched --json" \\
    "sh by-hand.sh" \\
    "ends-with 23 changed.json verify serve/ --launched --json"
bash launch/launch.sh --seconds 1 > launched.txt
""",
}
"""What runs inside, by numbering. Limits do not hang on it, and a launch takes a minute: once is enough."""


def siblings(numbering: str) -> list[list[tuple[int, ...]]]:
    """The cpus of each core of each node, from the emulator's documentation and not from our reader."""
    adjacent = numbering == "adjacent"
    return [[(2 * c, 2 * c + 1) if adjacent else (c, c + 8) for c in (2 * n, 2 * n + 1)] for n in range(4)]


@pytest.fixture(scope="module")
def machines(
    emulate: Emulate, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Mapping[str, Future[Path]]]:
    """By numbering: the folder that a tune inside such a machine left. All machines run at once."""

    def tune(numbering: str, folder: Path) -> Path:
        (folder / "model.json").write_text(json.dumps(MODEL))
        (folder / "study.yaml").write_text(STUDY + json.dumps(LAUNCH)[1:-1] + "\n")
        (folder / "server.py").write_text(SERVER)
        (folder / "by-hand.sh").write_text(BY_HAND)
        for name in LIMITS:
            (folder / f"{name}.yaml").write_text(LIMITED.replace("NAME", name))
        emulate(folder, (*SHAPE, f"--numbering={numbering}"), SCRIPTS[numbering])
        return folder

    with ThreadPoolExecutor() as pool:
        yield {name: pool.submit(tune, name, tmp_path_factory.mktemp(name)) for name in SCRIPTS}


@pytest.fixture(params=SCRIPTS)
def tuned(request: pytest.FixtureRequest, machines: Mapping[str, Future[Path]]) -> tuple[str, Path]:
    """The numbering, and the folder that a tune inside the emulated machine left."""
    return request.param, machines[request.param].result()


def measured(folder: Path) -> list[tuple[TrialRecord, Measurement]]:
    """The trials that measured something, pinned ones only."""
    with open_store(f"sqlite:///{folder}/autotune.db") as store:
        trials = store.trials("sockets")
    assert trials[0].baseline
    for trial in trials:
        assert isinstance(trial.result, Measurement), f"{trial.configuration}: {trial.result}"
    return [(one, one.result) for one in trials[1:] if isinstance(one.result, Measurement)]


pytestmark = [pytest.mark.emulator, pytest.mark.slow, pytest.mark.timeout(1900)]


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
    assert len(trials) == TRIALS[numbering] - 1
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


@pytest.mark.parametrize("tuned", ["split"], indirect=True)
def test_nothing_differs_of_servers_that_run_as_planned_and_what_was_changed_by_hand_is_named(
    tuned: tuple[str, Path],
) -> None:
    _, folder = tuned
    verified, changed = (
        json.loads((folder / f"{name}.json").read_text()) for name in ("verified", "changed")
    )
    instances = json.loads((folder / "serve" / "plan.json").read_text())["instances"]
    assert verified["verdict"] == "as planned"
    memory = [finding["said"] for finding in verified["findings"] if finding["aspect"] == "memory"]
    assert len(memory) == len(instances)
    for said, instance in zip(memory, instances, strict=True):
        assert said.startswith(
            f"bound to nodes {format_cpu_list(instance['memory_nodes'])}; its own memory: "
        )
    wrong = [finding for finding in changed["findings"] if finding["finding"] != "as planned"]
    cpus = format_cpu_list(instances[0]["cpus"])
    said = f"it may run on all of cpus 0-15, and the plan keeps it to {cpus}"
    assert said in [finding["said"] for finding in wrong if finding["aspect"] == "cpus"]
    assert {finding["instance"] for finding in wrong} <= {0, None}
    moved = [finding["said"] for finding in wrong if finding["aspect"] == "memory"]
    if 3 not in instances[0]["memory_nodes"]:
        assert len(moved) == 1
        assert "lie on nodes 3, outside the plan's" in moved[0]


@pytest.fixture
def limited(machines: Mapping[str, Future[Path]]) -> Path:
    """What a study within a quota of 1.5 cpus left, and one within a cpuset of cpu 3 alone."""
    return machines["adjacent"].result()


def planned(folder: Path, name: str) -> tuple[Plan, set[int]]:
    """The study's plan, and every number of threads that was tried, the baseline's left out."""
    with open_store(f"sqlite:///{folder}/autotune.db") as store:
        trials = [trial.configuration for trial in store.trials(name) if not trial.baseline]
        return store.plan(name), {one.instances * one.threads_per_instance for one in trials}


def test_a_quota_of_one_and_a_half_cpus_allows_one_thread(limited: Path) -> None:
    plan, threads = planned(limited, "quota")
    assert threads == {1}
    assert plan.configuration.instances == 1
    assert plan.machine["quota_cpus"] == 1.5


def test_a_cpuset_of_one_cpu_allows_that_cpu(limited: Path) -> None:
    plan, threads = planned(limited, "cpuset")
    assert threads == {1}
    assert plan.machine["allowed"] == "3"
    assert {cpu for instance in plan.instances for cpu in instance.cpus} <= {3}
