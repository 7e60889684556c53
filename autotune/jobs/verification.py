"""Runs a stored plan again beside its baseline, and says whether what it states still holds."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Literal

from autotune.events import Emit, unheard
from autotune.jobs.dueling import Bounds, Dueling, advice
from autotune.jobs.measuring import Bench
from autotune.jobs.reviving import (
    Origin,
    differences,
    prepared_commands,
    refusal_of_plan,
    set_up_plan,
    spec_of,
    stored_commands,
)
from autotune.measurement.measurement import TrialResult
from autotune.objectives.catalogue import objective_named
from autotune.plan.describe import unsupported_percentile
from autotune.plan.document import Plan
from autotune.rounds.duel import Duel
from autotune.rounds.running import Entrant, Run
from autotune.search.score import limits_missed, violations
from autotune.statistics.paired import Interval
from autotune.statistics.promise import Promise, agreement
from autotune.stop import Stop, Stopped
from autotune.trial.lock import Waits

TOLERANCE = 0.05
"""By which share a figure may fall short of what a plan states, unless told otherwise. What a neighbour on a
shared machine does for hours moves even the ratio of two configurations by a few per cent."""

PLAN, BASELINE = "plan", "baseline"

Verdict = Literal["holds", "better", "worse", "stale", "undecided"]
Figure = Literal["gain", "value"]


@dataclass(frozen=True)
class Verification:
    """What running a plan again has shown.

    Attributes:
        verdict: `holds`: it is at least what the plan states, less the tolerance; `better`: it is more than
            that and the tolerance; `worse`: it is less, or the plan does not run, or misses its limits;
            `stale`: machine, versions or model are others than then, and nothing was measured; `undecided`:
            it could not be told.
        figure: what decides: the `gain` over the baseline; or the `value` of the objective, where the plan is
            the baseline or has none, or where the baseline misses a limit now.
        promised: the goodness of that figure (larger is better) as the plan states it.
        now: the same now, at the confidence that it carries; None where nothing was measured.
        reasons: sentences on what the verdict rests on, and what would help.
        plan_now, baseline_now: goodness of each; None where nothing was measured.
        quietness: how quiet the machine was, in sentences; empty where nothing was measured.
        stopped: it was told to stop before its end, and this is what it can say.
    """

    plan: Plan
    verdict: Verdict
    tolerance: float
    figure: Figure
    promised: Promise
    now: Interval | None = None
    reasons: tuple[str, ...] = ()
    plan_now: Interval | None = None
    baseline_now: Interval | None = None
    runs: tuple[Run, ...] = ()
    quietness: str = ""
    stopped: bool = False


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
    run once each, in random order. Their ratio repeats on a noisy machine where neither of them does: its
    interval (Student's, of the mean log-ratio over the rounds, and paid for looking several times: `Duel`) is
    held against the gain that the plan states, with its own interval and the tolerance around it
    (`agreement`). Where what it runs was prepared anew since the plan was made, now or earlier, its answers
    are compared with the reference's again before anything is measured; else they are those of then.

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
    figure, promised = figure_of(plan), promise_of(plan)
    if found := differences(plan, where).all():
        return Verification(plan, "stale", tolerance, figure, promised, reasons=found)
    bench = Bench(set_up_plan(plan, where), emit, told)
    entrants = _entrants(plan, bench, figure)
    if refusal := refusal_of_plan(plan, entrants[0].commands, bench):
        wrong = f"What was prepared anew answers wrongly: {refusal}."
        return Verification(plan, "worse", tolerance, figure, promised, reasons=(wrong,))
    return verify_with(plan, tolerance, entrants, bench.confirm, most, bench.waits, emit=emit, stop=told)


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
    figure, promised, spec = figure_of(plan), promise_of(plan), spec_of(plan)
    duel = Duel(
        [entrant.name for entrant in entrants],
        max_rounds=bounds.rounds,
        seed=spec.seed,
        is_decided=lambda duel: agreement(promised, _now(duel, figure), tolerance) != "undecided",
    )
    dueling = Dueling(duel, entrants, spec, measure, emit, stop or Stop(), bounds, waits or Waits())
    try:
        dueling.run()
    except Stopped:
        return replace(_conclude(plan, dueling, tolerance), stopped=True)
    return _conclude(plan, dueling, tolerance)


def figure_of(plan: Plan) -> Figure:
    """What a plan is judged by: its gain, unless it is the baseline or has none."""
    return "value" if plan.gain is None or plan.is_baseline else "gain"


def promise_of(plan: Plan, figure: Figure | None = None) -> Promise:
    """The goodness that the plan states of a figure, with its interval where it states one.

    Args:
        figure: None = that of `figure_of`.
    """
    if plan.gain is not None and (figure or figure_of(plan)) == "gain":
        span = plan.gain_range
        return Promise(plan.gain, *((plan.gain, plan.gain) if span is None else (span.low, span.high)))
    objective, span = objective_named(plan.objective), plan.estimate.objective_range
    value = objective.goodness(plan.estimate.objective_value)
    ends = (value, value) if span is None else (objective.goodness(span.low), objective.goodness(span.high))
    return Promise(value, min(ends), max(ends))


def _entrants(plan: Plan, bench: Bench, figure: Figure) -> tuple[Entrant, ...]:
    """The plan as it is stored, and its study's baseline where that is what it is compared with."""
    commands = stored_commands(plan, bench)
    entrant = Entrant(PLAN, "finalist", plan.configuration, plan.trial, commands)
    if figure == "value":
        return (entrant,)
    baseline = bench.setup.space.baseline
    return entrant, Entrant(BASELINE, "baseline", baseline, 0, prepared_commands(baseline, bench))


