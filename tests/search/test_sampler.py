from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import cache
from typing import Any

import optuna
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from autotune.machine.machine import Machine
from autotune.measurement.measurement import Failure, FailureKind, TrialResult
from autotune.search.order import promising_order
from autotune.search.prospects import Prospects, stated_prospects
from autotune.search.score import score
from autotune.search.space import SearchSpace, build_space
from autotune.search.study import Answer, SearchStudy, open_search
from autotune.spec.aim import Aim
from autotune.spec.configuration import Configuration, Precision, Prepared
from autotune.spec.problem import Problem
from autotune.spec.study import Budget, Search, StudySpec
from autotune.testing.fake_model import FakeModel
from autotune.testing.machines import build_machine
from autotune.testing.simulation import simulated_measurement

MODEL = FakeModel(
    serial_s=0.002,
    parallel_s_per_token=1e-5,
    thread_efficiency=0.6,
    contention=0.02,
    speed={"fp32": 1.0, "bf16": 0.4, "int8-dynamic": 2.2},
)
PRECISIONS: tuple[Precision, ...] = ("fp32", "bf16", "int8-dynamic")
ENGINES: Mapping[str, tuple[Precision, ...]] = {"fake": PRECISIONS}
SMALL = build_machine(packages=1, nodes_per_package=1, cores_per_node=4)
LARGE = build_machine(packages=2, nodes_per_package=2, cores_per_node=16)

Outcome = Callable[[Configuration], Answer]


def a_spec(*, seed: int = 0, trials: int | None = None, search: Search | None = None) -> StudySpec:
    return StudySpec(
        name="s",
        model="fake:m.json",
        problem=Problem(batch_size=8, sequence_length=128),
        objective=Aim(kind="throughput"),
        scenario="offline",
        search=search or Search(),
        budget=Budget(trials=trials, minutes=None),
        seed=seed,
    )


@cache
def built(search: Search, machine: Machine) -> SearchSpace:
    spec = a_spec(search=search)
    return build_space(spec, machine, ENGINES)


def a_space(spec: StudySpec, machine: Machine = SMALL) -> SearchSpace:
    return built(spec.search, machine)


def a_study(
    spec: StudySpec, machine: Machine = SMALL, storage: optuna.storages.BaseStorage | None = None
) -> SearchStudy:
    return open_search(spec, a_space(spec, machine), storage or optuna.storages.InMemoryStorage())


def measured(spec: StudySpec, configuration: Configuration) -> Answer:
    measurement = simulated_measurement(MODEL, configuration, spec.problem)
    return Answer(measurement, score(spec, measurement), {})


def failed(kind: FailureKind) -> Answer:
    return Answer(Failure(kind, "because"), None, {})


def proposals(study: SearchStudy, outcome: Outcome, count: int = 10_000) -> list[Configuration]:
    """Up to `count` configurations in the order in which they are proposed and answered."""
    seen: list[Configuration] = []
    while len(seen) < count and study.untried():
        proposal = study.ask()
        study.tell(proposal.number, outcome(proposal.configuration))
        seen.append(proposal.configuration)
    return seen


def all_measured(spec: StudySpec) -> Outcome:
    return lambda configuration: measured(spec, configuration)


def test_the_baseline_is_trial_0_and_another_precision_follows() -> None:
    spec = a_spec()
    space = a_space(spec, LARGE)
    first, second = proposals(a_study(spec, LARGE), all_measured(spec), 2)
    assert first == space.baseline
    assert second.precision == "int8-dynamic", "of which the most is expected where nothing was looked at"


def prospects_of(space: SearchSpace, **changes: Any) -> Prospects:
    return replace(stated_prospects(space.configurations, space.expected), **changes)


def test_defaults_are_proposed_before_any_layout() -> None:
    spec = a_spec()
    space = a_space(spec)
    default = replace(space.baseline, precision="int8-dynamic")
    study = a_study(spec)
    study.rank_by(prospects_of(space, defaults=(default,)))
    assert proposals(study, all_measured(spec), 2) == [space.baseline, default]


def test_what_cannot_be_prepared_in_the_time_left_is_not_proposed_and_named() -> None:
    spec = a_spec()
    space = a_space(spec)
    dear, cheap = (Prepared("", "fake", precision) for precision in ("int8-dynamic", "bf16"))
    study = a_study(spec)
    study.rank_by(prospects_of(space, prices_s={dear: 60.0, cheap: 5.0}, trials_s={"fake": 10.0}))
    study.mind(left_s=40.0)
    assert {one.precision for one in proposals(study, all_measured(spec))} == {"fp32", "bf16"}
    assert study.unaffordable() == ((dear, 70.0),)
    study.mind(left_s=40.0, there=(dear,))
    assert study.unaffordable() == ()
    assert {one.precision for one in proposals(study, all_measured(spec))} == {"int8-dynamic"}


