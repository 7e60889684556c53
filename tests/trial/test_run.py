"""Trials of the fake backend in real processes."""

from __future__ import annotations

import os
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from autotune.measurement.measurement import Failure, FailureKind, Measurement, TrialResult
from autotune.measurement.statistics import latencies_s, throughput_sps
from autotune.objectives.latency import Latency
from autotune.objectives.throughput import THROUGHPUT
from autotune.placement.placement import ServerProgram
from autotune.spec.study import Measure
from autotune.statistics.quantiles import percentile_of
from autotune.testing.fake_backend import FakeModel, request_seconds
from autotune.testing.fake_trial import QUICK, FakeTrial
from autotune.trial.run import Trial, run_trial
from autotune.trial.stopping import Rival
from autotune.trial.watch import Watch
from autotune.worker.messages import Failed, format_message

pytestmark = pytest.mark.usefixtures("nothing_left")

TWO_CPUS = pytest.mark.skipif(len(os.sched_getaffinity(0)) < 2, reason="needs two cpus")


def measured(result: TrialResult) -> Measurement:
    assert isinstance(result, Measurement), result
    return result


def test_a_trial_gives_the_raw_times_of_every_block(tmp_path: Path) -> None:
    measurement = measured(FakeTrial(tmp_path, {"serial_s": 0.01}, batch_size=4).run())
    assert len(measurement.blocks) == 2
    for block in measurement.blocks:
        (part,) = block.instances
        assert part.samples_per_request == 4
        assert part.starts_s[0] >= block.start_s
        assert all(end - start >= 0.01 for start, end in zip(part.starts_s, part.ends_s, strict=True))
        assert all(end <= later for end, later in zip(part.ends_s, part.starts_s[1:], strict=False))
        assert part.ends_s[-1] >= block.start_s + 0.1 > part.ends_s[-2]


def test_throughput_is_the_sum_of_what_each_instance_completed_over_its_real_time(tmp_path: Path) -> None:
    slow = {"fault": "slow", "factor": 3, "instance": 1}
    measurement = measured(
        FakeTrial(tmp_path, {"serial_s": 0.01, "faults": [slow]}, instances=2, batch_size=5).run()
    )
    by_hand = sorted(
        sum(5 * len(part.ends_s) / (part.ends_s[-1] - block.start_s) for part in block.instances)
        for block in measurement.blocks
    )
    assert throughput_sps(measurement) == pytest.approx(sum(by_hand) / 2)
    fast_part, slow_part = measurement.blocks[0].instances
    assert len(fast_part.ends_s) > len(slow_part.ends_s)
    # Neither can be faster than the closed form.
    assert throughput_sps(measurement) <= 5 / 0.01 + 5 / 0.03


def test_latency_follows_the_closed_form(tmp_path: Path) -> None:
    model = {"serial_s": 0.005, "parallel_s_per_token": 0.001, "contention": 0.5}
    measurement = measured(FakeTrial(tmp_path, model, instances=2, threads=2, batch_size=2).run())
    expected_s = request_seconds(
        FakeModel(serial_s=0.005, parallel_s_per_token=0.001, contention=0.5), 2, 16, 2, 2, "fp32"
    )
    assert expected_s == pytest.approx((0.005 + 0.001 * 2 * 16 / 2) * 1.5)
    latencies = latencies_s(measurement)
    assert min(latencies) >= expected_s
    assert percentile_of(latencies, 10) < 2 * expected_s


def test_single_stream_splits_every_request_and_takes_the_slowest_part(tmp_path: Path) -> None:
    slow = {"fault": "slow", "factor": 4, "instance": 1}
    measurement = measured(
        FakeTrial(tmp_path, {"faults": [slow]}, instances=3, batch_size=8, scenario="single_stream").run()
    )
    for block in measurement.blocks:
        assert [part.samples_per_request for part in block.instances] == [3, 3, 2]
        starts = list(zip(*(part.starts_s for part in block.instances), strict=True))
        ends = list(zip(*(part.ends_s for part in block.instances), strict=True))
        # Nobody begins a query before everybody has ended the one before.
        assert all(max(end) <= min(start) for end, start in zip(ends, starts[1:], strict=False))
        assert all(end[1] == max(end) for end in ends)
    latencies = latencies_s(measurement)
    assert min(latencies) >= 0.04
    assert len(latencies) == sum(len(block.instances[0].ends_s) for block in measurement.blocks)


