"""What a study learns of its host's conditions, and what becomes of its values."""

from __future__ import annotations

import math
import random

import pytest

from autotune.measurement.correction import MAX_SHIFT, UNCORRECTED, Correction, MeasuredLaunch, learn, load_of
from autotune.measurement.covariates import COVARIATES, UNEXPLAINED, explanation, mean_of, usual
from autotune.measurement.measurement import Conditions
from autotune.spec.configuration import Configuration

USUAL_S = 0.002


def configuration(threads: int = 2, instances: int = 1) -> Configuration:
    return Configuration(instances, threads, "close", "0", False, "fake", "fp32")


def conditions(speed: float = 1.0, *, steal: float = 0.0, waited: float = 0.0) -> Conditions:
    return Conditions(1.0, probe_s=USUAL_S / speed, steal=steal, waited=waited)


def launches(
    count: int, slope: float, *, noise: float, spread: float, seed: int = 1, blocks: int = 3
) -> list[MeasuredLaunch]:
    """Launches on a host whose speed varies, which values follow with a slope."""
    draw, found = random.Random(seed), []
    for number in range(count):
        speeds = [math.exp(draw.gauss(0, spread)) for _ in range(blocks)]
        level = 10.0 * (1 + number % 4)
        values = [level * speed**slope * math.exp(draw.gauss(0, noise)) for speed in speeds]
        found.append(
            MeasuredLaunch(
                configuration(1 + number % 4),
                tuple(values),
                tuple(explanation(conditions(speed)) for speed in speeds),
            )
        )
    return found


def test_without_any_launch_the_priors_stand() -> None:
    known = learn([])
    assert known.slopes == pytest.approx([covariate.slope for covariate in COVARIATES])
    assert known.errors == pytest.approx([covariate.spread for covariate in COVARIATES])


@pytest.mark.parametrize("slope", [0.0, 0.5, 1.0])
def test_a_slope_is_learned_within_configurations(slope: float) -> None:
    known = learn(launches(12, slope, noise=0.01, spread=0.1))
    assert known.slopes[0] == pytest.approx(slope, abs=0.1)
    assert known.errors[0] < 0.1
    assert known.noise == pytest.approx(0.01, rel=0.6)


def test_a_probe_that_predicts_nothing_corrects_nothing() -> None:
    """On a quiet host the probe varies and values do not."""
    known = learn(launches(6, 0.0, noise=0.003, spread=0.1))
    assert known.factor(conditions(0.8), 2) == pytest.approx(1.0, abs=0.02)


def test_what_differs_between_configurations_alone_teaches_nothing() -> None:
    """One configuration always runs at half the speed, and is ten times as slow: that is what it is."""
    steady = explanation(conditions(1.0))
    halved = explanation(conditions(0.5))
    known = learn(
        [
            MeasuredLaunch(configuration(1), (10.0, 10.1, 9.9), (steady,) * 3),
            MeasuredLaunch(configuration(2), (1.0, 1.01, 0.99), (halved,) * 3),
        ]
    )
    assert known.slopes[0] == pytest.approx(COVARIATES[0].slope, abs=0.05)


def test_values_are_brought_to_what_is_usual_under_their_own_load() -> None:
    """Two threads slow the clock: a configuration is not to be corrected for what it does itself."""
    blocks = [
        *(
            MeasuredLaunch(configuration(1), (1.0,) * 3, (explanation(conditions(1.0)),) * 3)
            for _ in range(30)
        ),
        *(
            MeasuredLaunch(configuration(2), (1.8,) * 3, (explanation(conditions(0.8)),) * 3)
            for _ in range(30)
        ),
    ]
    known = learn(blocks)
    assert known.factor(conditions(0.8), load_of(configuration(2))) == pytest.approx(1.0, abs=0.02)
    assert known.factor(conditions(0.8), load_of(configuration(1))) > 1.05


def test_a_baseline_that_met_a_slow_spell_is_brought_to_what_is_usual_under_the_highest_load() -> None:
    """It takes as many threads as it likes, and its two launches are all that there are of that."""
    fast, slow = (explanation(conditions(speed)) for speed in (1.0, 0.5))
    seen = [
        *(MeasuredLaunch(configuration(0), (0.5,) * 3, (slow,) * 3) for _ in range(2)),
        *(MeasuredLaunch(configuration(1), (0.6,) * 3, (fast,) * 3) for _ in range(9)),
        *(MeasuredLaunch(configuration(2), (1.0,) * 3, (fast,) * 3) for _ in range(9)),
    ]
    known = learn(seen)
    assert known.deviations(slow, 0) == known.deviations(slow, 2)
    assert known.deviations(slow, 0)[0] == pytest.approx(math.log(0.5), abs=0.05)
    alone = learn(seen[:2])
    assert alone.deviations(slow, 0) == pytest.approx((0.0, 0.0))


def test_few_launches_of_a_load_do_not_say_what_is_usual() -> None:
    """All that was seen under load 2 was a slow spell."""
    known = usual({1: [[(0.0, 0.0)]] * 9, 2: [[(-0.7, 0.0)]]})
    assert known[1] == pytest.approx((0.0, 0.0))
    assert -0.2 < known[2][0] < 0.0


def test_a_slope_that_was_learned_brings_slow_blocks_back() -> None:
    known = learn(launches(12, 1.0, noise=0.01, spread=0.2))
    assert known.factor(conditions(0.5), 2) == pytest.approx(2.0, rel=0.15)
    assert known.factor(conditions(2.0), 2) == pytest.approx(0.5, rel=0.15)


def test_stolen_and_waited_time_count_together() -> None:
    known = Correction(slopes=(0.0, 1.0), errors=(0.1, 0.1), usual={}, overall=(0.0, 0.0))
    assert known.factor(conditions(steal=0.5, waited=0.5), 2) == pytest.approx(4.0)


def test_no_block_is_corrected_beyond_reason() -> None:
    known = Correction(slopes=(1.0, 1.0), errors=(0.1, 0.1), usual={}, overall=(-math.log(USUAL_S), 0.0))
    assert known.factor(conditions(0.001), 2) == pytest.approx(math.exp(MAX_SHIFT))


def test_what_cannot_be_read_corrects_nothing() -> None:
    known = learn(launches(6, 1.0, noise=0.01, spread=0.1))
    assert known.factor(None, 2) == known.factor(Conditions(1.0), 2) == 1.0
    assert UNCORRECTED.factor(conditions(0.5), 2) == 1.0
    assert explanation(None) == UNEXPLAINED
    assert mean_of([]) == UNEXPLAINED
    assert mean_of([(1.0, None), (3.0, 0.0)]) == (2.0, None)
