from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from autotune.errors import PlanError
from autotune.machine.machine import Core, Machine, NumaNode
from autotune.measurement.measurement import Measurement, RateStep
from autotune.model.assessment import EXEMPT, Assessment, LabelledScore
from autotune.model.sources import ResolvedModel
from autotune.model.stream import StreamDescription
from autotune.placement.placement import Command
from autotune.plan.describe import describe, evidence_rows
from autotune.plan.document import Plan, format_plan, parse_plan
from autotune.plan.evidence import Confirmation
from autotune.plan.histogram import histogram_percentiles_s
from autotune.plan.make import Deployment, Gain, Measured, estimate_from, make_plan
from autotune.spec.aim import Aim
from autotune.spec.configuration import Configuration, Precision
from autotune.spec.price import Price
from autotune.spec.problem import Problem
from autotune.spec.study import LatencyLimit, Limits, StudySpec
from autotune.statistics.paired import Interval
from autotune.testing.plans import build_commands, build_measurement

CONFIRMATION = Confirmation(verdict="better", rounds=3)
CPUS = frozenset({0, 1})
MACHINE = Machine(
    architecture="x86_64",
    model_name="Built CPU",
    online=CPUS,
    allowed=CPUS,
    allowed_nodes=frozenset({0}),
    packages=(CPUS,),
    nodes=(NumaNode(0, CPUS),),
    cores=(Core((0,), 0, 0, 0), Core((1,), 0, 0, 0)),
    l3=(CPUS,),
    isa=frozenset({"avx2"}),
)
MODEL = ResolvedModel("fake:model.json", "fake", "5e" * 32, None)


def spec(**changes: Any) -> StudySpec:
    problem = Problem(batch_size=8, sequence_length=16)
    fields: dict[str, Any] = {"name": "quick.start", "model": MODEL.source, "problem": problem}
    return StudySpec(**(fields | changes))


def measured(*runs: Measurement, instances: int = 2, number: int = 4) -> Measured:
    configuration = Configuration(instances, 1, "close", "0", False, "fake", "fp32")
    return Measured(configuration, number, runs)


def with_artifact(command: Command) -> Command:
    assignment = replace(command.worker.assignment, artifact=Path("/cache/ab cd"))
    return replace(command, program=replace(command.worker, assignment=assignment))


DEPLOYED = ("commands", "versions", "model", "quality", "requests")


def make(**changes: Any) -> Plan:
    fields: dict[str, Any] = {
        "spec": spec(),
        "machine": MACHINE,
        "winner": measured(build_measurement(instances=2, request_s=0.1)),
        "baseline": measured(build_measurement(request_s=0.2), instances=1, number=0),
        "confirmation": CONFIRMATION,
        "commands": tuple(with_artifact(command) for command in build_commands(2)),
        "versions": {"autotune": "0.1.0"},
        "model": MODEL,
        "warnings": (),
    }
    fields |= changes
    deployed = {name: fields.pop(name) for name in DEPLOYED if name in fields}
    return make_plan(winner=Deployment(fields.pop("winner"), **deployed), **fields)


def test_a_plan_starts_what_was_measured_and_survives_its_document() -> None:
    plan = make()
    assert plan.commands() == tuple(with_artifact(command) for command in build_commands(2))
    assert plan.trial == 4
    assert plan.machine["fingerprint"]
    assert plan.model == {"source": MODEL.source, "digest": MODEL.digest, "artifact": "/cache/ab cd"}
    assert plan.study.name == "quick.start"
    assert plan.study.spec["problem"].items() >= {"batch_size": 8, "sequence_length": 16}.items()
    assert parse_plan(format_plan(plan)) == plan


def test_the_gain_in_throughput_is_the_plans_over_the_baselines() -> None:
    plan = make()
    assert plan.objective == "throughput"
    assert plan.estimate.throughput_sps == pytest.approx(160.0)
    assert plan.baseline is not None
    assert plan.baseline.throughput_sps == pytest.approx(40.0)
    assert plan.gain == pytest.approx(4.0)


def test_the_gain_in_latency_is_the_baselines_over_the_plans() -> None:
    plan = make(spec=spec(objective=Aim(kind="latency", percentile=99.9)))
    assert plan.objective == "latency_p99.9"
    assert plan.estimate.objective_value == pytest.approx(0.1)
    assert plan.gain == pytest.approx(2.0)


def test_the_gain_is_what_the_rounds_showed_where_there_were_rounds() -> None:
    plan = make(gain=Gain(Interval(3.9, 3.5, 4.4, 0.95, 3)))
    assert plan.gain == 3.9
    assert plan.gain_range is not None
    assert (plan.gain_range.low, plan.gain_range.high) == (3.5, 4.4)


def test_one_round_has_no_interval() -> None:
    assert make(gain=Gain(Interval(3.9, 0.0, float("inf"), 0.95, 1))).gain_range is None


