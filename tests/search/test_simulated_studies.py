"""What a plan claims on noisy machines, held against known truths.

`studies/benchmarks/confirmation.py` prints the same figures of many more studies.

Seeds are fixed. Each bound lets a product pass that is only just as good as promised: what would come of it
with a probability below `SLIP` fails.
"""

from __future__ import annotations

import random
import statistics
from collections.abc import Iterable, Mapping
from functools import cache

import pytest
from scipy.special import bdtr

from autotune.testing.noise import Noise, Spikes
from studies.benchmarks.simulated_tune import PlanClaim, SimulatedOutcome, simulated_tune

pytestmark = pytest.mark.slow

SLIP = 1e-3
STUDIES = 24
CONFIGURATIONS = 10

SPIKES = Spikes(share=0.02, factor=2.0, mean_s=0.5)
NOISES: Mapping[str, Noise] = {
    "block 5 %": Noise(block=0.05),
    "launch 3 %": Noise(launch=0.03, request=0.01),
    "drift 5 %": Noise(drift=0.05, request=0.01),
    "spikes": Noise(spikes=SPIKES, request=0.01),
    "all": Noise(launch=0.03, block=0.03, request=0.01, drift=0.05, spikes=SPIKES),
}
WORLDS: Mapping[str, tuple[float, float]] = {
    "equal": (1.0, 1.0),
    "mixed": (0.85, 1.15),
    "worse": (0.95, 0.99),
}
"""Between which speeds the configurations lie; the baseline's is 1."""

each_noise = pytest.mark.parametrize("noise", NOISES)


def speeds(world: str, seed: int) -> list[float]:
    source = random.Random(f"{world} {seed}")
    return [1.0, *(source.uniform(*WORLDS[world]) for _ in range(CONFIGURATIONS))]


@cache
def studies(world: str, noise: str) -> tuple[SimulatedOutcome, ...]:
    cell = len(WORLDS) * list(NOISES).index(noise) + list(WORLDS).index(world)
    seeds = range(1000 * cell, 1000 * cell + STUDIES)
    return tuple(simulated_tune(speeds(world, seed), NOISES[noise], seed) for seed in seeds)


def everywhere(*worlds: str) -> list[SimulatedOutcome]:
    return [outcome for world in worlds for noise in NOISES for outcome in studies(world, noise)]


def most(count: int, share: float) -> int:
    """More than so many of `count` happen with a probability of at most `SLIP` where each has this share."""
    return next(number for number in range(count + 1) if bdtr(number, count, share) >= 1 - SLIP)


def fewest(count: int, share: float) -> int:
    """Fewer than so many of `count`, likewise."""
    return count - most(count, 1 - share)


def of_plans(values: Iterable[float | None]) -> list[float]:
    return [value for value in values if value is not None]


def verdict_of(outcome: SimulatedOutcome) -> str:
    return "" if outcome.plan is None else outcome.plan.confirmation.verdict


def number_of(true: Iterable[bool]) -> int:
    return sum(true)


def test_the_bounds_are_those_of_the_binomial_distribution() -> None:
    assert (most(10, 0.5), fewest(10, 0.5)) == (9, 1)
    assert (most(200, 0.05), fewest(200, 0.95)) == (21, 179)


@each_noise
def test_where_nothing_differs_few_studies_say_that_something_does(noise: str) -> None:
    claiming = number_of(outcome.declares_difference for outcome in studies("equal", noise))
    assert claiming <= most(STUDIES, 0.05)


def test_over_all_kinds_of_noise_at_most_one_study_in_twenty_claims_a_difference_that_is_not_there() -> None:
    found = everywhere("equal")
    assert number_of(outcome.declares_difference for outcome in found) <= most(len(found), 0.05)


def test_a_plan_worse_than_the_baseline_ships_in_at_most_one_study_of_a_hundred() -> None:
    found = everywhere("mixed", "worse")
    assert number_of(outcome.ships_worse for outcome in found) <= most(len(found), 0.01)


@each_noise
@pytest.mark.parametrize("world", WORLDS)
def test_the_stored_estimate_is_as_often_too_high_as_too_low_within_one_per_cent(
    world: str, noise: str
) -> None:
    """Were the median optimism at a bound, half of the studies would lie beyond it."""
    optimisms = of_plans(outcome.optimism for outcome in studies(world, noise))
    assert number_of(optimism > 0.01 for optimism in optimisms) <= most(STUDIES, 0.5)
    assert number_of(optimism < -0.01 for optimism in optimisms) <= most(STUDIES, 0.5)


def test_over_all_studies_the_median_optimism_is_within_one_per_cent() -> None:
    assert abs(statistics.median(of_plans(outcome.optimism for outcome in everywhere(*WORLDS)))) <= 0.01


@each_noise
def test_the_best_score_of_the_search_alone_would_have_been_too_good(noise: str) -> None:
    """So that the noise of these studies is such that confirming matters."""
    optimism = statistics.median(outcome.search_optimism for outcome in studies("equal", noise))
    assert optimism > (0.0 if noise == "spikes" else 0.01)


@pytest.mark.parametrize("kind", ["gain", "estimate", "first rival", "twin"])
def test_intervals_hold_the_truth_as_often_as_they_say(kind: str) -> None:
    """One interval a study, as those of one study depend on each other."""
    found = everywhere(*WORLDS)
    claims = [claim for outcome in found for claim in one_claim(outcome, kind)]
    holding = number_of(claim.holds for claim in claims)
    assert len(claims) >= STUDIES * len(NOISES) * 0.9
    assert fewest(len(claims), 0.93) <= holding <= most(len(claims), 0.97)


def one_claim(outcome: SimulatedOutcome, kind: str) -> list[PlanClaim]:
    return outcome.claims()["rivals" if kind == "first rival" else kind][:1]


@each_noise
def test_a_better_configuration_is_found_where_there_is_one(noise: str) -> None:
    """Saying `not distinguishable` every time would keep every promise above."""
    found = studies("mixed", noise)
    assert number_of(verdict_of(outcome) == "better" for outcome in found) > STUDIES / 2
    assert statistics.median(of_plans(outcome.loss for outcome in found)) < 0.05
