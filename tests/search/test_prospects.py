"""What is tried next follows from what is expected, what was measured, and what it costs."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import pytest

from autotune.search.beliefs import Prior
from autotune.search.expectations import LOOK_SPREAD, Expectation
from autotune.search.likeness import most_threads
from autotune.search.prospects import Prospects
from autotune.spec.configuration import Configuration, Prepared

LAYOUTS = tuple(
    Configuration(instances, threads, "close", "0", False, "", "fp32")
    for instances, threads in ((1, 16), (2, 8), (4, 4), (8, 2), (16, 1), (1, 8), (2, 2))
)
BASELINE = Configuration(1, 0, "unpinned", "0", False, "slow", "fp32")
SPEEDS = {"slow": 10.0, "fast": 30.0, "faster": 33.0}


def engine(name: str) -> tuple[Configuration, ...]:
    return tuple(replace(layout, backend=name) for layout in LAYOUTS)


EVERYTHING = tuple(one for name in SPEEDS for one in engine(name))


def artifact(name: str) -> Prepared:
    return Prepared("", name, "fp32")


def prospects(**changes: Any) -> Prospects:
    expected = {artifact(name): Expectation(math.log(speed), LOOK_SPREAD) for name, speed in SPEEDS.items()}
    fields: dict[str, Any] = {
        "prior": Prior(expected, most_threads(EVERYTHING)),
        "prices_s": {artifact(name): 10.0 for name in SPEEDS},
        "trials_s": dict.fromkeys(SPEEDS, 10.0),
    }
    return Prospects(**(fields | changes))


def without(*tried: Configuration) -> tuple[Configuration, ...]:
    return tuple(one for one in EVERYTHING if one not in tried)


def backends(ranked: tuple[Configuration, ...], count: int) -> list[str]:
    return [one.backend for one in ranked[:count]]


def test_a_first_trial_of_every_promising_engine_comes_before_a_second_layout_of_any() -> None:
    first = engine("faster")[0]
    ranked = prospects().ranked(without(first), {BASELINE: 10.0, first: 33.0}, {artifact("faster")})
    assert ranked[0].backend == "fast"
    assert set(backends(ranked[1:], 3)) == {"faster"}, "and what is not promising, not at all"


def test_an_engine_that_is_expected_to_be_slow_is_left_for_last() -> None:
    known = {BASELINE: 10.0, engine("fast")[0]: 30.0, engine("faster")[0]: 33.0}
    ranked = prospects().ranked(without(*known), known, {artifact(name) for name in SPEEDS})
    assert "slow" not in backends(ranked, 6)


def test_defaults_come_first_where_one_may_be_the_best_of_them() -> None:
    defaults = tuple(replace(BASELINE, backend=name) for name in ("fast", "faster", "slow"))
    known = {engine("slow")[0]: 10.0}
    ranked = prospects(defaults=defaults).ranked((*EVERYTHING, *defaults), known)
    assert set(ranked[:2]) == set(defaults[:2])
    assert ranked[2] not in defaults


def test_a_default_is_owed_until_all_that_may_be_the_best_of_them_were_seen() -> None:
    fast, faster, slow = (replace(BASELINE, backend=name) for name in ("fast", "faster", "slow"))
    owing = prospects(defaults=(fast, faster, slow))
    everything = {*EVERYTHING, fast, faster, slow}
    assert set(owing.owed_defaults(everything, {})) == {fast, faster}
    assert owing.owed_defaults(everything - {fast}, {fast: 30.0}) == (faster,)
    assert owing.owed_defaults(everything - {fast, faster}, {fast: 30.0, faster: 33.0}) == ()
    assert prospects().owed_defaults(everything, {}) == ()


def test_of_equals_the_cheaper_to_prepare_comes_first_and_what_is_prepared_before_it() -> None:
    prices = {artifact("fast"): 5.0, artifact("faster"): 60.0}
    known = {BASELINE: 10.0}
    assert prospects(prices_s=prices).ranked(EVERYTHING, known)[0].backend == "fast"
    there = {artifact("faster")}
    assert prospects(prices_s=prices).ranked(EVERYTHING, known, there)[0].backend == "faster"


@pytest.mark.parametrize(("search_s", "first"), [(200.0, "faster"), (100.0, "fast")])
def test_an_artifact_of_more_than_a_quarter_of_the_search_waits_for_what_is_promising_and_cheaper(
    search_s: float, first: str
) -> None:
    prices = {artifact("fast"): 24.0, artifact("faster"): 26.0}
    expected = {
        artifact("fast"): Expectation(math.log(25), 0.3),
        artifact("faster"): Expectation(math.log(30), 0.3),
    }
    prior = Prior({**prospects().prior.expectations, **expected}, most_threads(EVERYTHING))
    asked = prospects(prior=prior, prices_s=prices, search_s=search_s)
    assert asked.ranked(EVERYTHING, {BASELINE: 10.0})[0].backend == first


def test_what_is_best_is_prepared_while_it_still_fits() -> None:
    """60 s are left: one of two cheap ones and then no more time for the best, or the best at once."""
    prices = {artifact("fast"): 10.0, artifact("best"): 45.0}
    expected = {**prospects().prior.expectations, artifact("best"): Expectation(math.log(90), LOOK_SPREAD)}
    candidates = (*engine("fast"), *(replace(one, backend="best") for one in LAYOUTS))
    asked = prospects(prior=Prior(expected, most_threads(candidates)), prices_s=prices)
    assert asked.ranked(candidates, {BASELINE: 10.0}, left_s=60.0)[0].backend == "best"


def test_what_cannot_be_prepared_in_time_is_left_out_and_named_with_its_seconds() -> None:
    prices = {artifact("fast"): 25.0, artifact("faster"): 10.0}
    asked = prospects(prices_s=prices)
    ranked = asked.ranked(EVERYTHING, {BASELINE: 10.0}, {artifact("slow")}, left_s=30.0)
    assert {one.backend for one in ranked} == {"slow", "faster"}
    assert asked.unaffordable(EVERYTHING, {artifact("slow")}, 30.0) == ((artifact("fast"), 35.0),)


def test_looks_that_turn_out_wrong_lose_their_say() -> None:
    """An engine looked slow; it is believed so while the others are as expected."""
    slow = engine("slow")[0]

    def spread(fast: float, faster: float) -> float:
        known = {engine("fast")[0]: fast, engine("faster")[0]: faster}
        return float(prospects().prior.after(known, [slow]).spread[0])

    assert spread(30.0, 8.0) > 1.5 * spread(30.0, 33.0)


def test_a_layout_that_does_well_in_one_engine_is_tried_first_in_another() -> None:
    values = zip(engine("slow"), (10.0, 8.0, 6.0, 5.0, 4.0, 7.0, 3.0), strict=True)
    ranked = prospects().ranked(engine("fast"), dict(values), {artifact("slow"), artifact("fast")})
    assert (ranked[0].instances, ranked[0].threads_per_instance) == (1, 16)


def test_what_is_like_failures_and_missed_limits_comes_later() -> None:
    ranked = prospects().ranked(engine("fast"), {BASELINE: 10.0})
    many = {one: None for one in engine("faster") if one.instances >= 4}
    known: dict[Configuration, float | None] = {BASELINE: 10.0, **many}
    after = prospects().ranked(engine("fast"), known)
    assert sum(ranked.index(one) for one in ranked if one.instances >= 4) < sum(
        after.index(one) for one in after if one.instances >= 4
    )


def test_the_arguments_alone_decide_and_equal_ones_stay_in_their_order() -> None:
    known = {BASELINE: 10.0, engine("fast")[0]: 30.0}
    assert prospects().ranked(without(*known), known) == prospects().ranked(without(*known), known)
    twins = (replace(LAYOUTS[0], backend="one"), replace(LAYOUTS[0], backend="two"))
    assert prospects().ranked(twins, known) == twins
    assert prospects().ranked(twins[::-1], known) == twins[::-1]


@pytest.mark.parametrize("known", [{}, {BASELINE: None}])
def test_with_nothing_measured_the_most_is_expected_of_the_fastest(
    known: dict[Configuration, float | None],
) -> None:
    assert prospects().ranked(EVERYTHING, known)[0].backend == "faster"


def test_beliefs_come_to_what_was_measured_and_are_least_sure_far_from_it() -> None:
    prior = prospects().prior
    known = {engine("fast")[0]: 42.0, engine("slow")[0]: 14.0, engine("faster")[0]: 46.2}
    beliefs = prior.after(known, [*known, engine("fast")[4]])
    assert all(
        math.isclose(float(mean), math.log(value), abs_tol=0.05)
        for mean, value in zip(beliefs.mean[:3], known.values(), strict=True)
    ), "the level of all, 1.4 times what was expected, is learned"
    assert beliefs.spread[3] > max(beliefs.spread[:3])


def test_where_cores_count_small_layouts_come_first_among_what_is_not_known() -> None:
    """Half of the cores are expected to serve more than half as much, which is cheaper."""
    candidates = engine("fast")
    expected = prospects().prior
    for_speed = prospects().ranked(candidates, {})
    for_money = prospects(prior=replace(expected, core_exponent=1.0)).ranked(candidates, {})
    assert taken(for_speed[0]) == max(map(taken, candidates))
    assert taken(for_money[0]) == min(map(taken, candidates))


def taken(configuration: Configuration) -> int:
    return configuration.instances * configuration.threads_per_instance
