"""Figures from a measurement's raw values.

Percentiles are nearest-rank, so each is a latency that was really seen.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence

from autotune.trial.measurement import Block, InstanceBlock, Measurement

CONFIDENCE = 0.99
"""Confidence at which a percentile counts as supported. Source: MLPerf LoadGen, early stopping."""


def throughput_sps(measurement: Measurement) -> float:
    """Samples per second: the median over blocks of the sum over instances.

    The median, so that one disturbed block of three does not decide.
    """
    return statistics.median(block_throughput_sps(block) for block in measurement.blocks)


def block_throughput_sps(block: Block) -> float:
    """Samples per second in one block, summed over instances."""
    return sum(instance_throughput_sps(instance, block.start_s) for instance in block.instances)


def instance_throughput_sps(instance: InstanceBlock, start_s: float) -> float:
    """One instance's samples ÷ the real length of its block, from the common start to its last completion."""
    return instance.samples_per_request * len(instance.ends_s) / (instance.ends_s[-1] - start_s)


def latencies_s(measurement: Measurement) -> tuple[float, ...]:
    """Every latency, block by block.

    `offline`: of every request of every instance. `single_stream`: of every query, from its first part's
    start to its last part's end.
    """
    per_block = _request_latencies_s if measurement.scenario == "offline" else _query_latencies_s
    return tuple(latency for block in measurement.blocks for latency in per_block(block))


def _request_latencies_s(block: Block) -> list[float]:
    return [latency for instance in block.instances for latency in instance_latencies_s(instance)]


def instance_latencies_s(instance: InstanceBlock) -> list[float]:
    """The latencies of one instance's own requests, in order."""
    return [end - start for start, end in zip(instance.starts_s, instance.ends_s, strict=True)]


def _query_latencies_s(block: Block) -> list[float]:
    starts = zip(*(instance.starts_s for instance in block.instances), strict=True)
    ends = zip(*(instance.ends_s for instance in block.instances), strict=True)
    return [max(end) - min(start) for start, end in zip(starts, ends, strict=True)]


def percentile_s(latencies: Sequence[float], percentile: float) -> float:
    """The smallest latency that at least `percentile` % of all latencies do not exceed.

    Raises:
        ValueError: there are no latencies, or the percentile is not within (0, 100].
    """
    if not latencies or not 0 < percentile <= 100:
        raise ValueError(f"no percentile {percentile} of {len(latencies)} latencies")
    # 1e-9 keeps products such as 0.07 * 100 = 7.000000000000001 from skipping a rank.
    rank = math.ceil(percentile / 100 * len(latencies) - 1e-9)
    return sorted(latencies)[max(rank, 1) - 1]


def supports(count: int, percentile: float) -> bool:
    """Whether `count` latencies are enough to speak of this percentile at `CONFIDENCE`.

    They are if, were the true percentile worse than the estimate, two or more of them would have shown it:
    P(Binomial(count, 1 - p) <= 1) <= 1 - CONFIDENCE. That asks for 11 latencies at p50, 64 at p90, 130 at
    p95 and 662 at p99.

    Source: MLPerf LoadGen, early_stopping.cc (MinPassingQueriesFinder with one query over the latency).
    """
    if count < 1:
        return False
    under = percentile / 100
    none_over = under**count
    one_over = count * (1 - under) * under ** (count - 1)
    return none_over + one_over <= 1 - CONFIDENCE + 1e-12


def memory_bytes(measurement: Measurement) -> int:
    """Proportional set size after warm-up, summed over instances."""
    return sum(observation.memory_bytes for observation in measurement.observations)
