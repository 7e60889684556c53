"""Scores under usual conditions, and what the search leaves to the rounds."""

from __future__ import annotations

import math

import pytest

from autotune.measurement.correction import Correction
from autotune.measurement.measurement import Block, Conditions, InstanceBlock, Measurement
from autotune.rounds.posterior import LEAST_NOISE
from autotune.search.experience import (
    LAUNCH_SHARE,
    Experience,
    corrected_goodness,
    experience,
    in_words,
    is_corrected,
    run_blocks,
)
from autotune.spec.aim import Aim
from autotune.spec.configuration import Configuration
from autotune.spec.problem import Problem
from autotune.spec.study import Measure, StudySpec

SPEC = StudySpec(
    name="simulated",
    model="fake:simulated.json",
    problem=Problem(batch_size=1, sequence_length=1),
    objective=Aim(kind="throughput"),
    scenario="offline",
)

TWO = Configuration(1, 2, "close", "0", False, "fake", "fp32")
LEARNED = Correction(
    slopes=(1.0, 1.0), errors=(0.05, 0.5), usual={}, overall=(-math.log(0.002), 0.0), noise=0.03, freedom=20
)


def measured(*blocks: tuple[float, float]) -> Measurement:
    """Blocks of a second, each of a throughput at a speed."""
    made = []
    for samples_per_s, speed in blocks:
        request = InstanceBlock(1, (0.0,), (1 / samples_per_s,))
        made.append(Block(0.0, (request,), Conditions(1.0, probe_s=0.002 / speed, steal=0.0, waited=0.0)))
    return Measurement("offline", tuple(made), (), "none", 5.0, 3.0, 1.0)


def spec(disturbed: str = "correct", **changes: object) -> StudySpec:
    return SPEC.model_copy(update={"measure": Measure(disturbed=disturbed), **changes})  # type: ignore[arg-type]


SLOW = measured((50.0, 0.5), (100.0, 1.0), (51.0, 0.5))


def test_a_score_is_the_median_of_what_blocks_would_have_been() -> None:
    assert Experience(spec(), LEARNED).score(TWO, SLOW) == pytest.approx(100.0)
    assert Experience(spec("keep"), LEARNED).score(TWO, SLOW) == pytest.approx(51.0)
    assert Experience(spec("drop"), LEARNED).score(TWO, SLOW) == pytest.approx(51.0)


def test_a_latency_is_shorter_under_usual_conditions() -> None:
    latency = spec(objective=Aim(kind="latency", percentile=50), scenario="single_stream")
    known = Experience(latency, LEARNED)
    assert known.score(TWO, SLOW) == pytest.approx(0.01, rel=0.03)
    assert corrected_goodness(known, TWO, SLOW) == pytest.approx(100.0, rel=0.03)


def test_a_rate_that_was_sought_is_what_it_is() -> None:
    assert not is_corrected(spec(scenario="server"))
    assert not is_corrected(spec("drop"))
    assert is_corrected(spec())


def test_one_launch_says_less_than_its_blocks() -> None:
    """More blocks of one launch do not tell what another launch would reach."""
    known = Experience(spec(), LEARNED)
    few, many = measured(*[(100.0, 1.0)] * 3), measured(*[(100.0, 1.0)] * 300)
    assert known.half_width(many) > 0.9 * 2 * LAUNCH_SHARE * known.spread
    assert known.half_width(few) > known.half_width(many)


def test_the_search_leaves_its_noise_and_slopes_to_the_rounds() -> None:
    prior = Experience(spec(), LEARNED).prior(2)
    assert prior.slopes == LEARNED.slopes
    assert all(ours > theirs for ours, theirs in zip(prior.errors, LEARNED.errors, strict=True))
    assert prior.noise.scale > LEAST_NOISE.scale
    quiet = Experience(spec(), Correction(noise=0.002, freedom=20)).prior(2)
    assert (quiet.noise.scale, quiet.slopes) == (LEAST_NOISE.scale, ())


def test_only_what_the_study_has_seen_is_told() -> None:
    told = in_words(Experience(spec(), LEARNED))
    assert "speed 1.00 +- 0.05" in told
    assert "granted" not in told
    assert in_words(Experience(spec("keep"), LEARNED)) == ""


def test_a_study_learns_from_its_measurements() -> None:
    results = [(TWO, measured((100.0, 1.0), (80.0, 0.8), (120.0, 1.2))) for _ in range(4)]
    known = experience(spec(), results)
    assert known.learned.slopes[0] == pytest.approx(1.0, abs=0.1)
    unwatched = experience(spec("keep"), results)
    assert unwatched.spread > known.spread


def test_runs_of_the_rounds_are_short() -> None:
    assert run_blocks(spec()) == 2
    assert run_blocks(SPEC.model_copy(update={"measure": Measure(blocks=1)})) == 1
