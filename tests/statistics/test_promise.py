from __future__ import annotations

import math
import random
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autotune.statistics.paired import Interval, mean_interval, paired_ratio
from autotune.statistics.promise import OWN_MOST, Promise, PromiseVerdict, agreement, joint_agreement

STATED = Promise(2.0, 1.9, 2.1)
TRIES = 400


def now(low: float, high: float) -> Interval:
    return Interval(math.sqrt(low * high), low, high, 0.95, 5)


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [
        (1.95, 2.05, "holds"),
        (1.87, 2.0, "holds"),
        (1.82, 2.0, "undecided"),
        (1.82, 1.85, "undecided"),
        (2.1, 2.4, "holds"),
        (2.25, 2.4, "better"),
        (1.5, 1.8, "worse"),
        (1.7, 1.9, "undecided"),
        (1.0, 4.0, "undecided"),
        (1.87, 40.0, "holds"),
        (0.0, math.inf, "undecided"),
    ],
)
def test_every_answer_but_undecided_is_shown_by_the_whole_interval(
    low: float, high: float, expected: str
) -> None:
    estimate = Interval(2.0, low, high, 0.95, 1) if low == 0 else now(low, high)
    assert agreement(STATED, estimate, 0.05) == expected


def test_without_a_measurement_nothing_is_said() -> None:
    assert agreement(STATED, None, 0.05) == "undecided"


positive = st.floats(0.01, 100)


@given(value=positive, below=st.floats(1, 3), above=st.floats(1, 3), tolerance=st.floats(0, 0.5))
def test_exactly_what_is_stated_holds(value: float, below: float, above: float, tolerance: float) -> None:
    stated = Promise(value, value / below, value * above)
    assert agreement(stated, now(value, stated.high), tolerance) == "holds"
    assert agreement(stated, now(stated.low, stated.high), tolerance) in ("holds", "undecided")


@given(value=positive, below=st.floats(1, 3), tolerance=st.floats(0, 0.5))
def test_what_is_stated_unsurely_is_allowed_for_up_to_a_bound(
    value: float, below: float, tolerance: float
) -> None:
    stated = Promise(value, value / below, value)
    least = value / (1 + OWN_MOST) / (1 + tolerance)
    assert stated.bottom(tolerance) * (1 - 1e-12) <= stated.floor(tolerance)
    assert least <= stated.floor(tolerance) <= value


@pytest.mark.parametrize(
    ("gain", "value", "together"),
    [
        ("holds", "holds", "holds"),
        ("holds", "worse", "holds"),
        ("holds", "undecided", "holds"),
        ("undecided", "holds", "holds"),
        ("undecided", "better", "holds"),
        ("worse", "holds", "holds"),
        ("better", "holds", "better"),
        ("better", "worse", "better"),
        ("worse", "worse", "worse"),
        ("worse", "undecided", "worse"),
        ("undecided", "worse", "undecided"),
        ("undecided", "undecided", "undecided"),
    ],
)
def test_either_figure_shows_that_a_plan_holds_and_the_gain_alone_that_it_is_worse(
    gain: PromiseVerdict, value: PromiseVerdict, together: PromiseVerdict
) -> None:
    assert joint_agreement(gain, value) == together


def test_a_plan_is_not_called_worse_as_long_as_its_value_may_hold() -> None:
    assert joint_agreement("worse", "undecided", may_hold=True) == "undecided"
    assert joint_agreement("holds", "undecided", may_hold=True) == "holds"
    assert joint_agreement("better", "undecided", may_hold=True) == "better"


def test_of_plans_below_both_floors_one_in_twenty_at_most_is_said_to_hold() -> None:
    """At the very edge, where it is most likely, and with figures that depend on each other."""
    source, holding = random.Random(11), 0
    stated, tries = Promise(2.0, 2.0, 2.0), 2_000
    edge = stated.floor(0.05)
    for _ in range(tries):
        plan = [edge * math.exp(source.gauss(0, 0.03)) for _ in range(6)]
        beside = [math.exp(source.gauss(0, 0.03)) for _ in range(6)]
        gain = agreement(stated, paired_ratio(plan, beside), 0.05)
        holding += joint_agreement(gain, agreement(stated, mean_interval(plan), 0.05)) == "holds"
    assert holding <= tries * 0.05 + 3 * math.sqrt(tries * 0.05 * 0.95)


ORDER = ("worse", "undecided", "holds", "better")


@given(ends=st.tuples(positive, positive), factor=st.floats(1.001, 10), tolerance=st.floats(0, 0.5))
def test_more_is_never_judged_worse(ends: tuple[float, float], factor: float, tolerance: float) -> None:
    low, high = min(ends), max(ends)
    fewer = agreement(STATED, now(low, high), tolerance)
    more = agreement(STATED, now(low * factor, high * factor), tolerance)
    assert ORDER.index(more) >= ORDER.index(fewer)


def verdicts(truth: float, stated: Promise, rounds: int, noise: float) -> Counter[str]:
    """Of many measurements of a ratio, with noise in each of both runs of a round."""
    source, found = random.Random(7), Counter[str]()
    for _ in range(TRIES):
        ones = [truth * math.exp(source.gauss(0, noise)) for _ in range(rounds)]
        others = [math.exp(source.gauss(0, noise)) for _ in range(rounds)]
        found[agreement(stated, paired_ratio(ones, others), 0.05)] += 1
    return found


def test_a_quiet_machine_tells_a_plan_that_holds_from_one_that_lost_a_fifth() -> None:
    assert verdicts(2.0, STATED, rounds=6, noise=0.02)["holds"] > 0.95 * TRIES
    assert verdicts(1.6, STATED, rounds=6, noise=0.02)["worse"] > 0.95 * TRIES
    assert verdicts(2.8, STATED, rounds=6, noise=0.02)["better"] > 0.95 * TRIES


def test_a_noisy_machine_leaves_it_undecided_and_claims_nothing() -> None:
    edge = STATED.floor(0.05)
    found = verdicts(edge, STATED, rounds=4, noise=0.3)
    slack = 3 * math.sqrt(0.05 * 0.95 * TRIES)
    assert found["undecided"] >= 0.95 * TRIES - slack