def test_single_stream_of_one_instance_is_its_own_latency(tmp_path: Path) -> None:
    measurement = measured(FakeTrial(tmp_path, {}, batch_size=2, scenario="single_stream").run())
    (part,) = measurement.blocks[0].instances
    assert latencies_s(measurement)[0] == part.ends_s[0] - part.starts_s[0]


@TWO_CPUS
def test_every_worker_proves_its_own_cpus_and_its_memory_nodes(tmp_path: Path) -> None:
    first, second = sorted(os.sched_getaffinity(0))[:2]
    measurement = measured(
        FakeTrial(tmp_path, {}, instances=2, cpus=((first,), (second,)), memory_nodes=(0,)).run()
    )
    assert [observation.cpus for observation in measurement.observations] == [(first,), (second,)]
    for observation in measurement.observations:
        assert {thread.cpus for thread in observation.threads} == {observation.cpus}
        assert observation.memory_bytes > 0
        assert observation.peak_memory_bytes >= observation.memory_bytes
        assert observation.load_s > 0
        assert observation.warmup_s > 0
    assert len({observation.pid for observation in measurement.observations}) == 2
    if measurement.memory_binding == "bind":
        assert {observation.memory_nodes for observation in measurement.observations} == {(0,)}
    else:
        assert measurement.memory_binding == "refused"


def test_memory_held_by_the_model_is_observed(tmp_path: Path) -> None:
    size = 50_000_000
    measurement = measured(FakeTrial(tmp_path, {"memory_bytes": size}).run())
    assert measurement.observations[0].memory_bytes > size
    assert measurement.memory_binding == "none"


def test_long_requests_lengthen_the_window_so_that_each_has_two(tmp_path: Path) -> None:
    measurement = measured(FakeTrial(tmp_path, {"serial_s": 0.3}, instances=2).run())
    assert all(len(part.ends_s) >= 2 for block in measurement.blocks for part in block.instances)


def test_blocks_are_added_until_the_percentile_is_supported(tmp_path: Path) -> None:
    measurement = measured(FakeTrial(tmp_path, {"serial_s": 0.005}).run(percentile=90.0))
    assert len(measurement.blocks) > 2
    assert len(latencies_s(measurement)) >= 64


def test_measuring_for_a_percentile_is_bounded(tmp_path: Path) -> None:
    measure = Measure(warmup_s=1.0, block_s=0.02, blocks=1, max_blocks=1, trial_timeout_s=30.0)
    measurement = measured(FakeTrial(tmp_path, {}).run(measure, percentile=99.9))
    assert 1 < len(measurement.blocks) <= 11


def test_no_block_is_begun_that_does_not_fit_into_the_time_limit(tmp_path: Path) -> None:
    measure = Measure(warmup_s=0.1, block_s=0.3, blocks=100, trial_timeout_s=2.0)
    measurement = measured(FakeTrial(tmp_path, {}).run(measure))
    assert 1 <= len(measurement.blocks) < 7


def test_a_trial_that_is_clearly_worse_than_the_best_ends_after_a_block(tmp_path: Path) -> None:
    measure = QUICK.model_copy(update={"blocks": 3, "max_blocks": 6})
    rival = Rival(goodness=(1e6, 1e6, 1e6), spread=0.02, freedom=10)
    measurement = measured(FakeTrial(tmp_path, {}).run(measure, percentile=99.0, rival=rival))
    assert (len(measurement.blocks), measurement.stopped) == (1, "worse")


def test_a_latency_that_is_clearly_worse_ends_a_trial_too(tmp_path: Path) -> None:
    objective = Latency(50)
    trial = FakeTrial(tmp_path, {}, scenario="single_stream")
    rival = Rival(goodness=(1e6, 1e6, 1e6), spread=0.02, freedom=10)
    measurement = measured(trial.run(objective=objective, rival=rival))
    assert (len(measurement.blocks), measurement.stopped) == (1, "worse")


