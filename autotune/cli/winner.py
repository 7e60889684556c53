"""What `autotune tune` prints at its end: the best configurations, the plan, and what to do with it."""

from __future__ import annotations

import shlex
import textwrap
from collections.abc import Iterator, Sequence

from autotune.cli import output
from autotune.plan.claims import (
    default_words,
    format_range,
    rival_sentences,
    spent_words,
    unprepared_words,
)
from autotune.plan.describe import WIDTH, confirmation_sentences, format_gain
from autotune.plan.document import Plan
from autotune.report.top import top_table
from autotune.spec.study import StudySpec
from autotune.store.location import parse_location
from autotune.store.records import TrialRecord
from autotune.store.store import DEFAULT_URL, read_store
from autotune.trial.measurement import Failure, FailureKind


def print_winner(plan: Plan, spec: StudySpec, store: str) -> None:
    """Print the search's top configurations, then the plan, how sure it is, and the next commands."""
    with read_store(store) as opened:
        columns, rows = top_table(opened.trial_summaries(spec.name), spec)
        refused = list(_refused(opened.trials(spec.name)))
    output.result_table(f"study {spec.name}: best configurations of the search", columns, rows)
    url = "" if store == DEFAULT_URL else f" --store {shlex.quote(str(parse_location(store)))}"
    lines = [
        *refused,
        "",
        f"plan {plan.id}: {plan.configuration}",
        f"gain over the baseline: {_gain(plan)}",
        *_beside_default(plan),
        *(line for sentence in confirmation_sentences(plan) for line in textwrap.wrap(sentence, WIDTH)),
        *rival_sentences(plan),
        *_search(plan),
        f"stored in {parse_location(store)}",
        f"next: autotune show {plan.id}{url}",
        f"      autotune verify {plan.id}{url}",
        f"      autotune report {plan.id} -o report.html{url}",
        f"      autotune export {plan.id} --to numactl -o launch/{url}",
    ]
    output.result_text("\n".join(lines))


def _refused(trials: Sequence[TrialRecord]) -> Iterator[str]:
    """Why the answers of some configurations are wrong."""
    for trial in trials:
        if isinstance(trial.result, Failure) and trial.result.kind == FailureKind.WRONG_OUTPUT:
            what = "" if trial.result.model_wide else f", {trial.configuration.prepared}"
            yield f"trial {trial.number}{what}: {trial.result.reason}"


def _gain(plan: Plan) -> str:
    if plan.confirmation.verdict == "baseline":
        return "none, it is the baseline"
    return format_gain(plan.gain) + (f" (95 %: {format_range(plan.gain_range)})" if plan.gain_range else "")


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
