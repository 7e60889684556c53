from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path

import optuna
import pytest

from autotune.measurement.measurement import Failure, FailureKind
from autotune.search.estimate import PREPARATION_S, START_UP_S, estimated_s, estimated_trials
from autotune.search.knobs import KnobSpace, knob_space
from autotune.search.score import score
from autotune.search.second_stage import LEADERS, SecondStage, leaders, second_stage
from autotune.search.space import SearchSpace, build_space
from autotune.search.study import Answer, SearchStudy, open_search
from autotune.spec.aim import Aim
from autotune.spec.configuration import Configuration, Precision, Prepared
from autotune.spec.knobs import parse_knobs
from autotune.spec.problem import Problem
from autotune.spec.study import Budget, Search, StudySpec
from autotune.testing.fake_model import FakeModel
from autotune.testing.machines import build_machine
from autotune.testing.simulation import simulated_measurement

LEADER = Configuration(2, 4, "close", "0", smt=False, backend="alpha", precision="fp32")
OTHER = replace(LEADER, backend="beta")
BASELINE = replace(LEADER, instances=1, threads_per_instance=0, placement="unpinned")
SPACE = KnobSpace(
    {
        ("alpha", "fp32"): {
            "blocktime": ("200", "0"),
            "openmp": ("libgomp", "libiomp5"),
            "spinning": ("on", "off"),
            "wait_policy": ("default", "active", "passive"),
        },
        ("beta", "fp32"): {"spinning": ("on", "off")},
    }
)
STAGE = SecondStage(SPACE, tie=0.02, batch=8)

Goodness = Callable[[Configuration], float | None]


def tried(goodness: Goodness, *plain: Configuration) -> dict[Configuration, float | None]:
    """All of the second stage after these: what it asks for, in order, and what it is told."""
    known = {one: goodness(one) for one in plain}
    while moves := STAGE.moves(known, lambda _: True):
        known[moves[0]] = goodness(moves[0])
    return known


def order(goodness: Goodness, *plain: Configuration) -> list[str]:
    return [one.knobs for one in tried(goodness, *plain) if one not in plain]


def worth(factors: Mapping[str, float]) -> Goodness:
    """100, times a factor for every word of the knobs."""

    def goodness(one: Configuration) -> float:
        value = 100.0
        for word in one.knobs.split():
            value *= factors.get(word, 1.0)
        return value

    return goodness


def test_one_knob_is_turned_at_a_time_and_none_that_cannot_stand_alone() -> None:
    assert order(worth({}), LEADER) == [
        "openmp=libiomp5",
        "spinning=off",
        "wait_policy=active",
        "wait_policy=passive",
    ]


def test_what_helped_alone_is_tried_together_in_the_order_of_its_gain() -> None:
    gains = worth({"spinning=off": 1.1, "wait_policy=active": 1.2, "wait_policy=passive": 1.05})
    assert order(gains, LEADER)[4:] == ["spinning=off wait_policy=active"]


def test_what_hurts_together_is_given_up() -> None:
    def goodness(one: Configuration) -> float:
        alone = {"spinning=off": 120.0, "wait_policy=active": 130.0, "openmp=libiomp5": 110.0}
        return alone.get(one.knobs, 90.0 if one.knobs else 100.0)

    assert order(goodness, LEADER)[4:] == ["spinning=off wait_policy=active"]


def test_less_than_the_indifference_zone_is_no_help() -> None:
    assert len(order(worth({"spinning=off": 1.015, "wait_policy=active": 1.02}), LEADER)) == 4


def test_a_knob_that_another_makes_possible_is_turned_on_top_of_it() -> None:
    gains = worth({"openmp=libiomp5": 1.2, "spinning=off": 1.1, "wait_policy=active": 1.15})
    assert order(gains, LEADER)[4:] == [
        "openmp=libiomp5 spinning=off",
        "blocktime=0 openmp=libiomp5 spinning=off",
    ]


def test_all_that_is_tried_is_legal_and_tried_once() -> None:
    gains = worth({"openmp=libiomp5": 1.2, "blocktime=0": 1.3, "wait_policy=active": 1.15})
    knobs = order(gains, LEADER, OTHER)
    assert len(set(knobs)) == len(knobs) - 1  # spinning=off, of both
    assert all(parse_knobs(text) for text in knobs)


def test_what_failed_or_may_not_be_proposed_is_passed_over() -> None:
    failing = order(lambda one: None if one.knobs == "spinning=off" else 100.0, LEADER)
    assert len(failing) == 4
    known: dict[Configuration, float | None] = {LEADER: 100.0}
    moves = STAGE.moves(known, lambda one: one.knobs != "spinning=off")
    assert [one.knobs for one in moves] == ["openmp=libiomp5", "wait_policy=active", "wait_policy=passive"]


