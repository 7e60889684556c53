"""A plan in words: the configuration, each instance's place, the evidence and where it comes from."""

from __future__ import annotations

import json
import textwrap
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from autotune.machine.cpus import format_cpu_list
from autotune.model.texts.files_read import file_in_words
from autotune.objectives.catalogue import objective_named
from autotune.objectives.cost import Cost
from autotune.plan.claims import (
    STANDINGS,
    default_words,
    format_probability,
    format_range,
    spent_words,
    unprepared_words,
    verdict_sentence,
)
from autotune.plan.cost_words import cost_rows, cost_sentences, energy_words
from autotune.plan.costs import stated_costs
from autotune.plan.formats import format_gain, format_objective_value, format_time
from autotune.units import format_bytes, format_count, format_latency, format_throughput

if TYPE_CHECKING:
    from autotune.model.assessment import Assessment
    from autotune.plan.costs import PlanCosts
    from autotune.plan.curve import Curve
    from autotune.plan.document import Plan
    from autotune.plan.evidence import Charge, Estimate, LatencyPercentile, ServedRequests

WIDTH = 80


def describe(plan: Plan) -> str:
    """Give a compact view for people, section by section, at most `WIDTH` columns wide where words allow."""
    sections = (
        [f"plan {plan.id}", *_facts(configuration_facts(plan))],
        ["placement", *_table(placement_rows(plan))],
        ["evidence", *_table(evidence_rows(plan))],
        *([["curve", *_table(_curve(plan.curve))]] if plan.curve else []),
        *([["cost", *_cost(costs)]] if (costs := stated_costs(plan)) else []),
        *([["requests", *_facts(requests_facts(plan.requests))]] if plan.requests else []),
        *([["files", *_files(plan)]] if plan.files else []),
        *([["quality", *_facts(quality_facts(plan.quality))]] if plan.quality else []),
        ["confirmation", *_confirmation(plan)],
        *([["other finalists", *_table(rival_rows(plan))]] if plan.confirmation.rivals else []),
        *([["search", *_facts(search_facts(plan))]] if any(search_facts(plan)) else []),
        ["provenance", *_facts(provenance_facts(plan))],
        *([["warnings", *_warnings(plan)]] if plan.warnings else []),
    )
    return "\n\n".join("\n".join(section) for section in sections)


def unsupported_percentile(objective: str, estimate: Estimate) -> LatencyPercentile | None:
    """The objective's percentile, where the requests are too few to state it; None where they are not."""
    percentile = objective_named(objective).percentile
    stated = None if percentile is None else estimate.latency(percentile)
    return stated if stated is not None and stated.value_s is None else None


def format_estimate(objective: str, estimate: Estimate) -> str:
    """The objective's value; where the requests do not support it, how many it takes, and what was seen."""
    value = format_objective_value(objective, estimate.objective_value)
    unsupported = unsupported_percentile(objective, estimate)
    if unsupported is None:
        return value
    counts = f"it takes {unsupported.needed} requests; of {estimate.requests}"
    return f"unknown ({counts}, the slowest of a launch took about {value})"


def configuration_facts(plan: Plan) -> Iterator[tuple[str, str]]:
    """What the plan runs, of what, and how well: names and texts."""
    chosen = plan.configuration
    threads = chosen.threads_per_instance or "the engine's default"
    smt = ", both SMT siblings" if chosen.smt else ""
    yield "instances", str(chosen.instances)
    yield "threads", f"{threads} per instance"
    yield "placement", f"{chosen.placement} on sockets {chosen.sockets}{smt}"
    yield "engine", f"{chosen.backend}, {chosen.precision}"
    if chosen.knobs:
        yield "knobs", chosen.knobs
    yield "model", _model(plan)
    if "served" in plan.model:
        yield "served", str(plan.model["served"])
    problem = plan.study.stated("problem")
    if problem:
        yield "problem", f"{_problem(problem)}, {plan.scenario}"
    if chosen.padding:
        yield "padding", f"{_PADDINGS[chosen.padding]}; {_BATCHINGS[chosen.batching]}"
    value = format_estimate(plan.objective, plan.estimate)
    yield "objective", f"{plan.objective} {value}, {_against_baseline(plan)}"
    if words := default_words(plan):
        yield "default", words


