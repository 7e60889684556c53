from __future__ import annotations

import statistics
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from autotune.measurement.statistics import block_throughput_sps, throughput_sps
from autotune.objectives.throughput import THROUGHPUT
from autotune.search.experience import experience
from autotune.spec.aim import Aim
from autotune.spec.configuration import Configuration
from autotune.spec.problem import Problem
from autotune.spec.study import Measure, StudySpec
from autotune.testing.hosts import HOSTS
from autotune.testing.noise import Noise, Spikes
from autotune.testing.simulation import LAUNCH_S, SimulatedMachine
from autotune.trial.stopping import Rule

SPEC = StudySpec(
    name="simulated",
    model="fake:simulated.json",
    problem=Problem(batch_size=1, sequence_length=1),
    objective=Aim(kind="throughput"),
    scenario="offline",
)
MEASURE = Measure(block_s=1.0, blocks=3, max_blocks=8, trial_timeout_s=180.0)
NOISY = Noise(
    launch=0.03, block=0.05, request=0.01, drift=0.05, spikes=Spikes(share=0.1, factor=2.0, mean_s=0.5)
)


def a_configuration(threads: int, *, instances: int = 1, baseline: bool = False) -> Configuration:
    return Configuration(instances, threads, "unpinned" if baseline else "close", "0", False, "fake", "fp32")


ONE, TWO = a_configuration(1), a_configuration(2)
BASELINE = a_configuration(0, baseline=True)


def a_machine(noise: Noise = NOISY, seed: int = 1, request_s: float = 0.1) -> SimulatedMachine:
    truths = {ONE: request_s, TWO: 2 * request_s, BASELINE: request_s}
    return SimulatedMachine(truths.__getitem__, noise, seed)


def test_without_noise_a_machine_is_as_fast_as_it_is_said_to_be() -> None:
    measured = a_machine(Noise()).trial(ONE, MEASURE)
    assert throughput_sps(measured) == pytest.approx(10.0)
    assert measured.stopped == "precise"
    assert len(measured.blocks) == 3


def test_every_instance_adds_its_own() -> None:
    three = a_configuration(1, instances=3)
    measured = SimulatedMachine({three: 0.1}.__getitem__, Noise(), 1).trial(three, MEASURE)
    assert throughput_sps(measured) == pytest.approx(30.0)
    assert len(measured.observations) == 3


def test_time_passes_on_the_machine_and_nowhere_else() -> None:
    began_s, machine = time.monotonic(), a_machine(request_s=1000.0)
    measured = machine.trial(ONE, Measure(block_s=600.0, blocks=10, max_blocks=10, trial_timeout_s=86_400.0))
    assert machine.clock.now_s > 10 * 600
    assert measured.wall_s == pytest.approx(machine.clock.now_s)
    assert measured.wall_s >= LAUNCH_S + measured.measuring_s
    assert time.monotonic() - began_s < 60


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 2**31))
def test_the_same_seed_gives_the_same_trials(seed: int) -> None:
    one, again = a_machine(seed=seed), a_machine(seed=seed)
    assert [one.trial(ONE, MEASURE) for _ in range(2)] == [again.trial(ONE, MEASURE) for _ in range(2)]


def test_a_window_holds_two_requests_at_least_and_ends_with_the_first_completion_after_its_end() -> None:
    machine = a_machine(Noise())
    short, long = (machine.measure_block(machine.launch(ONE), block_s) for block_s in (0.01, 1.05))
    assert [len(block.instances[0].ends_s) for block in (short, long)] == [2, 11]


def test_the_spread_of_blocks_is_the_noise_of_blocks() -> None:
    machine = a_machine(Noise(block=0.05))
    launched = machine.launch(ONE)
    logs = [block_throughput_sps(machine.measure_block(launched, 0.9)) for _ in range(2000)]
    assert statistics.stdev(logs) / statistics.fmean(logs) == pytest.approx(0.05, rel=0.1)


def test_a_machine_counts_what_it_ran_and_how_fast() -> None:
    machine = a_machine(Noise(spikes=Spikes(share=0.999999, factor=2.0, mean_s=0.5)))
    measured = machine.trial(ONE, MEASURE)
    assert machine.blocks == len(measured.blocks)
    assert machine.measured_s == pytest.approx(measured.measuring_s)
    assert machine.mean_speed == pytest.approx(0.5, rel=0.05)


def test_a_launch_takes_what_its_machine_says() -> None:
    machine = SimulatedMachine({ONE: 0.1}.__getitem__, Noise(), 1, launch_s={ONE: 20.0}.__getitem__)
    machine.launch(ONE)
    assert machine.clock.now_s == 20.0


def test_weather_is_met_and_seen() -> None:
    machine = SimulatedMachine({ONE: 0.1, BASELINE: 0.1}.__getitem__, HOSTS["late on unpinned"], 1)
    rule = Rule("offline", THROUGHPUT, 3, 3)
    ours, theirs = (
        machine.measure(configuration, rule, MEASURE, is_confirming=True) for configuration in (ONE, BASELINE)
    )
    assert throughput_sps(theirs) / throughput_sps(ours) == pytest.approx(0.1, rel=0.1)
    waited = [block.conditions.waited for block in theirs.blocks if block.conditions is not None]
    assert waited == pytest.approx([0.45] * 3, abs=0.01)


def test_a_trial_that_is_clearly_worse_than_its_rival_ends_after_the_first_block() -> None:
    machine = a_machine(Noise(block=0.03))
    best = [machine.trial(ONE, MEASURE) for _ in range(5)]
    rival = experience(SPEC, [(ONE, trial) for trial in best]).rival(ONE, best[0])
    lost = machine.trial(TWO, MEASURE, rival)
    assert (lost.stopped, len(lost.blocks)) == ("worse", 1)
    assert machine.trial(ONE, MEASURE, rival).stopped != "worse"


def test_a_trial_ends_before_its_time_limit() -> None:
    measured = a_machine().trial(ONE, MEASURE.model_copy(update={"trial_timeout_s": 8.0, "blocks": 20}))
    assert measured.stopped == "time"
    assert measured.wall_s <= 8.0