def test_the_leaders_are_the_best_of_each_engine_and_then_the_others() -> None:
    known = {
        BASELINE: 500.0,
        LEADER: 100.0,
        replace(LEADER, instances=1): 99.0,
        replace(LEADER, instances=4): 98.0,
        OTHER: 80.0,
        replace(OTHER, instances=1): None,
        replace(OTHER, backend="gamma"): 60.0,  # out of reach
        replace(LEADER, knobs="spinning=off"): 120.0,
    }
    assert leaders(known) == (LEADER, OTHER, replace(LEADER, instances=1))
    assert leaders({BASELINE: 1.0}) == ()


def test_the_best_leader_comes_first() -> None:
    asked = [one.backend for one in tried(worth({}), OTHER, replace(LEADER, instances=1))]
    assert asked[2] == "beta"


MACHINE = build_machine(packages=2, nodes_per_package=2, cores_per_node=4)
ENGINES: Mapping[str, tuple[Precision, ...]] = {"fake": ("fp32",)}
MODEL = FakeModel(
    serial_s=0.001,
    parallel_s_per_token=1e-5,
    thread_efficiency=0.5,
    knobs={"spinning": {"off": 1.3}, "optimization": {"basic": 1.1, "disabled": 0.5}},
)


def a_spec(trials: int | None, knobs: object = "auto", minutes: float | None = None) -> StudySpec:
    return StudySpec(
        name="a-study",
        model="fake:m.json",
        problem=Problem(batch_size=8, sequence_length=128),
        objective=Aim(kind="throughput"),
        scenario="offline",
        search=Search.model_validate({"knobs": knobs, "threads": (2, 3, 4)}),  # more than one, to wait
        budget=Budget(trials=trials, minutes=minutes),
    )


def a_space(spec: StudySpec) -> SearchSpace:
    knobs, _ = knob_space(spec.search.knobs, ENGINES, frozenset(), lambda *_: None)
    return replace(build_space(spec, MACHINE, ENGINES), knobs=knobs)


def a_study(spec: StudySpec, storage: optuna.storages.BaseStorage) -> SearchStudy:
    return open_search(spec, a_space(spec), storage)


def answer(spec: StudySpec, one: Configuration) -> Answer:
    measurement = simulated_measurement(MODEL, one, spec.problem)
    return Answer(measurement, score(spec, measurement), {})


def proposals(study: SearchStudy, spec: StudySpec, count: int = 1000) -> Iterator[Configuration]:
    for _ in range(count):
        if not study.untried():
            return
        proposal = study.ask()
        study.tell(proposal.number, answer(spec, proposal.configuration))
        yield proposal.configuration


def test_a_study_turns_knobs_in_the_last_quarter_of_its_trials() -> None:
    spec = a_spec(16, {"spinning": ("off",), "optimization": ("basic",)})
    asked = list(proposals(a_study(spec, optuna.storages.InMemoryStorage()), spec, 16))
    assert [bool(one.knobs) for one in asked] == [False] * 12 + [True] * 4
    best = max(asked[1:12], key=lambda one: answer(spec, one).score or 0.0)
    turned = [replace(best, knobs=text) for text in (
        "optimization=basic", "spinning=off", "optimization=basic spinning=off",
    )]  # fmt: skip
    assert asked[12:15] == turned
    assert asked[15].knobs
    assert replace(asked[15], knobs="") != best


def test_a_small_space_is_followed_by_knobs_and_then_by_nothing() -> None:
    spec = a_spec(None, {"spinning": ("off",), "optimization": ("basic",)})
    asked = list(proposals(a_study(spec, optuna.storages.InMemoryStorage()), spec))
    turned = [one for one in asked if one.knobs]
    assert len(asked) == len(set(asked))
    assert asked.index(turned[0]) == len(a_space(spec).configurations) + 1
    assert 3 <= len(turned) <= 3 * LEADERS


def test_a_study_that_is_resumed_in_the_second_stage_goes_on_as_it_would_have(tmp_path: Path) -> None:
    spec = a_spec(40)
    whole = list(proposals(a_study(spec, optuna.storages.InMemoryStorage()), spec, 40))
    storage = optuna.storages.RDBStorage(f"sqlite:///{tmp_path}/optuna.db")
    first = list(proposals(a_study(spec, storage), spec, 33))
    rest = list(proposals(a_study(spec, storage), spec, 7))
    assert first + rest == whole


def test_the_second_stage_begins_when_its_time_has_come() -> None:
    spec = a_spec(None, minutes=30.0)
    study = a_study(spec, optuna.storages.InMemoryStorage())
    assert not any(one.knobs for one in proposals(study, spec, 5))
    study.turn_knobs(now=True)
    assert all(one.knobs for one in proposals(study, spec, 5))
    study.turn_knobs(now=False)
    assert not any(one.knobs for one in proposals(study, spec, 5))


