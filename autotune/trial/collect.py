"""Collects the blocks of one trial: drops the disturbed ones, and ends when the rule says so.

Knows nothing of processes, so that a simulation drives it with virtual blocks and a virtual clock.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from autotune.trial.conditions import disturbance, what_disturbed
from autotune.trial.failures import InstanceError
from autotune.trial.measurement import Block, DroppedBlock, FailureKind, StopReason
from autotune.trial.statistics import block_score, block_seconds
from autotune.trial.stopping import Rule

DROPS_PER_BLOCK = 2
"""Blocks that a trial may lose to disturbances, as a multiple of `Rule.blocks`: beyond that, the machine is
too noisy for it, and others are waiting."""

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
        InstanceError: `disturbed`, when too few blocks were left undisturbed.
    """
    collecting = _Collecting(rule, deadline_s, clock)
    while (stopped := collecting.reason_to_stop()) is None:
        collecting.add(measure_block())
    collecting.refuse_too_few(stopped)
    return Collection(tuple(collecting.kept), tuple(collecting.dropped), stopped, collecting.measured_s)


@dataclass
class _Collecting:
    """The blocks so far."""

    rule: Rule
    deadline_s: float
    clock: Callable[[], float]
    kept: list[Block] = field(default_factory=list)
    dropped: list[DroppedBlock] = field(default_factory=list)
    measured_s: float = 0.0
    longest_s: float = 0.0

    def add(self, block: Block) -> None:
        seconds = block_seconds(block)
        self.measured_s += seconds
        self.longest_s = max(self.longest_s, seconds)
        reason = disturbance(block.conditions) if block.conditions else ""
        if block.conditions and reason and not self.rule.keeps_disturbed:
            score = block_score(block, self.rule.scenario, self.rule.objective)
            self.dropped.append(DroppedBlock(block.conditions, score, reason))
        else:
            self.kept.append(block)

    def reason_to_stop(self) -> StopReason | None:
        if not self.kept and not self.dropped:
            return None
        if verdict := self.kept and self.rule.verdict(self.kept):
            return verdict
        if len(self.dropped) >= DROPS_PER_BLOCK * self.rule.blocks:
            return "disturbed"
        return "time" if self._is_time_over() else None

    def _is_time_over(self) -> bool:
        if self.clock() + HEADROOM * self.longest_s > self.deadline_s:
            return True
        limit_s, enough = self.rule.max_measuring_s, len(self.kept) >= self.rule.blocks
        return limit_s is not None and enough and self.measured_s + self.longest_s > limit_s

    def refuse_too_few(self, stopped: StopReason) -> None:
        if not self.dropped or stopped not in ("disturbed", "time"):
            return
        is_short = stopped == "disturbed" and not self.rule.is_supported(self.kept)
        if len(self.kept) < self.rule.blocks or is_short:
            raise InstanceError(FailureKind.DISTURBED, self._what_disturbed())

    def _what_disturbed(self) -> str:
        conditions: Sequence[DroppedBlock] = self.dropped
        total = len(self.kept) + len(self.dropped)
        why = what_disturbed([block.conditions for block in conditions])
        return f"{len(self.dropped)} of {total} blocks were disturbed: {why}"