@settings(deadline=None, max_examples=15)
@given(
    seed=st.integers(0, 1000),
    kinds=st.lists(st.sampled_from([None, *FailureKind]), min_size=1, max_size=8),
)
def test_only_legal_configurations_are_proposed_each_once_but_for_the_disturbed_whatever_fails(
    seed: int, kinds: list[FailureKind | None]
) -> None:
    spec = a_spec(seed=seed, trials=20)
    space = a_space(spec, LARGE)
    turns = iter(range(10_000))

    disturbed: Counter[Configuration] = Counter()

    def outcome(configuration: Configuration) -> Answer:
        kind = kinds[next(turns) % len(kinds)]
        disturbed[configuration] += kind == FailureKind.DISTURBED
        return measured(spec, configuration) if kind is None else failed(kind)

    proposed = proposals(a_study(spec, LARGE), outcome, 30)
    for one, times in Counter(proposed).items():
        assert times <= 1 + min(disturbed[one], 1)
    assert set(proposed) <= {space.baseline, *space.recipes, *space.configurations}


def test_a_small_space_is_tried_completely() -> None:
    spec = a_spec(trials=10_000)
    space = a_space(spec)
    proposed = proposals(a_study(spec), all_measured(spec))
    assert len(proposed) == len(set(proposed))
    assert set(proposed) == {space.baseline, *space.recipes, *space.configurations}


def test_asking_an_exhausted_space_is_refused() -> None:
    spec = a_spec()
    study = a_study(spec)
    proposals(study, all_measured(spec))
    with pytest.raises(ValueError, match="every legal configuration"):
        study.ask()


def test_in_the_first_order_engines_take_turns_and_most_fill_the_machine() -> None:
    space = a_space(a_spec(), LARGE)
    ordered = promising_order(space.configurations, seed=1)
    pairs = {one.prepared for one in ordered}
    fills = [one.instances * one.threads_per_instance for one in ordered]
    first_full = 2 * len(pairs)
    assert sorted(ordered) == sorted(space.configurations)
    assert {one.prepared for one in ordered[: len(pairs)]} == pairs
    assert set(fills[:first_full]) == {max(fills)}
    assert min(fills[: 2 * first_full]) < max(fills)


def test_an_unsupported_pair_is_dropped_everywhere() -> None:
    spec = a_spec()

    def outcome(configuration: Configuration) -> Answer:
        if configuration.precision == "bf16":
            return failed(FailureKind.UNSUPPORTED)
        return measured(spec, configuration)

    proposed = proposals(a_study(spec), outcome)
    assert [one.precision for one in proposed].count("bf16") == 1
    assert [one.precision for one in proposed].count("int8-dynamic") > 1


def test_a_pair_whose_answers_are_wrong_is_dropped_everywhere_and_by_the_next_run() -> None:
    spec, storage = a_spec(), optuna.storages.InMemoryStorage()

    def outcome(configuration: Configuration) -> Answer:
        if configuration.precision == "bf16":
            wrong = Failure(FailureKind.WRONG_OUTPUT, "cosine 0.2", pair_wide=True)
            return Answer(wrong, None, {})
        return measured(spec, configuration)

    proposed = proposals(a_study(spec, storage=storage), outcome)
    assert [one.precision for one in proposed].count("bf16") == 1
    assert [one.precision for one in proposed].count("int8-dynamic") > 1
    assert proposals(a_study(spec, storage=storage), outcome) == []


def test_a_variant_that_is_refused_is_dropped_with_every_engine_and_by_the_next_run() -> None:
    values: dict[str, Any] = {"model": ("fake:m.json", "fake:n.json")}
    spec, storage = a_spec().model_copy(update=values), optuna.storages.InMemoryStorage()
    space = build_space(spec, SMALL, ENGINES)

    def outcome(configuration: Configuration) -> Answer:
        if configuration.model == "fake:n.json":
            return Answer(Failure(FailureKind.WRONG_OUTPUT, "f1 0.2", model_wide=True), None, {})
        return measured(spec, configuration)

    proposed = proposals(open_search(spec, space, storage), outcome)
    assert [one.model for one in proposed].count("fake:n.json") == 1
    assert {one.precision for one in proposed if one.model == "fake:m.json"} == set(PRECISIONS)
    assert proposals(open_search(spec, space, storage), outcome) == []


def test_what_ran_out_of_memory_is_not_tried_with_as_many_or_more_instances() -> None:
    spec = a_spec()

    def outcome(configuration: Configuration) -> Answer:
        if configuration.precision == "bf16" and configuration.instances >= 2:
            return failed(FailureKind.OUT_OF_MEMORY)
        return measured(spec, configuration)

    proposed = proposals(a_study(spec), outcome)
    bf16 = [one.instances for one in proposed if one.precision == "bf16"]
    too_many = [instances for instances in bf16 if instances >= 2]
    assert 1 in bf16
    # each that failed had fewer instances than the one before
    assert too_many == sorted(set(too_many), reverse=True), (
        "each that failed had fewer instances than the last"
    )
    assert any(one.instances >= 2 for one in proposed if one.precision == "int8-dynamic")


