from __future__ import annotations

import math
import random

import pytest
from scipy import stats

from autotune.statistics.blocks import BlockDesign, Observed
from autotune.statistics.paired import paired_ratio


def design(table: dict[str, list[float]]) -> BlockDesign[str]:
    """A value for each treatment and round."""
    return BlockDesign(
        Observed(number, name, value) for name, values in table.items() for number, value in enumerate(values)
    )


def test_two_treatments_are_a_paired_comparison() -> None:
    ones, others = [10.0, 12.0, 9.0, 11.0], [5.0, 5.5, 5.1, 4.9]
    found, expected = design({"a": ones, "b": others}).ratio("a", "b"), paired_ratio(ones, others)
    assert found.estimate == pytest.approx(expected.estimate)
    assert found.low == pytest.approx(expected.low)
    assert found.high == pytest.approx(expected.high)


def test_the_spread_is_that_of_the_two_way_analysis_of_variance() -> None:
    table = {"a": [10.0, 12.0, 9.0], "b": [5.0, 5.5, 5.1], "c": [7.0, 9.0, 6.0]}
    logs = {name: [math.log(value) for value in values] for name, values in table.items()}
    total = sum(map(sum, logs.values())) / 9
    squares = sum(
        (value - sum(values) / 3 - sum(other[number] for other in logs.values()) / 3 + total) ** 2
        for values in logs.values()
        for number, value in enumerate(values)
    )
    found = design(table)
    assert found.freedom == 4
    assert found.spread == pytest.approx(math.sqrt(squares / 4))


def test_what_a_round_has_in_common_changes_nothing() -> None:
    quiet = {"a": [10.0, 10.2, 9.9], "b": [8.0, 7.9, 8.1]}
    factors = [1.0, 0.5, 2.0]
    noisy = {name: [value * factor for value, factor in zip(values, factors, strict=True)]
             for name, values in quiet.items()}  # fmt: skip
    one, other = design(quiet).ratio("a", "b"), design(noisy).ratio("a", "b")
    assert one.estimate == pytest.approx(other.estimate)
    assert one.low == pytest.approx(other.low)


def test_a_treatment_may_miss_rounds() -> None:
    table = {"a": [10.0, 10.5, 9.8, 10.1], "b": [8.0, 8.3, 7.9, 8.1], "c": [9.0, 9.4]}
    found = design(table).ratio("c", "b")
    assert found.estimate == pytest.approx(9.2 / 8.15, rel=0.01)
    assert found.count == 2
    assert found.low < found.estimate < found.high


def test_replicates_of_a_treatment_in_a_round_narrow_its_interval() -> None:
    draw = random.Random(3)
    once = [Observed(number, name, draw.lognormvariate(0, 0.05)) for number in range(6) for name in "ab"]
    twice = [*once, *(Observed(number, "a", draw.lognormvariate(0, 0.05)) for number in range(6))]
    wide, narrow = BlockDesign(once).ratio("a", "b"), BlockDesign(twice).ratio("a", "b")
    assert narrow.half_width < wide.half_width


def test_one_round_says_nothing_of_the_spread() -> None:
    found = design({"a": [2.0], "b": [1.0]})
    assert found.freedom == 0
    assert found.spread == math.inf
    assert found.ratio("a", "b").estimate == pytest.approx(2.0)
    assert found.ratio("a", "b").low == 0.0
    assert found.ratio("a", "b").high == math.inf


def test_intervals_hold_their_share_where_there_is_no_difference() -> None:
    draw = random.Random(11)
    found = [
        design({name: [draw.lognormvariate(0, 0.03) for _ in range(4)] for name in "abc"}).ratio("a", "b")
        for _ in range(400)
    ]
    covered = sum(one.low <= 1 <= one.high for one in found)
    assert stats.binomtest(covered, 400, 0.95).pvalue > 0.001


def test_equal_values_leave_no_doubt() -> None:
    found = design({"a": [2.0, 2.0, 2.0], "b": [1.0, 1.0, 1.0]}).ratio("a", "b")
    assert (found.low, found.high) == pytest.approx((2.0, 2.0))


def test_a_ratio_of_ratios_is_one_contrast_whose_errors_add() -> None:
    table = {"a": [8.0, 8.2, 8.1], "b": [4.0, 4.1, 3.9], "c": [6.0, 6.1, 6.2], "d": [1.5, 1.6, 1.5]}
    found = design(table)
    double = found.product((("a", 1), ("b", -1), ("c", -1), ("d", 1)))
    assert double.estimate == pytest.approx(found.ratio("a", "b").estimate / found.ratio("c", "d").estimate)
    apart = math.hypot(found.ratio("a", "b").half_width, found.ratio("c", "d").half_width)
    assert double.half_width == pytest.approx(apart)


def test_a_treatment_over_itself_is_one_for_sure() -> None:
    same = design({"a": [8.0, 8.2, 8.1], "b": [4.0, 4.1, 3.9]}).ratio("a", "a")
    assert (same.low, same.estimate, same.high) == pytest.approx((1.0, 1.0, 1.0))


def test_no_ratio_is_made_of_what_does_not_cancel() -> None:
    with pytest.raises(ValueError, match="1 together"):
        design({"a": [2.0, 2.1], "b": [1.0, 1.1]}).product((("a", 1), ("b", -1), ("a", 1)))
