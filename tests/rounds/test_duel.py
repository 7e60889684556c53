from __future__ import annotations

import math
import random
from collections.abc import Callable, Mapping

import pytest

from autotune.rounds.duel import Duel
from autotune.rounds.looks import MIN_ROUNDS
from autotune.statistics.paired import CONFIDENCE

STUDIES = 400


def never(duel: Duel) -> bool:
    return False


def fight(duel: Duel, values: Callable[[str, int], float | None]) -> Duel:
    """Run the duel to its end with the goodness that a function gives for a name in a round."""
    while (names := duel.next_round()) is not None:
        for name in names:
            duel.record(name, values(name, duel.rounds))
    return duel


def constant(values: Mapping[str, float | None]) -> Callable[[str, int], float | None]:
    return lambda name, _: values[name]


def test_everybody_runs_in_every_round_in_an_order_that_the_seed_decides() -> None:
    def orders(seed: int) -> list[tuple[str, ...] | None]:
        duel = Duel(("a", "b"), max_rounds=12, seed=seed, is_decided=never)
        listed: list[tuple[str, ...] | None] = []
        while (names := duel.next_round()) is not None:
            listed.append(names)
            duel.record("a", 1.0)
            duel.record("b", 1.0)
        return listed

    assert len(orders(0)) == 12
    assert set(orders(0)) == {("a", "b"), ("b", "a")}
    assert orders(0) == orders(0)
    assert orders(0) != orders(1)


def test_it_is_asked_after_3_6_and_12_rounds_and_ends_when_it_is_decided() -> None:
    asked: list[int] = []

    def decided(duel: Duel) -> bool:
        asked.append(duel.rounds)
        return duel.rounds == 12

    duel = fight(Duel(("a", "b"), max_rounds=40, seed=0, is_decided=decided), constant({"a": 2.0, "b": 1.0}))
    assert asked == [3, 6, 12]
    assert duel.rounds == 12


def test_three_rounds_are_run_whatever_is_asked_for() -> None:
    duel = Duel(("a", "b"), max_rounds=1, seed=0, is_decided=lambda _: True)
    assert fight(duel, constant({"a": 1.0, "b": 1.0})).rounds == MIN_ROUNDS


def test_a_side_that_does_not_run_ends_it_after_the_round() -> None:
    duel = Duel(("a", "b"), max_rounds=12, seed=0, is_decided=never)
    assert duel.next_round() is not None
    duel.fail("b", "crash: ended with exit status 70")
    duel.record("a", 1.0)
    assert duel.next_round() is None
    assert duel.failed == {"b": "crash: ended with exit status 70"}


@pytest.mark.parametrize("missing", ["a", "b"])
def test_it_ends_at_the_first_look_when_no_round_could_be_measured(missing: str) -> None:
    duel = Duel(("a", "b"), max_rounds=100, seed=0, is_decided=never)
    fight(duel, constant({"a": 1.0, "b": 1.0, missing: None}))
    assert duel.rounds == MIN_ROUNDS
    assert duel.ratio() is None
    assert duel.value(missing) is None


def test_the_ratio_is_of_the_rounds_that_have_both() -> None:
    def values(name: str, number: int) -> float | None:
        drift = 10.0**number
        return None if (name, number) == ("b", 2) else drift * {"a": 3.0, "b": 1.5}[name]

    ratio = fight(Duel(("a", "b"), max_rounds=6, seed=0, is_decided=never), values).ratio()
    assert ratio is not None
    assert ratio.estimate == pytest.approx(2.0)
    assert ratio.count == 5


def test_one_alone_has_a_value_and_no_ratio() -> None:
    duel = fight(Duel(("a",), max_rounds=3, seed=0, is_decided=never), constant({"a": 4.0}))
    value = duel.value("a")
    assert duel.ratio() is None
    assert value is not None
    assert value.estimate == pytest.approx(4.0)


def misses_truth(seed: int, truth: float) -> bool:
    """Stop as soon as the interval leaves out 1, which favours wrong claims; is the truth left out?"""

    def shown(duel: Duel) -> bool:
        ratio = duel.ratio()
        return ratio is not None and not ratio.low <= 1 <= ratio.high

    source = random.Random(f"noise {seed}")
    values = {"a": truth, "b": 1.0}
    duel = Duel(("a", "b"), max_rounds=24, seed=seed, is_decided=shown)
    fight(duel, lambda name, _: values[name] * math.exp(source.gauss(0, 0.05)))
    ratio = duel.ratio()
    return ratio is None or not ratio.low <= truth <= ratio.high


@pytest.mark.parametrize("truth", [1.0, 1.03])
def test_the_interval_holds_the_truth_however_often_it_is_looked_at(truth: float) -> None:
    missed = sum(misses_truth(seed, truth) for seed in range(STUDIES))
    slack = 3 * math.sqrt(STUDIES * CONFIDENCE * (1 - CONFIDENCE))
    assert missed <= STUDIES * (1 - CONFIDENCE) + slack