@pytest.mark.parametrize(
    ("precision", "knobs", "quality", "warned"),
    [
        ("int8-dynamic", "", Assessment("random", 32, cosine=0.99), True),
        ("int8-dynamic", "", Assessment("texts", 32, cosine=0.99), False),
        ("int8-dynamic", "", Assessment("random", 32, labelled=LabelledScore("f1", 9, 1.0, 1.0)), False),
        ("int8-dynamic", "", EXEMPT, False),
        ("fp32", "", Assessment("random", 32, cosine=1.0), False),
        ("fp32", "spinning=off", Assessment("random", 32, cosine=1.0), False),
        ("fp32", "matmul_precision=medium", Assessment("random", 32, cosine=0.99), True),
        ("fp32", "matmul_precision=medium", Assessment("texts", 32, cosine=0.99), False),
    ],
)
def test_a_reduced_precision_that_was_compared_on_random_tokens_alone_is_warned_of(
    precision: Precision, knobs: str, quality: Assessment, warned: bool
) -> None:
    winner = measured(build_measurement(instances=2))
    chosen = replace(winner, configuration=replace(winner.configuration, precision=precision, knobs=knobs))
    plan = make(winner=chosen, quality=quality)
    assert plan.quality == quality
    assert parse_plan(format_plan(plan)) == plan
    said = f"The answers at {' '.join(filter(None, (precision, knobs)))} were compared with fp32's on random"
    assert [warning.startswith(said) for warning in plan.warnings] == [True] * warned


def test_a_study_without_a_baseline_has_no_gain() -> None:
    plan = make(baseline=None)
    assert (plan.baseline, plan.gain, plan.warnings) == (None, None, ())


def test_a_plan_whose_baseline_is_out_has_its_figures_and_no_gain() -> None:
    plan = make(gain=Gain(Interval(210.0, 200.0, 220.0, 0.95, 3), "the baseline misses a limit: its p99 ..."))
    assert (plan.gain, plan.gain_range) == (None, None)
    assert plan.baseline is not None
    assert parse_plan(format_plan(plan)) == plan
    assert '"gain": null' in format_plan(plan)
    assert "no gain to state over the baseline's 40.0 samples/s: the baseline misses a limit" in " ".join(
        describe(plan).split()
    )


def test_a_document_that_stated_a_ratio_to_a_baseline_that_is_out_is_read_without_it() -> None:
    unopposed = Confirmation(verdict="unopposed", rounds=3)
    plan = parse_plan(
        format_plan(make(confirmation=unopposed, gain=Gain(Interval(210.0, 200.0, 220.0, 0.95, 3))))
    )
    assert (plan.gain, plan.gain_range) == (None, None)
    assert "210" not in describe(plan)


def test_the_figures_of_several_runs_are_put_together_with_their_interval() -> None:
    runs = [build_measurement(request_s=seconds) for seconds in (0.1, 0.11, 0.09)]
    estimate = estimate_from(measured(*runs, instances=1), spec())
    assert (estimate.runs, estimate.requests) == (3, 30)
    assert estimate.objective_value == pytest.approx((80 * 80 / 1.1 * 80 / 0.9) ** (1 / 3))
    assert estimate.objective_range is not None
    assert estimate.objective_range.low < estimate.objective_value < estimate.objective_range.high
    assert estimate_from(measured(runs[0]), spec()).objective_range is None


@pytest.mark.parametrize(
    ("requests", "supported"),
    [
        (10, []),
        (11, [50]),
        (63, [50]),
        (64, [50, 90]),
        (130, [50, 90, 95]),
        (661, [50, 90, 95]),
        (662, [50, 90, 95, 99]),
    ],
)
def test_percentiles_are_given_where_the_requests_support_them(requests: int, supported: list[int]) -> None:
    estimate = estimate_from(measured(build_measurement(requests=requests, request_s=0.1)), spec())
    given = [one for one in estimate.latencies if one.value_s is not None]
    assert [one.percentile for one in given] == supported
    assert all(one.upper_s is not None and one.upper_s >= (one.value_s or 0.0) for one in given)
    assert [one.needed for one in estimate.latencies] == [11, 64, 130, 662]
    assert estimate.requests == requests


def test_the_percentiles_that_a_study_asks_for_are_stated_too() -> None:
    asked = spec(objective=Aim(kind="latency", percentile=75))
    estimate = estimate_from(measured(build_measurement(requests=50)), asked)
    assert [one.percentile for one in estimate.latencies] == [50, 75, 90, 95, 99]


def test_every_latency_is_in_the_histogram() -> None:
    runs = (build_measurement(requests=90, request_s=0.1), build_measurement(requests=10, request_s=0.3))
    histogram = estimate_from(measured(*runs), spec()).histogram
    assert histogram is not None
    assert histogram_percentiles_s(histogram, (50, 89, 95)) == pytest.approx((0.1, 0.1, 0.3), rel=1e-3)
    with pytest.raises(ValueError, match="no HdrHistogram"):
        histogram_percentiles_s("nonsense", (50,))