def _model(plan: Plan) -> str:
    """What the plan runs, and what it was chosen among."""
    source, asked = str(plan.model.get("source", "unknown")), plan.study.stated("model")
    return source if not isinstance(asked, list) else f"{source}, chosen among {', '.join(map(str, asked))}"


def _problem(problem: dict[str, Any]) -> str:
    """The requests in words; of a document that no study file could hold, what it says of their shape."""
    from pydantic import ValidationError  # which listings of plans do without

    from autotune.model.stored_study import StoredProblem
    from autotune.spec.problem import problem_in_words

    try:
        return problem_in_words(StoredProblem.model_validate_json(json.dumps(problem)))
    except ValidationError:
        return f"batch {problem.get('batch_size')} x {problem.get('sequence_length')} tokens"


_PADDINGS = {
    "": "none",
    "max": "max: to the longest of all",
    "bucket": "bucket: to the next of a few lengths",
    "none": "none: to the longest of the same request",
}
_BATCHINGS = {
    "": "as they come",
    "arrival": "batches as they come",
    "sorted": "batches of like length",
    "tokens": "batches of like length, as many as a budget of tokens holds",
}


def requests_facts(requests: ServedRequests) -> Iterator[tuple[str, str]]:
    """What was asked, where requests differ: names and texts."""
    yield (
        "lengths",
        f"median {requests.median_tokens:g}, p90 {requests.p90_tokens:.0f}, at most {requests.most_tokens} "
        f"tokens, of {requests.sequences} sequences in {requests.requests} requests",
    )
    if requests.cut:
        yield "cut", f"{requests.cut} of them to {requests.cut_to} tokens"
    yield "filled", f"{requests.padding:.0%} of all tokens are padding"
    if requests.tokens_per_s is not None:
        yield "tokens", f"{requests.tokens_per_s:.0f} tokens/s without padding"
    if requests.hit_rate is not None:
        yield "cache", f"{requests.hit_rate:.1%} of the sequences were answered from it"


def _against_baseline(plan: Plan) -> str:
    if plan.baseline is None:
        return "no baseline to compare with"
    if plan.confirmation.verdict == "baseline":
        return "which is the baseline: nothing was surely enough better"
    before = format_estimate(plan.objective, plan.baseline)
    if plan.gain is None:
        return f"no gain to state over the baseline's {before}: {plan.no_gain or 'it failed in the rounds'}"
    sure = f" (95 %: {format_range(plan.gain_range)})" if plan.gain_range else ""
    return f"{format_gain(plan.gain)}{sure} better than the baseline's {before}"


def format_percent(share: float) -> str:
    """A signed share: `+2.1 %`."""
    return f"{share * 100:+.1f} %"


def placement_rows(plan: Plan) -> Iterator[tuple[str, str, str]]:
    """A heading, then where each instance runs."""
    yield "instance", "cpus", "memory nodes"
    for index, instance in enumerate(plan.instances):
        cpus, nodes = format_cpu_list(instance.cpus), format_cpu_list(instance.memory_nodes)
        yield str(index), cpus or "any", nodes or "any"


