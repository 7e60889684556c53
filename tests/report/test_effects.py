from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autotune.measurement.measurement import Failure, FailureKind
from autotune.report.dossier import Dossier
from autotune.report.effects import MIN_TRIALS, ParameterEffect, parameter_effects
from autotune.spec.configuration import Configuration
from autotune.store.records import TrialRecord
from autotune.testing.plans import build_measurement, build_plan

ONE = Configuration(1, 1, "close", "0", False, "fake", "fp32")


def record(number: int, configuration: Configuration, score: float | None) -> TrialRecord:
    failed = Failure(FailureKind.CRASH, "boom")
    result = failed if score is None else build_measurement()
    return TrialRecord("s", number, configuration, False, 0.0, 1.0, result, score)


def dossier(scored: Iterable[tuple[Configuration, float | None]], objective: str = "throughput") -> Dossier:
    trials = tuple(record(number, one, score) for number, (one, score) in enumerate(scored))
    return Dossier(build_plan(objective=objective), trials)


def by_name(effects: Iterable[ParameterEffect]) -> dict[str, ParameterEffect]:
    return {effect.parameter: effect for effect in effects}


def grid() -> list[tuple[Configuration, float]]:
    """Precision doubles the speed, placement adds a tenth, sockets do nothing: every combination."""
    return [
        (
            replace(ONE, precision=precision, placement=placement, sockets=sockets),
            100.0 * (2.0 if precision == "bf16" else 1.0) * (1.1 if placement == "spread" else 1.0),
        )
        for precision in ("fp32", "bf16")
        for placement in ("close", "spread")
        for sockets in ("0", "1")
    ]


@pytest.mark.parametrize("objective", ["throughput", "latency_p99"])
def test_a_parameter_is_worth_what_its_worst_value_loses(objective: str) -> None:
    scored = [(one, score if objective == "throughput" else 1 / score) for one, score in grid()]
    effects = by_name(parameter_effects(dossier(scored, objective)))
    assert list(effects) == ["precision", "placement", "sockets"]
    assert effects["precision"].worth == pytest.approx(0.5)
    assert effects["placement"].worth == pytest.approx(1 - 1 / 1.1)
    assert effects["sockets"].worth == pytest.approx(0.0)
    assert effects["precision"].best_value.value == "bf16"
    assert [len(value.shares) for value in effects["precision"].values] == [4, 4]


def test_pairs_are_trials_that_differ_in_one_parameter_alone() -> None:
    effects = by_name(parameter_effects(dossier(grid())))
    assert [effects[name].pairs for name in ("precision", "placement")] == [4, 4]
    assert effects["precision"].paired == pytest.approx(2.0)
    assert effects["placement"].paired == pytest.approx(1.1)
    incomplete = [(ONE, 1.0), (replace(ONE, precision="bf16", sockets="1"), 2.0)]
    assert [(effect.pairs, effect.paired) for effect in parameter_effects(dossier(incomplete))] == [
        (0, None),
        (0, None),
    ]


def test_failures_limits_and_the_baseline_say_nothing_of_parameters() -> None:
    kept = dossier(grid())
    baseline = replace(record(90, replace(ONE, placement="unpinned"), 500.0), baseline=True)
    missed = replace(record(91, replace(ONE, instances=9), 900.0), violations={"latency": 0.1})
    failed = record(92, replace(ONE, instances=7), None)
    assert parameter_effects(replace(kept, trials=(*kept.trials, baseline, missed, failed))) == (
        parameter_effects(kept)
    )


@pytest.mark.parametrize("count", [0, 1])
def test_with_one_trial_nothing_can_be_said(count: int) -> None:
    assert parameter_effects(dossier([(ONE, 1.0)] * count)) == ()


def wide(count: int) -> list[tuple[Configuration, float]]:
    """Threads decide nearly everything; sockets nothing."""
    return [
        (
            replace(ONE, threads_per_instance=1 + index % 8, sockets=str(index % 2 + 2 * (index // 8))),
            1.0 + index % 8,
        )
        for index in range(count)
    ]


def test_importances_are_given_of_enough_trials_only() -> None:
    few = parameter_effects(dossier(wide(MIN_TRIALS - 1)))
    assert {effect.importance for effect in few} == {None}
    many = by_name(parameter_effects(dossier(wide(MIN_TRIALS + 24))))
    shares = {name: effect.importance for name, effect in many.items()}
    assert all(share is not None for share in shares.values())
    assert math.fsum(share or 0.0 for share in shares.values()) == pytest.approx(1.0)
    assert (shares["threads_per_instance"] or 0.0) > 0.6


def test_importances_of_equal_trials_are_no_error() -> None:
    scored = [(one, 1.0) for one, _ in wide(MIN_TRIALS)]
    effects = parameter_effects(dossier(scored))
    assert effects
    assert {(effect.worth, effect.importance) for effect in effects} == {(0.0, None)}


@given(st.lists(st.tuples(st.integers(1, 4), st.integers(1, 4), st.floats(0.01, 1e4)), max_size=20))
def test_shares_are_of_the_best_of_all(values: list[tuple[int, int, float]]) -> None:
    scored = [(replace(ONE, instances=i, threads_per_instance=t), score) for i, t, score in values]
    for effect in parameter_effects(dossier(scored)):
        shares = [share for value in effect.values for share in value.shares]
        assert len(shares) == len(scored)
        assert max(shares) == 1.0
        assert effect.best_value.best == 1.0
        assert 0 <= effect.worth < 1
        assert effect.paired is None or effect.paired >= 1
        assert len(effect.values) > 1
