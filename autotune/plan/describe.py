"""A plan in words: the configuration, each instance's place, the evidence and where it comes from."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import TYPE_CHECKING

from autotune.machine.cpus import format_cpu_list
from autotune.units import format_bytes, format_latency, format_throughput

if TYPE_CHECKING:
    from autotune.plan.document import Estimate, Plan

WIDTH = 80
PERCENTILES = (50, 90, 95, 99)


def describe(plan: Plan) -> str:
    """Give a compact view for people, section by section, at most `WIDTH` columns wide where words allow."""
    sections = (
        [f"plan {plan.id}", *_facts(_configuration(plan))],
        ["placement", *_table(_placement(plan))],
        ["evidence", *_table(_evidence(plan))],
        ["provenance", *_facts(_provenance(plan))],
        *([["warnings", *_warnings(plan)]] if plan.warnings else []),
    )
    return "\n\n".join("\n".join(section) for section in sections)


def format_objective_value(objective: str, value: float) -> str:
    """An objective's value in its unit: samples per second, or milliseconds."""
    return format_throughput(value) if objective == "throughput" else format_latency(value)


def format_gain(gain: float | None) -> str:
    """How many times better than the baseline: `2.91x`."""
    return "unknown" if gain is None else f"{gain:.2f}x"


def format_time(unix_s: float) -> str:
    """A moment in this machine's time zone, to the minute."""
    return datetime.fromtimestamp(unix_s).astimezone().strftime("%Y-%m-%d %H:%M")


def _configuration(plan: Plan) -> Iterator[tuple[str, str]]:
    chosen, spec = plan.configuration, plan.study.get("spec", {})
    threads = chosen.threads_per_instance or "the engine's default"
    smt = ", both SMT siblings" if chosen.smt else ""
    yield "instances", str(chosen.instances)
    yield "threads", f"{threads} per instance"
    yield "placement", f"{chosen.placement} on sockets {chosen.sockets}{smt}"
    yield "engine", f"{chosen.backend}, {chosen.precision}"
    yield "model", str(plan.model.get("source", "unknown"))
    problem = spec.get("problem", {})
    if problem:
        shape = f"{problem.get('batch_size')} x {problem.get('sequence_length')} tokens"
        yield "problem", f"{shape}, {plan.scenario}"
    value = format_objective_value(plan.objective, plan.estimate.objective_value)
    yield "objective", f"{plan.objective} {value}, {_against_baseline(plan)}"


def _against_baseline(plan: Plan) -> str:
    if plan.baseline is None:
        return "no baseline to compare with"
    before = format_objective_value(plan.objective, plan.baseline.objective_value)
    return f"{format_gain(plan.gain)} better than the baseline's {before}"


def _placement(plan: Plan) -> Iterator[tuple[str, str, str]]:
    yield "instance", "cpus", "memory nodes"
    for index, instance in enumerate(plan.instances):
        cpus, nodes = format_cpu_list(instance.cpus), format_cpu_list(instance.memory_nodes)
        yield str(index), cpus or "any", nodes or "any"


def _evidence(plan: Plan) -> Iterator[tuple[str, ...]]:
    columns = [plan.estimate] if plan.baseline is None else [plan.estimate, plan.baseline]
    yield ("", "plan", "baseline")[: len(columns) + 1]
    yield "throughput", *(format_throughput(column.throughput_sps) for column in columns)
    for percentile in PERCENTILES:
        yield f"latency p{percentile}", *(_latency(column, percentile) for column in columns)
    yield "requests", *(str(column.requests) for column in columns)
    yield "memory", *(format_bytes(column.memory_bytes) for column in columns)


def _latency(estimate: Estimate, percentile: int) -> str:
    value: float | None = getattr(estimate, f"latency_p{percentile}_s")
    return "too few requests" if value is None else format_latency(value)


def _provenance(plan: Plan) -> Iterator[tuple[str, str]]:
    yield "study", f"{plan.study.get('name', 'unknown')}, trial {plan.trial}"
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
