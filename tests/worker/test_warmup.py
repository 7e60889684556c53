from __future__ import annotations

from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autotune.worker.warmup import warm_up, warm_up_in_laps


class Engine:
    """An engine on a clock of its own: its requests take the times given, the last one for ever."""

    def __init__(self, *seconds: float) -> None:
        self.now = 100.0
        self.requests = 0
        self._seconds = iter(self._forever(seconds))

    @staticmethod
    def _forever(seconds: tuple[float, ...]) -> Iterator[float]:
        yield from seconds
        while True:
            yield seconds[-1]

    def request(self) -> None:
        self.requests += 1
        self.now += next(self._seconds)

    def clock(self) -> float:
        return self.now


def test_it_ends_when_two_requests_agree() -> None:
    engine = Engine(3.0, 1.0, 1.04)
    warm = warm_up(engine.request, 60.0, engine.clock)
    assert engine.requests == warm.requests == 3
    assert warm.request_s == pytest.approx(1.0)
    assert warm.seconds == pytest.approx(5.04)
    assert warm.settled


def test_short_requests_are_compared_in_stretches_and_not_one_by_one() -> None:
    engine = Engine(0.001)
    warm = warm_up(engine.request, 60.0, engine.clock)
    assert 100 <= warm.requests <= 102
    assert warm.request_s == pytest.approx(0.001)


def test_it_goes_on_as_long_as_requests_get_faster_and_ends_at_its_limit() -> None:
    engine = Engine(*(4.0 * 0.9**index for index in range(20)))
    warm = warm_up(engine.request, 10.0, engine.clock)
    assert not warm.settled
    assert 10.0 <= warm.seconds <= 14.0


def test_a_request_that_was_disturbed_does_not_end_it() -> None:
    engine = Engine(2.0, 3.0, 1.0, 1.0)
    warm = warm_up(engine.request, 60.0, engine.clock)
    assert engine.requests == 4
    assert warm.settled


def test_noise_does_not_keep_it_going() -> None:
    engine = Engine(1.0, *(1.3, 1.7, 2.0, 1.4) * 10)
    warm = warm_up(engine.request, 60.0, engine.clock)
    assert engine.requests == 3
    assert warm.settled


@given(st.lists(st.floats(0.9, 1.1), min_size=3, max_size=30))
def test_whatever_the_noise_is_it_ends_soon_once_the_engine_is_warm(noise: list[float]) -> None:
    engine = Engine(5.0, *noise)
    assert warm_up(engine.request, 1_000.0, engine.clock).requests <= 9


def test_two_requests_are_run_however_long_they_take() -> None:
    engine = Engine(100.0, 50.0)
    warm = warm_up(engine.request, 1.0, engine.clock)
    assert engine.requests == 2
    assert warm.request_s == 50.0


def test_one_that_is_disturbed_last_does_not_say_how_long_a_request_takes() -> None:
    engine = Engine(1.0, 19.0)
    warm = warm_up(engine.request, 5.0, engine.clock)
    assert warm.request_s == 1.0


class Lengths(Engine):
    """An engine whose requests take as long as they are, and are twice as slow until one of each was run."""

    def __init__(self, *seconds: float) -> None:
        super().__init__(0.0)
        self._lengths = seconds
        self._at = 0

    def request(self) -> None:
        cold = 2 if self.requests < len(self._lengths) else 1
        self.requests += 1
        self.now += cold * self._lengths[self._at % len(self._lengths)]
        self._at += 1

    def rewind(self) -> None:
        self._at = 0


def test_requests_that_differ_are_warm_when_the_same_ones_take_as_long_again() -> None:
    engine = Lengths(1.0, 3.0, 2.0)
    warm = warm_up_in_laps(engine.request, engine.rewind, 3, 600.0, engine.clock)
    assert warm.settled
    assert warm.requests == engine.requests == 9
    assert warm.request_s == pytest.approx(2.0)
    assert warm.seconds == pytest.approx(12 + 6 + 6)


def test_a_lap_that_would_take_too_long_is_cut() -> None:
    engine = Lengths(*[1.0] * 1000)
    warm = warm_up_in_laps(engine.request, engine.rewind, 1000, 40.0, engine.clock)
    assert warm.requests == engine.requests <= 3 * 10 + 1
    assert warm.request_s == pytest.approx(2.0, abs=1.0)
