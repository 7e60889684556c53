"""Measures a stored plan's throughput-latency curve with its own processes, at rates from low to too high."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import Final

from autotune.bench.host import releasing
from autotune.bench.local import LocalHost
from autotune.bench.order import Order
from autotune.errors import PlanError
from autotune.events import Emit, RateBegan, RateEnded, unheard
from autotune.jobs.reviving import Origin, differences, refusal_of_plan, set_up_plan, stored_commands
from autotune.measurement.conditions import quietness
from autotune.measurement.measurement import Failure, Measurement, TrialResult
from autotune.measurement.steps import needed_requests
from autotune.placement.placement import Command
from autotune.plan.curve import PERCENTILES, CurvePoint, make_curve
from autotune.plan.curve_of_runs import point_of, samples_per_request
from autotune.plan.document import Plan
from autotune.plan.study import spec_of
from autotune.preflight.setup import Setup
from autotune.spec.aim import Aim
from autotune.spec.scenario import traits_of
from autotune.spec.study import LatencyLimit, Limits
from autotune.stop import Stop, Stopped
from autotune.units import format_latency, format_rate, format_significant

FIRST_SHARE: Final = 0.6
"""Of the capacity that a plan is expected to have: the first rate, whose service times say what it has."""

SHARES: Final = (1.1, 0.2, 0.4, 0.75, 0.85, 0.92)
"""Of the capacity that is measured: the other rates. The one that is too much comes first, as instances that
are all busy slow each other down, so that it says what they bear."""

JUDGED_PERCENTILE: Final = 99.0
MOST_STRETCHED: Final = 6
"""So many times as long as asked a low rate is measured at most, to have requests enough for
`JUDGED_PERCENTILE`."""
PATIENT: Final = 50
"""So many times a request's mean service time is waited for those that are not answered at the end of a
run."""
LEAST_PATIENCE_S: Final = 0.05
MOST_PATIENCE_S: Final = 60.0
LATE_SHARE: Final = 0.05
"""Of the median latency: a load generator that delayed requests by more is said to have."""
STARTING_S: Final = 180.0
"""What a launch may take until its first request."""
ATTEMPTS: Final = 5
"""Runs of one rate that a launch has time for: those that are spoiled are begun again."""

MOST_SECONDS: Final = 600.0
MOST_RATES: Final = 50


@dataclass(frozen=True)
class Sweep:
    """Which rates are measured, and for how long.

    Attributes:
        rates: requests per second; none = shares of the capacity that is found.
        seconds: of each, at least.
    """

    rates: tuple[float, ...] = ()
    seconds: float = 10.0

    @property
    def total(self) -> int:
        """How many rates there are."""
        return len(self.rates) or 1 + len(SHARES)

    def length_s(self, rate_per_s: float) -> float:
        """Say how long a rate is measured: for requests enough, if that is not much longer than asked."""
        enough_s = 1.05 * needed_requests(JUDGED_PERCENTILE) / rate_per_s
        return min(max(self.seconds, enough_s), MOST_STRETCHED * self.seconds, MOST_SECONDS)


@dataclass(frozen=True)
class SweepResult:
    """What a sweep gave.

    Attributes:
        plan: with the curve that was measured; as it was where nothing was.
        stale: why nothing was measured, as machine, versions or model are others than the plan's.
        failures: by rate, why it was not measured.
        notes: sentences on what weakens it.
        is_measured: at least one rate was.
        stopped: it was told to stop before its end.
    """

    plan: Plan
    is_measured: bool = False
    stale: tuple[str, ...] = ()
    failures: tuple[tuple[float, str], ...] = ()
    notes: tuple[str, ...] = ()
    stopped: bool = False


def sweep_plan(
    plan: Plan,
    sweep: Sweep,
    *,
    origin: Origin | None = None,
    emit: Emit = unheard,
    stop: Stop | None = None,
) -> SweepResult:
    """Start a plan's own commands anew for each rate, put them under load, and give the plan with its curve.

    Raises:
        PlanError: its requests cannot arrive one by one, or its answers are wrong now.
        AutotuneError: the plan cannot be run here; before anything is measured.
        ChangedMachineError: the machine or a version changed meanwhile.
        Stopped: as `stop` says, before anything was measured.
    """
    refuse_unsweepable(plan)
    where, told = origin or Origin(), stop or Stop()
    if changes := differences(plan, where).all():
        return SweepResult(plan, stale=changes)
    host = LocalHost(set_up_plan(plan, where), emit, told)
    with releasing([host], told):
        commands = stored_commands(plan, host)
        if refusal := refusal_of_plan(plan, commands, host):
            raise PlanError(f"what was prepared anew answers wrongly: {refusal}", remedy="tune again")
        return sweep_with(plan, sweep, LoadedHost(host, plan, commands, sweep), emit=emit, stop=told)


MeasureRate = Callable[[float, float, int], TrialResult]
"""Measures the plan at a rate, with the mean service time that is expected and the number of the launch."""


@dataclass(frozen=True)
class LoadedHost:
    """Has a host run a plan's commands at one rate after the other."""

    host: LocalHost
    plan: Plan
    commands: tuple[Command, ...]
    sweep: Sweep

    def __call__(self, rate_per_s: float, service_s: float, launch: int) -> TrialResult:
        """Measure one rate in fresh processes."""
        length_s = self.sweep.length_s(rate_per_s)
        setup = under_load(self.host.setup, length_s, service_s)
        order = Order(
            id=f"{setup.spec.name}-curve-{launch}",
            study=setup.spec.name,
            configuration=self.plan.configuration,
            purpose="confirm",
            launch=launch,
            start_rate_per_s=rate_per_s,
            commands=self.commands,
            is_fixed_rate=True,
        )
        return self.host.serving(setup).run(order)