def _now(duel: Duel, figure: Figure) -> Interval | None:
    return duel.ratio() if figure == "gain" else duel.value(PLAN)


def _conclude(plan: Plan, dueling: Dueling, tolerance: float) -> Verification:
    duel, missed = dueling.duel, limits_missed(dueling.spec, dueling.measurements(BASELINE))
    figure: Figure = "value" if missed else figure_of(plan)
    promised, now = promise_of(plan, figure), _now(duel, figure)
    verdict, reasons = _verdict(dueling, promised, now, tolerance)
    return Verification(
        plan=plan,
        verdict=verdict,
        tolerance=tolerance,
        figure=figure,
        promised=promised,
        now=now,
        reasons=(*(_no_gain(reason) for reason in missed), *reasons, *_unsupported(plan)),
        plan_now=duel.value(PLAN),
        baseline_now=duel.value(BASELINE),
        runs=tuple(dueling.runs),
        quietness=dueling.quietness(),
    )


def _verdict(
    dueling: Dueling, promised: Promise, now: Interval | None, tolerance: float
) -> tuple[Verdict, list[str]]:
    """The verdict, and sentences on what it rests on beside the figures."""
    failed = dueling.duel.failed
    if PLAN in failed:
        return "worse", [f"It does not run any more: {failed[PLAN]}."]
    if BASELINE in failed:
        return "undecided", [f"The baseline does not run any more: {failed[BASELINE]}."]
    verdict = agreement(promised, now, tolerance)
    if verdict == "undecided":
        floor = promised.floor(tolerance)
        gap = 0.0 if now is None else abs(math.log(now.estimate / floor))
        return verdict, list(advice(dueling, now, gap))
    missed = _limits(dueling)
    if missed is not None and verdict != "worse":
        return missed
    return verdict, list(_wide(promised, tolerance))


def _limits(dueling: Dueling) -> tuple[Verdict, list[str]] | None:
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


def _wide(promised: Promise, tolerance: float) -> Iterator[str]:
    if promised.low * (1 + tolerance) ** 2 < promised.value:
        yield (
            "What the plan states is itself unsure, so that this says little: more rounds of confirmation "
            "(confirm.rounds) would give a plan that can be held to more."
        )
