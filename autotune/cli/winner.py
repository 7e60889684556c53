"""What `autotune tune` prints at its end: the best configurations, the plan, and what to do with it."""

from __future__ import annotations

import shlex
import textwrap
from collections.abc import Iterator, Sequence

from autotune.cli import output
from autotune.measurement.measurement import Failure, FailureKind
from autotune.plan.claims import (
    default_words,
    gain_words,
    rival_sentences,
    spent_words,
    unprepared_words,
)
from autotune.plan.cost_words import cost_rows, cost_sentences
from autotune.plan.costs import stated_costs
from autotune.plan.describe import WIDTH, confirmation_sentences
from autotune.plan.document import Plan
from autotune.report.top import top_table
from autotune.spec.study import StudySpec
from autotune.store.location import parse_location
from autotune.store.ranking import best, measured_baseline, why_no_gain
from autotune.store.records import TrialRecord, TrialSummary
from autotune.store.store import DEFAULT_URL, read_store


def print_winner(plan: Plan, spec: StudySpec, store: str) -> None:
    """Print the search's top configurations, then the plan, how sure it is, and the next commands."""
    with read_store(store) as opened:
        trials = opened.trial_summaries(spec.name)
        refused = list(_refused(opened.trials(spec.name)))
    url = "" if store == DEFAULT_URL else f" --store {shlex.quote(str(parse_location(store)))}"
    ending = [
        f"stored in {parse_location(store)}",
        f"next: autotune show {plan.id}{url}",
        f"      autotune verify {plan.id}{url}",
        f"      autotune report {plan.id} -o report.html{url}",
        f"      autotune export {plan.id} --to numactl -o launch/{url}",
    ]
    print_found(plan, spec, trials, refused, ending)


def print_found(
    plan: Plan, spec: StudySpec, trials: Sequence[TrialSummary], refused: Sequence[str], ending: Sequence[str]
) -> None:
    """Print what a study has found, wherever it was measured.

    Args:
        spec, trials: of its search.
        refused: sentences on configurations whose answers are wrong.
        ending: what stands below the plan: where it lies, and what to do with it.
    """
    output.result_table(f"study {spec.name}: best configurations of the search", *top_table(trials, spec))
    lines = [*refused, *_no_gain(trials, spec), "", *_plan_lines(plan), *ending]
    output.result_text("\n".join(lines))
    if plan.confirmation.by_cores and (costs := stated_costs(plan)) is not None:
        columns, *rows = cost_rows(costs)
        output.result_text("")
        output.result_table("what it costs on each smaller machine", columns, rows)
        output.result_text("\n".join(cost_sentences(costs)))


def _plan_lines(plan: Plan) -> list[str]:
    """Say in lines what a plan is, what it gains, how sure that is, and where the minutes went."""
    return [
        f"plan {plan.id}: {plan.configuration}",
        f"gain over the baseline: {_gain(plan)}",
        *_beside_default(plan),
        *(line for sentence in confirmation_sentences(plan) for line in textwrap.wrap(sentence, WIDTH)),
        *rival_sentences(plan),
        *_search(plan),
    ]


def _refused(trials: Sequence[TrialRecord]) -> Iterator[str]:
    """Why the answers of some configurations are wrong."""
    for trial in trials:
        if isinstance(trial.result, Failure) and trial.result.kind == FailureKind.WRONG_OUTPUT:
            what = "" if trial.result.model_wide else f", {trial.configuration.prepared}"
            yield f"trial {trial.number}{what}: {trial.result.reason}"


def _no_gain(trials: Sequence[TrialSummary], spec: StudySpec) -> Iterator[str]:
    """Why the search's table shows no gains."""
    baseline = measured_baseline(trials)
    why = "" if baseline is None else why_no_gain(baseline, best(trials, spec), spec)
    if why:
        yield f"gain: none, as {why}"


def _gain(plan: Plan) -> str:
    if plan.confirmation.verdict == "baseline":
        return "none, it is the baseline"
    return gain_words(plan)


def _beside_default(plan: Plan) -> list[str]:
    """The plan beside the best of what people start today."""
    words = default_words(plan)
    return [f"beside what people start today: {words}"] if words else []


def _search(plan: Plan) -> list[str]:
    """Where the minutes went, and what they did not suffice for."""
    spent, unprepared = spent_words(plan), unprepared_words(plan)
    return [
        *([f"time: {spent}"] if spent else []),
        *([f"not tried, as preparing it would not have fitted: {unprepared}"] if unprepared else []),
    ]