@pytest.mark.parametrize(
    "kind", sorted(set(FailureKind) - {FailureKind.UNSUPPORTED, FailureKind.OUT_OF_MEMORY})
)
def test_any_other_failure_speaks_for_its_own_configuration_alone(kind: FailureKind) -> None:
    spec = a_spec()
    space = a_space(spec)
    proposed = proposals(a_study(spec), lambda _: failed(kind))
    everything = {space.baseline, *space.recipes, *space.configurations}
    assert set(proposed[: len(everything)]) == everything
    assert len(proposed) == len(everything) * (2 if kind == FailureKind.DISTURBED else 1)


def test_what_was_disturbed_is_tried_again_by_the_next_run() -> None:
    spec, storage = a_spec(), optuna.storages.InMemoryStorage()
    first = proposals(a_study(spec, storage=storage), lambda _: failed(FailureKind.DISTURBED))
    again = proposals(a_study(spec, storage=storage), all_measured(spec))
    assert set(again) == set(first)
    assert len(again) == len(set(again))


@pytest.mark.parametrize("kind", [FailureKind.OUT_OF_MEMORY, FailureKind.CRASH, FailureKind.TIMEOUT])
def test_what_failed_for_a_reason_that_may_pass_is_tried_again_by_the_next_run(kind: FailureKind) -> None:
    spec, storage = a_spec(), optuna.storages.InMemoryStorage()
    space = a_space(spec)
    passing = Answer(Failure(kind, "because", may_pass=True), None, {})
    first = proposals(a_study(spec, storage=storage), lambda _: passing)
    assert len(first) == len(set(first))
    assert set(first) == {space.baseline, *space.recipes, *space.configurations}
    again = proposals(a_study(spec, storage=storage), all_measured(spec))
    assert set(again) == set(first)
    assert len(again) == len(set(again))


def test_a_dropped_pair_is_proposed_no_more_in_this_run_but_again_in_the_next() -> None:
    spec, storage = a_spec(), optuna.storages.InMemoryStorage()
    study = a_study(spec, storage=storage)
    baseline = study.ask()
    broken = Failure(FailureKind.CRASH, "preparing broke", pair_wide=True, may_pass=True)
    study.tell(baseline.number, Answer(broken, None, {}))
    assert {one.precision for one in proposals(study, all_measured(spec))} == {"bf16", "int8-dynamic"}
    resumed = a_study(spec, storage=storage)
    assert {one.precision for one in proposals(resumed, all_measured(spec))} == {"fp32"}


def test_the_same_seed_and_measurements_give_the_same_proposals() -> None:
    spec = a_spec(seed=7, trials=30)
    runs = [proposals(a_study(spec, LARGE), all_measured(spec), 30) for _ in range(2)]
    assert runs[0] == runs[1]


def test_a_resumed_study_proposes_what_an_uninterrupted_one_does() -> None:
    spec, storage = a_spec(seed=3, trials=30), optuna.storages.InMemoryStorage()
    whole = proposals(a_study(spec, LARGE), all_measured(spec), 30)
    parts = [proposals(a_study(spec, LARGE, storage), all_measured(spec), count) for count in (4, 13, 13)]
    assert [one for part in parts for one in part] == whole


def peak(optimum: Configuration) -> Callable[[Configuration], float]:
    """Falls off by a factor of 4 where the precision differs, and by 15 % for each factor of two in shape."""

    def height(one: Configuration) -> float:
        threads = max(1, one.threads_per_instance)
        octaves = abs(math.log2(one.instances / optimum.instances))
        octaves += abs(math.log2(threads / optimum.threads_per_instance))
        octaves += (one.placement != optimum.placement) + (one.sockets != optimum.sockets)
        return math.exp(-octaves / 6) / (1.0 if one.precision == optimum.precision else 4.0)

    return height


def answering(height: Callable[[Configuration], float], example: TrialResult) -> Outcome:
    return lambda one: Answer(example, height(one), {})


def test_a_large_space_is_searched_better_than_in_its_first_order() -> None:
    """The optimum is put all over the space; what is told falls off with the distance from it."""
    spec = a_spec(trials=50)
    space = a_space(spec, LARGE)
    first = promising_order(space.configurations, spec.seed)[:50]
    example = measured(spec, space.baseline).result
    searched, ordered = 0.0, 0.0
    for optimum in space.configurations[::60]:
        height = peak(optimum)
        told = proposals(a_study(spec, LARGE), answering(height, example), 50)
        searched += max(map(height, told))
        ordered += max(map(height, first))
    assert len(space.configurations) > 2 * len(first)
    assert searched > 1.1 * ordered