def under_load(setup: Setup, length_s: float, service_s: float) -> Setup:
    """Give a plan's study as one in which requests arrive at a rate, for so long.

    No latency is a limit: what is not begun some while after the last request was sent counts as waiting.
    """
    patience_s = min(MOST_PATIENCE_S, max(LEAST_PATIENCE_S, PATIENT * service_s))
    spec = setup.spec
    measure = spec.measure.model_copy(
        update={
            "block_s": length_s,
            "blocks": 1,
            "max_blocks": 1,
            "trial_timeout_s": STARTING_S + ATTEMPTS * (length_s + 2 * patience_s),
        }
    )
    loaded = {
        "scenario": "server",
        "objective": Aim(kind="throughput"),
        "limits": Limits(latency=LatencyLimit(percentile=JUDGED_PERCENTILE, max_s=patience_s)),
        "measure": measure,
    }
    found = replace(
        setup.found,
        spec=spec.model_copy(update=loaded),
        stored=setup.found.stored.model_copy(update=loaded),
    )
    return replace(setup, found=found)


def refuse_unsweepable(plan: Plan) -> None:
    """Make sure that the requests of a plan can arrive one by one, as a server's do.

    Raises:
        PlanError: they are split over instances, or put together from what is at hand.
    """
    batching = plan.configuration.batching
    if traits_of(plan.scenario).is_split and len(plan.instances) > 1:
        raise PlanError(
            f"the plan {plan.id} splits every request over {len(plan.instances)} instances, which is not "
            "done with requests that arrive at a rate",
            remedy="tune with `scenario: server`, or with `offline`, and measure that plan's curve",
        )
    if batching not in ("", "arrival"):
        raise PlanError(
            f"the plan {plan.id} puts requests together by their length (batching {batching}), which is "
            "not done with requests that arrive at a rate",
            remedy="tune with `scenario: server`, or `search: {batching: [arrival]}`, and measure that",
        )


def sweep_with(
    plan: Plan, sweep: Sweep, measure: MeasureRate, *, emit: Emit = unheard, stop: Stop | None = None
) -> SweepResult:
    """Measure a plan's curve with somebody who measures; what was measured until a stop is kept.

    Raises:
        Stopped: as `stop` says, before anything was measured.
    """
    going = _Sweeping(plan, sweep, measure, emit, stop or Stop())
    try:
        for rate in sweep.rates or going.rates():
            going.take(rate)
    except Stopped:
        if not going.points:
            raise
        return replace(going.result(), stopped=True)
    return going.result()


