"""The launch script with the real worker and conductor: the fake backend in real processes."""

from __future__ import annotations

import errno
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from autotune.backends.registry import get_backend
from autotune.exporters.numactl import SCRIPT, NumactlExporter, NumactlOptions
from autotune.exporters.write import write_export
from autotune.machine.cpus import format_cpu_list
from autotune.machine.read import read_machine
from autotune.measurement.measurement import Measurement
from autotune.model.artifacts.artifact import Artifact
from autotune.model.sources import resolve_model
from autotune.objectives.throughput import THROUGHPUT
from autotune.placement.command import Service, worker_commands
from autotune.placement.place import place
from autotune.placement.placement import Command
from autotune.plan.launch import launch_of
from autotune.spec.configuration import Configuration
from autotune.spec.problem import Problem
from autotune.spec.study import Measure
from autotune.testing.plans import build_plan
from autotune.trial.run import Trial, run_trial


@dataclass(frozen=True)
class Launch:
    """A configuration of the fake backend that fits this machine, its commands and its exported script."""

    configuration: Configuration
    commands: Sequence[Command]
    script: Path


@pytest.fixture
def launch(tmp_path: Path) -> Launch:
    return exported(tmp_path)


def exported(tmp_path: Path, *, memory_nodes: tuple[int, ...] | None = None) -> Launch:
    """Export a configuration, placed as on this machine, or bound to these nodes; skip what cannot be run."""
    machine = read_machine()
    instances = min(2, machine.thread_budget, len(machine.allowed_cores))
    configuration = Configuration(instances, 1, "close", "0", False, "fake", "fp32")
    (tmp_path / "model.json").write_text(json.dumps({"schema": "autotune.fake/1", "serial_s": 0.005}))
    model = resolve_model("fake:model.json", base=tmp_path, seed=0, offline=True)
    backend, directory = get_backend("fake"), tmp_path / "artifact $(x) 'y'"
    directory.mkdir()
    backend.prepare(model, "fp32", directory)
    commands = worker_commands(
        configuration,
        place(configuration, machine),
        Artifact("key", directory, "fake", "fp32", model.digest, 0),
        backend,
        Service(Problem(batch_size=4, sequence_length=16), "offline", 0, 0.1),
    )
    if memory_nodes is not None:
        commands = tuple(replace(command, memory_nodes=memory_nodes) for command in commands)
    if any(command.memory_nodes for command in commands) and shutil.which("numactl") is None:
        pytest.skip("numactl is not installed")
    plan = build_plan(
        commands, configuration=configuration, model={"source": "fake:model.json", "artifact": str(directory)}
    )
    exported = NumactlExporter().render(launch_of(plan), NumactlOptions())
    write_export(exported.files, tmp_path / "launch", executable=exported.executable)
    return Launch(configuration, commands, tmp_path / "launch" / SCRIPT)


