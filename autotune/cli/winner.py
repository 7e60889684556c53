"""What `autotune tune` prints at its end: the best configurations, the plan, and what to do with it."""

from __future__ import annotations

import shlex

from autotune.cli import output
from autotune.plan.describe import format_gain
from autotune.plan.document import Plan
from autotune.report.top import top_table
from autotune.spec.study import StudySpec
from autotune.store.location import parse_location
from autotune.store.store import DEFAULT_URL, read_store


def print_winner(plan: Plan, spec: StudySpec, store: str) -> None:
    """Print the table of the top configurations, then the plan, its gain and the next commands."""
    with read_store(store) as opened:
        columns, rows = top_table(opened.trial_summaries(spec.name), spec)
    output.result_table(f"study {spec.name}: best configurations", columns, rows)
    gained = format_gain(plan.gain)
    url = "" if store == DEFAULT_URL else f" --store {shlex.quote(str(parse_location(store)))}"
    output.result_text(
        f"\nplan {plan.id}: {plan.configuration}\n"
        f"gain over the baseline: {gained}\n"
        f"stored in {parse_location(store)}\n"
        f"next: autotune show {plan.id}{url}\n"
        f"      autotune export {plan.id} --to numactl -o launch/{url}"
    )
