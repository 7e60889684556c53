"""Figures from a measurement's raw values."""

from __future__ import annotations

import statistics
from collections.abc import Iterable

from autotune.measurement.measurement import Block, InstanceBlock, Measurement
from autotune.spec.scenario import Scenario, traits_of


def throughput_sps(measurement: Measurement) -> float:
    """Samples per second: the median over blocks of the sum over instances.

    The median, so that one disturbed block of three does not decide. `server`: of all blocks together, as
    they are parts of one run, in which the number of requests is planned and those in a part of it are not.
    """
    if traits_of(measurement.scenario).is_one_run:
        blocks = measurement.blocks
        seconds = sum(block_seconds(block) for block in blocks)
        return sum(block_throughput_sps(block) * block_seconds(block) for block in blocks) / seconds
    return statistics.median(block_throughput_sps(block) for block in measurement.blocks)


def block_throughput_sps(block: Block) -> float:
    """Samples per second in one block, summed over instances; `server`: of the requests sent in it."""
    if block.end_s is not None:
        samples = sum(part.sample_count for part in block.instances)
        return samples / block_seconds(block)
    return sum(instance_throughput_sps(instance, block.start_s) for instance in block.instances)


def instance_throughput_sps(instance: InstanceBlock, start_s: float) -> float:
    """One instance's samples ÷ the real length of its block, from the common start to its last completion."""
    return instance.sample_count / (instance.ends_s[-1] - start_s)


def latencies_s(measurement: Measurement) -> tuple[float, ...]:
    """Every latency, block by block.

    `offline`: of every request of every instance. `single_stream`: of every query, from its first part's
    start to its last part's end. `server`: of every request, from when it was to be sent; of one that was
    never begun, for how long it had waited.
    """
    return tuple(
        latency for block in measurement.blocks for latency in block_latencies_s(block, measurement.scenario)
    )


def block_latencies_s(block: Block, scenario: Scenario) -> list[float]:
    """The latencies of one block, as `latencies_s` counts them."""
    if traits_of(scenario).is_split:
        return _query_latencies_s(block)
    answered = (latency for instance in block.instances for latency in instance_latencies_s(instance))
    return [*answered, *block.waiting_s]


def instance_latencies_s(instance: InstanceBlock) -> list[float]:
    """The latencies of one instance's own requests, in order."""
    return [end - start for start, end in zip(instance.starts_s, instance.ends_s, strict=True)]


def _query_latencies_s(block: Block) -> list[float]:
    starts = zip(*(instance.starts_s for instance in block.instances), strict=True)
    ends = zip(*(instance.ends_s for instance in block.instances), strict=True)
    return [max(end) - min(start) for start, end in zip(starts, ends, strict=True)]


def latency_count(block: Block, scenario: Scenario) -> int:
    """How many latencies a block gives: one a request, or one a split query."""
    counts = [len(instance.ends_s) for instance in block.instances]
    return min(counts) if traits_of(scenario).is_split else sum(counts) + len(block.waiting_s)


def block_seconds(block: Block) -> float:
    """Real length of a block: from the common start to the last completion of all; `server`: to its end."""
    if block.end_s is not None:
        return block.end_s - block.start_s
    return max(instance.ends_s[-1] for instance in block.instances) - block.start_s


def hit_rate(measurements: Iterable[Measurement]) -> float | None:
    """Share of the sequences whose answer came from a cache; None where nothing was answered."""
    parts = [part for one in measurements for block in one.blocks for part in block.instances]
    answered = sum(part.sample_count for part in parts)
    return sum(part.hits for part in parts) / answered if answered else None


def power_w(measurements: Iterable[Measurement]) -> float | None:
    """Watts that all packages of the machine took while this was measured; None where that was not readable.

    Whoever else ran on them is counted too, and so are cores that idled.
    """
    looked = [block.conditions for one in measurements for block in one.blocks]
    spans = [(one.energy_j, one.window_s) for one in looked if one is not None and one.energy_j is not None]
    if not spans or len(spans) < len(looked):
        return None
    return sum(joules for joules, _ in spans) / sum(seconds for _, seconds in spans)


def memory_bytes(measurement: Measurement) -> int:
    """Proportional set size after warm-up, summed over instances."""
    return sum(observation.memory_bytes for observation in measurement.observations)