def evidence_rows(plan: Plan) -> Iterator[tuple[str, ...]]:
    """A heading, then a figure in each row, of the plan and of its baseline."""
    columns = [plan.estimate] if plan.baseline is None else [plan.estimate, plan.baseline]
    yield ("", "plan", "baseline")[: len(columns) + 1]
    if any(column.objective_range for column in columns):
        yield "95 % interval", *(_span(plan.objective, column) for column in columns)
    yield "throughput", *(format_throughput(column.throughput_sps) for column in columns)
    if any(column.charge for column in columns):
        yield "cost", *(_charge(column.charge) for column in columns)
    if any(column.energy_j_per_million for column in columns):
        yield "energy a million", *(energy_words(column.energy_j_per_million) for column in columns)
    for latency in plan.estimate.latencies:
        shown = (column.latency(latency.percentile) for column in columns)
        yield f"latency p{latency.percentile:g}", *map(format_percentile, shown)
    yield "requests", *(str(column.requests) for column in columns)
    yield "runs", *(str(column.runs) for column in columns)
    yield "memory", *(format_bytes(column.memory_bytes) for column in columns)


def _cost(costs: PlanCosts) -> Iterator[str]:
    """What the plan, its baseline and each smaller machine cost, and by which price."""
    yield from _table(cost_rows(costs))
    for sentence in cost_sentences(costs):
        yield from textwrap.wrap(sentence, WIDTH, initial_indent="  ", subsequent_indent="  ")


def _charge(charge: Charge | None) -> str:
    """What a million samples cost, and for how many cores that is."""
    if charge is None:
        return "unknown"
    return f"{Cost(charge.currency).format(charge.per_million)}, {format_count(charge.cores, 'core')}"


def quality_facts(quality: Assessment) -> Iterator[tuple[str, str]]:
    """How near the answers are to the fp32 reference's: names and texts."""
    yield "compared on", _COMPARED_ON[quality.inputs].format(count=quality.sequences)
    if quality.cosine is not None:
        least = "" if quality.least_cosine is None else f", least {quality.least_cosine:.4f}"
        yield "cosine", f"{quality.cosine:.4f}{least}"
    if quality.max_difference is not None:
        yield "largest", f"difference {quality.max_difference:.2%} of the reference's largest number"
    if quality.top1 is not None:
        yield "top-1", f"the same class in {quality.top1:.1%}"
    if (scored := quality.labelled) is not None:
        whose = f"that of {scored.of} at fp32" if scored.of else "the reference's"
        change = f"{scored.value:.4f}, {whose} {scored.reference:.4f}"
        yield scored.metric, f"{change}: a drop of {scored.drop:.4f} on {scored.rows} rows"


_COMPARED_ON = {
    "texts": "{count} texts, with the fp32 reference's answers",
    "random": "{count} sequences of random tokens, with the fp32 reference's answers",
    "none": "nothing: a fake model computes no answers",
}


def _span(objective: str, estimate: Estimate) -> str:
    span = estimate.objective_range
    if span is None or unsupported_percentile(objective, estimate):
        return "unknown"
    low, high = (format_objective_value(objective, value) for value in (span.low, span.high))
    return f"{low.split()[0]} to {high}"


def format_percentile(latency: LatencyPercentile | None) -> str:
    """A percentile with its 95 % upper bound: `12.3 ms (<= 13.1 ms)`; or how many requests it would take."""
    if latency is None:
        return "unknown"
    if latency.value_s is None:
        return f"needs {latency.needed} requests"
    bound = "" if latency.upper_s is None else f" (<= {format_latency(latency.upper_s)})"
    return f"{format_latency(latency.value_s)}{bound}"


def _files(plan: Plan) -> Iterator[str]:
    for read in plan.files:
        yield from textwrap.wrap(file_in_words(read), WIDTH, initial_indent="  ", subsequent_indent="  ")


def _curve(curve: Curve) -> Iterator[tuple[str, ...]]:
    """A heading, then a rate in each row."""
    from autotune.plan.curve_words import COLUMNS, curve_rows  # here: few plans have one

    yield COLUMNS
    yield from curve_rows(curve)


def _confirmation(plan: Plan) -> Iterator[str]:
    for sentence in confirmation_sentences(plan):
        yield from textwrap.wrap(sentence, WIDTH, initial_indent="  ", subsequent_indent="  ")


