"""Trials of the server scenario in real processes of the fake backend.

Service times are taken from what was measured, not from what was programmed: a busy host stretches them.
"""

from __future__ import annotations

import os
import signal
import statistics
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path

import psutil
import pytest

from autotune.measurement.codec import measurement_from_json, measurement_to_json
from autotune.measurement.measurement import Failure, FailureKind, Measurement, TrialResult
from autotune.measurement.statistics import latencies_s, throughput_sps
from autotune.measurement.steps import kept_step
from autotune.spec.study import LatencyLimit, Measure
from autotune.testing.fake_trial import QUICK, FakeTrial
from autotune.testing.stolen import StolenTime
from autotune.trial.server.rate_search import Demand

pytestmark = pytest.mark.usefixtures("nothing_left")

GENERATOR = "autotune.worker.generator"


BEGUN: list[StolenTime] = []


@pytest.fixture(autouse=True)
def stolen_time() -> Iterator[None]:
    """Watch what the hypervisor takes during each test, for `measured`."""
    BEGUN.append(StolenTime())
    yield
    BEGUN.clear()


def measured(result: TrialResult) -> Measurement:
    """The measurement; without one the test is skipped if the hypervisor is to blame, and else fails."""
    if isinstance(result, Failure) and result.kind == FailureKind.DISTURBED and BEGUN[0].is_much:
        pytest.skip(f"the hypervisor took {BEGUN[0].share:.0%} of the cpus: {result.reason}")
    assert isinstance(result, Measurement), result
    return result


def at_rate(
    folder: Path, rate_per_s: float, seconds: float, *, max_s: float = 1.0, seed: int = 0, **trial: object
) -> Measurement:
    """A run at one rate, without a search."""
    demand = Demand(LatencyLimit(percentile=90, max_s=max_s), seed, rate_per_s, is_fixed=True)
    measure = Measure(warmup_s=2.0, block_s=seconds, blocks=1, trial_timeout_s=60.0)
    server = FakeTrial(folder, {"serial_s": 0.01}, scenario="server", **trial)  # type: ignore[arg-type]
    return measured(server.run(measure, percentile=90, demand=demand))


def services_s(measurement: Measurement) -> list[float]:
    return [
        end - begun
        for block in measurement.blocks
        for part in block.instances
        for begun, end in zip(part.begun_s, part.ends_s, strict=True)
    ]


def waits_s(measurement: Measurement) -> list[float]:
    return [
        begun - due
        for block in measurement.blocks
        for part in block.instances
        for due, begun in zip(part.starts_s, part.begun_s, strict=True)
    ]


def test_the_mean_wait_is_that_of_queueing_theory_which_a_closed_loop_never_sees(tmp_path: Path) -> None:
    """Source: the Pollaczek-Khinchine formula. The bounds allow for 400 requests that hang together."""
    rate = 65.0
    measurement = at_rate(tmp_path, rate, seconds=6.0)
    services = services_s(measurement)
    load = rate * statistics.fmean(services)
    second_moment = statistics.fmean(service**2 for service in services)
    expected_s = rate * second_moment / (2 * (1 - load))
    assert 0.3 * expected_s < statistics.fmean(waits_s(measurement)) < 3 * expected_s
    waited_longest = max(latencies_s(measurement))
    closed_loop = measured(FakeTrial(tmp_path, {"serial_s": 0.01}).run())
    assert statistics.median(latencies_s(closed_loop)) < 2 * statistics.median(services)
    assert waited_longest > 3 * statistics.median(services)


def test_two_instances_share_one_queue(tmp_path: Path) -> None:
    measurement = at_rate(tmp_path, 120.0, seconds=2.0, instances=2)
    counts = [sum(len(block.instances[index].ends_s) for block in measurement.blocks) for index in (0, 1)]
    assert sum(counts) == 240
    assert min(counts) > 60
    # First in, first out: a request is begun after all that were due before it, wherever they are begun.
    begun = sorted(
        (due, begun)
        for block in measurement.blocks
        for part in block.instances
        for due, begun in zip(part.starts_s, part.begun_s, strict=True)
    )
    swapped = sum(later[1] < one[1] - 0.005 for one, later in pairwise(begun))
    assert swapped <= len(begun) // 50


def test_all_that_was_sent_is_counted_at_the_rate_that_was_asked(tmp_path: Path) -> None:
    measurement = at_rate(tmp_path, 40.0, seconds=2.0, batch_size=3)
    assert throughput_sps(measurement) == pytest.approx(3 * 40.0)
    assert len(latencies_s(measurement)) == 80
    step = kept_step(measurement)
    assert (step.requests, step.waiting) == (80, 0)
    assert measurement.generator is not None
    assert 0 <= measurement.generator.late_s <= measurement.generator.late_max_s
    assert measurement_from_json(measurement_to_json(measurement)) == measurement


def test_a_seed_gives_the_same_arrivals_again(tmp_path: Path) -> None:
    def arrivals(seed: int) -> list[float]:
        measurement = at_rate(tmp_path, 50.0, seconds=0.5, seed=seed)
        start_s = measurement.blocks[0].start_s
        return sorted(
            round(due - start_s, 6)
            for block in measurement.blocks
            for part in block.instances
            for due in part.starts_s
        )

    first = arrivals(1)
    assert arrivals(1) == pytest.approx(first, abs=1e-5)
    assert arrivals(2) != pytest.approx(first, abs=1e-5)


