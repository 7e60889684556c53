"""Timing requests: which of them count, by a clock that the test turns."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from autotune.preparation.look_run import median_s


class Requests:
    """Requests that take so long, one after the other; the last length stays."""

    def __init__(self, *seconds: float) -> None:
        self._seconds, self._last = iter(seconds), seconds[-1]
        self.now_s, self.count = 0.0, 0

    def run(self) -> None:
        self.now_s += next(self._seconds, self._last)
        self.count += 1

    def median_s(self) -> float:
        return median_s(self.run, lambda: self.now_s)


def test_a_short_request_is_timed_for_a_third_of_a_second_after_two_that_warm_up() -> None:
    requests = Requests(0.09, 0.05, 0.01)
    assert requests.median_s() == pytest.approx(0.01)
    assert requests.count in (32, 33)


def test_a_longer_one_is_timed_three_times_after_one_that_warms_up() -> None:
    requests = Requests(0.9, 0.3, 0.6, 0.4)
    assert requests.median_s() == pytest.approx(0.4)
    assert requests.count == 4


def test_one_of_more_than_a_second_is_timed_once() -> None:
    requests = Requests(3.0, 2.0)
    assert requests.median_s() == pytest.approx(2.0)
    assert requests.count == 2


def test_the_median_takes_no_notice_of_one_that_was_disturbed() -> None:
    def seconds() -> Iterator[float]:
        yield from (0.2, 0.1, 5.0, 0.1)

    assert Requests(*seconds()).median_s() == pytest.approx(0.1)
