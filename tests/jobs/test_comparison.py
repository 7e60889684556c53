"""What running two sides beside each other shows, with trials that are only told of."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import pytest

from autotune.bench.here import machine_here
from autotune.bench.host import Admission
from autotune.errors import HostLostError, PlacementError, PlanError
from autotune.events import PreparationBegan
from autotune.jobs.comparison import (
    A,
    B,
    Comparison,
    Side,
    compare_configurations,
    compare_on,
    compare_plans,
    compare_sides,
    margin,
)
from autotune.jobs.dueling import Bounds
from autotune.jobs.reviving import Origin
from autotune.measurement.measurement import Failure, FailureKind
from autotune.plan.document import Plan
from autotune.preflight.setup import set_up
from autotune.preflight.survey import survey
from autotune.rounds.running import Entrant
from autotune.spec.configuration import Configuration
from autotune.statistics.paired import Interval
from autotune.testing.fake_model import read_fake_model
from autotune.testing.fake_plans import FakeStudy
from autotune.testing.listener import Listener
from autotune.testing.machines import build_machine
from autotune.testing.noise import Noise
from autotune.testing.plans import build_commands
from autotune.testing.simulated_host import SimulatedHost
from autotune.testing.simulation import SimulatedMachine, surface_of
from autotune.testing.told import Told

DISTURBED = Failure(FailureKind.DISTURBED, "6 of 6 blocks were disturbed: the hypervisor took 30 %")
CRASH = Failure(FailureKind.CRASH, "ended with exit status 70")
CLOSE = Configuration(1, 1, "close", "0", smt=False, backend="fake", precision="fp32")


def compared(
    study: FakeStudy,
    a: float | Failure,
    b: float | Failure,
    *,
    noise: float = 0.005,
    seed: int = 0,
    bounds: Bounds | None = None,
    stop_after: int | None = None,
) -> Comparison:
    machine = Told({A: a, B: b}, noise=noise, seed=seed)
    sides = [
        Side(
            f"side {name}",
            Entrant(name, "finalist", CLOSE, 0, build_commands(1)),
            study.spec,
            machine.measure,
        )
        for name in (A, B)
    ]
    stop = Listener(stop_after=stop_after)
    return compare_sides(*sides, notes=(), bounds=bounds or Bounds(), emit=stop, stop=stop.stop)


@pytest.mark.parametrize(("a", "b", "verdict"), [(12.0, 10.0, "a"), (10.0, 12.0, "b"), (10.0, 10.05, "tie")])
def test_the_faster_one_is_named_and_a_tie_is_an_answer(
    shared_study: FakeStudy, a: float, b: float, verdict: str
) -> None:
    found = compared(shared_study, a, b)
    assert found.verdict == verdict
    assert found.ratio is not None
    assert found.ratio.low <= a / b <= found.ratio.high
    assert found.reasons == ()
    assert all(value is not None for value in found.values)


def test_a_tie_is_within_the_indifference_zone(shared_study: FakeStudy) -> None:
    found = compared(shared_study, 10.0, 10.05)
    assert found.ratio is not None
    assert margin(found.ratio) <= found.zone == 0.02


def test_of_latencies_the_smaller_is_the_faster(shared_study: FakeStudy) -> None:
    latency = FakeStudy(shared_study.folder, objective={"kind": "latency"})
    assert compared(latency, 20.0, 10.0).verdict == "a"


def test_noise_leaves_it_undecided_and_says_what_would_help(shared_study: FakeStudy) -> None:
    found = compared(shared_study, 10.0, 10.3, noise=0.05)
    assert found.verdict == "undecided"
    assert len(found.runs) == 2 * 12
    assert "--rounds" in found.reasons[0]


def test_equal_sides_are_seldom_told_apart(shared_study: FakeStudy) -> None:
    studies = 200
    told = sum(
        compared(shared_study, 10.0, 10.0, noise=0.03, seed=seed).verdict in "ab" for seed in range(studies)
    )
    assert told <= 0.05 * studies + 3 * math.sqrt(studies * 0.05 * 0.95)


def test_a_side_that_does_not_run_leaves_it_undecided_at_once(shared_study: FakeStudy) -> None:
    found = compared(shared_study, 10.0, CRASH)
    assert found.verdict == "undecided"
    assert found.reasons == ("B does not run: crash: ended with exit status 70.",)
    assert max(run.round for run in found.runs) == 1


def test_a_machine_that_is_never_quiet_leaves_it_undecided_after_three_rounds(
    shared_study: FakeStudy,
) -> None:
    found = compared(shared_study, DISTURBED, 10.0)
    assert (found.verdict, found.ratio) == ("undecided", None)
    assert "3 of 6 runs could not be measured undisturbed" in found.reasons[0]
    assert max(run.round for run in found.runs) == 3


@pytest.mark.parametrize(
    ("a", "b", "verdict", "out"),
    [
        (5.0, 10.0, "b", ("A",)),
        (10.0, 5.0, "a", ("B",)),
        (5.0, 4.0, "undecided", ("A", "B")),
        (10.0, 10.05, "tie", ()),
    ],
)
def test_a_side_that_misses_its_limit_is_named_by_how_much_and_has_no_ratio(
    shared_study: FakeStudy, a: float, b: float, verdict: str, out: tuple[str, ...]
) -> None:
    limits = {"latency": {"percentile": 50.0, "max_s": 0.11}}
    found = compared(FakeStudy(shared_study.folder, limits=limits), a, b)
    assert (found.verdict, found.out) == (verdict, out)
    assert (found.ratio is None) == bool(out)
    assert [reason[:8] for reason in found.reasons] == [f"{name} misses" for name in out]
    assert all("% more" in reason for reason in found.reasons)


def test_what_is_faster_and_misses_a_limit_of_its_study_is_not_called_the_faster(
    shared_study: FakeStudy,
) -> None:
    limits = {"memory_bytes": 2**20}
    found = compared(FakeStudy(shared_study.folder, limits=limits), 10.0, 5.0)
    assert (found.verdict, found.ratio, found.out) == ("undecided", None, ("A", "B"))


def test_minutes_bound_the_rounds_after_the_third(shared_study: FakeStudy) -> None:
    found = compared(shared_study, 10.0, 10.3, noise=0.3, bounds=Bounds(rounds=100, minutes=0.0))
    assert max(run.round for run in found.runs) == 3


def test_an_interruption_gives_what_is_known_so_far(shared_study: FakeStudy) -> None:
    found = compared(shared_study, 12.0, 10.0, stop_after=3)
    assert found.stopped
    assert len(found.runs) == 3
    assert found.verdict == "undecided"


def test_the_margin_is_the_larger_side_of_the_interval() -> None:
    assert margin(Interval(1.0, 0.8, 1.1, 0.95, 3)) == pytest.approx(0.25)
    assert margin(Interval(1.0, 0.0, math.inf, 0.95, 1)) == math.inf


def refused(study: FakeStudy, a: Plan, b: Plan, message: str) -> None:
    with pytest.raises(PlanError, match=message) as caught:
        compare_plans(a, b, origin=Origin(study.folder), stop=Listener(stop_after=0).stop)
    assert caught.value.remedy


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({"problem": {"batch_size": 2, "sequence_length": 1}}, r"problem\.batch_size: 1 -> 2"),
        ({"objective": {"kind": "latency"}}, r"objective\.kind: throughput -> latency"),
        ({"scenario": "single_stream"}, "scenario: offline -> single_stream"),
    ],
)
def test_plans_that_answer_different_questions_are_refused(
    shared_study: FakeStudy, asked: dict[str, Any], message: str
) -> None:
    other = FakeStudy(shared_study.folder, **asked)
    refused(shared_study, shared_study.plan(2.0), other.plan(2.0), message)


def with_spec(plan: Plan, spec: dict[str, Any]) -> Plan:
    """The plan, of a study with these values."""
    return plan.model_copy(update={"study": plan.study.model_copy(update={"spec": spec})})


def for_cost(plan: Plan, per_core_hour: float) -> Plan:
    """The plan of a study that seeks what is cheapest at this price."""
    asked = {"objective": {"kind": "cost"}, "price": {"per_core_hour": per_core_hour}}
    return with_spec(plan, {**plan.study.spec, **asked})


def test_costs_are_compared_at_one_price_alone(shared_study: FakeStudy) -> None:
    plan = elsewhere(shared_study.plan(2.0))
    refused(shared_study, for_cost(plan, 0.1), for_cost(plan, 0.2), r"price\.per_core_hour: 0\.1 -> 0\.2")
    refused(shared_study, for_cost(plan, 0.1), for_cost(plan, 0.1), "is stale: .*allowed cpus")


def elsewhere(plan: Plan) -> Plan:
    return plan.model_copy(update={"machine": {**plan.machine, "allowed": "0-191"}})


def on_texts(plan: Plan, both: str, file: str) -> Plan:
    """The plan of a study of texts, by the digests of texts and tokenizer together and of the texts alone."""
    problem = {"batch_size": 1, "texts": "a.txt", "texts_digest": both, "texts_file_digest": file}
    return with_spec(plan, {**plan.study.spec, "problem": problem})


def test_plans_on_the_same_texts_answer_one_question_whatever_their_models_make_of_them(
    shared_study: FakeStudy,
) -> None:
    plan = elsewhere(shared_study.plan(2.0))
    refused(shared_study, on_texts(plan, "1a", "ff"), on_texts(plan, "2b", "ff"), "is stale: .*allowed cpus")
    refused(
        shared_study, on_texts(plan, "1a", "ff"), on_texts(plan, "2b", "ee"), "answer different questions"
    )
    refused(shared_study, on_texts(plan, "1a", ""), on_texts(plan, "2b", "ff"), "answer different questions")
    refused(shared_study, on_texts(plan, "1a", ""), on_texts(plan, "1a", "ff"), "is stale: .*allowed cpus")


def changed(plan: Plan) -> Plan:
    return plan.model_copy(update={"model": {**plan.model, "digest": "ab" * 32}})


@pytest.mark.parametrize(
    ("change", "message"), [(elsewhere, "allowed cpus"), (changed, "sha256 abababababab")]
)
def test_a_stale_plan_is_refused_with_what_differs(
    shared_study: FakeStudy, change: Callable[[Plan], Plan], message: str
) -> None:
    plan = shared_study.plan(2.0)
    refused(shared_study, change(plan), plan, message)
    refused(shared_study, plan, change(plan), message)


def notes_on(study: FakeStudy, a: Plan, b: Plan) -> tuple[str, ...]:
    """What is said of two plans that may be compared, before anything is run."""
    found = compare_plans(a, b, origin=Origin(study.folder), stop=Listener(stop_after=0).stop)
    assert found.stopped
    return found.notes


def test_equal_conditions_call_for_no_note(shared_study: FakeStudy) -> None:
    assert notes_on(shared_study, shared_study.plan(2.0), shared_study.plan(3.0)) == ()


def test_other_models_of_one_problem_are_compared_and_noted(own_study: FakeStudy) -> None:
    other = FakeStudy(own_study.folder, {"serial_s": 0.01}, file="other.json")
    notes = notes_on(own_study, own_study.plan(2.0), other.plan(2.0))
    assert notes == ("the models differ: A runs fake:model.json, B runs fake:other.json",)


def test_other_versions_than_then_are_noted(shared_study: FakeStudy) -> None:
    plan = shared_study.plan(2.0)
    old = plan.model_copy(update={"versions": {**plan.versions, "kernel": "2.6.32"}})
    (note,) = notes_on(shared_study, old, plan)
    assert "made with other versions" in note
    assert "kernel: 2.6.32 -> " in note


@dataclass
class Noted(SimulatedHost):
    """A host that counts how often it was released, and refuses what it is told to for its answers."""

    refused: str = ""
    releases: int = 0

    def admit(self, configuration: Configuration, *, compare: bool = True, wait: bool = True) -> Admission:
        return replace(super().admit(configuration, compare=compare, wait=wait), refusal=self.refused)

    def release(self) -> None:
        self.releases += 1


def noted(study: FakeStudy, **more: Any) -> Noted:
    spec = study.spec.model_copy(update={"scenario": "offline"})
    setup = set_up(survey(spec, build_machine()), base=study.folder, offline=True)
    surface = surface_of(read_fake_model(study.folder / "model.json"), spec.problem)
    return Noted("one", setup, SimulatedMachine(surface, Noise(), 1), **more)


def test_no_two_runs_of_a_comparison_have_the_same_arrivals_and_its_host_is_released(
    shared_study: FakeStudy,
) -> None:
    host = noted(shared_study)
    faster = replace(CLOSE, precision="int8-dynamic")
    found = compare_on(host, host.setup.spec, (CLOSE, faster), bounds=Bounds(rounds=3))
    assert (found.verdict, len(found.runs)) == ("b", 6)
    assert [order.launch for order in host.begun] == list(range(1, 7))
    assert len({order.id for order in host.begun}) == 6
    assert host.releases == 1


def test_a_host_is_released_where_nothing_is_measured(shared_study: FakeStudy) -> None:
    host = noted(shared_study, refused="too far from the fp32 reference: cosine 0.1")
    found = compare_on(host, host.setup.spec, (CLOSE, CLOSE))
    assert (found.verdict, host.begun, host.releases) == ("undecided", [], 1)
    dying = replace(noted(shared_study), dies_at_s=0.0)
    with pytest.raises(HostLostError):
        compare_on(dying, dying.setup.spec, (CLOSE, CLOSE))
    assert dying.releases == 1


@pytest.mark.parametrize(
    ("impossible", "message"),
    [
        (replace(CLOSE, instances=9999), "9999 threads are more than may run here"),
        (replace(CLOSE, padding="none", batching="arrival"), "those of the study are all alike"),
    ],
    ids=["too many", "nothing to arrange"],
)
def test_a_side_that_cannot_run_is_refused_before_the_other_is_prepared(
    shared_study: FakeStudy, impossible: Configuration, message: str
) -> None:
    setup = set_up(survey(shared_study.spec, machine_here()), base=shared_study.folder, offline=True)
    listener = Listener()
    with pytest.raises(PlacementError, match=rf"^B \(.*{message}"):
        compare_configurations(setup, CLOSE, impossible, emit=listener)
    plan = shared_study.plan(2.0)
    other = plan.model_copy(update={"configuration": impossible})
    with pytest.raises(PlacementError, match=rf"^B \(.*{message}"):
        compare_plans(plan, other, origin=Origin(shared_study.folder), emit=listener)
    assert listener.heard(PreparationBegan) == []
