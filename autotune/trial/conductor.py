"""Drives the workers of one trial from start to last block, over pipes or over a launch script's fifos.

Blocks in one `select` over everything there is to read, with a deadline; never polls, so that it takes no
cpu from those it measures.
"""

from __future__ import annotations

import os
import selectors
import time
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace
from types import TracebackType
from typing import Protocol, TypeVar

from autotune.machine.counters import throttled_periods
from autotune.measurement.measurement import Block, FailureKind, InstanceBlock, Measurement
from autotune.spec.scenario import Scenario
from autotune.trial.asked import Asked
from autotune.trial.collect import collect
from autotune.trial.proof import memory_binding, prove
from autotune.trial.stopping import Rule
from autotune.trial.watch import Observer
from autotune.worker.board import shared_board
from autotune.worker.failures import MAX_REASON_CHARS, InstanceError, readable
from autotune.worker.messages import (
    Failed,
    LineBuffer,
    Message,
    ProtocolError,
    Ready,
    Served,
    Window,
    format_message,
    parse_message,
)

LEAD_S = 0.02
"""From the order to measure to the start of the window: an idle worker wakes and maps the board meanwhile."""

LEAD_PER_INSTANCE_S = 0.001
"""More of it for each instance, as they are told one after the other."""

REQUESTS_PER_WINDOW = 1.5
"""A window lasts at least so many requests, so that each instance completes two or more in it."""

CYCLE_BLOCKS = 5
"""A window is so many times longer at most than asked for, for the sake of requests of all lengths."""

MAX_REQUESTS_PER_BLOCK = 100_000
"""A window is shortened to hold no more: tiny requests need no more and their times must fit a message."""

_READ_BYTES = 2**20

Reply = TypeVar("Reply", Ready, InstanceBlock, Served)

BlockCheck = Callable[[Block], None]
"""Refuses a block that is no measurement, by an `InstanceError`."""


class Drain(Protocol):
    """Another stream to keep empty while waiting, such as a worker's stderr."""

    def fileno(self) -> int:
        """What to wait on."""
        ...

    def drain(self) -> bool:
        """Read what there is; False at the end of the stream."""
        ...


class Channel:
    """The connection to one worker, over two file descriptors that somebody else closes."""

    def __init__(self, instance: int, reader: int, writer: int) -> None:
        self.instance = instance
        self._reader = reader
        self._writer = writer
        self._lines = LineBuffer()

    def fileno(self) -> int:
        """What to wait on."""
        return self._reader

    def send(self, message: Message) -> None:
        """Write a message; if the worker is gone, reading will tell."""
        try:
            os.write(self._writer, format_message(message))
        except BrokenPipeError:
            return

    def receive(self) -> list[Message]:
        """Read what there is, at least one byte.

        Raises:
            InstanceError: the worker closed its end, or wrote what is no message.
        """
        data = os.read(self._reader, _READ_BYTES)
        if not data:
            raise InstanceError(FailureKind.CRASH, "ended", instance=self.instance, ended=True)
        try:
            return [parse_message(line) for line in self._lines.feed(data)]
        except ProtocolError as error:
            reason = f"wrote something else than messages: {error}"
            raise InstanceError(FailureKind.CRASH, reason, instance=self.instance) from error


@dataclass(frozen=True)
class Schedule:
    """What to measure.

    Attributes:
        block_s: shortest length of a window.
        deadline_s: CLOCK_MONOTONIC; the end of everything.
    """

    block_s: float
    rule: Rule
    deadline_s: float


class Exchange:
    """Speaks with all workers at once; a context manager that closes its selector."""

    def __init__(self, channels: Sequence[Channel], drains: Sequence[Drain], deadline_s: float) -> None:
        self.channels = channels
        self.deadline_s = deadline_s
        self._selector = selectors.DefaultSelector()
        sources: list[Channel | Drain] = [*channels, *drains]
        for source in sources:
            self._selector.register(source.fileno(), selectors.EVENT_READ, source)

    def __enter__(self) -> Exchange:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._selector.close()

    def tell(self, message: Message) -> None:
        """Send one message to every worker."""
        for channel in self.channels:
            channel.send(message)

    def gather(self, wanted: type[Reply]) -> list[Reply]:
        """Block until every worker has sent a message of this type; give them in order of instances.

        Raises:
            InstanceError: a worker failed, ended, said something else, or the deadline came.
        """
        replies: dict[int, Reply] = {}
        while len(replies) < len(self.channels):
            for source in self._wait(replies, wanted):
                if isinstance(source, Channel):
                    for message in source.receive():
                        replies[source.instance] = _accept(message, source.instance, wanted, replies)
                elif not source.drain():
                    self._selector.unregister(source.fileno())
        return [replies[channel.instance] for channel in self.channels]

    def _wait(self, replies: dict[int, Reply], wanted: type[Reply]) -> list[Channel | Drain]:
        left_s = self.deadline_s - time.monotonic()
        events = self._selector.select(left_s) if left_s > 0 else []
        if not events:
            missing = [channel.instance for channel in self.channels if channel.instance not in replies]
            stage = "loading and warm-up" if wanted is Ready else "measuring"
            raise InstanceError(
                FailureKind.TIMEOUT,
                f"the time limit was reached during {stage}, waiting for {_name(missing)}",
                instance=missing[0],
            )
        return [key.data for key, _ in events]


