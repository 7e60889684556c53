"""Measures the workers of an exported launch script: `python -P -m autotune.trial.conduct`.

The conductor is the one of the trials; the connections are fifos. In the folder given lie `commands.json`
(`autotune.trial.asked`) and, for every instance I, the fifos `I.in` and `I.out`. The script starts this
program and the workers in any order, each worker with `<I.in >I.out`, and holds no fifo open itself: a
worker's end is noticed by the end of its `I.out`.

Prints a line for each instance (process id, cpus, memory policy, median latency, throughput), then the sum;
of a `server`, also the latency at the plan's rate.
Exit status: 0, or 1 with the reason on stderr.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from autotune.errors import AutotuneError, PlanError
from autotune.machine.cpus import format_cpu_list
from autotune.measurement.measurement import Measurement, Observation, RateStep
from autotune.measurement.statistics import (
    block_seconds,
    instance_latencies_s,
    instance_throughput_sps,
    latencies_s,
    throughput_sps,
)
from autotune.measurement.steps import kept_step
from autotune.objectives.throughput import THROUGHPUT
from autotune.spec.scenario import traits_of
from autotune.spec.study import LatencyLimit
from autotune.statistics.quantiles import percentile_of
from autotune.trial.asked import Asked, asked_from_json
from autotune.trial.conductor import Channel, Exchange, Schedule
from autotune.trial.scenario import conducting
from autotune.trial.server.rate_search import Demand
from autotune.trial.stopping import Rule
from autotune.worker.failures import InstanceError
from autotune.worker.messages import Finish

START_S = 600.0
"""Time given to load and warm up: a launch script may load from a cold disk."""

STRETCH = 10
"""After so many times the measuring time asked for, a worker counts as hung."""


@dataclass(frozen=True)
class InstanceResult:
    """What one instance turned out to be, and to do; without a latency where no request came to it."""

    pid: int
    cpus: str
    memory_policy: str
    memory_nodes: str
    latency_p50_s: float | None
    throughput_sps: float


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print, and tell the workers to end."""
    parser = argparse.ArgumentParser(prog="autotune.trial.conduct", allow_abbrev=False)
    parser.add_argument("--workers", required=True, type=Path, help="folder of commands.json and the fifos")
    parser.add_argument("--seconds", required=True, type=float, help="length of the measuring window")
    parser.add_argument("--json", action="store_true", help="print one JSON object instead of lines")
    options = parser.parse_args(arguments)
    try:
        asked = _read_asked(options.workers / "commands.json")
        measurement = _measure(options.workers, asked, options.seconds)
    except InstanceError as error:
        which = "" if error.instance is None else f"instance {error.instance} "
        sys.stderr.write(f"{which}failed ({error.kind}): {error.reason}\n")
        return 1
    except (AutotuneError, OSError) as error:
        sys.stderr.write(f"{error}\n")
        return 1
    return _print(_as_json(measurement) if options.json else _as_lines(measurement))


def _print(text: str) -> int:
    """Print the result; 1 where nobody can read it any more."""
    try:
        sys.stdout.write(text)
        sys.stdout.flush()
    except OSError as error:
        sys.stderr.write(f"the result cannot be written: {error.strerror}\n")
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # Python's last flush must not fail again
        return 1
    return 0


def _read_asked(path: Path) -> Asked:
    try:
        return asked_from_json(json.loads(path.read_text(encoding="utf-8")))
    except ValueError as error:
        raise PlanError(f"{path} is not JSON: {error}", remedy="export the plan again") from error


def _measure(folder: Path, asked: Asked, seconds: float) -> Measurement:
    """Drive the workers through one window, or put them under the load that they are to bear.

    Raises:
        PlanError: the document does not say which load.
    """
    demand, schedule = _demand(asked), _schedule(asked, seconds)
    with (
        conducting(asked.scenario, [place.cpus for place in asked.instances], demand) as conductor,
        _channels(folder, len(asked.instances)) as channels,
        Exchange(channels, conductor.drains, schedule.deadline_s) as exchange,
    ):
        measurement = conductor.conduct(exchange, schedule, asked)
        exchange.tell(Finish())
    return measurement