@dataclass
class _Sweeping:
    """A sweep under way."""

    plan: Plan
    sweep: Sweep
    measure: MeasureRate
    emit: Emit
    stop: Stop
    points: list[CurvePoint] = field(default_factory=list)
    runs: list[Measurement] = field(default_factory=list)
    failures: list[tuple[float, str]] = field(default_factory=list)
    taken: int = 0

    def rates(self) -> Iterator[float]:
        """Give the first rate, and the others as soon as the capacity is known."""
        yield FIRST_SHARE * len(self.plan.instances) / self.service_s()
        for share in SHARES:
            yield share * len(self.plan.instances) / self.service_s()

    def service_s(self) -> float:
        """Give the mean service time of the busiest run; before there is one, what the throughput implies."""
        known = [point for point in self.points if point.services is not None]
        if known:
            services = max(known, key=lambda point: point.rate_per_s).services_s()
            return sum(services) / len(services)
        samples = spec_of(self.plan).problem.batch_size
        return len(self.plan.instances) * samples / self.plan.estimate.throughput_sps

    def take(self, rate_per_s: float) -> None:
        """Measure one rate."""
        self.stop.heed()
        self.taken += 1
        place = (rate_per_s, self.taken, max(self.taken, self.sweep.total))
        self.emit(RateBegan(*place))
        result = self.measure(rate_per_s, self.service_s(), self.taken)
        if isinstance(result, Failure):
            self.failures.append((rate_per_s, f"{result.kind}: {result.reason}"))
            self.emit(RateEnded(*place, self.failures[-1][1]))
            return
        self.runs.append(result)
        self.points.append(point_of(result, bounded=PERCENTILES))
        self.emit(RateEnded(*place, point_words(self.points[-1])))

    def result(self) -> SweepResult:
        """Give the plan with what was measured."""
        if not self.points:
            return SweepResult(self.plan, failures=tuple(self.failures))
        curve = make_curve(
            self.points,
            way="swept",
            instances=len(self.plan.instances),
            samples_per_request=samples_per_request(self.runs[0]),
            measured_s=time.time(),
        )
        plan = self.plan.model_copy(update={"curve": curve})
        return SweepResult(plan, True, failures=tuple(self.failures), notes=tuple(self._notes()))

    def _notes(self) -> Iterator[str]:
        late = [point for point in self.points if _is_late(point)]
        if late:
            rates = ", ".join(format_significant(point.rate_per_s) for point in late)
            yield (
                f"The load generator delayed requests by more than {LATE_SHARE:.0%} of their median "
                f"latency at {rates} requests/s, so that latencies are longer there than they would be. "
                "It needs a cpu that no instance uses."
            )
        blocks = [block for run in self.runs for block in run.blocks]
        kept = [block.conditions for block in blocks if block.conditions is not None]
        dropped = [block.conditions for run in self.runs for block in run.dropped]
        if kept and (sentence := quietness(kept, dropped)):
            yield sentence


def _is_late(point: CurvePoint) -> bool:
    median = point.latency(50.0)
    return median is not None and median.value_s is not None and point.delay_s > LATE_SHARE * median.value_s


def point_words(point: CurvePoint) -> str:
    """Say what a rate gave: `p50 8.1 ms, p99 21.0 ms, 62 % busy`."""
    stated = [
        f"p{latency.percentile:g} {format_latency(latency.value_s)}"
        for latency in point.latencies
        if latency.value_s is not None and latency.percentile in (50.0, 99.0)
    ]
    busy = [] if point.utilisation is None else [f"{point.utilisation:.0%} busy"]
    short = point.answered_per_s is not None and point.answered_per_s < 0.97 * point.rate_per_s
    more = [f"{format_rate(point.answered_per_s or 0.0)} answered in time"] if short else []
    return ", ".join([*stated, *busy, *more]) or "too few requests to speak of latencies"