def run(
    launch: Launch, *arguments: str, env: dict[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["bash", str(launch.script), *arguments],
        env=env,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


def test_it_prints_each_instances_latency_and_the_summed_throughput(launch: Launch) -> None:
    ended = run(launch, "--seconds", "0.5")
    assert ended.returncode == 0, ended.stderr
    lines = ended.stdout.splitlines()
    assert len([line for line in lines if line.startswith("instance ")]) == launch.configuration.instances
    assert lines[-1].startswith("throughput: ")


def test_on_a_machine_with_one_memory_node_it_runs_without_numactl(launch: Launch, tmp_path: Path) -> None:
    if len(read_machine().nodes) > 1:
        pytest.skip("this machine has several memory nodes")
    tools = tmp_path / "tools"
    tools.mkdir()
    for tool in ("bash", "env", "mktemp", "mkfifo", "rm", "rmdir", "sleep", "true", "taskset"):
        (tools / tool).symlink_to(shutil.which(tool) or f"/usr/bin/{tool}")
    ended = run(launch, "--seconds", "0.5", "--json", env={**os.environ, "PATH": str(tools)})
    assert (ended.returncode, ended.stderr) == (0, "")
    assert [instance["cpus"] for instance in json.loads(ended.stdout)["instances"]] == [
        format_cpu_list(command.cpus) for command in launch.commands
    ]


@pytest.mark.skipif(os.uname().machine != "x86_64", reason="the filter is written for x86_64")
@pytest.mark.parametrize("refusal", [errno.EPERM, errno.ENOSYS])
def test_where_memory_cannot_be_bound_it_says_so_and_runs_without(tmp_path: Path, refusal: int) -> None:
    """numactl writes a line to stdout when the kernel knows no memory policy, where a worker's answers go."""
    launch = exported(tmp_path, memory_nodes=(0,))
    refusing = [sys.executable, str(Path(__file__).with_name("refuse_memory_policy.py")), str(refusal)]
    ended = subprocess.run(
        [*refusing, "bash", str(launch.script), "--seconds", "0.5", "--json"],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert ended.returncode == 0, ended.stderr
    warnings = [line for line in ended.stderr.splitlines() if "memory is not bound to nodes" in line]
    assert len(warnings) == launch.configuration.instances
    assert all(words in warnings[0] for words in WORDS_OF_NUMACTL[refusal])
    instances = json.loads(ended.stdout)["instances"]
    assert [instance["cpus"] for instance in instances] == [
        format_cpu_list(command.cpus) for command in launch.commands
    ]


WORDS_OF_NUMACTL = {errno.EPERM: ("not permitted",), errno.ENOSYS: ("does not support NUMA policy",)}


def test_without_a_temporary_folder_it_starts_nothing_and_deletes_nothing(
    launch: Launch, tmp_path: Path
) -> None:
    precious = tmp_path / "precious"
    precious.mkdir()
    (precious / "data").write_text("kept")
    done = subprocess.run(
        ["bash", str(launch.script), "--seconds", "1"],
        cwd=precious,
        env={**os.environ, "TMPDIR": str(tmp_path / "nowhere")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert "no temporary folder can be made" in done.stderr
    assert (precious / "data").read_text() == "kept"


def test_its_processes_are_placed_as_the_trials_were(launch: Launch) -> None:
    measure = Measure(warmup_s=0.1, block_s=0.2, blocks=1)
    trial = run_trial(
        launch.commands,
        Trial(
            configuration=launch.configuration,
            scenario="offline",
            measure=measure,
            objective=THROUGHPUT,
            percentile=None,
        ),
    )
    assert isinstance(trial, Measurement), trial
    ended = run(launch, "--seconds", "0.2", "--json")
    assert ended.returncode == 0, ended.stderr
    found = json.loads(ended.stdout)
    assert found["memory_binding"] == trial.memory_binding
    assert [
        (instance["cpus"], instance["memory_policy"], instance["memory_nodes"])
        for instance in found["instances"]
    ] == [
        (format_cpu_list(seen.cpus), seen.memory_policy, format_cpu_list(seen.memory_nodes))
        for seen in trial.observations
    ]


def test_its_processes_have_the_plans_arguments_and_environment_and_end_with_it(launch: Launch) -> None:
    with subprocess.Popen(
        ["bash", str(launch.script), "--seconds", "60"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ) as running:
        try:
            pids = [wait_for_process(command) for command in launch.commands]
            for pid, command in zip(pids, launch.commands, strict=True):
                variables = os.fsdecode(Path(f"/proc/{pid}/environ").read_bytes()).split("\0")[:-1]
                assert dict(variable.split("=", 1) for variable in variables) == command.environment
                assert os.sched_getaffinity(pid) == set(command.cpus)
        finally:
            running.terminate()
    assert running.returncode == 143
    assert not any(Path(f"/proc/{pid}").exists() for pid in pids)


def wait_for_process(command: Command) -> int:
    """The process that runs exactly this command line, once there is one."""
    wanted = "\0".join(command.argv).encode() + b"\0"
    while True:
        for folder in Path("/proc").glob("[0-9]*"):
            try:
                if (folder / "cmdline").read_bytes() == wanted:
                    return int(folder.name)
            except OSError:
                continue
