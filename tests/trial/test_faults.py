"""Every way in which a worker goes wrong has its failure kind, and leaves nothing behind."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

import pytest

from autotune.measurement.measurement import Failure, FailureKind, Measurement, TrialResult
from autotune.objectives.throughput import THROUGHPUT
from autotune.placement.placement import Command, ServerProgram
from autotune.spec.study import Measure
from autotune.testing.fake_trial import QUICK, FakeTrial
from autotune.trial.run import Trial, run_trial

pytestmark = pytest.mark.usefixtures("nothing_left")

IMPATIENT = Measure(warmup_s=1.0, block_s=0.1, blocks=1, max_blocks=1, trial_timeout_s=2.0)


def failed(result: TrialResult) -> Failure:
    assert isinstance(result, Failure), result
    return result


def run_with(fault: dict[str, Any], folder: Path, measure: Measure = QUICK, **asked: Any) -> Failure:
    return failed(FakeTrial(folder, {"faults": [fault]}, **asked).run(measure))


@pytest.mark.parametrize("at", ["load", "warmup", "measure"])
@pytest.mark.parametrize(
    ("fault", "kind", "words"),
    [
        ("crash", FailureKind.CRASH, "exit status 70"),
        ("exit_without_result", FailureKind.CRASH, "exit status 0 without a result"),
        ("memory_error", FailureKind.OUT_OF_MEMORY, "MemoryError"),
        ("unsupported", FailureKind.UNSUPPORTED, "operator Fancy"),
        ("nan", FailureKind.WRONG_OUTPUT, "nan"),
        ("wrong_batch", FailureKind.WRONG_OUTPUT, "shape (2, 1)"),
    ],
)
def test_a_fault_gives_its_kind_wherever_it_happens(
    tmp_path: Path, fault: str, at: str, kind: FailureKind, words: str
) -> None:
    failure = run_with({"fault": fault, "at": at}, tmp_path)
    assert failure.kind is kind, failure
    assert words in failure.reason


def test_a_signal_is_named(tmp_path: Path) -> None:
    assert "SIGABRT" in run_with({"fault": "abort"}, tmp_path).reason


@pytest.mark.quiet  # it must be warm within two seconds
@pytest.mark.parametrize("at", ["load", "measure"])
def test_a_worker_that_hangs_and_ignores_sigterm_is_a_timeout(tmp_path: Path, at: str) -> None:
    failure = run_with(
        {"fault": "hang_ignoring_sigterm", "at": at, "instance": 1}, tmp_path, IMPATIENT, instances=2
    )
    assert failure.kind is FailureKind.TIMEOUT, failure
    assert ("loading" if at == "load" else "measuring") in failure.reason
    assert failure.reason.endswith("(measure.trial_timeout is 2 s)")


@pytest.mark.quiet  # it must be warm within two seconds
def test_a_hung_part_of_a_split_request_is_a_timeout(tmp_path: Path) -> None:
    failure = run_with(
        {"fault": "hang_ignoring_sigterm", "at": "measure", "instance": 0},
        tmp_path,
        IMPATIENT,
        instances=2,
        batch_size=2,
        scenario="single_stream",
    )
    assert failure.kind is FailureKind.TIMEOUT, failure


def test_a_worker_that_prints_a_hundred_megabytes_is_stopped(tmp_path: Path) -> None:
    failure = run_with({"fault": "flood"}, tmp_path)
    assert failure.kind is FailureKind.CRASH
    assert "64 MiB" in failure.reason
    assert len(failure.stderr_tail) <= 8_192


def test_a_worker_may_print_a_little(tmp_path: Path) -> None:
    result = FakeTrial(tmp_path, {"faults": [{"fault": "flood", "bytes": 1_000_000}]}).run()
    assert isinstance(result, Measurement), result


def test_the_tail_of_stderr_is_kept_without_control_characters(tmp_path: Path) -> None:
    assert run_with({"fault": "crash"}, tmp_path).stderr_tail == "fake engine: cannot go on"


def test_an_exception_leaves_its_traceback(tmp_path: Path) -> None:
    failure = run_with({"fault": "memory_error"}, tmp_path)
    assert "Traceback" in failure.stderr_tail


def test_only_the_worker_that_failed_is_named_though_its_siblings_are_killed(tmp_path: Path) -> None:
    failure = run_with({"fault": "crash", "at": "measure", "instance": 1}, tmp_path, instances=3)
    assert failure.reason.startswith("instance 1 of 3:")
    assert "SIGTERM" not in failure.reason


def test_a_fault_for_other_configurations_does_not_strike(tmp_path: Path) -> None:
    fault = {"fault": "crash", "when": {"instances": 2}}
    assert isinstance(FakeTrial(tmp_path, {"faults": [fault]}).run(), Measurement)
    assert failed(FakeTrial(tmp_path, {"faults": [fault]}, instances=2).run()).kind is FailureKind.CRASH


@pytest.mark.skipif(len(os.sched_getaffinity(0)) < 2, reason="needs two cpus")
def test_a_thread_outside_the_instances_cpus_is_a_placement_failure(tmp_path: Path) -> None:
    cpu = min(os.sched_getaffinity(0))
    failure = run_with({"fault": "wrong_affinity"}, tmp_path, cpus=[(cpu,)])
    assert failure.kind is FailureKind.PLACEMENT
    assert f"not within {cpu}" in failure.reason


def test_cpus_that_may_not_be_used_are_a_placement_failure(tmp_path: Path) -> None:
    cpu = max(os.sched_getaffinity(0)) + 1
    failure = failed(FakeTrial(tmp_path, {}, cpus=[(cpu,)]).run())
    assert failure.kind is FailureKind.PLACEMENT
    assert f"affinity to cpus [{cpu}] refused" in failure.reason


def test_another_number_of_threads_is_a_placement_failure(tmp_path: Path) -> None:
    failure = run_with({"fault": "wrong_threads"}, tmp_path, threads=3)
    assert failure.kind is FailureKind.PLACEMENT
    assert "4 threads, not 3" in failure.reason


def test_the_engines_own_choice_of_threads_is_no_failure(tmp_path: Path) -> None:
    trial = FakeTrial(tmp_path, {"faults": [{"fault": "wrong_threads"}]}, threads=0)
    assert isinstance(trial.run(), Measurement)


def test_another_precision_is_unsupported(tmp_path: Path) -> None:
    failure = run_with({"fault": "wrong_precision"}, tmp_path)
    assert failure.kind is FailureKind.UNSUPPORTED
    assert "fp32 was asked, the engine runs bf16" in failure.reason


@pytest.mark.parametrize(
    ("program", "words"),
    [
        ("print('hello')", "something else than messages"),
        ("print('{}')", "something else than messages"),
        ("while True: print('[' * 100000)", "something else than messages"),
        ("import os\nwhile True: os.write(1, b'x' * 65536)", "a line of more than"),
        ("""print('{"message": "stop"}', flush=True); import time; time.sleep(60)""", "out of turn"),
        ("import os, time; os.close(1); time.sleep(60)", "lives on"),
        ("pass", "exit status 0 without a result"),
    ],
)
def test_a_program_that_is_no_worker_is_a_crash(tmp_path: Path, program: str, words: str) -> None:
    command = Command(ServerProgram((sys.executable, "-I", "-c", program, str(tmp_path))), {}, (), ())
    failure = failed(
        run_trial(
            [command],
            Trial(
                configuration=FakeTrial(tmp_path, {}).configuration,
                scenario="offline",
                measure=QUICK,
                objective=THROUGHPUT,
                percentile=None,
            ),
        )
    )
    assert failure.kind is FailureKind.CRASH
    assert words in failure.reason
