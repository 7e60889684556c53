"""What conductor and workers say to each other: one JSON object per line, on the worker's stdin and stdout.

```
worker     ready {observation, request_s, cycle}             once, after warm-up
conductor  measure {scenario, start_s, end_s, deadline_s, board}   any number of times
worker     block {samples_per_request, starts_s, ends_s, samples, hits}     the answer to each
conductor  serve {queue, end_s}                         any number of times, instead of `measure`
worker     served {samples_per_request, requests, begun_s, ends_s, hits}   the answer to each
worker     failed {failure, reason}                          instead of any answer; the last word
conductor  stop {}                                           or the end of stdin
```

and to the load generator, over the same kind of line:

```
conductor  send {queue, times_s, instances}             any number of times
generator  sent {sent_s, realtime}                      the answer to each
```

Times are CLOCK_MONOTONIC seconds. Workers import this module, so it loads pydantic only to read `ready`,
which only the conductor does.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from typing import Any, cast, get_args

from autotune.errors import AutotuneError
from autotune.measurement.measurement import FailureKind, InstanceBlock, Observation
from autotune.spec.scenario import Scenario

MAX_LINE_BYTES = 16 * 2**20
"""Longest line accepted. A block of `conductor.MAX_REQUESTS_PER_BLOCK` requests takes a quarter of it."""


@dataclass(frozen=True)
class Ready:
    """The worker has loaded and warmed up.

    Attributes:
        request_s: time of one request at the end of the warm-up; the mean of those that differ.
        cycle: requests in which short and long ones come as often as in all; 1 where all are alike.
    """

    observation: Observation
    request_s: float
    cycle: int = 1


@dataclass(frozen=True)
class Window:
    """Run requests over this stretch of time.

    Attributes:
        deadline_s: when to give up waiting for other instances.
        board: path of the `Board` that the instances share; empty for a single instance.
    """

    scenario: Scenario
    start_s: float
    end_s: float
    deadline_s: float
    board: str


@dataclass(frozen=True)
class Serve:
    """Take requests from a queue that all instances share, until it says that no more will come.

    Attributes:
        queue: path of the pipe (`autotune.worker.queue`).
        end_s: after which no further request is begun.
    """

    queue: str
    end_s: float


@dataclass(frozen=True)
class Served:
    """What an instance took from the queue.

    Attributes:
        samples_per_request: sequences in each of its requests.
        requests: their numbers, in order; begun_s: when each left the queue; ends_s: when it was answered.
        hits: sequences of each whose answer came from the instance's cache; none where it has no cache.
    """

    samples_per_request: int
    requests: tuple[int, ...]
    begun_s: tuple[float, ...]
    ends_s: tuple[float, ...]
    hits: tuple[int, ...] = ()


@dataclass(frozen=True)
class Send:
    """Put the requests 0, 1, ... into a queue, each at its time.

    Attributes:
        queue: path of the pipe.
        times_s: ascending.
        instances: how many take from it.
    """

    queue: str
    times_s: tuple[float, ...]
    instances: int


@dataclass(frozen=True)
class Sent:
    """When the requests 0, 1, ... were in the queue.

    Attributes:
        sent_s: of all but those from the first on for which the queue was full.
        realtime: the kernel permitted the generator to preempt others.
    """

    sent_s: tuple[float, ...]
    realtime: bool


@dataclass(frozen=True)
class Failed:
    """The worker could not go on."""

    failure: FailureKind
    reason: str


@dataclass(frozen=True)
class Finish:
    """Nothing more to do."""


Message = Ready | Window | InstanceBlock | Serve | Served | Send | Sent | Failed | Finish
_KINDS: dict[type, str] = {
    Ready: "ready",
    Window: "measure",
    InstanceBlock: "block",
    Serve: "serve",
    Served: "served",
    Send: "send",
    Sent: "sent",
    Failed: "failed",
    Finish: "stop",
}


class ProtocolError(Exception):
    """What came is not a message."""


def format_message(message: Message) -> bytes:
    """Write a message as one line."""
    fields = {"message": _KINDS[type(message)], **asdict(message)}
    return json.dumps(fields, separators=(",", ":")).encode() + b"\n"


def parse_message(line: bytes) -> Message:
    """Read a message.

    Raises:
        ProtocolError: the line is none; the text quotes its beginning.
    """
    try:
        fields = json.loads(line)
        return _PARSERS[fields.pop("message")](fields)
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError, AutotuneError) as error:
        raise ProtocolError(f"{line[:80]!r} is not a message ({type(error).__name__}: {error})") from error


def _ready(fields: dict[str, Any]) -> Ready:
    from autotune.measurement.codec import observation_from_json

    observation = observation_from_json(fields["observation"])
    return Ready(observation, _seconds(fields["request_s"]), _count(fields["cycle"]))


def _window(fields: dict[str, Any]) -> Window:
    if fields["scenario"] not in get_args(Scenario):
        raise ValueError(f"unknown scenario {fields['scenario']!r}")
    start_s, end_s, deadline_s = (_seconds(fields[name]) for name in ("start_s", "end_s", "deadline_s"))
    return Window(cast(Scenario, fields["scenario"]), start_s, end_s, deadline_s, str(fields["board"]))


def _block(fields: dict[str, Any]) -> InstanceBlock:
    starts_s = tuple(map(_seconds, fields["starts_s"]))
    ends_s = tuple(map(_seconds, fields["ends_s"]))
    if not starts_s or len(starts_s) != len(ends_s):
        raise ValueError(f"{len(starts_s)} starts and {len(ends_s)} ends")
    if any(end < start for start, end in zip(starts_s, ends_s, strict=True)):
        raise ValueError("a request that ends before it starts")
    samples = tuple(map(_count, fields["samples"]))
    if samples and len(samples) != len(ends_s):
        raise ValueError(f"{len(samples)} numbers of samples and {len(ends_s)} ends")
    block = InstanceBlock(int(fields["samples_per_request"]), starts_s, ends_s, samples=samples)
    return replace(block, hits=_hits(_count(fields["hits"]), block.sample_count))


def _serve(fields: dict[str, Any]) -> Serve:
    return Serve(str(fields["queue"]), _seconds(fields["end_s"]))


def _served(fields: dict[str, Any]) -> Served:
    requests = tuple(map(_count, fields["requests"]))
    begun_s = tuple(map(_seconds, fields["begun_s"]))
    ends_s = tuple(map(_seconds, fields["ends_s"]))
    if not len(requests) == len(begun_s) == len(ends_s):
        raise ValueError(f"{len(requests)} requests, {len(begun_s)} begun and {len(ends_s)} ended")
    if any(end < begun for begun, end in zip(begun_s, ends_s, strict=True)):
        raise ValueError("a request that ends before it begins")
    samples, hits = _count(fields["samples_per_request"]), tuple(map(_count, fields["hits"]))
    if hits and len(hits) != len(requests):
        raise ValueError(f"{len(hits)} numbers of hits and {len(requests)} requests")
    return Served(samples, requests, begun_s, ends_s, tuple(_hits(one, samples) for one in hits))


def _hits(hits: int, samples: int) -> int:
    if hits > samples:
        raise ValueError(f"{hits} hits of {samples} samples")
    return hits


def _send(fields: dict[str, Any]) -> Send:
    return Send(str(fields["queue"]), tuple(map(_seconds, fields["times_s"])), _count(fields["instances"]))


def _sent(fields: dict[str, Any]) -> Sent:
    return Sent(tuple(map(_seconds, fields["sent_s"])), bool(fields["realtime"]))


def _failed(fields: dict[str, Any]) -> Failed:
    return Failed(FailureKind(fields["failure"]), str(fields["reason"]))


def _stop(_: dict[str, Any]) -> Finish:
    return Finish()


def _seconds(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise ValueError(f"{value!r} is not a time")
    return float(value)


def _count(value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise ValueError(f"{value!r} is not a number of something")
    return value


_PARSERS: dict[str, Callable[[dict[str, Any]], Message]] = {
    "ready": _ready,
    "measure": _window,
    "block": _block,
    "serve": _serve,
    "served": _served,
    "send": _send,
    "sent": _sent,
    "failed": _failed,
    "stop": _stop,
}


class LineBuffer:
    """Cuts a stream of bytes into lines, and refuses a line that never ends."""

    def __init__(self, max_line_bytes: int = MAX_LINE_BYTES) -> None:
        self._max = max_line_bytes
        self._rest = bytearray()

    def feed(self, data: bytes) -> list[bytes]:
        """Add what was read; give the lines that are now complete, without their ends.

        Raises:
            ProtocolError: the line under way is longer than allowed.
        """
        self._rest += data
        *lines, rest = self._rest.split(b"\n") if b"\n" in data else (self._rest,)
        self._rest = rest
        if len(rest) > self._max:
            raise ProtocolError(f"a line of more than {self._max} bytes, beginning {bytes(rest[:80])!r}")
        return [bytes(line) for line in lines]