def _accept(message: Message, instance: int, wanted: type[Reply], replies: dict[int, Reply]) -> Reply:
    """Take a message for an answer, or say why it is none."""
    if isinstance(message, wanted) and instance not in replies:
        return message
    if isinstance(message, Failed):
        reason = readable(message.reason)[:MAX_REASON_CHARS]
        raise InstanceError(message.failure, reason, instance=instance)
    raise InstanceError(FailureKind.CRASH, f"sent {type(message).__name__} out of turn", instance=instance)


def _name(instances: Sequence[int]) -> str:
    """`instance 1`, or `3 instances, the first being 1`."""
    if len(instances) == 1:
        return f"instance {instances[0]}"
    return f"{len(instances)} instances, the first being {instances[0]}"


def conduct(
    exchange: Exchange,
    schedule: Schedule,
    asked: Asked,
    observer: Observer | None = None,
    check: BlockCheck | None = None,
) -> Measurement:
    """Wait for all to be ready, prove that they are what was asked, and measure block after block.

    Args:
        observer: looks at the host around every block; None = nobody does, and throttling alone is noticed.
        check: refuses a block that is no measurement in this scenario.

    Raises:
        InstanceError: a worker failed, is not what was asked, or the host disturbed too many blocks.
    """
    started_s = time.monotonic()
    ready = exchange.gather(Ready)
    observations = tuple(reply.observation for reply in ready)
    prove(asked, observations)
    slowest = max(ready, key=lambda reply: reply.request_s)
    window_s = plan_window_s(schedule, slowest.request_s, slowest.cycle)

    def measure_block() -> Block:
        return _measure_block(exchange, asked.scenario, window_s, observer, check)

    collection = collect(measure_block, schedule.rule, deadline_s=schedule.deadline_s)
    return Measurement(
        scenario=asked.scenario,
        blocks=collection.blocks,
        observations=observations,
        memory_binding=memory_binding(asked, observations),
        wall_s=time.monotonic() - started_s,
        measuring_s=collection.measuring_s,
        warmup_s=max(observation.warmup_s for observation in observations),
        dropped=collection.dropped,
        stopped=collection.stopped,
    )


def plan_window_s(schedule: Schedule, request_s: float, cycle: int = 1) -> float:
    """Length of the windows, from the slowest instance's request: enough requests, but not too many.

    Args:
        cycle: requests in which short and long ones come as often as in all: a window has so many, so that
            windows can be compared, unless that takes more than `CYCLE_BLOCKS` windows.
    """
    cycle_s = min(cycle * request_s, CYCLE_BLOCKS * schedule.block_s)
    enough_s = max(schedule.block_s, REQUESTS_PER_WINDOW * request_s, cycle_s)
    return min(enough_s, MAX_REQUESTS_PER_BLOCK * request_s)


def _measure_block(
    exchange: Exchange,
    scenario: Scenario,
    window_s: float,
    observer: Observer | None,
    check: BlockCheck | None,
) -> Block:
    """Have all instances measure over one common window, and look at the host before and after it."""
    if observer is None:
        return _measure_unobserved(exchange, scenario, window_s, check)
    observer.before()
    block = _run_block(exchange, scenario, window_s, check)
    return replace(block, conditions=observer.after())


def _measure_unobserved(
    exchange: Exchange, scenario: Scenario, window_s: float, check: BlockCheck | None
) -> Block:
    throttled_before = throttled_periods()
    block = _run_block(exchange, scenario, window_s, check)
    throttled = throttled_periods() - throttled_before
    if throttled > 0:
        raise InstanceError(
            FailureKind.DISTURBED, f"the CPU quota of the cgroup throttled the trial {throttled} times"
        )
    return block


def _run_block(exchange: Exchange, scenario: Scenario, window_s: float, check: BlockCheck | None) -> Block:
    instances = len(exchange.channels)
    with shared_board(instances) if instances > 1 else nullcontext("") as board:
        start_s = time.monotonic() + LEAD_S + LEAD_PER_INSTANCE_S * instances
        exchange.tell(Window(scenario, start_s, start_s + window_s, exchange.deadline_s, board))
        block = Block(start_s, tuple(exchange.gather(InstanceBlock)))
    _refuse_early(block)
    if check is not None:
        check(block)
    return block


def _refuse_early(block: Block) -> None:
    """Refuse a block that is no measurement in any scenario."""
    early = [index for index, part in enumerate(block.instances) if part.starts_s[0] < block.start_s]
    if early:
        raise InstanceError(FailureKind.CRASH, "began before the common start", instance=early[0])