def test_overload_shows_as_latency_and_as_requests_that_were_never_begun(tmp_path: Path) -> None:
    measurement = at_rate(tmp_path, 400.0, seconds=1.0, max_s=0.1)
    step = kept_step(measurement)
    assert step.waiting > 100
    assert not step.met
    assert step.upper_s > 0.1
    assert throughput_sps(measurement) < 250
    assert len(latencies_s(measurement)) == 400


def test_the_highest_rate_is_found_and_told(tmp_path: Path) -> None:
    demand = Demand(LatencyLimit(percentile=90, max_s=0.1))
    measure = Measure(warmup_s=2.0, block_s=0.5, blocks=2, trial_timeout_s=60.0)
    server = FakeTrial(tmp_path, {"serial_s": 0.01}, instances=2, scenario="server")
    measurement = measured(server.run(measure, percentile=90, demand=demand))
    step = kept_step(measurement)
    assert [one.kept for one in measurement.rates].count(True) == 1
    if not step.met:
        pytest.skip("the host was too noisy for any rate")
    assert step.upper_s <= 0.1
    capacity = 2 / statistics.fmean(services_s(measurement))
    assert 0.3 * capacity < step.rate_per_s < capacity
    assert throughput_sps(measurement) == pytest.approx(step.rate_per_s, rel=0.02)


def test_a_limit_that_no_rate_meets_is_a_measurement_that_misses_it(tmp_path: Path) -> None:
    demand = Demand(LatencyLimit(percentile=90, max_s=0.02))
    measure = QUICK.model_copy(update={"trial_timeout_s": 60.0})
    server = FakeTrial(tmp_path, {"serial_s": 0.025}, scenario="server")
    measurement = measured(server.run(measure, percentile=90, demand=demand))
    step = kept_step(measurement)
    assert not step.met
    assert step.upper_s > 0.02


def test_a_server_without_a_demand_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="needs a demand"):
        FakeTrial(tmp_path, {}, scenario="server").run()


@contextmanager
def meanwhile(act: Callable[[psutil.Process], None]) -> Iterator[None]:
    """Do something to the generator as long as it lives."""
    done = threading.Event()

    def run() -> None:
        while not done.wait(0.05):
            for process in psutil.Process().children():
                try:
                    if GENERATOR in process.cmdline():
                        act(process)
                except psutil.Error:
                    continue

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()


def stop_for_a_while(generator: psutil.Process) -> None:
    generator.send_signal(signal.SIGSTOP)
    time.sleep(0.05)
    generator.send_signal(signal.SIGCONT)


def short_demand() -> Demand:
    return Demand(LatencyLimit(percentile=90, max_s=0.2), start_rate_per_s=200.0)


SHORT = Measure(warmup_s=2.0, block_s=0.5, blocks=1, trial_timeout_s=40.0)


def test_runs_with_a_late_generator_are_no_measurement(tmp_path: Path) -> None:
    server = FakeTrial(tmp_path, {"serial_s": 0.002}, scenario="server")
    with meanwhile(stop_for_a_while):
        result = server.run(SHORT, percentile=90, demand=short_demand())
    assert isinstance(result, Failure), result
    assert result.kind is FailureKind.DISTURBED
    assert "the load generator was late in 4 runs" in result.reason


def test_a_generator_that_is_killed_ends_the_trial_and_leaves_nothing(tmp_path: Path) -> None:
    begun = time.monotonic()

    def kill(generator: psutil.Process) -> None:
        if time.monotonic() > begun + 1.0:
            os.kill(generator.pid, signal.SIGKILL)

    server = FakeTrial(tmp_path, {"serial_s": 0.002, "load_s": 1.0}, instances=2, scenario="server")
    with meanwhile(kill):
        result = server.run(SHORT, percentile=90, demand=short_demand())
    assert isinstance(result, Failure), result
    assert result.kind is FailureKind.DISTURBED
    assert "the load generator was killed by SIGKILL" in result.reason


@pytest.mark.parametrize("fault", ["crash", "hang_ignoring_sigterm", "nan"])
def test_an_instance_that_fails_under_load_ends_the_trial(tmp_path: Path, fault: str) -> None:
    faults = [{"fault": fault, "at": "measure", "instance": 1}]
    server = FakeTrial(tmp_path, {"faults": faults}, instances=2, scenario="server")
    measure = Measure(warmup_s=2.0, block_s=0.5, blocks=1, trial_timeout_s=4.0)
    demand = Demand(LatencyLimit(percentile=90, max_s=0.5), start_rate_per_s=50.0)
    result = server.run(measure, percentile=90, demand=demand)
    assert isinstance(result, Failure), result
    kinds = {
        "crash": FailureKind.CRASH,
        "hang_ignoring_sigterm": FailureKind.TIMEOUT,
        "nan": FailureKind.WRONG_OUTPUT,
    }
    assert result.kind is kinds[fault]
    assert "instance 1" in result.reason


def test_other_scenarios_take_no_notice_of_a_demand(tmp_path: Path) -> None:
    trial = FakeTrial(tmp_path, {})
    result = trial.run(demand=short_demand())
    assert measured(result).rates == ()
    assert measured(result).generator is None
