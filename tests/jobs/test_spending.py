"""Where the minutes of a study went."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from autotune.jobs.spending import spent
from autotune.measurement.measurement import Failure, FailureKind, Measurement, TrialResult
from autotune.testing.observations import build_observation


@dataclass(frozen=True)
class Record:
    started_s: float
    ended_s: float
    result: TrialResult


def launched(*, load_s: float, warmup_s: float, measuring_s: float, wall_s: float) -> Measurement:
    """A launch of one instance."""
    instance = build_observation(load_s=load_s, warmup_s=warmup_s)
    return Measurement("offline", (), (instance,), "none", wall_s, measuring_s, warmup_s)


LAUNCH = launched(load_s=1.0, warmup_s=0.5, measuring_s=3.0, wall_s=5.0)


def test_what_a_trial_took_before_its_launch_is_preparing() -> None:
    found = spent([Record(100.0, 117.0, LAUNCH)], looking_s=20.0)
    assert found.model_dump() == pytest.approx(
        {
            "looking_s": 20.0,
            "preparing_s": 12.0,
            "loading_s": 1.0,
            "warming_s": 0.5,
            "measuring_s": 3.0,
            "waiting_s": 0.5,
        }
    )
    assert found.total_s == pytest.approx(37.0)


def test_what_a_run_of_a_round_took_beside_its_launch_is_waiting() -> None:
    """Its artifact is there; another study on the host had it wait."""
    found = spent([], [Record(0.0, 9.0, LAUNCH)])
    assert (found.preparing_s, found.waiting_s, found.measuring_s) == pytest.approx((0.0, 4.5, 3.0))


def test_what_was_waited_before_trials_began_is_waiting() -> None:
    found = spent([Record(100.0, 117.0, LAUNCH)], waited_s=60.0)
    assert (found.preparing_s, found.waiting_s) == pytest.approx((12.0, 60.5))


def test_a_failed_trial_has_prepared_and_a_failed_run_has_waited() -> None:
    failure = Failure(FailureKind.UNSUPPORTED, "no such operator")
    found = spent([Record(0.0, 4.0, failure)], [Record(4.0, 6.0, failure)])
    assert (found.preparing_s, found.waiting_s) == (4.0, 2.0)


def test_nothing_took_no_time() -> None:
    assert spent([]).total_s == 0.0
