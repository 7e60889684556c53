"""The tables of a report, as text; whoever renders them escapes."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from autotune.measurement.measurement import Failure
from autotune.plan.claims import STANDINGS, format_probability, format_range
from autotune.plan.cost_words import cost_rows
from autotune.plan.costs import PlanCosts
from autotune.plan.curve_words import COLUMNS, curve_rows
from autotune.plan.describe import (
    evidence_rows,
    format_percentile,
    placement_rows,
)
from autotune.plan.document import Plan
from autotune.plan.evidence import RunnerUp
from autotune.plan.formats import format_gain, format_objective_value, format_time
from autotune.report.distributions import Distribution, distributions
from autotune.report.disturbances import fates_in_words, reasons, watched_runs
from autotune.report.dossier import Dossier
from autotune.report.effects import ParameterEffect, parameter_effects
from autotune.report.figures.parameters import shown_value, title_of
from autotune.report.outcome import is_feasible, outcome, outcome_in_words
from autotune.search.score import is_almost_none
from autotune.store.records import ConfirmationRecord, TrialRecord
from autotune.units import format_bytes

CELL_CHARACTERS = 140
"""Of a reason that a table's cell shows; the rest is shown on demand."""
TAIL_CHARACTERS = 2_000
"""Of a failed worker's stderr that a report shows."""


@dataclass(frozen=True)
class Row:
    """One row.

    Attributes:
        cells: the first names the row.
        mark: why it stands out: `plan`, `baseline`, `default`, `tied`, `failed`, ...; empty = it does not.
        more: long text that is shown on demand.
    """

    cells: tuple[str, ...]
    mark: str = ""
    more: str = ""


@dataclass(frozen=True)
class Table:
    """A heading and rows."""

    columns: tuple[str, ...]
    rows: tuple[Row, ...]


def placement_table(plan: Plan) -> Table:
    """Where each instance runs."""
    return _plain(placement_rows(plan))


def evidence_table(plan: Plan) -> Table:
    """Each figure of the plan and of the baseline, with intervals and bounds."""
    return _plain(evidence_rows(plan))


def curve_table(plan: Plan) -> Table:
    """What was measured at each rate; no rows where there is no curve."""
    rows = [] if plan.curve is None else [Row(cells) for cells in curve_rows(plan.curve)]
    return Table(COLUMNS, tuple(rows))


def cost_table(costs: PlanCosts | None) -> Table:
    """What the plan, its baseline and each smaller machine cost; no rows where no price is known."""
    return _plain(cost_rows(costs)) if costs is not None else Table((), ())


def finalists_table(plan: Plan) -> Table:
    """The finalists that are not the plan, with what decides between equally good ones."""
    columns = (
        *("trial", "configuration", "to the plan", "95 %", "P(worse)", "more rounds"),
        *("cores", "memory", "why"),
    )
    rivals = plan.confirmation.rivals
    cells = [_finalist(rival) for rival in rivals]
    kept = [index for index in range(len(columns)) if any(row[index] for row in cells)]
    rows = [
        Row(tuple(row[index] for index in kept), mark=STANDINGS[rival.standing].replace(" ", "-"))
        for rival, row in zip(rivals, cells, strict=True)
    ]
    return Table(tuple(columns[index] for index in kept), tuple(rows))


def latency_table(dossier: Dossier) -> Table:
    """The percentiles of every contender whose latencies are drawn, with their bounds."""
    found = distributions(dossier)
    percentiles = sorted({each.percentile for one in found for each in one.percentiles})
    columns = ("", "requests", *(f"p{percentile:g}" for percentile in percentiles))
    return Table(columns, tuple(_percentiles(one, percentiles) for one in found))


def trials_table(dossier: Dossier) -> Table:
    """Every trial of the search by number."""
    baseline = next((trial for trial in dossier.trials if trial.baseline and is_feasible(trial)), None)
    columns = ("trial", "configuration", "score", "gain", "outcome")
    return Table(columns, tuple(_trial(trial, baseline, dossier) for trial in dossier.trials))


def runs_table(dossier: Dossier) -> Table:
    """Every run of the confirmation, in the order in which it was run."""
    columns = ("round", "contender", "started", "score", "outcome")
    return Table(columns, tuple(_run(run, dossier) for run in dossier.runs))


def parameters_table(dossier: Dossier) -> Table:
    """What each parameter was worth, in the three ways of `autotune.report.effects`."""
    effects = parameter_effects(dossier)
    columns = ("parameter", "best value", "worth", "worst value reaches", "paired", "importance")
    kept = len(columns) if any(effect.importance is not None for effect in effects) else len(columns) - 1
    return Table(columns[:kept], tuple(Row(_effect(effect)[:kept]) for effect in effects))