def _demand(asked: Asked) -> Demand | None:
    """What the workers are to bear; None where no rate was sought.

    Raises:
        PlanError: the document does not say it.
    """
    if not traits_of(asked.scenario).seeks_rate:
        return None
    if asked.rate is None:
        raise PlanError("commands.json lacks the rate of the requests", remedy="export the plan again")
    limit = LatencyLimit(percentile=asked.rate.percentile, max_s=asked.rate.max_s)
    return Demand(limit, seed=os.getpid(), start_rate_per_s=asked.rate.rate_per_s, is_fixed=True)


def _schedule(asked: Asked, seconds: float) -> Schedule:
    rule = Rule(asked.scenario, THROUGHPUT, blocks=1, max_blocks=1)
    return Schedule(seconds, rule, time.monotonic() + START_S + STRETCH * seconds)


@contextmanager
def _channels(folder: Path, instances: int) -> Iterator[list[Channel]]:
    """Open the fifos, without waiting for the workers to open theirs.

    The end that is read is opened for reading alone, so that the last writer's end is seen; the end that is
    written is opened for both, because a fifo without a reader cannot be opened for writing alone.
    """
    with ExitStack() as stack:
        channels = []
        for instance in range(instances):
            reader = os.open(folder / f"{instance}.out", os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
            stack.callback(os.close, reader)
            writer = os.open(folder / f"{instance}.in", os.O_RDWR | os.O_CLOEXEC)
            stack.callback(os.close, writer)
            channels.append(Channel(instance, reader, writer))
        yield channels


def _results(measurement: Measurement) -> list[InstanceResult]:
    """Of every instance, from the only block, or from all parts of the only run."""
    seconds = sum(block_seconds(block) for block in measurement.blocks)
    results = []
    for index, observation in enumerate(measurement.observations):
        parts = [block.instances[index] for block in measurement.blocks]
        latencies = [latency for part in parts for latency in instance_latencies_s(part)]
        if traits_of(measurement.scenario).is_one_run:
            samples_per_s = sum(part.sample_count for part in parts) / seconds
        else:
            samples_per_s = instance_throughput_sps(parts[0], measurement.blocks[0].start_s)
        results.append(_result(observation, latencies, samples_per_s))
    return results


def _result(observation: Observation, latencies: Sequence[float], samples_per_s: float) -> InstanceResult:
    return InstanceResult(
        pid=observation.pid,
        cpus=format_cpu_list(observation.cpus),
        memory_policy=observation.memory_policy,
        memory_nodes=format_cpu_list(observation.memory_nodes),
        latency_p50_s=percentile_of(latencies, 50) if latencies else None,
        throughput_sps=samples_per_s,
    )


def _as_json(measurement: Measurement) -> str:
    document: dict[str, Any] = {
        "instances": [asdict(result) for result in _results(measurement)],
        "throughput_sps": throughput_sps(measurement),
        "latency_p50_s": percentile_of(latencies_s(measurement), 50),
        "memory_binding": measurement.memory_binding,
    }
    if measurement.rates:
        document["rate"] = asdict(kept_step(measurement))
    return json.dumps(document) + "\n"


def _as_lines(measurement: Measurement) -> str:
    lines = [
        f"instance {index}: process {result.pid} on cpus {result.cpus}, "
        f"memory {result.memory_policy} {result.memory_nodes}".rstrip()
        + f", p50 {_milliseconds(result.latency_p50_s)}, {result.throughput_sps:.1f} samples/s"
        for index, result in enumerate(_results(measurement))
    ]
    if measurement.memory_binding == "refused":
        lines.append("the kernel did not permit memory to be bound to nodes")
    if traits_of(measurement.scenario).is_split:
        lines.append(
            f"latency of a whole request: p50 {_milliseconds(percentile_of(latencies_s(measurement), 50))}"
        )
    lines += [_rate_line(step) for step in measurement.rates]
    lines.append(f"throughput: {throughput_sps(measurement):.1f} samples/s")
    return "\n".join(lines) + "\n"


def _rate_line(step: RateStep) -> str:
    return (
        f"{step.requests} requests at {step.rate_per_s:.1f} per second: p{step.percentile:g} "
        f"{_milliseconds(step.latency_s)}, with 95 % confidence at most {_milliseconds(step.upper_s)}"
    )


def _milliseconds(seconds: float | None) -> str:
    return "-" if seconds is None else f"{seconds * 1e3:.2f} ms"


if __name__ == "__main__":
    raise SystemExit(main())
