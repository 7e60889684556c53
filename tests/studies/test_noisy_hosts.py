from __future__ import annotations

import subprocess
import sys
from dataclasses import replace

import pytest

from autotune.testing.hosts import HOSTS
from studies.benchmarks.hosted_study import hosted_study, placed, setup_of
from studies.benchmarks.noisy_hosts import (
    BETTER,
    RECORDINGS,
    WORLDS,
    best,
    figures,
    is_missed,
    makers,
    speed,
    world,
)
from studies.benchmarks.simulated_tune import PlanClaim, SimulatedOutcome


def ended(name: str, number: int, *, host: str = "quiet", disturbed: str | None = None) -> SimulatedOutcome:
    seed = 1000 + number
    return hosted_study(world(name, seed), makers(RECORDINGS)[host], seed, disturbed=disturbed)


@pytest.mark.parametrize("name", BETTER)
def test_the_better_candidate_is_as_much_better_than_the_default_as_its_world_says(name: str) -> None:
    found = world(name, 1)
    assert max(found.candidates) == pytest.approx(float(name) * found.default)
    assert 1.0 <= found.default <= 2.0


def test_no_candidate_is_better_where_all_are_worse_or_equal() -> None:
    assert max(world("worse", 1).candidates) < world("worse", 1).default
    assert set(world("equal", 1).speeds) == {1.0}


def test_the_best_candidate_is_any_of_the_configurations_and_the_default_starts_as_engines_do() -> None:
    setup = setup_of()
    speeds = [placed(world("2", seed), setup, seed) for seed in range(20)]
    fastest = {max(one, key=one.__getitem__) for one in speeds}
    assert len(fastest) > 3
    assert fastest <= set(setup.space.configurations)
    (default,) = setup.space.defaults
    assert (default.placement, default.threads_per_instance) == ("unpinned", 0)
    assert {one[setup.space.baseline] for one in speeds} == {1.0}
    assert speeds[3][default] == world("2", 3).default


def test_a_study_on_a_quiet_host_finds_what_is_twice_as_good_and_says_so() -> None:
    study = ended("2", 1)
    assert study.plan is not None
    assert study.winner == best(study)
    (value,) = study.claims()["estimate"]
    assert value.estimate == pytest.approx(value.truth, rel=0.05)
    assert len(study.ratios()) >= 2
    assert all(claim.estimate == pytest.approx(claim.truth, rel=0.1) for claim in study.ratios())
    assert study.counted_s == pytest.approx(study.measured_s)
    assert study.rounds >= 3
    assert set(study.searched) == set(study.truths)


def test_the_same_study_ends_the_same_way() -> None:
    one, again = (ended("1.5", 1, host="zen3-1x2-fp32") for _ in range(2))
    assert (one.searched, one.seconds, one.rounds, one.ratios()) == (
        again.searched,
        again.seconds,
        again.rounds,
        again.ratios(),
    )


@pytest.mark.parametrize("disturbed", ["keep", "drop", "correct"])
def test_studies_can_be_played_with_every_treatment_of_disturbed_blocks(disturbed: str) -> None:
    assert ended("2", 2, host="noise 10 %", disturbed=disturbed).plan is not None


def test_a_study_whose_baseline_fell_when_the_search_was_over_gives_no_plan() -> None:
    study = ended("1.5", 1, host="late on unpinned")
    assert study.is_contradicted
    assert (study.winner, study.ratios()) == (None, [])
    assert study.rounds >= 6


@pytest.mark.parametrize("host", ["late neighbour", "late stolen"])
@pytest.mark.parametrize("disturbed", ["keep", "correct"])
def test_a_study_that_somebody_slows_alike_when_its_search_is_over_has_a_plan(
    host: str, disturbed: str
) -> None:
    study = ended("2", 1, host=host, disturbed=disturbed)
    assert not study.is_contradicted
    assert study.winner == best(study)
    assert all(claim.estimate == pytest.approx(claim.truth, rel=0.1) for claim in study.ratios())


def test_a_study_without_a_plan_leaves_the_baseline_in_place() -> None:
    none = replace(ended("2", 1), plan=None, reason="the machine was too noisy")
    assert speed(none) == none.truths[none.baseline]
    assert is_missed(none)
    assert not none.is_contradicted


def test_figures_count_what_was_missed_what_is_worse_and_what_misleads() -> None:
    found = ended("2", 1)
    assert found.plan is not None
    truths = dict.fromkeys(found.truths, 1.0)
    best_plan = replace(found, truths={**truths, str(found.winner): 2.0})
    poor = replace(best_plan, truths={**truths, str(found.winner): 0.5})
    none = replace(best_plan, plan=None, reason="after 6 rounds, the rounds contradict the search: it fell")
    outcomes = {name: [best_plan, poor, none] if name == "1.2" else [best_plan, best_plan] for name in WORLDS}
    summed = figures("quiet", outcomes)
    assert summed.studies == 11
    assert summed.missed["1.2"].share == pytest.approx(2 / 3)
    assert summed.missed["2"].share == 0
    assert summed.no_plan.share == summed.contradicted.share == pytest.approx(1 / 11)
    assert summed.below_default.share == summed.below_baseline.share == pytest.approx(1 / 11)
    assert summed.counted == pytest.approx(found.counted_s / found.measured_s)
    assert summed.misled.share >= 1 / 11


def test_a_claim_without_an_interval_is_open() -> None:
    assert PlanClaim(1.2, 0.0, float("inf"), 1.1).is_open
    assert not PlanClaim(1.2, 1.0, 1.4, 1.1).is_open


def test_every_named_host_can_be_played() -> None:
    assert set(HOSTS) < set(makers(RECORDINGS))


def test_too_few_studies_are_refused() -> None:
    program = (sys.executable, "-m", "studies.benchmarks.noisy_hosts", "--studies", "2")
    answer = subprocess.run(program, capture_output=True, text=True, check=False)
    assert answer.returncode == 2
    assert "would say nothing" in answer.stderr