@pytest.mark.parametrize(
    "kind", [FailureKind.UNSUPPORTED, FailureKind.OUT_OF_MEMORY, FailureKind.WRONG_OUTPUT]
)
def test_a_failure_with_knobs_speaks_for_itself_alone(kind: FailureKind) -> None:
    spec = a_spec(None, {"spinning": ("off",), "optimization": ("basic",)})
    study = a_study(spec, optuna.storages.InMemoryStorage())
    list(proposals(study, spec, 5))
    study.turn_knobs(now=True)
    failed = study.ask()
    assert failed.configuration.knobs
    study.tell(failed.number, Answer(Failure(kind, "because", pair_wide=True), None, {}))
    following = next(proposals(study, spec, 1))
    assert (following.knobs, following != failed.configuration) == ("spinning=off", True)
    study.turn_knobs(now=False)
    assert study.untried() > 1


def test_a_failure_with_knobs_that_may_pass_is_not_tried_again_in_this_run() -> None:
    spec = a_spec(None, {"spinning": ("off",), "optimization": ("basic",)})
    study = a_study(spec, optuna.storages.InMemoryStorage())
    list(proposals(study, spec, 5))
    study.turn_knobs(now=True)
    failed = study.ask()
    assert not failed.configuration.is_plain
    study.tell(failed.number, Answer(Failure(FailureKind.CRASH, "because", may_pass=True), None, {}))
    assert failed.configuration not in proposals(study, spec)


FUSED = KnobSpace(
    {("fake", "fp32"): {"fusion": ("off", "on"), "spinning": ("on", "off")}},
    ("", "fusion=on", "fusion=on spinning=off", "spinning=off"),
)


def a_study_with_fusion() -> tuple[StudySpec, SearchStudy]:
    """In its second stage, in which attention can be fused in preparation."""
    spec = a_spec(None)
    space = replace(build_space(spec, MACHINE, ENGINES), knobs=FUSED)
    study = open_search(spec, space, optuna.storages.InMemoryStorage())
    list(proposals(study, spec, 5))
    study.turn_knobs(now=True)
    return spec, study


@pytest.mark.parametrize("kind", [FailureKind.UNSUPPORTED, FailureKind.WRONG_OUTPUT])
def test_a_failure_with_what_is_turned_in_preparation_speaks_for_all_that_have_it(kind: FailureKind) -> None:
    spec, study = a_study_with_fusion()
    failed = study.ask()
    assert failed.configuration.knobs == "fusion=on"
    study.tell(failed.number, Answer(Failure(kind, "because", pair_wide=True), None, {}))
    following = list(proposals(study, spec))
    assert {one.knobs for one in following} == {"", "spinning=off"}


def test_what_is_not_prepared_with_a_knob_is_not_tried_with_it_when_time_is_short() -> None:
    spec, study = a_study_with_fusion()
    study.mind(0.0, {Prepared("", "fake", "fp32")})
    assert [one.knobs for one in proposals(study, spec, 1)] == ["spinning=off"]
    study.mind(math.inf)
    assert [one.knobs for one in proposals(study, spec, 1)] == ["fusion=on"]


def test_the_estimate_counts_what_is_prepared_with_knobs() -> None:
    spec = a_spec(None)
    plain = replace(build_space(spec, MACHINE, ENGINES), knobs=FUSED.without("fusion"))
    both = replace(plain, knobs=FUSED)
    trials = estimated_trials(spec, both) - estimated_trials(spec, plain)
    trial_s = (estimated_s(spec, both) - estimated_s(spec, plain) - LEADERS * PREPARATION_S) / trials
    assert trial_s == pytest.approx(estimated_trial_s(spec))


def estimated_trial_s(spec: StudySpec) -> float:
    measure = spec.measure
    return START_UP_S + measure.warmup_s + max(measure.blocks, measure.max_blocks) * measure.block_s


@pytest.mark.parametrize(
    ("trials", "minutes", "knobs", "has_one"),
    [
        (None, None, "auto", True),
        (30, 15.0, "auto", True),
        (29, None, "auto", False),
        (None, 14.0, "auto", False),
        (10, 1.0, {"spinning": ("off",)}, True),
        (None, None, "none", False),
        (None, None, {"spinning": ("on",)}, False),
    ],
)
def test_auto_leaves_small_budgets_to_the_placements(
    trials: int | None, minutes: float | None, knobs: object, has_one: bool
) -> None:
    spec = a_spec(trials, knobs, minutes)
    assert (second_stage(spec, a_space(spec).knobs) is not None) is has_one
