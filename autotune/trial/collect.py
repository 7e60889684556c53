"""Collects the blocks of one trial: those that can count, until the rule says that they are enough.

A noisy host is no reason to have no value: what a block lost is corrected by what the study has learned, or
other blocks are measured in its place where the study asks for that and as long as there are any. Only hard
facts (`autotune.measurement.conditions.hard_fact`) keep a block from counting.

Knows nothing of processes, so that a simulation drives it with virtual blocks and a virtual clock.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from autotune.measurement.conditions import hard_fact, what_disturbed
from autotune.measurement.measurement import Block, Conditions, DroppedBlock, FailureKind, StopReason
from autotune.measurement.statistics import block_seconds
from autotune.trial.stopping import Rule
from autotune.worker.failures import InstanceError

DROPS_PER_BLOCK = 2
"""Blocks that a trial may lose, as a multiple of `Rule.blocks`: beyond that, others are waiting."""

MAX_LOSS = 0.1
"""A block that is expected to have lost more is measured again where the study says `drop`."""

HEADROOM = 1.25
"""A block is begun when so many times the longest so far still fits before the deadline."""


@dataclass(frozen=True)
class Collection:
    """What was collected.

    Attributes:
        measuring_s: length of all blocks, the dropped ones too.
    """

    blocks: tuple[Block, ...]
    dropped: tuple[DroppedBlock, ...]
    stopped: StopReason
    measuring_s: float


def collect(
    measure_block: Callable[[], Block],
    rule: Rule,
    *,
    deadline_s: float = math.inf,
    clock: Callable[[], float] = time.monotonic,
) -> Collection:
    """Measure block after block until the rule is content or the time is over; at least one.

    Args:
        measure_block: measures one block, with its conditions where somebody looks.
        deadline_s: by `clock`; no block is begun that would not end before it.

    Raises:
        InstanceError: `disturbed`, when hard facts left too few blocks.
    """
    collecting = _Collecting(rule, deadline_s, clock)
    while (stopped := collecting.reason_to_stop()) is None:
        collecting.add(measure_block())
    collecting.settle(stopped)
    return Collection(tuple(collecting.kept), tuple(collecting.dropped), stopped, collecting.measured_s)


@dataclass
class _Collecting:
    """The blocks so far.

    Attributes:
        kept: those that count; dropped: those that a hard fact forbids to count.
        aside: those that are expected to have lost much, where the study asks for others in their place.
    """

    rule: Rule
    deadline_s: float
    clock: Callable[[], float]
    kept: list[Block] = field(default_factory=list)
    dropped: list[DroppedBlock] = field(default_factory=list)
    aside: list[Block] = field(default_factory=list)
    measured_s: float = 0.0
    longest_s: float = 0.0

    def add(self, block: Block) -> None:
        seconds = block_seconds(block)
        self.measured_s += seconds
        self.longest_s = max(self.longest_s, seconds)
        reason = self._hard_fact(block)
        if block.conditions and reason:
            self.dropped.append(self._dropped(block, block.conditions, reason))
        elif self.rule.treatment == "drop" and self.rule.loss(block) > MAX_LOSS and self._may_lose():
            self.aside.append(block)
        else:
            self.kept.append(block)

    def reason_to_stop(self) -> StopReason | None:
        if not self._lost() and not self.kept:
            return None
        if verdict := self.kept and self.rule.verdict(self.kept):
            return verdict
        if len(self.dropped) >= DROPS_PER_BLOCK * self.rule.blocks:
            return "disturbed"
        return "time" if self._is_time_over() else None

    def _hard_fact(self, block: Block) -> str:
        if block.conditions is None or self.rule.treatment == "keep":
            return ""
        return hard_fact(block.conditions)

    def _dropped(self, block: Block, conditions: Conditions, reason: str) -> DroppedBlock:
        return DroppedBlock(conditions, self.rule.score(block), reason)

    def _lost(self) -> int:
        return len(self.dropped) + len(self.aside)

    def _may_lose(self) -> bool:
        return self._lost() < DROPS_PER_BLOCK * self.rule.blocks

    def _is_time_over(self) -> bool:
        if self.clock() + HEADROOM * self.longest_s > self.deadline_s:
            return True
        limit_s, enough = self.rule.max_measuring_s, len(self.kept) >= self.rule.blocks
        return limit_s is not None and enough and self.measured_s + self.longest_s > limit_s

    def settle(self, stopped: StopReason) -> None:
        """Let the best of the blocks that were set aside count where others are too few.

        Raises:
            InstanceError: `disturbed`, when too few blocks are left all the same.
        """
        self.aside.sort(key=self.rule.loss)
        while self.aside and len(self.kept) < self.rule.blocks:
            self.kept.append(self.aside.pop(0))
        for block in self.aside:
            reason = f"conditions like its own were seen to cost {self.rule.loss(block):.0%}"
            if block.conditions is not None:
                self.dropped.append(self._dropped(block, block.conditions, reason))
        if not self.dropped or stopped not in ("disturbed", "time"):
            return
        is_short = stopped == "disturbed" and not self.rule.is_supported(self.kept)
        if len(self.kept) < self.rule.blocks or is_short:
            raise InstanceError(FailureKind.DISTURBED, self._what_disturbed())

    def _what_disturbed(self) -> str:
        conditions: Sequence[DroppedBlock] = self.dropped
        total = len(self.kept) + len(self.dropped)
        why = what_disturbed([block.conditions for block in conditions])
        return f"{len(self.dropped)} of {total} blocks cannot count: {why}"
