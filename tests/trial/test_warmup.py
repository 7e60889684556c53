from __future__ import annotations

from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autotune.trial.warmup import warm_up


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
    assert warm.request_s == pytest.approx(1.04)
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
