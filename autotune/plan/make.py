"""From the winning trial to the plan."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from autotune.errors import PlanError
from autotune.machine.document import machine_document
from autotune.machine.machine import Machine
from autotune.model.sources import ResolvedModel
from autotune.placement.placement import Command
from autotune.plan.document import Estimate, Plan, PlanInstance, format_plan
from autotune.spec.study import Objective, StudySpec
from autotune.trial.measurement import Failure, Measurement, TrialResult
from autotune.trial.statistics import latencies_s, memory_bytes, percentile_s, supports, throughput_sps

if TYPE_CHECKING:
    from autotune.store.records import TrialRecord

ID_DIGITS = 6


def make_plan(
    *,
    spec: StudySpec,
    machine: Machine,
    winner: TrialRecord,
    baseline: TrialRecord | None,
    commands: Sequence[Command],
    versions: dict[str, str],
    model: ResolvedModel,
    warnings: Iterable[str] = (),
) -> Plan:
    """Make the plan that deploys the winner; reads the clock, touches nothing else.

    Args:
        commands: what started the winner's instances, in order.
        warnings: sentences to put before those that the plan's own figures call for.

    Raises:
        PlanError: the winner is a failure.
    """
    measurement, reference = _measured(winner), None if baseline is None else baseline.result
    estimate = estimate_from(measurement, spec.objective)
    against = estimate_from(reference, spec.objective) if isinstance(reference, Measurement) else None
    plan = Plan(
        id=spec.name,
        created_s=time.time(),
        objective=objective_name(spec.objective),
        scenario=spec.scenario,
        configuration=winner.configuration,
        instances=tuple(PlanInstance.of(command) for command in commands),
        estimate=estimate,
        baseline=against,
        gain=None if against is None else gain(estimate, against, spec.objective),
        machine=machine_document(machine),
        versions=versions,
        model={"source": model.source, "digest": model.digest, "artifact": _artifact(commands[0])},
        study={"name": spec.name, "spec": spec.model_dump(mode="json")},
        trial=winner.number,
        warnings=(*warnings, *_warnings(measurement, reference, spec, machine)),
    )
    return plan.model_copy(update={"id": f"{spec.name}-{_digest(plan)}"})


def objective_name(objective: Objective) -> str:
    """`throughput`, or `latency_pNN`."""
    return "throughput" if objective.kind == "throughput" else f"latency_p{objective.percentile:g}"


def estimate_from(measurement: Measurement, objective: Objective) -> Estimate:
    """Compute the figures; a percentile that the number of requests does not support is None."""
    latencies = latencies_s(measurement)
    throughput = throughput_sps(measurement)
    is_throughput = objective.kind == "throughput"
    return Estimate(
        objective_value=throughput if is_throughput else percentile_s(latencies, objective.percentile),
        throughput_sps=throughput,
        latency_p50_s=_supported(latencies, 50),
        latency_p90_s=_supported(latencies, 90),
        latency_p95_s=_supported(latencies, 95),
        latency_p99_s=_supported(latencies, 99),
        requests=len(latencies),
        memory_bytes=memory_bytes(measurement),
    )


def gain(estimate: Estimate, baseline: Estimate, objective: Objective) -> float:
    """How many times better the objective is than the baseline's."""
    ratio = estimate.objective_value / baseline.objective_value
    return ratio if objective.kind == "throughput" else 1 / ratio


def _measured(winner: TrialRecord) -> Measurement:
    if isinstance(winner.result, Failure):
        raise PlanError(f"trial {winner.number} cannot be a plan: it failed ({_words(winner.result)})")
    return winner.result


def _supported(latencies: Sequence[float], percentile: float) -> float | None:
    return percentile_s(latencies, percentile) if supports(len(latencies), percentile) else None


def _warnings(
    measurement: Measurement, reference: TrialResult | None, spec: StudySpec, machine: Machine
) -> Iterator[str]:
    """Sentences on what weakens the evidence."""
    if isinstance(reference, Failure):
        yield f"The baseline failed ({_words(reference)}), so there is no gain to report."
    if measurement.memory_binding == "refused":
        yield "The kernel refused to bind memory to nodes, so it was measured without."
    if machine.quota_cpus is not None:
        yield f"A quota of {machine.quota_cpus:g} cpus was in force; another quota gives other figures."
    asked, count = _asked_percentile(spec), len(latencies_s(measurement))
    if asked is not None and not supports(count, asked):
        yield f"{count} requests are too few to be sure of the p{asked:g} latency; measure longer."


def _words(failure: Failure) -> str:
    return f"{failure.kind}: {failure.reason}"


def _asked_percentile(spec: StudySpec) -> float | None:
    """The highest percentile that the objective or the limits speak of."""
    asked = [spec.objective.percentile] if spec.objective.kind == "latency" else []
    if spec.limits.latency is not None:
        asked.append(spec.limits.latency.percentile)
    return max(asked, default=None)


def _artifact(command: Command) -> str | None:
    """The folder that the worker loads: the argument after `--artifact`."""
    arguments: dict[str, Any] = dict(zip(command.argv, command.argv[1:], strict=False))
    return arguments.get("--artifact")


def _digest(plan: Plan) -> str:
    return hashlib.sha256(format_plan(plan).encode()).hexdigest()[:ID_DIGITS]
