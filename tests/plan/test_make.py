from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from autotune.errors import PlanError
from autotune.machine.machine import Core, Machine, NumaNode
from autotune.model.sources import ResolvedModel
from autotune.placement.placement import Command
from autotune.plan.document import Plan, format_plan, parse_plan
from autotune.plan.make import estimate_from, make_plan
from autotune.spec.configuration import Configuration
from autotune.spec.study import LatencyLimit, Limits, Objective, Problem, StudySpec
from autotune.store.records import TrialRecord
from autotune.testing.plans import build_commands, build_measurement
from autotune.trial.measurement import Failure, FailureKind, TrialResult

THROUGHPUT = Objective(kind="throughput")
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
CRASH = Failure(FailureKind.CRASH, "ended with exit status 70")


def spec(**changes: Any) -> StudySpec:
    problem = Problem(batch_size=8, sequence_length=16)
    fields: dict[str, Any] = {"name": "quick.start", "model": MODEL.source, "problem": problem}
    return StudySpec(**(fields | changes))


def record(result: TrialResult, *, instances: int = 2, number: int = 4) -> TrialRecord:
    configuration = Configuration(instances, 1, "close", "0", False, "fake", "fp32")
    return TrialRecord("quick.start", number, configuration, False, 1.0, 2.0, result, None)


def with_artifact(command: Command) -> Command:
    return replace(command, argv=(*command.argv, "--artifact", "/cache/ab cd", "--threads", "1"))


def make(**changes: Any) -> Plan:
    fields: dict[str, Any] = {
        "spec": spec(),
        "machine": MACHINE,
        "winner": record(build_measurement(instances=2, request_s=0.1)),
        "baseline": record(build_measurement(request_s=0.2), instances=1, number=0),
        "commands": tuple(with_artifact(command) for command in build_commands(2)),
        "versions": {"autotune": "0.1.0"},
        "model": MODEL,
        "warnings": (),
    }
    return make_plan(**(fields | changes))


def test_a_plan_starts_what_was_measured_and_survives_its_document() -> None:
    plan = make()
    assert plan.commands() == tuple(with_artifact(command) for command in build_commands(2))
    assert plan.trial == 4
    assert plan.machine["fingerprint"]
    assert plan.model == {"source": MODEL.source, "digest": MODEL.digest, "artifact": "/cache/ab cd"}
    assert plan.study["name"] == "quick.start"
    assert plan.study["spec"]["problem"] == {"batch_size": 8, "sequence_length": 16}
    assert parse_plan(format_plan(plan)) == plan


def test_the_gain_in_throughput_is_the_plans_over_the_baselines() -> None:
    plan = make()
    assert plan.objective == "throughput"
    assert plan.estimate.throughput_sps == pytest.approx(160.0)
    assert plan.baseline is not None
    assert plan.baseline.throughput_sps == pytest.approx(40.0)
    assert plan.gain == pytest.approx(4.0)


def test_the_gain_in_latency_is_the_baselines_over_the_plans() -> None:
    plan = make(spec=spec(objective=Objective(kind="latency", percentile=99.9)))
    assert plan.objective == "latency_p99.9"
    assert plan.estimate.objective_value == pytest.approx(0.1)
    assert plan.gain == pytest.approx(2.0)


def test_a_failed_baseline_leaves_no_gain_and_says_why() -> None:
    plan = make(baseline=record(CRASH, instances=1))
    assert plan.baseline is None
    assert plan.gain is None
    assert any("ended with exit status 70" in warning for warning in plan.warnings)


def test_a_study_without_a_baseline_has_no_gain() -> None:
    plan = make(baseline=None)
    assert (plan.baseline, plan.gain, plan.warnings) == (None, None, ())


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
    estimate = estimate_from(build_measurement(requests=requests, request_s=0.1), THROUGHPUT)
    given = [p for p in (50, 90, 95, 99) if getattr(estimate, f"latency_p{p}_s") is not None]
    assert given == supported
    assert estimate.requests == requests


def test_memory_is_summed_over_the_instances() -> None:
    assert estimate_from(build_measurement(instances=3), THROUGHPUT).memory_bytes == 300 * 2**20


def test_what_weakens_the_evidence_is_said_in_sentences() -> None:
    limits = Limits(latency=LatencyLimit(percentile=99, max_s=1.0))
    refused = replace(build_measurement(instances=2), memory_binding="refused")
    plan = make(
        spec=spec(limits=limits),
        machine=replace(MACHINE, quota_cpus=1.5),
        winner=record(refused),
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


def test_a_failure_is_no_plan() -> None:
    with pytest.raises(PlanError, match="trial 4 cannot be a plan"):
        make(winner=record(CRASH))