def test_memory_is_summed_over_the_instances() -> None:
    assert estimate_from(measured(build_measurement(instances=3)), spec()).memory_bytes == 300 * 2**20


def test_what_weakens_the_evidence_is_said_in_sentences() -> None:
    limits = Limits(latency=LatencyLimit(percentile=99, max_s=1.0))
    refused = replace(build_measurement(instances=2), memory_binding="refused")
    plan = make(
        spec=spec(limits=limits),
        machine=replace(MACHINE, quota_cpus=1.5),
        winner=measured(refused),
        warnings=("The governor is powersave.",),
    )
    first, memory, quota, few = plan.warnings
    assert first == "The governor is powersave."
    assert "refused to bind memory" in memory
    assert "quota of 1.5 cpus" in quota
    assert few.startswith("20 requests are too few")
    assert "p99" in few


def test_a_sound_measurement_has_no_warnings() -> None:
    assert make().warnings == ()


def test_ids_are_readable_and_differ_with_the_plan() -> None:
    one, other = make(), make(warnings=("x",))
    assert one.id.startswith("quick.start-")
    assert len(one.id) == len("quick.start-") + 6
    assert one.id != other.id


def stream(cycle: int) -> StreamDescription:
    """100 requests of 8 sequences, of which so many follow each other until they are like all of them."""
    return StreamDescription(
        requests=100, sequences=800, distinct=800, batch_size=8, bounds=(), longest=64, pad_token=0, parts=1,
        cycle=cycle, shapes=(), shape_count=40, mean_tokens=20.0, median_tokens=18.0, p90_tokens=40.0,
        most_tokens=64, padding=0.1,
    )  # fmt: skip


def test_tokens_are_stated_of_what_was_served() -> None:
    plan = make(requests=stream(cycle=8))
    assert plan.requests is not None
    assert plan.requests.tokens_per_s == pytest.approx(20 * plan.estimate.throughput_sps)
    assert "tokens/s without padding" in describe(plan)
    assert plan.warnings == make().warnings


def test_what_was_served_in_part_states_no_tokens_and_says_so() -> None:
    plan = make(requests=stream(cycle=100))
    assert plan.requests is not None
    assert plan.requests.tokens_per_s is None
    assert "tokens/s" not in describe(plan)
    assert "A run served 160 of 800 sequences" in plan.warnings[-1]
    assert parse_plan(format_plan(plan)) == plan


def test_nothing_measured_is_no_plan() -> None:
    with pytest.raises(PlanError, match="trial 4 cannot be a plan"):
        make(winner=measured())


def test_a_server_has_a_bound_of_the_limited_percentile_alone() -> None:
    def served(upper_s: float) -> Measurement:
        run = build_measurement(requests=2_000, request_s=0.01)
        step = RateStep(50.0, 300, 0, 95.0, 0.9 * upper_s, upper_s, 0.0, 0.0, met=True, kept=True)
        block = replace(run.blocks[0], end_s=run.blocks[0].start_s + 20)
        return replace(run, scenario="server", blocks=(block,), rates=(step,))

    limited = spec(scenario="server", limits=Limits(latency=LatencyLimit(percentile=95, max_s=0.1)))
    estimate = estimate_from(measured(served(0.08), served(0.04), served(0.06)), limited)
    assert {one.percentile: one.upper_s for one in estimate.latencies if one.upper_s} == {95.0: 0.06}
    assert [one.value_s for one in estimate.latencies] == pytest.approx([0.01] * 4)


def test_a_price_adds_what_a_million_samples_cost_on_the_cores_that_were_taken() -> None:
    """160 samples/s on two cores of 0.09 EUR an hour each: 6,250 s of 0.18 EUR an hour."""
    run = replace(build_measurement(instances=2, request_s=0.1), cores=2)
    plan = make(spec=spec(price=Price(per_core_hour=0.09, currency="EUR")), winner=measured(run))
    charge = plan.estimate.charge
    assert charge is not None
    assert (charge.currency, charge.cores) == ("EUR", 2)
    assert charge.per_million == pytest.approx(0.18 / 3600 * 1e6 / 160)
    assert plan.baseline is not None
    assert plan.baseline.charge is None, "nobody counted its cores, as in older trials"
    assert parse_plan(format_plan(plan)) == plan
    rows = {name: cells for name, *cells in evidence_rows(plan)}
    assert rows["cost"] == ["0.313 EUR per million, 2 cores", "unknown"]


def test_without_a_price_nothing_is_said_of_money() -> None:
    plan = make(winner=measured(replace(build_measurement(), cores=2)))
    assert plan.estimate.charge is None
    assert "cost" not in [name for name, *_ in evidence_rows(plan)]
