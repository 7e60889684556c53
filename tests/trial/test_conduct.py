"""The conductor over fifos, as a launch script starts it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from autotune.errors import PlanError
from autotune.placement.placement import Command
from autotune.testing.fake_trial import FakeTrial
from autotune.trial.asked import AskedRate, ask, asked_from_json, asked_to_json

pytestmark = pytest.mark.usefixtures("nothing_left")


@contextmanager
def started(
    folder: Path, trial: FakeTrial, rate: AskedRate | None = None
) -> Iterator[list[subprocess.Popen[bytes]]]:
    """The workers of a trial behind fifos, started as a shell does: each waits for the other ends to open."""
    commands = trial.commands()
    asked = ask(commands, trial.configuration, trial.scenario, rate)
    (folder / "commands.json").write_text(json.dumps(asked_to_json(asked)))
    processes = [_start_worker(folder, index, command) for index, command in enumerate(commands)]
    try:
        yield processes
    finally:
        for process in processes:
            process.kill()
            process.wait()


def _start_worker(folder: Path, index: int, command: Command) -> subprocess.Popen[bytes]:
    for end in ("in", "out"):
        os.mkfifo(folder / f"{index}.{end}")
    script = f'exec "$@" <{folder}/{index}.in >{folder}/{index}.out'
    environment = dict(command.environment)
    return subprocess.Popen(
        ["sh", "-c", script, "sh", *command.argv], env=environment, stderr=subprocess.DEVNULL
    )


def conduct(folder: Path, *options: str) -> subprocess.CompletedProcess[str]:
    program = (sys.executable, "-P", "-m", "autotune.trial.conduct", "--workers", str(folder))
    arguments = [*program, "--seconds", "0.2", *options]
    return subprocess.run(arguments, capture_output=True, text=True, check=False, timeout=60)


def test_it_prints_each_instance_and_the_sum_and_lets_the_workers_end(tmp_path: Path) -> None:
    with started(tmp_path, FakeTrial(tmp_path, {}, instances=2, batch_size=4)) as workers:
        done = conduct(tmp_path, "--json")
        assert done.returncode == 0, done.stderr
        result = json.loads(done.stdout)
        assert [instance["pid"] for instance in result["instances"]] == [worker.pid for worker in workers]
        assert [worker.wait(10) for worker in workers] == [0, 0]
    assert result["throughput_sps"] == pytest.approx(
        sum(instance["throughput_sps"] for instance in result["instances"])
    )
    assert all(0.01 <= instance["latency_p50_s"] < 0.1 for instance in result["instances"])


def test_its_lines_are_for_people(tmp_path: Path) -> None:
    trial = FakeTrial(tmp_path, {}, instances=2, batch_size=4, scenario="single_stream")
    with started(tmp_path, trial) as workers:
        done = conduct(tmp_path)
    lines = done.stdout.splitlines()
    assert lines[0].startswith(f"instance 0: process {workers[0].pid} on cpus ")
    assert " ms, " in lines[0]
    assert lines[2].startswith("latency of a whole request: p50 ")
    assert lines[3].startswith("throughput: ")
    assert len(lines) == 4


@pytest.mark.quiet  # the generator must be on time
def test_a_server_is_shown_at_the_rate_that_it_was_found_to_bear(tmp_path: Path) -> None:
    trial = FakeTrial(tmp_path, {}, instances=2, batch_size=4, scenario="server")
    with started(tmp_path, trial, AskedRate(100.0, 90.0, 0.5)) as workers:
        done = conduct(tmp_path, "--json")
        assert done.returncode == 0, done.stderr
        assert [worker.wait(10) for worker in workers] == [0, 0]
    result = json.loads(done.stdout)
    assert result["throughput_sps"] == pytest.approx(4 * 100.0)
    assert result["throughput_sps"] == pytest.approx(
        sum(instance["throughput_sps"] for instance in result["instances"])
    )
    assert (result["rate"]["rate_per_s"], result["rate"]["percentile"]) == (100.0, 90.0)
    assert result["rate"]["latency_s"] <= result["rate"]["upper_s"]


@pytest.mark.quiet  # the generator must be on time
def test_a_server_tells_people_its_rate_and_latency(tmp_path: Path) -> None:
    trial = FakeTrial(tmp_path, {}, scenario="server")
    with started(tmp_path, trial, AskedRate(100.0, 90.0, 0.5)):
        done = conduct(tmp_path)
    lines = done.stdout.splitlines()
    assert lines[1].startswith("20 requests at 100.0 per second: p90 ")
    assert " with 95 % confidence at most " in lines[1]
    assert lines[2].startswith("throughput: ")


def test_a_server_without_a_rate_is_refused(tmp_path: Path) -> None:
    with started(tmp_path, FakeTrial(tmp_path, {}, scenario="server")):
        done = conduct(tmp_path)
    assert done.returncode == 1
    assert "lacks the rate" in done.stderr


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        ({"fault": "crash", "instance": 1}, "instance 1 failed (crash): ended"),
        ({"fault": "unsupported", "instance": 0}, "instance 0 failed (unsupported): the fake engine"),
        ({"fault": "wrong_threads"}, "instance 0 failed (placement): the engine uses 2 threads, not 1"),
    ],
)
def test_a_worker_that_fails_is_named(tmp_path: Path, fault: dict[str, object], words: str) -> None:
    with started(tmp_path, FakeTrial(tmp_path, {"faults": [fault]}, instances=2)):
        done = conduct(tmp_path)
    assert (done.returncode, done.stdout) == (1, "")
    assert words in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (None, "commands.json"),
        ("{", "not JSON"),
        ("{}", "schema"),
        ('{"schema": "autotune.commands/1"}', "wrong at scenario"),
    ],
)
def test_a_folder_without_a_right_document_is_refused(tmp_path: Path, text: str | None, words: str) -> None:
    if text is not None:
        (tmp_path / "commands.json").write_text(text)
    done = conduct(tmp_path)
    assert done.returncode == 1
    assert words in done.stderr
    assert "Traceback" not in done.stderr


def test_what_is_asked_survives_its_document(tmp_path: Path) -> None:
    trial = FakeTrial(tmp_path, {}, instances=2, cpus=[(0, 1), (2,)], memory_nodes=(1,))
    asked = ask(trial.commands(), trial.configuration, "server", AskedRate(12.5, 99.0, 0.05))
    assert asked_from_json(json.loads(json.dumps(asked_to_json(asked)))) == asked
    with pytest.raises(PlanError):
        asked_from_json({**asked_to_json(asked), "scenario": "burst"})
