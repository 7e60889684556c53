"""From a confirmed winner to the plan."""

from __future__ import annotations

import hashlib
import math
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from autotune.errors import PlanError
from autotune.machine.document import machine_document
from autotune.machine.machine import Machine
from autotune.measurement.measurement import Measurement
from autotune.measurement.statistics import hit_rate, latencies_s, memory_bytes, power_w, throughput_sps
from autotune.measurement.steps import kept_step
from autotune.model.assessment import UNCOMPARED, Assessment
from autotune.model.sources import ResolvedModel
from autotune.model.stored_study import study_document
from autotune.model.stream import StreamDescription
from autotune.model.study_inputs import tokenizer_of
from autotune.model.texts.files_read import FileRead
from autotune.objectives.catalogue import objective_of
from autotune.objectives.cost import Cost
from autotune.objectives.objective import Objective
from autotune.objectives.outcome import Figures, Resources
from autotune.placement.knobs import PRELOAD_VARIABLE
from autotune.placement.placement import Command
from autotune.placement.smaller import what_differs
from autotune.plan.curve_of_runs import tuned_curve
from autotune.plan.document import Plan, PlanInstance, PlanStudy, format_plan
from autotune.plan.evidence import Charge, Confirmation, Estimate, LatencyPercentile, Range, ServedRequests
from autotune.plan.histogram import latency_histogram
from autotune.search.score import asked_percentiles, needed_percentile, resources_of, score
from autotune.spec.configuration import Configuration
from autotune.spec.knobs import answering
from autotune.spec.launched import UNBOUND_WORDS
from autotune.spec.scenario import traits_of
from autotune.spec.study import StudySpec
from autotune.statistics.paired import Interval, mean_interval
from autotune.statistics.quantiles import needed_count, percentile_of, supports, upper_bound

ID_DIGITS = 6
PERCENTILES = (50.0, 90.0, 95.0, 99.0)
"""What every plan states, as far as the requests support it."""


@dataclass(frozen=True)
class Measured:
    """A configuration and all that was measured of it.

    Attributes:
        trial: its number in the search.
        runs: one measurement for each launch, in order; at least one.
        value: of the objective, in its unit; None = the runs' geometric mean with its interval.
    """

    configuration: Configuration
    trial: int
    runs: tuple[Measurement, ...]
    value: Interval | None = None


@dataclass(frozen=True)
class Deployment:
    """The winner, with all that it takes to start it again.

    Attributes:
        commands: what started its instances, in order.
        quality: of its answers; None = not known.
        requests: what its instances were given; None where they are of one length.
    """

    measured: Measured
    commands: Sequence[Command]
    versions: dict[str, str]
    model: ResolvedModel
    quality: Assessment | None = None
    requests: StreamDescription | None = None


@dataclass(frozen=True)
class Gain:
    """What the plan gains over the baseline in the objective.

    Attributes:
        ratio: as the rounds showed it; None = as the two estimates say.
        missing: why there is none; empty where there is one.
    """

    ratio: Interval | None = None
    missing: str = ""


AS_ESTIMATED = Gain()


def make_plan(
    *,
    spec: StudySpec,
    machine: Machine,
    winner: Deployment,
    baseline: Measured | None,
    confirmation: Confirmation,
    gain: Gain = AS_ESTIMATED,
    files: Sequence[FileRead] = (),
    warnings: Iterable[str] = (),
) -> Plan:
    """Make the plan that deploys the winner; reads the clock, touches nothing else.

    Args:
        spec: the study, as it is stored (`FoundStudy.stored`), so that the plan has the digests of its files.
        baseline: None where it failed.
        files: what was read of those that the study names.
        warnings: sentences to put before those that the plan's own figures call for.
    """
    measured, model, requests = winner.measured, winner.model, winner.requests
    estimate = estimate_from(measured, spec)
    against = None if baseline is None else estimate_from(baseline, spec)
    plan = Plan(
        id=spec.name,
        created_s=time.time(),
        objective=objective_of(spec).name,
        scenario=spec.scenario,
        configuration=measured.configuration,
        instances=tuple(PlanInstance.of(command) for command in winner.commands),
        estimate=estimate,
        baseline=against,
        gain=None if gain.missing else _gain(spec, estimate, against, gain.ratio),
        gain_range=None if gain.missing else range_of(gain.ratio),
        no_gain=gain.missing,
        confirmation=confirmation,
        requests=None if requests is None else _requests(requests, measured.runs, estimate),
        files=tuple(replace(read, first="") for read in files),
        quality=winner.quality,
        machine=machine_document(machine),
        versions=winner.versions,
        model={
            "source": model.source,
            "digest": model.digest,
            **_served(model),
            **folders_of(winner.commands),
        },
        study=PlanStudy(name=spec.name, spec=study_document(spec)),
        trial=measured.trial,
        warnings=(
            *model.notes,
            *warnings,
            *_warnings(measured, spec, machine),
            *_doubts(spec, measured.configuration, winner.quality),
            *_needs(winner.commands),
            *_unserved(requests, measured.runs),
        ),
    )
    return _finished(plan, measured)


