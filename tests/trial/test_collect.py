"""The collecting loop and its rule, with blocks made up and a clock of their own."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autotune.measurement.correction import Correction
from autotune.measurement.covariates import explanation
from autotune.measurement.measurement import Block, Conditions, FailureKind, InstanceBlock, Measurement
from autotune.measurement.statistics import block_throughput_sps
from autotune.objectives.latency import Latency
from autotune.objectives.objective import Objective
from autotune.objectives.throughput import THROUGHPUT
from autotune.spec.study import DisturbedTreatment
from autotune.trial.collect import Collection, collect
from autotune.trial.stopping import Rival, Rule, goodness_of_blocks
from autotune.worker.failures import InstanceError

LATENCY = Latency(90)
RULE = Rule("offline", THROUGHPUT, blocks=3, max_blocks=8)
HOGGED = Conditions(1.0, others_cpus=0.9)
STOLEN = Conditions(1.0, steal=0.5)
THROTTLED = Conditions(1.0, throttled_periods=1)
HOT = Conditions(1.0, thermal_throttles=3, speed=0.5)
LOST = Conditions(1.0, lost_cpus=1)
USUAL = Conditions(1.0, probe_s=math.exp(-6.9), steal=0.0)
SLOW = Conditions(1.0, probe_s=2 * math.exp(-6.9), steal=0.0)
QUIET = Conditions(1.0, others_cpus=0.0, steal=0.0, speed=1.0)


def block(samples_per_s: float, conditions: Conditions | None = None, requests: int = 1) -> Block:
    """A block of one second, of so many requests that share it evenly."""
    times = [index / requests for index in range(requests + 1)]
    part = InstanceBlock(1, tuple(times[:-1]), tuple(times[1:]))
    part = replace(part, samples_per_request=1)
    scale = requests / samples_per_s
    return Block(
        0.0,
        (replace(part, starts_s=_scaled(part.starts_s, scale), ends_s=_scaled(part.ends_s, scale)),),
        conditions,
    )


def _scaled(times: Iterable[float], scale: float) -> tuple[float, ...]:
    return tuple(time * scale for time in times)


class Machine:
    """Gives the blocks one after the other, the last one for ever; its clock advances with them."""

    def __init__(self, *blocks: Block) -> None:
        self.now_s = 0.0
        self.measured = 0
        self._blocks = blocks

    def measure(self) -> Block:
        found = self._blocks[min(self.measured, len(self._blocks) - 1)]
        self.measured += 1
        self.now_s += found.instances[0].ends_s[-1]
        return found

    def clock(self) -> float:
        return self.now_s


def collected(rule: Rule, *blocks: Block, deadline_s: float = 1e6) -> Collection:
    machine = Machine(*blocks)
    return collect(machine.measure, rule, deadline_s=deadline_s, clock=machine.clock)


def throughputs(*samples_per_s: float) -> Iterator[Block]:
    return (block(value) for value in samples_per_s)


def measurement(blocks: Sequence[Block]) -> Measurement:
    return Measurement("offline", tuple(blocks), (), "none", 1.0, 1.0, 1.0)


def test_blocks_that_agree_are_few() -> None:
    found = collected(RULE, *throughputs(100, 100.5, 99.8))
    assert (len(found.blocks), found.stopped) == (3, "precise")


def test_blocks_that_vary_are_as_many_as_their_spread_calls_for() -> None:
    # s = 0.01, t(0.975, 2) = 4.30: (4.30 * 0.01 / 0.02)² = 4.6.
    found = collected(RULE, *throughputs(100, 101, 99, 100, 100, 100))
    assert (len(found.blocks), found.stopped) == (5, "precise")


def test_blocks_that_never_agree_are_bounded() -> None:
    found = collected(RULE, *throughputs(100, 130, 70, 100))
    assert (len(found.blocks), found.stopped) == (8, "blocks")


def test_a_spread_known_from_earlier_trials_saves_blocks() -> None:
    rival = Rival((100.0,) * 3, spread=0.01, freedom=30)
    noisy = list(throughputs(100, 101, 99, 100))
    assert len(collected(RULE, *noisy).blocks) == 5
    assert len(collected(replace(RULE, rival=rival), *noisy).blocks) == 3


def test_a_plan_of_so_many_blocks_is_kept_to() -> None:
    found = collected(replace(RULE, blocks=4, max_blocks=4), *throughputs(100, 200, 50))
    assert (len(found.blocks), found.stopped) == (4, "planned")


def test_more_blocks_than_at_most_are_a_plan_of_the_smallest_number() -> None:
    found = collected(replace(RULE, blocks=5, max_blocks=2), block(100))
    assert (len(found.blocks), found.stopped) == (5, "planned")


def test_a_single_block_is_too_few_to_agree() -> None:
    found = collected(replace(RULE, blocks=1), *throughputs(100, 100.01))
    assert (len(found.blocks), found.stopped) == (2, "precise")


@pytest.mark.parametrize(("objective", "goodness"), [(THROUGHPUT, 60.0), (LATENCY, 60.0)])
def test_what_is_far_worse_than_the_best_has_one_block(objective: Objective, goodness: float) -> None:
    # One request a block: its latency is the inverse of the throughput.
    best = tuple(goodness_of_blocks(list(throughputs(100, 101, 99)), "offline", objective))
    rule = replace(RULE, objective=objective, rival=Rival(best, 0.02, 20))
    found = collected(rule, block(goodness))
    assert (len(found.blocks), found.stopped) == (1, "worse")


@pytest.mark.parametrize("objective", [THROUGHPUT, LATENCY])
@pytest.mark.parametrize("goodness", [96.0, 100.0, 150.0])
def test_what_is_about_as_good_or_better_is_measured_out(objective: Objective, goodness: float) -> None:
    best = tuple(goodness_of_blocks(list(throughputs(100, 101, 99)), "offline", objective))
    rule = replace(RULE, objective=objective, rival=Rival(best, 0.02, 20))
    assert collected(rule, block(goodness)).stopped == "precise"


def test_one_slow_block_does_not_end_a_race_where_blocks_vary() -> None:
    rule = replace(RULE, rival=Rival((100.0,) * 8, spread=0.15, freedom=20))
    assert collected(rule, *throughputs(60, 110, 100)).stopped != "worse"


@pytest.mark.parametrize("treatment", ["correct", "drop", "keep"])
def test_a_noisy_host_leaves_every_block_its_value(treatment: DisturbedTreatment) -> None:
    rule = replace(RULE, treatment=treatment)
    found = collected(rule, block(50, HOGGED), block(99, QUIET), block(40, STOLEN), block(100, SLOW))
    assert found.dropped == ()
    assert [block_throughput_sps(one) for one in found.blocks[:3]] == pytest.approx([50.0, 99.0, 40.0])


def test_a_block_that_the_quota_heat_or_a_lost_cpu_stopped_does_not_count() -> None:
    hard = [block(50, conditions) for conditions in (THROTTLED, HOT, LOST)]
    found = collected(RULE, *hard, block(100, QUIET))
    assert len(found.blocks) == 3
    assert [one.score for one in found.dropped] == pytest.approx([50.0] * 3)
    assert [one.reason.split()[0] for one in found.dropped] == ["the", "heat", "1"]
    assert found.dropped[0].conditions == THROTTLED
    assert found.measuring_s == pytest.approx(3 / 100 + 3 / 50)


def test_even_those_may_be_asked_to_count() -> None:
    found = collected(replace(RULE, treatment="keep"), block(100, THROTTLED))
    assert (len(found.blocks), found.dropped) == (3, ())


def test_a_quota_that_stops_every_block_ends_the_trial_as_disturbed() -> None:
    blocks = [block(100, QUIET), *[block(50, THROTTLED)] * 6]
    with pytest.raises(InstanceError, match="6 of 7 blocks cannot count") as caught:
        collected(RULE, *blocks)
    assert caught.value.kind is FailureKind.DISTURBED
    assert "the CPU quota throttled the trial once (the worst of 6 times)" in caught.value.reason


def test_a_quota_that_stops_blocks_when_there_are_enough_leaves_a_measurement() -> None:
    noisy = list(throughputs(100, 130, 70))
    found = collected(RULE, *noisy, block(50, THROTTLED))
    assert (len(found.blocks), len(found.dropped), found.stopped) == (3, 6, "disturbed")


LEARNED = Correction(slopes=(1.0, 1.0), errors=(0.1, 0.1), usual={2: (6.9, 0.0)}, overall=(6.9, 0.0))


def test_what_was_seen_to_cost_much_is_measured_again_where_the_study_says_drop() -> None:
    rule = replace(RULE, treatment="drop", correction=LEARNED, load=2)
    found = collected(rule, block(50, SLOW), block(100, USUAL), block(101, USUAL), block(99, USUAL))
    assert [block_throughput_sps(one) for one in found.blocks[:3]] == pytest.approx([100, 101, 99])
    assert [one.reason for one in found.dropped] == ["conditions like its own were seen to cost 50%"]


def test_dropped_blocks_count_after_all_where_there_are_no_others() -> None:
    rule = replace(RULE, treatment="drop", correction=LEARNED, load=2)
    found = collected(rule, block(50, SLOW))
    assert (len(found.blocks), len(found.dropped)) == (3, 6)


def test_a_race_is_between_values_under_usual_conditions() -> None:
    rival = Rival((100.0,) * 5, spread=0.02, freedom=20)
    rule = replace(RULE, rival=rival, correction=LEARNED, load=2)
    assert collected(rule, block(50, SLOW)).stopped != "worse"
    assert collected(replace(rule, treatment="keep"), block(50, SLOW)).stopped == "worse"


def test_a_correction_brings_a_block_to_what_is_usual_under_its_load() -> None:
    assert LEARNED.factor(SLOW, 2) == pytest.approx(2.0, rel=0.01)
    assert LEARNED.factor(STOLEN, 2) == pytest.approx(2.0)
    assert LEARNED.factor(None, 2) == 1.0
    assert Correction().factor(SLOW, 2) == 1.0
    assert explanation(QUIET) == (None, 0.0)


def test_too_few_blocks_before_the_deadline_are_disturbed_only_if_some_were() -> None:
    with pytest.raises(InstanceError, match="2 of 4 blocks cannot count"):
        collected(RULE, block(1), block(1, THROTTLED), block(1, THROTTLED), block(1), deadline_s=4.5)
    found = collected(RULE, block(1), deadline_s=2.5)
    assert (len(found.blocks), found.stopped) == (2, "time")


def test_a_trial_that_is_worse_needs_no_percentile() -> None:
    rule = replace(RULE, percentile=99.0, rival=Rival((100.0,) * 3, 0.02, 20))
    assert collected(rule, block(50)).stopped == "worse"


def test_the_share_of_time_ends_a_trial_that_has_its_least_blocks() -> None:
    noisy = list(throughputs(1.0, 1.3, 0.7, 1.0))
    found = collected(replace(RULE, max_measuring_s=5.0), *noisy)
    assert (len(found.blocks), found.stopped) == (4, "time")
    assert len(collected(replace(RULE, max_measuring_s=0.1), *noisy).blocks) == 3


@pytest.mark.parametrize(
    ("requests", "percentile", "blocks", "stopped"),
    [
        (40, 90.0, 3, "precise"),
        (10, 90.0, 7, "percentile"),
        (1, 50.0, 11, "percentile"),
        (1, 99.0, 30, "time"),
    ],
)
def test_blocks_are_added_for_a_percentile_up_to_ten_times_the_least(
    requests: int, percentile: float, blocks: int, stopped: str
) -> None:
    found = collected(replace(RULE, percentile=percentile), block(100, requests=requests))
    assert (len(found.blocks), found.stopped) == (blocks, stopped)


@given(
    values=st.lists(st.tuples(st.floats(50, 200), st.booleans()), min_size=1, max_size=40),
    blocks=st.integers(1, 5),
    max_blocks=st.integers(1, 12),
)
def test_whatever_happens_the_loop_ends_with_enough_blocks_or_says_why(
    values: list[tuple[float, bool]], blocks: int, max_blocks: int
) -> None:
    rule = replace(RULE, blocks=blocks, max_blocks=max_blocks)
    machine = Machine(*(block(value, THROTTLED if noisy else QUIET) for value, noisy in values))
    found = None
    with suppress(InstanceError):
        found = collect(machine.measure, rule, clock=machine.clock)
    if found is not None:
        assert blocks <= len(found.blocks) <= max(blocks, max_blocks)
        assert len(found.dropped) <= 2 * blocks
    else:
        assert any(noisy for _, noisy in values)
    assert machine.measured <= max(blocks, max_blocks) + 2 * blocks
