"""Plays recordings of a noisy host: block after block with its requests' times, its probes and its counters.

A recording is a JSON document (`studies/benchmarks/noise/README.md` describes it). The work of a replayed
block runs at the speed that the recorded requests had from the beginning of a recorded block on, where 1 is
the recording's median block; a watch sees what was recorded of that block.
"""

from __future__ import annotations

import json
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path
from typing import Any

import numpy as np

from autotune.testing.weather import Surroundings, Trace, Weather, WeatherMaker


@dataclass(frozen=True)
class RecordedBlock:
    """One block of a recording.

    Attributes:
        start_s: from the recording's beginning; wall_s: its length.
        request_s: seconds of each request, by instance.
        surroundings: what was seen meanwhile.
    """

    start_s: float
    wall_s: float
    request_s: tuple[tuple[float, ...], ...]
    surroundings: Surroundings

    @property
    def value(self) -> float:
        """Requests per second, summed over instances, each up to its last completion."""
        return sum(len(seconds) / sum(seconds) for seconds in self.request_s)


@dataclass(frozen=True)
class Recording:
    """A recording of a host under one load.

    Attributes:
        name: of its file.
        load: engine:instances:threads.
    """

    name: str
    load: str
    blocks: tuple[RecordedBlock, ...]

    @property
    def median(self) -> float:
        """The median block's value, in requests per second."""
        return statistics.median(block.value for block in self.blocks)


def read_recording(path: Path) -> Recording:
    """Read a recording.

    Raises:
        ValueError: it has no blocks.
    """
    document: Mapping[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    if not document.get("blocks"):
        raise ValueError(f"{path} holds no blocks: give a recording with `blocks`")
    threads = int(str(document["load"]).rpartition(":")[2])
    blocks = tuple(_block(block, threads) for block in document["blocks"])
    return Recording(path.stem, str(document["load"]), blocks)


def _block(found: Mapping[str, Any], threads: int) -> RecordedBlock:
    wall_s, request_s = float(found["wall_s"]), tuple(map(tuple, found["request_s"]))
    cpus = sorted(found["probe_before_s"])
    ready_s = threads * len(request_s) * wall_s
    return RecordedBlock(
        float(found["start_s"]),
        wall_s,
        request_s,
        Surroundings(
            tuple(float(found["probe_before_s"][cpu]) for cpu in cpus),
            tuple(float(found["probe_after_s"][cpu]) for cpu in cpus),
            steal=float(found["steal_s"]) / len(cpus) / wall_s,
            waited=float(found["run_delay_s"]) / ready_s,
        ),
    )


def replayed(recording: Recording) -> WeatherMaker:
    """Play it from a random block on, and around."""
    speeds = _Speeds(recording)
    return lambda seed: _Replay(recording, speeds, int(np.random.default_rng((seed, 5)).integers(2**31)))


class _Speeds:
    """How much work the recorded host did up to each moment, in seconds of its median speed."""

    def __init__(self, recording: Recording) -> None:
        blocks = recording.blocks
        self.period_s = blocks[-1].start_s - blocks[0].start_s + _whole_s(blocks, len(blocks) - 1)
        instances = len(blocks[0].request_s)
        paths = [_path(blocks, instance) for instance in range(instances)]
        self.times_s: Trace = np.unique(np.concatenate([times for times, _ in paths]))
        together = sum(np.interp(self.times_s, times, work) for times, work in paths)
        self.work_s: Trace = np.asarray(together / recording.median, dtype=np.float64)
        self.starts_s = [block.start_s - blocks[0].start_s for block in blocks]


def _path(blocks: Sequence[RecordedBlock], instance: int) -> tuple[Trace, Trace]:
    """Completed requests over time, twice through the recording, so that every block can be run beyond."""
    times: list[float] = [0.0]
    done: list[float] = [0.0]
    turn_s = 0.0
    for _ in range(2):
        for index, block in enumerate(blocks):
            start_s = turn_s + block.start_s - blocks[0].start_s
            seconds = block.request_s[instance]
            ends_s = [start_s + at_s for at_s in accumulate(seconds)]
            count = done[-1]
            times += ends_s
            done += [count + number for number in range(1, len(seconds) + 1)]
            idle_s = start_s + _whole_s(blocks, index) - ends_s[-1]
            if idle_s > 0:
                times.append(ends_s[-1] + idle_s)
                done.append(done[-1] + idle_s / seconds[-1])
        turn_s = times[-1]
    return np.array(times), np.array(done)


def _whole_s(blocks: Sequence[RecordedBlock], index: int) -> float:
    """From one block's start to the next one's."""
    if index + 1 < len(blocks):
        return blocks[index + 1].start_s - blocks[index].start_s
    return blocks[index].wall_s


class _Replay:
    """Weather of a recording: a block of work begins with the recorded block whose turn it is."""

    def __init__(self, recording: Recording, speeds: _Speeds, offset: int) -> None:
        self._blocks = recording.blocks
        self._speeds = speeds
        self._offset = offset
        self._usual_s = speeds.period_s / len(recording.blocks)

    def ends_s(self, start_s: float, work_s: Trace) -> Trace:
        """See `Weather`; as long as the recording from that block on, and once more, at most."""
        speeds, begun_s = self._speeds, self._begun_s(start_s)
        done_s = float(np.interp(begun_s, speeds.times_s, speeds.work_s))
        ends_s = np.interp(done_s + work_s, speeds.work_s, speeds.times_s)
        return np.asarray(start_s + (ends_s - begun_s), dtype=np.float64)

    def work_s(self, start_s: float, end_s: float) -> float:
        """See `Weather`."""
        begun_s, speeds = self._begun_s(start_s), self._speeds
        ended_s = begun_s + min(end_s - start_s, speeds.period_s)
        before, after = np.interp((begun_s, ended_s), speeds.times_s, speeds.work_s)
        return float(after - before)

    def around(self, start_s: float, end_s: float) -> Surroundings:  # noqa: ARG002
        """See `Weather`: what was recorded of that block."""
        return self._blocks[self._index(start_s)].surroundings

    def met_by(self, *, is_pinned: bool, is_confirming: bool) -> Weather:  # noqa: ARG002
        """See `Weather`: the same for all."""
        return self

    def _index(self, start_s: float) -> int:
        return (self._offset + round(start_s / self._usual_s)) % len(self._blocks)

    def _begun_s(self, start_s: float) -> float:
        return self._speeds.starts_s[self._index(start_s)]