def _finished(plan: Plan, measured: Measured) -> Plan:
    """Give a plan its id, and the curve of the rates that were tried, which may change later."""
    curve = tuned_curve(measured.runs, plan.created_s)
    return plan.model_copy(update={"id": f"{plan.id}-{_digest(plan)}", "curve": curve})


def with_server_of(plan: Plan, spec: StudySpec) -> Plan:
    """Give the plan with the server that the study names today: a plan of its own, unless it names the same.

    Reads the clock.
    """
    named = study_document(spec).get("launch")
    if plan.study.stated("launch") == named:
        return plan
    rest = {key: value for key, value in plan.study.spec.items() if key != "launch"}
    study = PlanStudy(name=spec.name, spec=rest if named is None else {**rest, "launch": named})
    renewed = plan.model_copy(update={"id": spec.name, "created_s": time.time(), "study": study})
    return renewed.model_copy(update={"id": f"{spec.name}-{_digest(renewed)}"})


def _served(model: ResolvedModel) -> dict[str, str]:
    """What is served beside the encoder, and where its tokenizer lies, with what says how texts are read."""
    tokenizer = tokenizer_of(model)
    return {
        **({} if model.modules is None else {"served": model.modules.in_words}),
        **({} if tokenizer is None else {"folder": str(tokenizer.parent.absolute())}),
    }


def estimate_from(measured: Measured, spec: StudySpec) -> Estimate:
    """Compute the figures of all runs together.

    Raises:
        PlanError: there are no runs.
    """
    runs = measured.runs
    if not runs:
        raise PlanError(f"trial {measured.trial} cannot be a plan: nothing was measured of it")
    latencies = [latency for run in runs for latency in latencies_s(run)]
    value = measured.value or mean_interval([score(spec, run) for run in runs])
    resources, objective = resources_of(spec, runs[0]), objective_of(spec)
    served = mean_interval([throughput_sps(run) for run in runs])
    implied_sps = objective.implied_throughput_sps(value.estimate, resources)
    served_sps, watts = implied_sps or served.estimate, power_w(runs)
    return Estimate(
        objective_value=value.estimate,
        objective_range=range_of(value),
        throughput_sps=served_sps,
        latencies=_stated_percentiles(runs, latencies, percentiles_of(spec)),
        requests=len(latencies),
        runs=len(runs),
        memory_bytes=max(memory_bytes(run) for run in runs),
        histogram=latency_histogram(latencies),
        charge=_charge(served_sps, _served_range(objective, value, served, resources), resources),
        energy_j_per_million=None if watts is None else 1e6 * watts / served_sps,
    )


def _served_range(
    objective: Objective, value: Interval, served: Interval, resources: Resources
) -> Range | None:
    """The interval of the throughput: what that of the objective implies, else that of the runs."""
    if value.low <= 0 or not math.isfinite(value.high):
        return None
    ends = [objective.implied_throughput_sps(end, resources) for end in (value.low, value.high)]
    known = [end for end in ends if end is not None]
    if len(known) < len(ends):
        return range_of(served) if math.isfinite(served.high) else None
    return Range(low=min(known), high=max(known))


def _charge(served_sps: float, served: Range | None, resources: Resources) -> Charge | None:
    """What so much throughput costs; None without a price, or where nobody has counted the cores."""
    if resources.price is None or resources.cores is None:
        return None
    cost = Cost(resources.price.currency)

    def per_million(throughput_sps: float) -> float:
        return cost.score(Figures(throughput_sps, resources=resources))

    between = None if served is None else Range(low=per_million(served.high), high=per_million(served.low))
    return Charge(
        per_million=per_million(served_sps),
        per_million_range=between,
        currency=cost.currency,
        cores=resources.cores,
    )


def percentiles_of(spec: StudySpec) -> tuple[float, ...]:
    """What a plan of this study states: the usual percentiles, and those that the study asks for."""
    return tuple(sorted({*PERCENTILES, *asked_percentiles(spec)}))


def latency_percentiles(
    latencies: Sequence[float], percentiles: Iterable[float]
) -> tuple[LatencyPercentile, ...]:
    """Each percentile with its upper bound where there are enough latencies, and how many it takes."""
    return tuple(_latency_percentile(latencies, percentile) for percentile in percentiles)


