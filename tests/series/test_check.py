from __future__ import annotations

import pytest

from autotune.series.check import Check, parse_check


def test_a_ratio_names_what_is_over_and_below_the_stroke() -> None:
    found = parse_check("throughput(BERT padded) / throughput(DistilBERT, 8 x 128) >= 1.5")
    assert found == Check("throughput", (("BERT padded", 1), ("DistilBERT, 8 x 128", -1)), True, 1.5)
    assert found.is_ratio


def test_a_ratio_of_ratios_may_be_written_as_one_product() -> None:
    found = parse_check("median(a)/median(b)*median(c)/median(d)<=1")
    assert found.factors == (("a", 1), ("b", -1), ("c", 1), ("d", -1))
    assert not found.at_least


def test_a_single_median_is_held_against_a_duration() -> None:
    found = parse_check("median(a) <= 20ms")
    assert (found.bound, found.is_ratio) == (0.02, False)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "is no check"),
        ("throughput(a)", "is no check"),
        ("throughput(a) > 1", "is no check"),
        ("speed(a) / speed(b) >= 1", "is no part of a check"),
        ("/ median(a) >= 1", "is no part of a check"),
        ("median(a) median(b) >= 1", "is no part of a check"),
        ("median(a) / median(b) / median(c) >= 1", "compares nothing"),
        ("median(a) * median(b) >= 1", "compares nothing"),
        ("median(a) / throughput(b) >= 1", "mixes median and throughput"),
        ("median(a) <= 20", "is not a duration"),
        ("median(a) / median(b) <= 20ms", "is not a number"),
        ("cost(a) <= much", "is not a number"),
    ],
)
def test_what_is_no_check_is_refused_in_words(text: str, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        parse_check(text)