def confirmation_sentences(plan: Plan) -> Iterator[str]:
    """How the plan was chosen and how sure that is, in plain sentences."""
    done = plan.confirmation
    yield verdict_sentence(plan)
    is_known = unsupported_percentile(plan.objective, plan.estimate) is None
    if done.optimism is not None and done.search_value is not None and is_known:
        value = format_objective_value(plan.objective, done.search_value)
        yield f"The search had measured {value}: {format_percent(done.optimism)} against what was confirmed."
    if done.twin_ratio is not None:
        sure = f" (95 %: {format_range(done.twin_range)})" if done.twin_range else ""
        yield f"The best configuration's twin, which is the same, reached {done.twin_ratio:.3f}x of it{sure}."
    yield from quietness_sentences(plan)


def quietness_sentences(plan: Plan) -> Iterator[str]:
    """How quiet the machine was, and how far values were corrected for that."""
    done = plan.confirmation
    yield from (sentence for sentence in (done.quietness, done.correction) if sentence)


def rival_rows(plan: Plan) -> Iterator[tuple[str, ...]]:
    """A heading, then a finalist in each row that is not the plan."""
    rivals = plan.confirmation.rivals
    has_odds = any(rival.probability is not None for rival in rivals)
    columns = ("trial", "inst. x threads", "placement", "engine", "ratio", "standing", "P(worse)")
    kept = len(columns) if has_odds else len(columns) - 1
    yield columns[:kept]
    for rival in rivals:
        one = rival.configuration
        row = (
            str(rival.trial),
            f"{one.instances} x {one.threads_per_instance or 'default'}",
            one.placement + ("+smt" if one.smt else ""),
            ", ".join(filter(None, (one.engine_in_words, one.padding, one.batching, one.knobs))),
            "" if rival.ratio is None else f"{rival.ratio:.3f}x",
            STANDINGS[rival.standing],
            "" if rival.probability is None else format_probability(rival.probability),
        )
        yield row[:kept]


def search_facts(plan: Plan) -> Iterator[tuple[str, str]]:
    """Where the minutes of the study went, and what they did not suffice for: names and texts."""
    if spent := spent_words(plan):
        yield "time", spent
    if unprepared := unprepared_words(plan):
        yield "not tried", f"as preparing it would not have fitted: {unprepared}"


def provenance_facts(plan: Plan) -> Iterator[tuple[str, str]]:
    """Where the plan comes from: names and texts."""
    yield "study", f"{plan.study.name or 'unknown'}, trial {plan.trial}"
    yield "created", format_time(plan.created_s)
    machine = plan.machine
    yield "machine", f"{machine.get('model_name') or 'unknown'}, cpus {machine.get('allowed', 'unknown')}"
    yield "fingerprint", str(machine.get("fingerprint", "unknown"))
    yield "model", f"sha256 {str(plan.model.get('digest', 'unknown'))[:16]}"
    yield "versions", ", ".join(f"{name} {version}" for name, version in plan.versions.items())


def _warnings(plan: Plan) -> Iterator[str]:
    for warning in plan.warnings:
        yield from textwrap.wrap(warning, WIDTH, initial_indent="  - ", subsequent_indent="    ")


def _facts(facts: Iterator[tuple[str, str]]) -> Iterator[str]:
    """A fact per line, names aligned, long texts continued below their beginning."""
    listed = list(facts)
    indent = max(len(name) for name, _ in listed) + 4
    for name, text in listed:
        yield from textwrap.wrap(
            text,
            WIDTH,
            initial_indent=f"  {name}".ljust(indent),
            subsequent_indent=" " * indent,
            break_long_words=False,
        )


def _table(rows: Iterator[tuple[str, ...]]) -> Iterator[str]:
    """Aligned columns, two blanks between."""
    listed: list[Sequence[str]] = list(rows)
    widths = [max(map(len, column)) for column in zip(*listed, strict=True)]
    for row in listed:
        cells = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        yield f"  {'  '.join(cells)}".rstrip()