def _stated_percentiles(
    runs: Sequence[Measurement], latencies: Sequence[float], percentiles: Iterable[float]
) -> tuple[LatencyPercentile, ...]:
    """Those of all latencies; in a queue, which makes them hang together, one alone has a bound.

    That is the limited one, and the bound is the median run's, as each run found its own rate.
    """
    found = latency_percentiles(latencies, percentiles)
    if not traits_of(runs[0].scenario).seeks_rate:
        return found
    steps = sorted((kept_step(run) for run in runs), key=lambda step: step.upper_s)
    middle = steps[len(steps) // 2]
    return tuple(
        one.model_copy(update={"upper_s": max(middle.upper_s, one.value_s or 0.0)})
        if one.percentile == middle.percentile
        else one.model_copy(update={"upper_s": None})
        for one in found
    )


def range_of(interval: Interval | None) -> Range | None:
    """The interval in the document's words; None where it says nothing."""
    if interval is None or interval.low <= 0:
        return None
    return Range(low=interval.low, high=interval.high)


def _latency_percentile(latencies: Sequence[float], percentile: float) -> LatencyPercentile:
    needed = needed_count(percentile)
    if not supports(len(latencies), percentile):
        return LatencyPercentile(percentile=percentile, value_s=None, upper_s=None, needed=needed)
    return LatencyPercentile(
        percentile=percentile,
        value_s=percentile_of(latencies, percentile),
        upper_s=upper_bound(latencies, percentile),
        needed=needed,
    )


def _gain(
    spec: StudySpec, estimate: Estimate, against: Estimate | None, gain: Interval | None
) -> float | None:
    if against is None:
        return None
    if gain is not None:
        return gain.estimate
    return objective_of(spec).ratio(estimate.objective_value, against.objective_value)


def _warnings(measured: Measured, spec: StudySpec, machine: Machine) -> Iterator[str]:
    """Sentences on what weakens the evidence."""
    runs = measured.runs
    yield from what_differs(machine, measured.configuration.cores)
    if any(run.memory_binding == "refused" for run in runs):
        yield UNBOUND_WORDS
    if machine.quota_cpus is not None:
        yield f"A quota of {machine.quota_cpus:g} cpus was in force; another quota gives other figures."
    asked, count = needed_percentile(spec), sum(len(latencies_s(run)) for run in runs)
    if asked is not None and not supports(count, asked):
        yield (
            f"{count} requests are too few to be sure of the p{asked:g} latency, which takes "
            f"{needed_count(asked)}; measure longer."
        )


def _doubts(spec: StudySpec, configuration: Configuration, quality: Assessment | None) -> Iterator[str]:
    """What is not known of the answers; fp32 computes as the reference does, but for some knobs."""
    changing = answering(configuration.knobs)
    computed = f"{configuration.precision} {changing}".rstrip()
    if computed != "fp32" and quality and quality.inputs == "random" and quality.labelled is None:
        yield (
            f"The answers at {computed} were compared with fp32's on random tokens alone: "
            "name real texts (quality.texts) or labelled ones (quality.data) to know what it costs on yours."
        )
    if len(spec.models) > 1 and spec.quality.data is None:
        yield UNCOMPARED


def _needs(commands: Sequence[Command]) -> Iterator[str]:
    """What the plan takes from the host that it was measured on, beside its files."""
    libraries = commands[0].environment.get(PRELOAD_VARIABLE, "") if commands else ""
    if libraries:
        yield (
            f"Its processes are started with {libraries.replace(':', ' and ')} preloaded: "
            "that must be there, at the same path, wherever it is deployed, in a container too."
        )


def folders_of(commands: Sequence[Command]) -> dict[str, str]:
    """What the workers load: `artifact`, and `requests` where they are those of a stream."""
    assignment = commands[0].worker.assignment
    requests = assignment.requests
    return {
        "artifact": str(assignment.artifact),
        **({} if requests is None else {"requests": str(requests)}),
    }


def _unserved(described: StreamDescription | None, runs: Sequence[Measurement]) -> Iterator[str]:
    """That fewer sequences were served than are needed to be like all of them."""
    if described is not None and (served := _fewest_served(runs)) < _cycle_sequences(described):
        yield (
            f"A run served {served} of {described.sequences} sequences, which need not be like all of them: "
            "the lengths that are stated are those of all. Measure longer (measure.block)."
        )


def _fewest_served(runs: Sequence[Measurement]) -> int:
    """Sequences that were served in the run that served the fewest."""
    parts = ([part for block in run.blocks for part in block.instances] for run in runs)
    return min(sum(part.sample_count for part in own) for own in parts)


def _cycle_sequences(described: StreamDescription) -> int:
    """Sequences in which long ones come as often as in all: of a file in its own order, all of it."""
    return math.ceil(described.cycle * described.sequences / described.requests)


def _requests(
    described: StreamDescription, runs: Sequence[Measurement], estimate: Estimate
) -> ServedRequests:
    is_like_all = _fewest_served(runs) >= _cycle_sequences(described)
    return ServedRequests(
        requests=described.requests,
        sequences=described.sequences,
        median_tokens=described.median_tokens,
        p90_tokens=described.p90_tokens,
        most_tokens=described.most_tokens,
        mean_tokens=described.mean_tokens,
        padding=described.padding,
        tokens_per_s=described.mean_tokens * estimate.throughput_sps if is_like_all else None,
        hit_rate=hit_rate(runs) if described.cache_size else None,
        cut=described.cut,
        cut_to=described.cut_to,
    )


def _digest(plan: Plan) -> str:
    return hashlib.sha256(format_plan(plan).encode()).hexdigest()[:ID_DIGITS]