def test_blocks_that_do_not_agree_are_bounded_by_their_number_or_their_time(tmp_path: Path) -> None:
    noise = {"noise": {"request": 1.0}}
    measure = QUICK.model_copy(update={"blocks": 2, "max_blocks": 4})
    many = measured(FakeTrial(tmp_path, noise).run(measure))
    assert len(many.blocks) <= 4
    short = measured(FakeTrial(tmp_path, noise).run(measure, max_measuring_s=0.01))
    assert (len(short.blocks), short.stopped) in {(2, "time"), (2, "precise")}


def test_without_a_watch_blocks_have_no_conditions(tmp_path: Path) -> None:
    measurement = measured(FakeTrial(tmp_path, {}).run())
    assert [block.conditions for block in measurement.blocks] == [None, None]
    assert measurement.dropped == ()


def test_the_times_spent_add_up(tmp_path: Path) -> None:
    measurement = measured(FakeTrial(tmp_path, {"load_s": 0.2}).run())
    spent = measurement.measuring_s + measurement.warmup_s + measurement.observations[0].load_s
    assert 0.2 + 0.2 < spent <= measurement.wall_s + 0.02


def test_an_interpreter_that_does_not_exist_is_a_failure(tmp_path: Path) -> None:
    trial = FakeTrial(tmp_path, {})
    (command,) = trial.commands()
    result = run_trial(
        [replace(command, program=ServerProgram(("/nonexistent/python",)))],
        Trial(
            configuration=trial.configuration,
            scenario="offline",
            measure=QUICK,
            objective=THROUGHPUT,
            percentile=None,
        ),
    )
    assert not isinstance(result, Measurement)
    assert result.kind is FailureKind.CRASH


FIRST, *OTHERS = sorted(os.sched_getaffinity(0))


def moving_to(cpu: int, end: str) -> tuple[str, ...]:
    """A worker that runs on another cpu than it was started on, as a cpuset does it, before it ends."""
    code = f"import os; os.sched_setaffinity(0, {{{cpu}}}); {end}; os._exit(3)"
    return (sys.executable, "-I", "-S", "-c", code)


def saying(kind: FailureKind) -> str:
    return f"os.write(1, {format_message(Failed(kind, 'because'))!r})"


@TWO_CPUS
@pytest.mark.parametrize("cpus", [(FIRST,), ()])
@pytest.mark.parametrize(
    ("end", "kind", "may_pass"),
    [
        ("pass", FailureKind.CRASH, True),
        (saying(FailureKind.CRASH), FailureKind.CRASH, True),
        (saying(FailureKind.OUT_OF_MEMORY), FailureKind.OUT_OF_MEMORY, True),
        (saying(FailureKind.UNSUPPORTED), FailureKind.UNSUPPORTED, False),
        (saying(FailureKind.WRONG_OUTPUT), FailureKind.WRONG_OUTPUT, False),
        ("import time; time.sleep(60)", FailureKind.TIMEOUT, True),
    ],
)
def test_what_fails_on_other_cpus_than_it_was_asked_to_have_may_pass(
    tmp_path: Path, cpus: tuple[int, ...], end: str, kind: FailureKind, may_pass: bool
) -> None:
    result = run_as(tmp_path, moving_to(OTHERS[0], end), cpus)
    assert (result.kind, result.may_pass) == (kind, may_pass), result


@TWO_CPUS
def test_what_fails_where_it_was_asked_to_run_has_failed(tmp_path: Path) -> None:
    result = run_as(tmp_path, moving_to(FIRST, "pass"), (FIRST,))
    assert (result.kind, result.may_pass) == (FailureKind.CRASH, False), result


def run_as(folder: Path, argv: tuple[str, ...], cpus: tuple[int, ...]) -> Failure:
    """Run a trial whose worker is another program."""
    trial = FakeTrial(folder, {}, cpus=[cpus])
    (command,) = trial.commands()
    result = run_trial(
        [replace(command, program=ServerProgram(argv))],
        Trial(
            configuration=trial.configuration,
            scenario="offline",
            measure=QUICK.model_copy(update={"trial_timeout_s": 2.0}),
            objective=THROUGHPUT,
            percentile=None,
        ),
        watch=Watch(),
    )
    assert isinstance(result, Failure), result
    return result
