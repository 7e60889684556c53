"""Runs a stored plan again beside its baseline, and says whether what it states still holds."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from typing import Literal

from autotune.bench.host import Host, releasing
from autotune.bench.local import LocalHost
from autotune.bench.lock import Waits
from autotune.bench.orders import Orders
from autotune.events import Emit, unheard
from autotune.jobs.dueling import Bounds, Dueling, advice
from autotune.jobs.reviving import (
    Origin,
    differences,
    prepared_commands,
    refusal_of_plan,
    set_up_plan,
    stored_commands,
)
from autotune.measurement.measurement import TrialResult
from autotune.objectives.catalogue import objective_named
from autotune.plan.describe import unsupported_percentile
from autotune.plan.document import Plan
from autotune.plan.study import spec_of
from autotune.rounds.duel import Duel
from autotune.rounds.looks import MIN_ROUNDS
from autotune.rounds.running import Entrant, Run
from autotune.search.score import limits_missed, violations
from autotune.spec.configuration import Configuration
from autotune.statistics.paired import Interval
from autotune.statistics.promise import Promise, PromiseVerdict, agreement, joint_agreement
from autotune.stop import Stop, Stopped

TOLERANCE = 0.05
"""By which share a figure may fall short of what a plan states, unless told otherwise. What a neighbour on a
shared machine does for hours moves even the ratio of two configurations by a few per cent."""

PLAN, BASELINE = "plan", "baseline"

VerificationVerdict = Literal["holds", "better", "worse", "stale", "undecided"]
JudgedFigure = Literal["gain", "value"]


@dataclass(frozen=True)
class FigureCheck:
    """One figure of a plan, beside what it is now.

    Attributes:
        figure: the `gain` over the baseline, or the `value` of the objective.
        promised: its goodness (larger is better) as the plan states it.
        now: the same now, at the confidence that it carries; None where nothing was measured.
        agreement: what this figure shows by itself.
        may_hold: whether its estimate is where it would hold, shown or not.
    """

    figure: JudgedFigure
    promised: Promise
    now: Interval | None = None
    agreement: PromiseVerdict = "undecided"
    may_hold: bool = False


@dataclass(frozen=True)
class Verification:
    """What running a plan again has shown.

    Attributes:
        verdict: `holds`: gain or value are at least what the plan states, less the tolerance; `better`: the
            gain is more than that and the tolerance; `worse`: the gain is less, or the plan does not run, or
            misses its limits; `stale`: machine, versions or model are others than then, and nothing was
            measured; `undecided`: it could not be told.
        checks: the figures that are judged: the gain, unless the plan is the baseline or has no gain, or the
            baseline misses a limit now; and the value, which alone decides everything where there is no gain.
        figure: which of them decides.
        reasons: sentences on what the verdict rests on, and what would help.
        plan_now, baseline_now: goodness of each; None where nothing was measured.
        quietness: how quiet the machine was, in sentences; empty where nothing was measured.
        stopped: it was told to stop before its end, and this is what it can say.
    """

    plan: Plan
    verdict: VerificationVerdict
    tolerance: float
    checks: tuple[FigureCheck, ...]
    figure: JudgedFigure
    reasons: tuple[str, ...] = ()
    plan_now: Interval | None = None
    baseline_now: Interval | None = None
    runs: tuple[Run, ...] = ()
    quietness: str = ""
    stopped: bool = False

    def check(self, figure: JudgedFigure) -> FigureCheck | None:
        """Give the check of one figure; None where it is not judged."""
        return next((check for check in self.checks if check.figure == figure), None)

    @property
    def deciding(self) -> FigureCheck:
        """The check that the verdict rests on."""
        return self.check(self.figure) or self.checks[0]


def verify(
    plan: Plan,
    *,
    tolerance: float = TOLERANCE,
    bounds: Bounds | None = None,
    origin: Origin | None = None,
    emit: Emit = unheard,
    stop: Stop | None = None,
) -> Verification:
    """Run a plan again, in fresh processes beside its baseline, and compare with what it states.

    Its commands are started exactly as they are stored. In every round the plan and the baseline of its study
    run once each, in random order. Their ratio repeats on a noisy machine where neither of them does; the
    plan's own value is known sooner, and does not depend on how the baseline was measured then. The interval
    of each (Student's, of the mean logarithm over the rounds, and paid for looking several times: `Duel`) is
    held against what the plan states of it (`agreement`), and either of them may show that the plan holds
    (`joint_agreement`). Where what it runs was prepared anew since the plan was made, now or earlier, its
    answers are compared with the reference's again before anything is measured; else they are those of then.

    Args:
        tolerance: by which share less than what the plan states still counts as it.
        bounds: how long it may take.
        origin: where its model is looked for.
        emit: is told of progress between runs.
        stop: ends it before its next run; what was measured until then is judged.

    Raises:
        AutotuneError: the plan cannot be run here; before anything is measured.
        ChangedMachineError: the machine or a version changed meanwhile.
        Stopped: as `stop` says, before anything was measured.
    """
    where, most, told = origin or Origin(), bounds or Bounds(), stop or Stop()
    unmeasured = tuple(FigureCheck(figure, promise_of(plan, figure)) for figure in figures_of(plan))
    if changes := differences(plan, where).all():
        return Verification(plan, "stale", tolerance, unmeasured, unmeasured[0].figure, reasons=changes)
    host = LocalHost(set_up_plan(plan, where), emit, told)
    with releasing([host], told):
        entrants = _entrants(plan, host, host.setup.space.baseline)
        if refusal := refusal_of_plan(plan, entrants[0].commands, host):
            wrong = f"What was prepared anew answers wrongly: {refusal}."
            return Verification(plan, "worse", tolerance, unmeasured, unmeasured[0].figure, reasons=(wrong,))
        measure = partial(Orders(host.setup.spec.name).run_confirming, host)
        return verify_with(plan, tolerance, entrants, measure, most, host.waits, emit=emit, stop=told)


def verify_with(
    plan: Plan,
    tolerance: float,
    entrants: tuple[Entrant, ...],
    measure: Callable[[Entrant], TrialResult],
    bounds: Bounds,
    waits: Waits | None = None,
    *,
    emit: Emit = unheard,
    stop: Stop | None = None,
) -> Verification:
    """Verify a plan that is not stale with somebody who measures.

    Args:
        entrants: the `plan`, and the `baseline` where the figure is the gain.
        waits: for others, which `measure` adds to; None = it never waits.
    """
    spec = spec_of(plan)
    duel = Duel(
        [entrant.name for entrant in entrants],
        max_rounds=bounds.rounds,
        seed=spec.seed,
        is_decided=lambda _: _together(_checks(plan, dueling, tolerance))[0] != "undecided",
    )
    dueling = Dueling(duel, entrants, spec, measure, emit, stop or Stop(), bounds, waits or Waits())
    try:
        dueling.run()
    except Stopped:
        return replace(_conclude(plan, dueling, tolerance), stopped=True)
    return _conclude(plan, dueling, tolerance)


def figures_of(plan: Plan) -> tuple[JudgedFigure, ...]:
    """Say what a plan is judged by: gain and value, or its value alone where it has no gain."""
    return ("value",) if plan.gain is None or plan.is_baseline else ("gain", "value")


def promise_of(plan: Plan, figure: JudgedFigure) -> Promise:
    """Give the goodness that the plan states of a figure, with its interval where it states one."""
    if figure == "gain" and plan.gain is not None:
        span = plan.gain_range
        return Promise(plan.gain, *((plan.gain, plan.gain) if span is None else (span.low, span.high)))
    objective, span = objective_named(plan.objective), plan.estimate.objective_range
    value = objective.goodness(plan.estimate.objective_value)
    ends = (value, value) if span is None else (objective.goodness(span.low), objective.goodness(span.high))
    return Promise(value, min(ends), max(ends))


def _entrants(plan: Plan, host: Host, baseline: Configuration) -> tuple[Entrant, ...]:
    """Give the plan as it is stored, and its study's baseline where it has a gain over that."""
    commands = stored_commands(plan, host)
    entrant = Entrant(PLAN, "finalist", plan.configuration, plan.trial, commands)
    if "gain" not in figures_of(plan):
        return (entrant,)
    return entrant, Entrant(BASELINE, "baseline", baseline, 0, prepared_commands(baseline, host))


def _checks(plan: Plan, dueling: Dueling, tolerance: float) -> tuple[FigureCheck, ...]:
    """Judge each figure by itself; there is no gain over a baseline that misses a limit now."""
    missed = limits_missed(dueling.spec, dueling.measurements(BASELINE))
    figures: tuple[JudgedFigure, ...] = ("value",) if missed else figures_of(plan)
    return tuple(_check(plan, figure, dueling.duel, tolerance) for figure in figures)


def _check(plan: Plan, figure: JudgedFigure, duel: Duel, tolerance: float) -> FigureCheck:
    promised = promise_of(plan, figure)
    now = duel.ratio() if figure == "gain" else duel.value(PLAN)
    if now is None or now.count < MIN_ROUNDS:
        return FigureCheck(figure, promised, now)
    may_hold = now.estimate >= promised.floor(tolerance)
    return FigureCheck(figure, promised, now, agreement(promised, now, tolerance), may_hold)


def _together(checks: tuple[FigureCheck, ...]) -> tuple[PromiseVerdict, JudgedFigure]:
    """Say what the figures show together, and which of them decides."""
    if len(checks) == 1:
        return checks[0].agreement, checks[0].figure
    gain, value = checks
    joint = joint_agreement(gain.agreement, value.agreement, may_hold=value.may_hold)
    return joint, "value" if joint == "holds" and gain.agreement != "holds" else "gain"


def _conclude(plan: Plan, dueling: Dueling, tolerance: float) -> Verification:
    duel, missed = dueling.duel, limits_missed(dueling.spec, dueling.measurements(BASELINE))
    checks = _checks(plan, dueling, tolerance)
    verdict, reasons = _verdict(dueling, checks, tolerance)
    return Verification(
        plan=plan,
        verdict=verdict,
        tolerance=tolerance,
        checks=checks,
        figure=_together(checks)[1],
        reasons=(*(_no_gain(reason) for reason in missed), *reasons, *_unsupported(plan)),
        plan_now=duel.value(PLAN),
        baseline_now=duel.value(BASELINE),
        runs=tuple(dueling.runs),
        quietness=dueling.quietness(),
    )


def _verdict(
    dueling: Dueling, checks: tuple[FigureCheck, ...], tolerance: float
) -> tuple[VerificationVerdict, list[str]]:
    """The verdict, and sentences on what it rests on beside the figures."""
    failed = dueling.duel.failed
    if PLAN in failed:
        return "worse", [f"It does not run any more: {failed[PLAN]}."]
    if BASELINE in failed:
        return "undecided", [f"The baseline does not run any more: {failed[BASELINE]}."]
    verdict, _ = _together(checks)
    if verdict == "undecided":
        return verdict, list(_open_questions(dueling, checks, tolerance))
    missed = _limits(dueling)
    if missed is not None and verdict != "worse":
        return missed
    return verdict, list(_apart(checks))


def _limits(dueling: Dueling) -> tuple[VerificationVerdict, list[str]] | None:
    """What becomes of a plan that is not shown to meet its limits any more; None = it is."""
    spec, runs = dueling.spec, dueling.measurements(PLAN)
    missed = [f"Its limits: {reason}." for reason in limits_missed(spec, runs)]
    over = sum(max(violations(spec, run).values(), default=0.0) > 0 for run in runs)
    if not missed:
        return None
    return ("worse" if 2 * over > len(runs) else "undecided"), missed


def _no_gain(missed: str) -> str:
    return f"The baseline misses a limit now ({missed}): there is no gain, and the plan's value decides."


def _unsupported(plan: Plan) -> Iterator[str]:
    missing = unsupported_percentile(plan.objective, plan.estimate)
    if missing is not None:
        yield (
            f"{plan.estimate.requests} requests do not support a p{missing.percentile:g}, which takes "
            f"{missing.needed}: what is compared is about the slowest request of each launch."
        )


def _open_questions(dueling: Dueling, checks: tuple[FigureCheck, ...], tolerance: float) -> Iterator[str]:
    """Say what would help to tell: rounds that narrow an interval, or a plan that states it more surely."""
    measured = [
        (check.now, _gap(check, check.now, tolerance))
        for check in checks
        if check.now and check.now.count >= MIN_ROUNDS and check.agreement == "undecided"
    ]
    telling = [(now, gap) for now, gap in measured if gap > 0]
    if measured and not telling:
        yield (
            "It is less than the tolerance allows, but the plan is itself unsure of what it states: more "
            "rounds of confirmation (confirm.rounds) would give a plan that can be held to more."
        )
        return
    if any(check.figure == "gain" and check.agreement == "worse" for check in checks):
        yield "Its gain is less than it states, but its own value may hold."
    now, gap = min(telling, key=lambda pair: pair[0].half_width / pair[1], default=(None, 0.0))
    yield from advice(dueling, now, gap)


def _gap(check: FigureCheck, now: Interval, tolerance: float) -> float:
    """How narrow half of a figure's interval must be to tell, in logarithms; 0 = no width would tell.

    Between floor and bottom it neither holds nor is it worse, and what the value lacks does not count.
    """
    above = math.log(now.estimate / check.promised.floor(tolerance))
    below = math.log(check.promised.bottom(tolerance) / now.estimate)
    return max(above, below if check.figure == "gain" else 0.0, 0.0)


def _apart(checks: tuple[FigureCheck, ...]) -> Iterator[str]:
    """Say what it means where gain and value do not show the same."""
    if len(checks) < 2:
        return
    gain, value = (check.agreement for check in checks)
    if value in ("holds", "better") and gain == "undecided":
        yield "Its own value decides: its gain over the baseline is not known so surely yet."
    if value in ("holds", "better") and gain == "worse":
        yield (
            "Its own value decides: its gain is less than it states, as the baseline does better beside it "
            "than it did then."
        )
    if gain in ("holds", "better") and value == "worse":
        yield "Its gain decides: plan and baseline are both slower than then, as the machine is as a whole."
