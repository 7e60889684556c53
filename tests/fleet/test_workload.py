from __future__ import annotations

import math

import pytest

from autotune.fleet.workload import LatencyTarget, Workload

TARGET = LatencyTarget(99.0, 0.02)


@pytest.mark.parametrize("rate", [0.0, -1.0, 1e12, math.nan, math.inf])
def test_a_rate_that_no_fleet_serves_is_refused_with_what_may_be_given(rate: float) -> None:
    with pytest.raises(ValueError, match=r"give one from 0\.001 to 1000000000"):
        Workload(rate, TARGET)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"headroom": 1.0}, "headroom of 1 is no share"),
        ({"headroom": -0.1}, "headroom"),
        ({"headroom": math.nan}, "headroom"),
        ({"spare": -1}, "-1 spare machines"),
        ({"zones": 0}, "0 zones"),
    ],
)
def test_margins_that_make_no_sense_are_refused(changes: dict[str, float], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        Workload(10.0, TARGET, **changes)  # type: ignore[arg-type]


@pytest.mark.parametrize(("percentile", "max_s"), [(0, 1), (100, 1), (99, 0), (99, 1e5), (99, math.inf)])
def test_a_target_that_cannot_be_kept_to_is_refused(percentile: float, max_s: float) -> None:
    with pytest.raises(ValueError, match="give one"):
        LatencyTarget(percentile, max_s)


def test_a_workload_says_what_it_asks() -> None:
    assert Workload(25_000, TARGET).in_words == "25000 requests/s, p99 within 20.0 ms"