def disturbances_table(dossier: Dossier) -> Table:
    """What disturbed each run, what became of its blocks, and which runs were given up."""
    fates = fates_in_words(dossier)
    disturbed = [
        Row((name, str(count), fates[fate], reason))
        for name, fate, reason, count in reasons(watched_runs(dossier))
    ]
    given_up = [
        Row(
            (f"trial {trial.number}", "all", "given up", _cut(outcome_in_words(trial))),
            mark="given-up",
            more=_more(trial),
        )
        for trial in dossier.trials
        if outcome(trial) == "disturbed"
    ]
    return Table(("run", "blocks", "what became of them", "what disturbed them"), (*disturbed, *given_up))


def study_text(plan: Plan) -> str:
    """The study file's values, as they were asked for and filled in."""
    return json.dumps(plan.study.spec, indent=2, ensure_ascii=False, default=str)


def _plain(rows: Iterator[Sequence[str]]) -> Table:
    """Columns from the first row."""
    columns = tuple(next(rows))
    return Table(columns, tuple(Row(tuple(row)) for row in rows))


def _percentiles(one: Distribution, percentiles: Sequence[float]) -> Row:
    by_percentile = {each.percentile: each for each in one.percentiles}
    shown = (format_percentile(by_percentile.get(percentile)) for percentile in percentiles)
    return Row((one.name, str(one.requests), *shown))


def _finalist(rival: RunnerUp) -> tuple[str, ...]:
    ratio = "" if rival.ratio is None else f"{rival.ratio:.3f}x"
    span = "" if rival.ratio_range is None else format_range(rival.ratio_range)
    memory = format_bytes(rival.memory_bytes) if rival.memory_bytes else ""
    odds = "" if rival.probability is None else format_probability(rival.probability)
    more = "" if rival.more_rounds is None else f"about {rival.more_rounds}"
    one = str(rival.configuration)
    cells = (str(rival.trial), one, ratio, span, odds, more)
    return (*cells, str(rival.cores), memory, rival.reason)


def _trial(trial: TrialRecord, baseline: TrialRecord | None, dossier: Dossier) -> Row:
    gain = None if baseline is None else _gain(trial, baseline, dossier)
    return Row(
        (
            str(trial.number),
            str(trial.configuration),
            _score(trial.score, dossier),
            "" if gain is None else format_gain(gain),
            _cut(outcome_in_words(trial)),
        ),
        mark=_mark(trial, dossier),
        more=_more(trial),
    )


def _gain(trial: TrialRecord, baseline: TrialRecord, dossier: Dossier) -> float | None:
    """Of a trial over a baseline, which both meet the limits; None where that cannot be said."""
    if not trial.score or not baseline.score or not is_feasible(trial):
        return None
    if is_almost_none(dossier.objective, dossier.plan.scenario, baseline.score, trial.score):
        return None
    return dossier.goodness(trial.score) / dossier.goodness(baseline.score)


def _more(trial: TrialRecord) -> str:
    """What the outcome's cell has no room for: the whole reason, and the end of what the worker wrote."""
    words = outcome_in_words(trial)
    tail = trial.result.stderr_tail[-TAIL_CHARACTERS:] if isinstance(trial.result, Failure) else ""
    return "\n\n".join(text for text in (words if _cut(words) != words else "", tail) if text)


def _cut(text: str) -> str:
    return text if len(text) <= CELL_CHARACTERS else f"{text[: CELL_CHARACTERS - 1]}…"


def _mark(trial: TrialRecord, dossier: Dossier) -> str:
    if trial.configuration == dossier.plan.configuration and trial.score is not None:
        return "plan"
    if trial.configuration.placement == "unpinned" and trial.score is not None:
        return "baseline" if trial.baseline else "default"
    return "" if outcome(trial) == "measured" else outcome(trial).replace(" ", "-")


def _run(run: ConfirmationRecord, dossier: Dossier) -> Row:
    cells = (
        str(run.round),
        dossier.contender(run),
        format_time(run.started_s),
        _score(run.score, dossier),
        outcome_in_words(run),
    )
    return Row(cells, mark="" if run.score is not None else "failed")


def _effect(effect: ParameterEffect) -> tuple[str, ...]:
    worst = min(effect.values, key=lambda value: value.best)
    paired = "" if effect.paired is None else f"{effect.paired:.2f}x in {_pairs(effect.pairs)}"
    return (
        title_of(effect.parameter),
        shown_value(effect.best_value.value),
        f"{effect.worth:.1%}",
        f"{worst.best:.1%} of the best ({shown_value(worst.value)})",
        paired,
        "" if effect.importance is None else f"{effect.importance:.0%}",
    )


def _pairs(count: int) -> str:
    return "1 comparison" if count == 1 else f"{count} comparisons"


def _score(score: float | None, dossier: Dossier) -> str:
    return "" if score is None else format_objective_value(dossier.plan.objective, score)
