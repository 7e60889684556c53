from __future__ import annotations

import math
import statistics
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autotune.measurement.measurement import Measurement
from autotune.spec.study import Measure
from autotune.testing.fake_trial import FakeTrial
from autotune.testing.noise import Noise, NoiseSource, Spikes, in_spike

EVERYTHING = Noise(
    launch=0.03, block=0.03, request=0.01, drift=0.05, spikes=Spikes(share=0.1, factor=2.0, mean_s=0.5)
)


def logs_over_time(noise: Noise, *, seconds: int, step_s: float = 1.0, seed: int = 1) -> list[float]:
    source = NoiseSource(noise, seed)
    return [math.log(source.factor(index * step_s)) for index in range(int(seconds / step_s))]


def logs_over_launches(noise: Noise, launches: int) -> list[float]:
    return [math.log(NoiseSource(noise, 1, launch).factor(0.0)) for launch in range(launches)]


@given(st.floats(0, 1e9), st.integers(0, 2**31), st.integers(0, 2**22))
def test_without_noise_every_factor_is_one(at_s: float, seed: int, launch: int) -> None:
    assert NoiseSource(Noise(), seed, launch).factor(at_s) == 1


@given(st.lists(st.floats(0, 1e6), max_size=20), st.integers(0, 2**31), st.integers(0, 2**22))
def test_the_same_seed_and_launch_give_the_same_factors(times_s: list[float], seed: int, launch: int) -> None:
    one, again = NoiseSource(EVERYTHING, seed, launch), NoiseSource(EVERYTHING, seed, launch)
    assert [one.factor(at_s) for at_s in times_s] == [again.factor(at_s) for at_s in times_s]


@pytest.mark.parametrize("noise", [Noise(launch=0.05), Noise(request=0.05)])
def test_launches_of_one_seed_differ_in_what_is_their_own(noise: Noise) -> None:
    assert len(set(logs_over_launches(noise, 50))) == 50


@pytest.mark.parametrize(
    "noise", [Noise(block=0.05), Noise(drift=0.05), Noise(spikes=Spikes(share=0.3, mean_s=5.0))]
)
def test_what_the_machine_does_strikes_all_launches_alike_and_differs_between_seeds(noise: Noise) -> None:
    assert len(set(logs_over_launches(noise, 50))) == 1
    assert logs_over_time(noise, seconds=200, seed=1) != logs_over_time(noise, seconds=200, seed=2)


@pytest.mark.parametrize("logs", [
    logs_over_launches(Noise(launch=0.05), 4000),
    logs_over_time(Noise(block=0.05), seconds=4000),
    logs_over_time(Noise(request=0.05), seconds=4000),
], ids=["launch", "block", "request"])  # fmt: skip
def test_a_log_normal_factor_has_the_median_one_and_the_deviation_asked_for(logs: list[float]) -> None:
    error = 0.05 / math.sqrt(len(logs))
    assert abs(statistics.median(logs)) < 4 * 1.25 * error
    assert abs(statistics.stdev(logs) - 0.05) < 4 * error


def test_a_block_s_factor_holds_for_its_length() -> None:
    logs = logs_over_time(Noise(block=0.05, block_s=2.0), seconds=8, step_s=0.5)
    assert [len(set(logs[start : start + 4])) for start in (0, 4, 8, 12)] == [1, 1, 1, 1]
    assert len(set(logs)) == 4


def test_drift_swings_between_its_amplitudes_once_in_a_period() -> None:
    logs = logs_over_time(Noise(drift=0.05, drift_period_s=100.0), seconds=200)
    assert max(logs) == pytest.approx(0.05, rel=0.01)
    assert min(logs) == pytest.approx(-0.05, rel=0.01)
    assert statistics.median(logs) == pytest.approx(0, abs=0.002)
    assert logs[:100] == pytest.approx(logs[100:])


def test_spikes_slow_down_for_their_share_of_the_time_and_never_speed_up() -> None:
    spikes = Spikes(share=0.1, factor=3.0, mean_s=0.5)
    logs = logs_over_time(Noise(spikes=spikes), seconds=4000, step_s=0.1)
    assert set(logs) == {0.0, math.log(3.0)}
    # About 800 spikes: the share's relative standard error is at most sqrt(1 + 1/3) / sqrt(800) = 4 %.
    assert statistics.fmean(map(bool, logs)) == pytest.approx(0.1, rel=0.16)


def test_spikes_are_as_long_as_asked_in_the_mean_where_they_seldom_overlap() -> None:
    spikes = Spikes(share=0.01, mean_s=2.0)
    inside = [in_spike(spikes, 1, index * 0.1) for index in range(600_000)]
    begun = sum(now and not before for before, now in pairwise(inside))
    # About 300 spikes, uniform on 0 to 4 s: the mean's standard error is 2 / sqrt(3 * 300) = 0.067 s.
    assert 0.1 * sum(inside) / begun == pytest.approx(2.0, abs=4 * 0.067)


def test_factors_multiply() -> None:
    parts = [Noise(launch=0.1), Noise(block=0.1), Noise(drift=0.1), Noise(spikes=Spikes(share=0.5))]
    whole = Noise(launch=0.1, block=0.1, drift=0.1, spikes=Spikes(share=0.5))
    for at_s in range(50):
        product = math.prod(NoiseSource(part, 1).factor(at_s) for part in parts)
        assert NoiseSource(whole, 1).factor(at_s) == pytest.approx(product)


def test_workers_of_a_trial_meet_the_same_machine_and_take_as_long_as_its_noise_says(tmp_path: Path) -> None:
    """A sleep is never shorter than asked for, so each request shows the factor that it met."""
    noise = Noise(drift=1.0, drift_period_s=0.8)
    document = {"drift": 1.0, "drift_period_s": 0.8}
    trial = FakeTrial(tmp_path, {"serial_s": 0.01, "noise": document}, instances=2)
    result = trial.run(Measure(warmup_s=2.0, block_s=0.5, blocks=2, max_blocks=2, trial_timeout_s=30.0))
    assert isinstance(result, Measurement)
    machine = NoiseSource(noise, seed=0)
    least = [
        (end_s - start_s, 0.01 * min(machine.factor(start_s), machine.factor(end_s)))
        for block in result.blocks
        for part in block.instances
        for start_s, end_s in zip(part.starts_s, part.ends_s, strict=True)
        if not has_extreme(machine, start_s, end_s)
    ]
    assert all(seconds >= least_s - 1e-4 for seconds, least_s in least)
    assert max(least_s for _, least_s in least) > 0.015


def has_extreme(machine: NoiseSource, start_s: float, end_s: float) -> bool:
    """Whether the factor turns between two times, so that its least is at neither of them."""
    factors = [machine.factor(start_s + share * (end_s - start_s)) for share in (0.0, 0.25, 0.5, 0.75, 1.0)]
    return factors not in (sorted(factors), sorted(factors, reverse=True))


def test_each_real_worker_draws_its_own_launch(tmp_path: Path) -> None:
    trial = FakeTrial(tmp_path, {"serial_s": 0.005, "noise": {"launch": 1.5}}, instances=6)
    result = trial.run()
    assert isinstance(result, Measurement)
    fastest_s = [
        min(end_s - start_s for start_s, end_s in zip(part.starts_s, part.ends_s, strict=True))
        for part in result.blocks[0].instances
    ]
    # Six deviates within ln(1.5) / 1.5 of each other have a probability of 2e-5.
    assert max(fastest_s) > 1.5 * min(fastest_s)
