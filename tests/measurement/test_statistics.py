from __future__ import annotations

import pytest

from autotune.measurement.measurement import Block, Conditions, InstanceBlock, Measurement
from autotune.measurement.outcomes import BlockOutcome
from autotune.measurement.statistics import (
    block_seconds,
    block_throughput_sps,
    hit_rate,
    latencies_s,
    latency_count,
    power_w,
    throughput_sps,
)
from autotune.objectives.latency import Latency
from autotune.objectives.throughput import THROUGHPUT
from autotune.spec.scenario import Scenario


def measurement(scenario: Scenario, *blocks: Block) -> Measurement:
    return Measurement(scenario, blocks, (), "none", 0.0, 0.0, 0.0)


FAST = InstanceBlock(4, (10.0, 10.5, 11.0), (10.5, 11.0, 11.5))
SLOW = InstanceBlock(2, (10.25, 11.0, 12.0), (11.0, 12.0, 12.0 + 0.5))


def test_throughput_divides_by_each_instances_own_real_time() -> None:
    block = Block(10.0, (FAST, SLOW))
    assert throughput_sps(measurement("offline", block)) == pytest.approx(4 * 3 / 1.5 + 2 * 3 / 2.5)


def test_requests_of_different_sizes_are_counted_by_what_they_hold() -> None:
    block = Block(10.0, (InstanceBlock(4, FAST.starts_s, FAST.ends_s, samples=(4, 1, 7)),))
    assert throughput_sps(measurement("offline", block)) == pytest.approx(12 / 1.5)


def test_the_hit_rate_is_of_all_sequences_of_all_instances() -> None:
    block = Block(10.0, (InstanceBlock(4, (0.0,), (1.0,), hits=1), InstanceBlock(4, (0.0,), (1.0,))))
    assert hit_rate([measurement("offline", block, block)]) == 1 / 8
    assert hit_rate([]) is None


def test_throughput_of_several_blocks_is_the_median() -> None:
    blocks = [Block(0.0, (InstanceBlock(1, (0.0,), (seconds,)),)) for seconds in (1.0, 0.1, 0.5)]
    assert throughput_sps(measurement("offline", *blocks)) == pytest.approx(2.0)


def test_offline_latencies_are_those_of_all_requests() -> None:
    latencies = latencies_s(measurement("offline", Block(10.0, (FAST, SLOW))))
    assert latencies == (0.5, 0.5, 0.5, 0.75, 1.0, 0.5)


def test_the_latency_of_a_split_query_is_from_its_first_start_to_its_last_end() -> None:
    latencies = latencies_s(measurement("single_stream", Block(10.0, (FAST, SLOW))))
    assert latencies == (1.0, 1.5, 1.5)


def test_a_blocks_score_is_the_objectives_value_in_it() -> None:
    block = Block(10.0, (FAST, SLOW))
    offline, split = BlockOutcome(block, "offline"), BlockOutcome(block, "single_stream")
    assert THROUGHPUT.score(offline) == block_throughput_sps(block)
    assert Latency(50).score(offline) == 0.5
    assert Latency(99).score(offline) == 1.0
    assert Latency(99).score(split) == 1.5
    assert (latency_count(block, "offline"), latency_count(block, "single_stream")) == (6, 3)
    assert block_seconds(block) == 2.5


def test_power_is_of_all_windows_and_unknown_where_one_was_not_looked_at() -> None:
    def block(joules: float | None, window_s: float) -> Block:
        return Block(10.0, (FAST,), Conditions(window_s=window_s, energy_j=joules))

    assert (
        power_w([measurement("offline", block(100.0, 1.0)), measurement("offline", block(50.0, 2.0))]) == 50.0
    )
    assert power_w([measurement("offline", block(100.0, 1.0), block(None, 1.0))]) is None
    assert power_w([measurement("offline", block(100.0, 1.0), Block(10.0, (FAST,)))]) is None
    assert power_w([]) is None
