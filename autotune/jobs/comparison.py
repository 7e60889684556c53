"""Compares two plans, or two configurations of a study: side by side, in rounds of fresh processes."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from typing import Literal

from autotune.backends.availability import require_engine
from autotune.bench.host import Host, releasing
from autotune.bench.local import LocalHost
from autotune.bench.lock import Waits
from autotune.bench.orders import Orders
from autotune.errors import AutotuneError
from autotune.events import Emit, FilesRead, unheard
from autotune.jobs.comparable import notes_on, notes_on_models, notes_on_variants, refuse_other_questions
from autotune.jobs.dueling import Bounds, Dueling, advice
from autotune.jobs.reviving import (
    Origin,
    prepared_commands,
    refusal_of,
    refusal_of_plan,
    set_up_plan,
    stored_commands,
)
from autotune.measurement.measurement import TrialResult
from autotune.model.texts.files_read import file_in_words
from autotune.placement.place import place
from autotune.plan.document import Plan
from autotune.preflight.setup import Setup
from autotune.rounds.duel import Duel
from autotune.rounds.running import Entrant, Run
from autotune.search.knobs import require_knobs
from autotune.search.score import limits_missed
from autotune.search.serving import require_serving
from autotune.spec.configuration import Configuration
from autotune.spec.model_source import kind_of
from autotune.spec.study import StudySpec
from autotune.statistics.paired import Interval
from autotune.stop import Stop, Stopped

A, B = "A", "B"

ComparisonVerdict = Literal["a", "b", "tie", "undecided"]


@dataclass(frozen=True)
class Comparison:
    """What two sides have shown beside each other.

    Attributes:
        labels: what A and B are, in words.
        verdict: `a` or `b`: that side is faster, whatever by; `tie`: neither is shown to be, and the interval
            lies within the indifference zone; `undecided`: nor does it, or a side did not run, or the faster
            one misses a limit of its study.
        ratio: A's goodness over B's, at the confidence that it carries; None
            where it could not be measured, or one of them misses a limit.
        zone: of indifference, as a share such as 0.02.
        spec: of A's study.
        reasons: sentences on what the verdict rests on, and what would help; where a side's answers are too
            far from the reference's, which, and nothing is measured.
        values: goodness of A and of B; None where nothing was measured.
        notes: in what the sides differ beside their configurations.
        quietness: how quiet the machine was, in sentences; empty where nothing was measured.
        out: which sides miss a limit of their studies.
        stopped: it was told to stop before its end, and this is what it can say.
    """

    labels: tuple[str, str]
    verdict: ComparisonVerdict
    ratio: Interval | None
    zone: float
    spec: StudySpec
    reasons: tuple[str, ...]
    values: tuple[Interval | None, Interval | None]
    notes: tuple[str, ...]
    runs: tuple[Run, ...]
    quietness: str
    out: tuple[str, ...] = ()
    stopped: bool = False


@dataclass(frozen=True)
class Side:
    """One of the two, ready to run.

    Attributes:
        label: what it is, in words.
        entrant: named `A` or `B`.
        spec: of its study.
        measure: launches, measures and ends its processes.
    """

    label: str
    entrant: Entrant
    spec: StudySpec
    measure: Callable[[Entrant], TrialResult]


def compare_plans(
    a: Plan,
    b: Plan,
    *,
    bounds: Bounds | None = None,
    origin: Origin | None = None,
    emit: Emit = unheard,
    stop: Stop | None = None,
) -> Comparison:
    """Run two plans beside each other, their commands as they are stored, and say which is faster.

    They are measured as A's study says. Their models may differ; problem, objective and scenario may not.
    What was prepared anew since its plan was made must keep the limits of its own study's `quality`:
    otherwise nothing is measured, and the verdict is `undecided`.

    Args:
        bounds: how long it may take.
        origin: where their models are looked for.
        emit: is told of progress between runs.
        stop: ends it before its next run; what was measured until then is judged.

    Raises:
        PlanError: they are of different problems, or made on another machine or of a model that is another
            one now.
        AutotuneError: one cannot be run here; before anything is measured.
        ChangedMachineError: the machine or a version changed meanwhile.
        Stopped: as `stop` says, before anything was measured.
    """
    where, told = origin or Origin(), stop or Stop()
    refuse_other_questions(a, b)
    notes = (*notes_on(a, where), *notes_on(b, where), *notes_on_models(a, b))
    setup_a, setup_b = set_up_plan(a, where), set_up_plan(b, where)
    for name, plan, setup in ((A, a, setup_a), (B, b, setup_b)):
        with _speaking_of(name, plan.configuration):
            _refuse_impossible(plan.configuration, setup)
    alike = setup_b.spec.model_copy(update={"measure": setup_a.spec.measure})
    setup_b = replace(setup_b, found=replace(setup_b.found, spec=alike))
    host = LocalHost(setup_a, emit, told)
    hosts = (host, host.serving(setup_b))
    orders = Orders("+".join(dict.fromkeys(host.setup.spec.name for host in hosts)))
    with releasing(hosts, told):
        sides = tuple(
            _side_of_plan(name, plan, host, orders)
            for name, plan, host in zip((A, B), (a, b), hosts, strict=True)
        )
        refusals = tuple(
            refusal_of_plan(plan, side.entrant.commands, host)
            for plan, side, host in zip((a, b), sides, hosts, strict=True)
        )
        return _compare_fit(sides, refusals, notes, bounds or Bounds(), host.waits, emit, told)


def compare_configurations(
    setup: Setup,
    a: Configuration,
    b: Configuration,
    *,
    bounds: Bounds | None = None,
    emit: Emit = unheard,
    stop: Stop | None = None,
) -> Comparison:
    """Run two configurations of a study beside each other, and say which is faster; see `compare_plans`.

    Both must keep the limits of the study's `quality`.

    Raises:
        BackendError: one's engine is not there, cannot run the study's model, or does not read its knobs.
        PlacementError: one is not legal on this machine.
        AutotuneError: one cannot be run here; before anything is measured.
        Stopped: as `stop` says, before anything was measured.
    """
    for name, one in ((A, a), (B, b)):
        with _speaking_of(name, one):
            _refuse_impossible(one, setup)
    emit(FilesRead(tuple(map(file_in_words, setup.found.files))))
    told = stop or Stop()
    host = LocalHost(setup, emit, told)
    return compare_on(host, setup.spec, (a, b), bounds=bounds, waits=host.waits, emit=emit, stop=told)


def compare_on(
    host: Host,
    spec: StudySpec,
    configurations: tuple[Configuration, Configuration],
    *,
    bounds: Bounds | None = None,
    waits: Waits | None = None,
    emit: Emit = unheard,
    stop: Stop | None = None,
) -> Comparison:
    """Run two configurations of a study beside each other on the host that is set up for it.

    Args:
        waits: for others, which the host adds to; None = it never waits.

    Raises:
        AutotuneError, Stopped: as `compare_configurations` does.
    """
    told, orders = stop or Stop(), Orders(spec.name)
    with releasing([host], told):
        sides = tuple(
            _side_of_configuration(name, one, host, spec, orders)
            for name, one in zip((A, B), configurations, strict=True)
        )
        refusals = tuple(refusal_of(one, host) for one in configurations)
        notes = notes_on_variants(*configurations, spec)
        return _compare_fit(sides, refusals, notes, bounds or Bounds(), waits or Waits(), emit, told)


def _side_of_plan(name: str, plan: Plan, host: LocalHost, orders: Orders) -> Side:
    """Make a plan ready to run as it is stored.

    Args:
        orders: of both sides, so that no two runs have the same arrivals.
    """
    one = plan.configuration
    with _speaking_of(name, one):
        commands = stored_commands(plan, host)
    entrant = Entrant(name, "finalist", one, plan.trial, commands)
    return Side(f"plan {plan.id}: {one}", entrant, host.setup.spec, partial(orders.run_confirming, host))


def _side_of_configuration(
    name: str, one: Configuration, host: Host, spec: StudySpec, orders: Orders
) -> Side:
    """Prepare a side of a study; both have the same `orders`, as plans do."""
    with _speaking_of(name, one):
        commands = prepared_commands(one, host)
    entrant = Entrant(name, "finalist", one, 0, commands)
    return Side(str(one), entrant, spec, partial(orders.run_confirming, host))


@contextmanager
def _speaking_of(name: str, configuration: Configuration) -> Iterator[None]:
    """Have an error say which of the two sides cannot be run."""
    try:
        yield
    except AutotuneError as error:
        error.problem = f"{name} ({configuration}): {error.problem}"
        raise


def _refuse_impossible(configuration: Configuration, setup: Setup) -> None:
    """Refuse what cannot run here, before anything is prepared and anybody waited for.

    Raises:
        BackendError: the engine is not there, cannot run the model, or does not read the knobs.
        PlacementError: it is not legal on this machine, or does not arrange requests as the study must.
    """
    require_engine(configuration, setup.spec, setup.machine)
    kind = kind_of(setup.spec.source_of(configuration))
    require_knobs(configuration, kind, setup.machine.isa)
    require_serving(configuration, setup.spec)
    place(configuration, setup.machine)


def _compare_fit(
    sides: tuple[Side, ...],
    refusals: tuple[str, ...],
    notes: tuple[str, ...],
    bounds: Bounds,
    waits: Waits,
    emit: Emit,
    stop: Stop,
) -> Comparison:
    """Run two sides beside each other, unless an answer is too far from the reference's.

    Args:
        refusals: why each side may not be measured; empty where it may.
    """
    a, b = sides
    if not any(refusals):
        return compare_sides(a, b, notes=notes, bounds=bounds, waits=waits, emit=emit, stop=stop)
    return Comparison(
        labels=(a.label, b.label),
        verdict="undecided",
        ratio=None,
        zone=a.spec.confirm.tie,
        spec=a.spec,
        reasons=tuple(
            f"{side.entrant.name} is not measured, as its answers are {refusal}."
            for side, refusal in zip(sides, refusals, strict=True)
            if refusal
        ),
        values=(None, None),
        notes=notes,
        runs=(),
        quietness="",
    )


def compare_sides(
    a: Side,
    b: Side,
    *,
    notes: tuple[str, ...],
    bounds: Bounds,
    waits: Waits | None = None,
    emit: Emit = unheard,
    stop: Stop | None = None,
) -> Comparison:
    """Run two sides beside each other, and say which is faster.

    Args:
        waits: for others, which the sides' `measure` add to; None = they never wait.
        emit, stop: as `compare_plans` has them.
    """
    spec, sides = a.spec, {A: a, B: b}
    duel = Duel(
        tuple(sides),
        max_rounds=bounds.rounds,
        seed=spec.seed,
        is_decided=lambda duel: _judge(duel.ratio(), spec.confirm.tie) != "undecided",
    )
    entrants = (a.entrant, b.entrant)

    def measure(entrant: Entrant) -> TrialResult:
        return sides[entrant.name].measure(entrant)

    dueling = Dueling(duel, entrants, spec, measure, emit, stop or Stop(), bounds, waits or Waits())
    try:
        dueling.run()
    except Stopped:
        return replace(_conclude(a, b, dueling, notes), stopped=True)
    return _conclude(a, b, dueling, notes)


def _judge(ratio: Interval | None, zone: float) -> ComparisonVerdict:
    """What the interval shows."""
    if ratio is None:
        return "undecided"
    if ratio.low > 1:
        return "a"
    if ratio.high < 1:
        return "b"
    return "tie" if margin(ratio) <= zone else "undecided"


def margin(ratio: Interval) -> float:
    """By which share the two differ at most, as the interval shows; infinite where it shows nothing."""
    return max(ratio.high, 1 / ratio.low) - 1 if ratio.low > 0 else math.inf


def _conclude(a: Side, b: Side, dueling: Dueling, notes: tuple[str, ...]) -> Comparison:
    duel, zone = dueling.duel, a.spec.confirm.tie
    ratio = duel.ratio()
    verdict: ComparisonVerdict = "undecided" if duel.failed else _judge(ratio, zone)
    limits = {side.entrant.name: list(_limits(side, dueling)) for side in (a, b)}
    out = tuple(name for name, missed in limits.items() if missed)
    if out and (verdict == "tie" or verdict.upper() in out):
        verdict = "undecided"
    reasons = [] if out and not duel.failed else list(_reasons(dueling, verdict, ratio, zone))
    return Comparison(
        labels=(a.label, b.label),
        verdict=verdict,
        ratio=None if out else ratio,
        zone=zone,
        spec=a.spec,
        reasons=(*(f"{name} {missed}" for name in out for missed in limits[name]), *reasons),
        values=(duel.value(A), duel.value(B)),
        notes=notes,
        runs=tuple(dueling.runs),
        quietness=dueling.quietness(),
        out=out,
    )


def _limits(side: Side, dueling: Dueling) -> Iterator[str]:
    for missed in limits_missed(side.spec, dueling.measurements(side.entrant.name)):
        yield f"misses a limit of its study: {missed}."


def _reasons(
    dueling: Dueling, verdict: ComparisonVerdict, ratio: Interval | None, zone: float
) -> Iterator[str]:
    """Why it could not be told, and what would help."""
    failed = dueling.duel.failed
    yield from (f"{name} does not run: {reason}." for name, reason in failed.items())
    if verdict != "undecided" or failed:
        return
    yield from advice(dueling, ratio, 0.0 if ratio is None else _gap(ratio, zone))


def _gap(ratio: Interval, zone: float) -> float:
    """How narrow the interval must be on either side to show a difference, or that there is next to none."""
    away = abs(math.log(ratio.estimate))
    return max(away, math.log1p(zone) - away)
