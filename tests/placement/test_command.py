"""Commands: whole environments, absolute command lines, and shares of a split batch."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autotune.backends.registry import get_backend
from autotune.errors import PlacementError
from autotune.model.artifacts.artifact import Artifact
from autotune.placement.assignment import parse_assignment
from autotune.placement.command import Service, batch_shares, pinned_argv, worker_commands
from autotune.placement.place import place
from autotune.placement.placement import Command
from autotune.spec.configuration import Configuration, PlacementPolicy
from autotune.spec.named_file import TextsFile
from autotune.spec.problem import Inside, Problem
from autotune.spec.scenario import Scenario
from autotune.testing.machines import build_machine

MACHINE = build_machine(packages=1, nodes_per_package=2, cores_per_node=2, threads_per_core=1)


def commands(
    instances: int,
    threads: int,
    *,
    policy: PlacementPolicy = "close",
    backend: str = "pytorch",
    scenario: Scenario = "offline",
) -> tuple[Command, ...]:
    one = Configuration(instances, threads, policy, "0", False, backend, "fp32")
    artifact = Artifact("0" * 64, Path("/cache/artifacts/one"), backend, "fp32", "0" * 64, 0)
    problem = Problem(batch_size=8, sequence_length=128)
    placement = place(one, MACHINE)
    return worker_commands(one, placement, artifact, get_backend(backend), Service(problem, scenario, 7, 5.0))


def test_the_callers_thread_variables_never_reach_a_worker(monkeypatch: pytest.MonkeyPatch) -> None:
    hostile = (
        "OMP_PROC_BIND",
        "OMP_NUM_THREADS",
        "KMP_AFFINITY",
        "GOMP_CPU_AFFINITY",
        "LD_PRELOAD",
        "SECRET",
    )
    for name in hostile:
        monkeypatch.setenv(name, "1")
    for command in (*commands(1, 0, policy="unpinned"), *commands(2, 2, backend="onnxruntime")):
        assert not command.environment.keys() & set(hostile)
    assert all(command.environment["OMP_NUM_THREADS"] == "2" for command in commands(2, 2))


def test_the_baseline_is_left_to_the_engine_and_the_kernel() -> None:
    (baseline,) = commands(1, 0, policy="unpinned")
    assert (baseline.cpus, baseline.memory_nodes) == ((), ())
    assert not [name for name in baseline.environment if name.endswith("_NUM_THREADS")]
    assert not {"--cpus", "--membind"} & set(pinned_argv(baseline))


def test_each_instance_is_told_its_part_and_gets_its_place() -> None:
    told = commands(2, 2)
    assert [command.cpus for command in told] == [(0, 1), (2, 3)]
    assert [command.memory_nodes for command in told] == [(0,), (1,)]
    for index, command in enumerate(told):
        assert Path(command.argv[0]).is_absolute()
        assert command.argv[1:4] == ("-P", "-m", "autotune.worker.worker")
        assignment = parse_assignment(command.argv[4:])
        assert (assignment.instance, assignment.instances) == (index, 2)
        assert (assignment.batch_size, assignment.threads, assignment.seed) == (8, 2, 7)


def streamed(threads: int, *include: Inside) -> tuple[Command, ...]:
    policy: PlacementPolicy = "close" if threads else "unpinned"
    one = Configuration(1, threads, policy, "0", False, "fake", "fp32", padding="none", batching="sorted")
    model, requests = (
        Artifact("0" * 64, Path(f"/cache/artifacts/{name}"), "fake", "fp32", "0" * 64, 0)
        for name in ("model", "requests")
    )
    problem = Problem(batch_size=8, texts=TextsFile(path="texts.txt"), include=include)
    return worker_commands(
        one, place(one, MACHINE), model, get_backend("fake"), Service(problem, "offline", 7, 5.0, requests)
    )


def test_a_worker_of_requests_that_differ_is_told_where_they_lie() -> None:
    assignment = parse_assignment(streamed(2)[0].argv[4:])
    assert (assignment.requests, assignment.sequence_length) == (Path("/cache/artifacts/requests"), 0)
    assert parse_assignment(commands(1, 2)[0].argv[4:]).requests is None


@pytest.mark.parametrize(
    ("threads", "told"),
    [(0, (None, None)), (1, ("1", "false")), (3, ("3", "true"))],
)
def test_a_tokenizer_keeps_to_the_threads_of_its_instance(
    threads: int, told: tuple[str | None, str | None]
) -> None:
    variables = ("RAYON_NUM_THREADS", "TOKENIZERS_PARALLELISM")
    environment = streamed(threads, "tokenization")[0].environment
    assert tuple(environment.get(name) for name in variables) == told
    assert not set(variables) & set(streamed(threads)[0].environment)


def test_the_worker_is_found_from_any_folder_with_nothing_but_its_environment(tmp_path: Path) -> None:
    (command, *_) = commands(1, 1)
    asked = [*command.argv[:4], "--help"]
    found = subprocess.run(
        asked, env=dict(command.environment), cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert found.returncode == 0
    assert "usage: autotune.worker.worker" in found.stderr  # its stdout is kept for messages


def test_a_pinned_command_line_ends_with_this_process_and_names_cpus_as_the_kernel_does() -> None:
    argv = pinned_argv(commands(1, 2)[0])
    assert argv[0] == os.path.abspath(sys.executable)  # noqa: PTH100
    options = argv[4 : argv.index("--")]
    assert options == ("--parent", str(os.getpid()), "--cpus", "0-1", "--membind", "0")


@given(batch=st.integers(1, 200), instances=st.integers(1, 200))
def test_a_split_batch_is_shared_as_evenly_as_it_goes(batch: int, instances: int) -> None:
    if instances > batch:
        with pytest.raises(PlacementError, match="cannot be split"):
            batch_shares(batch, instances, "single_stream")
        return
    shares = batch_shares(batch, instances, "single_stream")
    assert sum(shares) == batch
    assert max(shares) - min(shares) <= 1
    assert batch_shares(batch, instances, "offline") == (batch,) * instances
