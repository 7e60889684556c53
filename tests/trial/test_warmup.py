from __future__ import annotations

from collections.abc import Iterator

import pytest

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


def test_it_ends_at_its_limit_when_nothing_agrees() -> None:
    engine = Engine(*(1.0, 2.0) * 100)
    warm = warm_up(engine.request, 10.0, engine.clock)
    assert not warm.settled
    assert 10.0 <= warm.seconds <= 12.0


def test_two_requests_are_run_however_long_they_take() -> None:
    engine = Engine(100.0, 50.0)
    warm = warm_up(engine.request, 1.0, engine.clock)
    assert engine.requests == 2
    assert warm.request_s == 50.0
