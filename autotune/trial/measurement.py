"""What a trial gives: a `Measurement` of raw values, or a `Failure` of a closed set of kinds.

Clock: CLOCK_MONOTONIC in seconds, which all processes of one host share.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from autotune.spec.configuration import Scenario


class FailureKind(StrEnum):
    """Why a configuration gave no measurement; a closed set."""

    TIMEOUT = "timeout"
    CRASH = "crash"
    OUT_OF_MEMORY = "out_of_memory"
    UNSUPPORTED = "unsupported"
    WRONG_OUTPUT = "wrong_output"
    PLACEMENT = "placement"
    DISTURBED = "disturbed"


@dataclass(frozen=True)
class Failure:
    """A configuration's failure: an answer, not a crash of the study.

    Attributes:
        reason: one sentence, with the engine's own words where it has any.
        stderr_tail: the last bytes that the failed worker wrote to stderr, decoded.
    """

    kind: FailureKind
    reason: str
    stderr_tail: str = ""


@dataclass(frozen=True)
class InstanceBlock:
    """One instance's requests in one block, in order; requests follow each other back to back.

    Attributes:
        samples_per_request: sequences in each of its requests.
        starts_s: when each request was sent.
        ends_s: when each was answered.
    """

    samples_per_request: int
    starts_s: tuple[float, ...]
    ends_s: tuple[float, ...]


@dataclass(frozen=True)
class Block:
    """One common window over all instances.

    Attributes:
        start_s: when all instances began.
        instances: in the order of the placement.
    """

    start_s: float
    instances: tuple[InstanceBlock, ...]


@dataclass(frozen=True)
class ThreadMask:
    """The affinity of one thread of a worker."""

    name: str
    cpus: tuple[int, ...]


@dataclass(frozen=True)
class Observation:
    """What one worker reported of itself after warm-up, read back from kernel and engine.

    Attributes:
        cpus: the process's mask.
        threads: the mask of every thread of the process.
        memory_policy: `default`, `bind`, `preferred`, ... as get_mempolicy says.
        memory_nodes: the policy's nodes.
        memory_bytes: proportional set size (shared pages divided among their users) after warm-up.
        peak_memory_bytes: high-water mark of the resident set.
        load_s: from process start to model loaded; warmup_s: the warm-up.
    """

    pid: int
    cpus: tuple[int, ...]
    threads: tuple[ThreadMask, ...]
    memory_policy: str
    memory_nodes: tuple[int, ...]
    engine: str
    engine_version: str
    precision: str
    engine_threads: int
    memory_bytes: int
    peak_memory_bytes: int
    load_s: float
    warmup_s: float


@dataclass(frozen=True)
class Measurement:
    """All of a trial: raw values, from which every figure is computed.

    Attributes:
        memory_binding: `bind` (as asked), `none` (not asked) or `refused` (the kernel did not permit it).
        wall_s: from the launch to the end of the last worker.
        measuring_s: the part of it inside measuring windows; warmup_s: the part inside warm-up.
    """

    scenario: Scenario
    blocks: tuple[Block, ...]
    observations: tuple[Observation, ...]
    memory_binding: str
    wall_s: float
    measuring_s: float
    warmup_s: float


TrialResult = Measurement | Failure
