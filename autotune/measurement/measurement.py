"""What a trial gives: a `Measurement` of raw values, or a `Failure` of a closed set of kinds.

Clock: CLOCK_MONOTONIC in seconds, which all processes of one host share.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Literal

from autotune.spec.scenario import Scenario


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
        pair_wide: whether it speaks for every configuration that runs what is prepared for this one.
        model_wide: whether it speaks for every configuration of this variant of the model.
        may_pass: whether it says nothing of the configuration, as its reason may be gone another time: its
            artifact could not be prepared, or workers failed whose cpus were away for a moment.
    """

    kind: FailureKind
    reason: str
    stderr_tail: str = ""
    pair_wide: bool = False
    model_wide: bool = False
    may_pass: bool = False


@dataclass(frozen=True)
class InstanceBlock:
    """One instance's requests in one block, in order; but for `server`, they follow each other back to back.

    Attributes:
        samples_per_request: sequences in each of its requests.
        starts_s: when each request was sent; `server`: was to be sent, by the block in which that was.
        ends_s: when each was answered.
        begun_s: `server`: when each left the queue; of other scenarios none.
        samples: sequences in each request, where they differ; else none.
        hits: sequences whose answer came from the instance's cache.
    """

    samples_per_request: int
    starts_s: tuple[float, ...]
    ends_s: tuple[float, ...]
    begun_s: tuple[float, ...] = ()
    samples: tuple[int, ...] = ()
    hits: int = 0

    @property
    def sample_count(self) -> int:
        """Sequences that were answered."""
        return sum(self.samples) if self.samples else self.samples_per_request * len(self.ends_s)


@dataclass(frozen=True)
class Conditions:
    """What the host did to one block, on the trial's cpus; None = not readable here.

    Attributes:
        window_s: over which the counters ran.
        probe_s: CPU seconds of the same small work on each of the trial's cpus, before and after the block:
            the geometric mean; speed: its median so far in this process over it, so that 1 is as usual.
        steal: share of the cpus' time that the hypervisor gave to others, of the instance that lost most.
        waited: share of the time in which the workers' threads were ready to run and did not, likewise.
        others_cpus: CPU time of other processes on an instance's cpus per second, at least, likewise.
        throttled_s: for which the cgroup's CPU quota stopped the trial; throttled_periods: how often.
        cpu_pressure, memory_pressure, io_pressure: share of the time in which some task of the host stalled,
            or of this cgroup where the kernel counts it by itself.
        frequency_hz: mean over the cpus; temperature_c: of the hottest sensor, both at the end.
        thermal_throttles: how often a core slowed down because of heat.
        involuntary_switches, migrations: of the workers' threads; major_faults: of the workers.
        culprits: other processes that were running on the cpus, where they can be seen.
        lost_cpus: of the instances' cpus, how many were taken away (offline, or out of the mask).
        energy_j: that all packages of the machine took, whoever ran on them.
    """

    window_s: float
    speed: float | None = None
    probe_s: float | None = None
    steal: float | None = None
    waited: float | None = None
    others_cpus: float | None = None
    throttled_periods: int = 0
    throttled_s: float = 0.0
    cpu_pressure: float | None = None
    memory_pressure: float | None = None
    io_pressure: float | None = None
    frequency_hz: float | None = None
    temperature_c: float | None = None
    thermal_throttles: int | None = None
    involuntary_switches: int | None = None
    major_faults: int | None = None
    migrations: int | None = None
    culprits: tuple[str, ...] = ()
    lost_cpus: int = 0
    energy_j: float | None = None


@dataclass(frozen=True)
class Block:
    """One common window over all instances.

    Attributes:
        start_s: when all instances began.
        instances: in the order of the placement.
        conditions: what the host did meanwhile; None where nobody looked. `server`: during the whole run at
            this rate, of which the block is a part.
        end_s: `server`: when the block was over; None = with its last answer.
        waiting_s: `server`: for how long each request had waited that was not begun when the run was given
            up, which is longer than the limit.
    """

    start_s: float
    instances: tuple[InstanceBlock, ...]
    conditions: Conditions | None = None
    end_s: float | None = None
    waiting_s: tuple[float, ...] = ()


@dataclass(frozen=True)
class DroppedBlock:
    """A block that does not count, and was measured again.

    Attributes:
        score: the block's own, in the objective's unit.
        reason: why it does not count, as a part of a sentence.
    """

    conditions: Conditions
    score: float
    reason: str


StopReason = Literal["planned", "precise", "worse", "blocks", "percentile", "time", "disturbed"]
"""Why no further block was measured: the planned number was reached; the blocks agree; the configuration is
clearly worse than the best; `max_blocks` were reached without agreement; the needed percentile was reached;
the trial's time was over; as many blocks were disturbed as a trial may lose."""


@dataclass(frozen=True)
class RateStep:
    """One run of the `server` scenario at one arrival rate.

    Attributes:
        rate_per_s: requests per second that were sent.
        requests: how many counted; waiting: how many of them were not begun when the run was given up.
        percentile: of latency, that is limited; latency_s: its value in the long run; upper_s: what it does
            not exceed, with 95 % confidence (`autotune.statistics.queueing`).
        late_s: by how much the load generator was late, at the 99th percentile; delay_s: by how much that
            delayed requests, likewise.
        met: the upper bound meets the limit, and there are requests enough to say so.
        kept: the measurement's blocks are those of this run.
    """

    rate_per_s: float
    requests: int
    waiting: int
    percentile: float
    latency_s: float
    upper_s: float
    late_s: float
    delay_s: float
    met: bool
    kept: bool = False


@dataclass(frozen=True)
class Generator:
    """The process that sent the requests of the `server` scenario.

    Attributes:
        cpus: where it ran, apart from all instances; empty = wherever the kernel put it, among them.
        realtime: it preempted whatever ran where it was to run.
        late_s: by how much it was late in the run that is kept, at the 99th percentile; late_max_s: at most.
        late_runs: runs that were measured again because it was too late.
    """

    cpus: tuple[int, ...]
    realtime: bool
    late_s: float
    late_max_s: float
    late_runs: int


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
        knobs: values by name, of those that can be read back; an allocator is the path of its library.
        export: the way by which the artifact was exported; empty of what is no export, and in older ones.
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
    knobs: dict[str, str] = field(default_factory=dict)
    export: str = ""


@dataclass(frozen=True)
class Measurement:
    """All of a trial: raw values, from which every figure is computed.

    Attributes:
        dropped: the blocks that were disturbed, in order.
        stopped: why it was not measured for longer.
        memory_binding: `bind` (as asked), `none` (not asked) or `refused` (the kernel did not permit it).
        wall_s: from the launch to the end of the last worker.
        measuring_s: the part of it inside measuring windows; warmup_s: the part inside warm-up.
        rates: `server`: the arrival rates that were tried, in order; generator: who sent the requests.
        cores: physical ones on which the instances might run, so that they were taken from everybody else;
            None where nobody counted them, as in older measurements.
    """

    scenario: Scenario
    blocks: tuple[Block, ...]
    observations: tuple[Observation, ...]
    memory_binding: str
    wall_s: float
    measuring_s: float
    warmup_s: float
    dropped: tuple[DroppedBlock, ...] = ()
    stopped: StopReason = "planned"
    rates: tuple[RateStep, ...] = ()
    generator: Generator | None = None
    cores: int | None = None


TrialResult = Measurement | Failure
