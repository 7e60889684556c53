from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autotune.spec.configuration import Scenario
from autotune.trial.measurement import Block, InstanceBlock, Measurement
from autotune.trial.statistics import (
    latencies_s,
    percentile_s,
    supports,
    throughput_sps,
)


def measurement(scenario: Scenario, *blocks: Block) -> Measurement:
    return Measurement(scenario, blocks, (), "none", 0.0, 0.0, 0.0)


FAST = InstanceBlock(4, (10.0, 10.5, 11.0), (10.5, 11.0, 11.5))
SLOW = InstanceBlock(2, (10.25, 11.0, 12.0), (11.0, 12.0, 12.0 + 0.5))


def test_throughput_divides_by_each_instances_own_real_time() -> None:
    block = Block(10.0, (FAST, SLOW))
    assert throughput_sps(measurement("offline", block)) == pytest.approx(4 * 3 / 1.5 + 2 * 3 / 2.5)


def test_throughput_of_several_blocks_is_the_median() -> None:
    blocks = [Block(0.0, (InstanceBlock(1, (0.0,), (seconds,)),)) for seconds in (1.0, 0.1, 0.5)]
    assert throughput_sps(measurement("offline", *blocks)) == pytest.approx(2.0)


def test_offline_latencies_are_those_of_all_requests() -> None:
    latencies = latencies_s(measurement("offline", Block(10.0, (FAST, SLOW))))
    assert latencies == (0.5, 0.5, 0.5, 0.75, 1.0, 0.5)


def test_the_latency_of_a_split_query_is_from_its_first_start_to_its_last_end() -> None:
    latencies = latencies_s(measurement("single_stream", Block(10.0, (FAST, SLOW))))
    assert latencies == (1.0, 1.5, 1.5)


@pytest.mark.parametrize(
    ("percentile", "value"), [(1, 1.0), (50, 2.0), (51, 3.0), (75, 3.0), (99, 4.0), (100, 4.0)]
)
def test_percentiles_are_nearest_rank(percentile: float, value: float) -> None:
    assert percentile_s([4.0, 2.0, 3.0, 1.0], percentile) == value


@given(
    st.lists(st.floats(0, 1e6), min_size=1, max_size=50),
    st.floats(0, 100, exclude_min=True),
)
def test_a_percentile_is_a_value_that_enough_do_not_exceed(latencies: list[float], percentile: float) -> None:
    value = percentile_s(latencies, percentile)
    assert value in latencies
    assert sum(latency <= value for latency in latencies) >= percentile / 100 * len(latencies) - 1e-6


def test_a_percentile_of_hundredths_is_not_a_rank_too_high() -> None:
    # 0.07 * 100 is 7.000000000000001 in binary.
    assert percentile_s([float(rank) for rank in range(1, 101)], 7) == 7.0


@pytest.mark.parametrize("percentile", [0.0, -1.0, 100.1, math.nan])
def test_a_percentile_that_is_none_is_refused(percentile: float) -> None:
    with pytest.raises(ValueError, match="no percentile"):
        percentile_s([1.0], percentile)


def test_no_latencies_have_no_percentile() -> None:
    with pytest.raises(ValueError, match="of 0 latencies"):
        percentile_s([], 50)


@pytest.mark.parametrize(("percentile", "needed"), [(50, 11), (90, 64), (95, 130), (99, 662)])
def test_the_counts_that_support_a_percentile_are_those_of_mlperf(percentile: float, needed: int) -> None:
    assert supports(needed, percentile)
    assert not supports(needed - 1, percentile)


@given(st.integers(0, 5_000), st.floats(1, 99.9))
def test_more_latencies_support_no_less(count: int, percentile: float) -> None:
    assert supports(count + 1, percentile) or not supports(count, percentile)
