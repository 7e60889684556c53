from __future__ import annotations

import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from autotune.testing import hosts
from autotune.testing.hosts import HOSTS, VirtualHost
from studies.benchmarks import noisy_hosts
from studies.benchmarks.hosted_study import Claim, Ended, World, hosted_study, spec_of
from studies.benchmarks.noisy_hosts import BEFORE, BETTER, PLAYER, RECORDINGS, WORLDS, figures, makers, world


def ended(name: str, number: int, *, host: str = "quiet", disturbed: str | None = None) -> Ended:
    make = makers(RECORDINGS)[host]
    seed = 1000 + number
    return hosted_study(world(name, seed), VirtualHost(make(seed), seed), seed, spec_of(disturbed))


@pytest.mark.parametrize("name", BETTER)
def test_the_better_candidate_is_as_much_better_than_the_default_as_its_world_says(name: str) -> None:
    found = world(name, 1)
    assert max(found.candidates) == pytest.approx(float(name) * found.default)
    assert 1.0 <= found.default <= 2.0


def test_no_candidate_is_better_where_all_are_worse_or_equal() -> None:
    assert max(world("worse", 1).candidates) < world("worse", 1).default
    assert set(world("equal", 1).speeds) == {1.0}


def test_a_study_on_a_quiet_host_finds_what_is_twice_as_good_and_says_so() -> None:
    study = ended("2", 1)
    assert study.truth == max(study.world.speeds)
    assert study.value is not None
    assert study.value.estimate == pytest.approx(study.value.truth, rel=0.05)
    assert all(claim.estimate == pytest.approx(claim.truth, rel=0.1) for claim in study.ratios)
    assert study.counted_s == pytest.approx(study.measured_s)
    assert study.rounds >= 3


def test_the_same_study_ends_the_same_way() -> None:
    host = "zen3-1x2-fp32"
    assert ended("1.5", 1, host=host) == ended("1.5", 1, host=host)


@pytest.mark.parametrize("disturbed", ["keep", "drop", "correct"])
def test_studies_can_be_played_with_every_treatment_of_disturbed_blocks(disturbed: str) -> None:
    assert ended("2", 2, host="noise 10 %", disturbed=disturbed).winner is not None


def test_a_study_whose_baseline_fell_when_the_search_was_over_gives_no_plan() -> None:
    study = ended("1.5", 1, host="late on unpinned")
    assert study.is_contradicted
    assert (study.winner, study.ratios) == (None, ())
    assert study.rounds >= 6


@pytest.mark.parametrize("host", ["late neighbour", "late stolen"])
@pytest.mark.parametrize("disturbed", ["keep", "correct"])
def test_a_study_that_somebody_slows_alike_when_its_search_is_over_has_a_plan(
    host: str, disturbed: str
) -> None:
    study = ended("2", 1, host=host, disturbed=disturbed)
    assert not study.is_contradicted
    assert study.truth == max(study.world.speeds)
    assert all(claim.estimate == pytest.approx(claim.truth, rel=0.1) for claim in study.ratios)


def test_a_study_that_stated_a_wrong_ratio_is_counted() -> None:
    wrong = replace(of(winner=2), ratios=(Claim(2.0, 1.9, 2.1, 1.2),))
    right = replace(of(winner=2), ratios=(Claim(1.3, 1.2, 1.4, 1.2),))
    doubted = replace(of(winner=None), is_contradicted=True)
    found = figures("quiet", {name: [wrong, right, doubted, right] for name in WORLDS})
    assert found.misled.share == pytest.approx(0.25)
    assert found.contradicted.share == pytest.approx(0.25)


def test_figures_count_what_was_missed_and_what_is_worse() -> None:
    best, poor = of(winner=2), of(winner=3)
    none = of(winner=None)
    studies = {name: [best, poor, none] if name == "1.2" else [best] for name in WORLDS}
    found = figures("quiet", studies)
    assert found.missed["1.2"].share == pytest.approx(2 / 3)
    assert found.untried["1.2"].share == pytest.approx(0)
    assert found.missed["2"].share == 0
    assert found.no_plan.share == pytest.approx(1 / 7)
    assert found.below_default.share == pytest.approx(1 / 7)
    assert found.below_baseline.share == pytest.approx(1 / 7)
    assert found.value.share == pytest.approx(1)
    assert found.counted == pytest.approx(0.5)


def of(*, winner: int | None) -> Ended:
    claim = None if winner is None else Claim(1.0, 0.9, 1.1, 1.05)
    return Ended(
        world=World(1.0, (1.2, 0.9)),
        winner=winner,
        finalists=(2, 3),
        value=claim,
        usual=claim,
        ratios=(),
        measured_s=10.0,
        counted_s=5.0,
        tried=frozenset({0, 1, 2, 3}),
        rounds=3,
        seconds=300.0,
    )


def test_every_named_host_can_be_played() -> None:
    assert set(HOSTS) < set(makers(RECORDINGS))


def test_the_commit_that_plays_the_one_before_plays_that_one_on_the_same_hosts() -> None:
    def at_player(module: object) -> str:
        name = Path(str(vars(module)["__file__"])).relative_to(noisy_hosts.REPOSITORY)
        git = ["git", "-C", str(noisy_hosts.REPOSITORY), "show", f"{PLAYER}:{name}"]
        shown = subprocess.run(git, capture_output=True, text=True, check=False)
        if shown.returncode:
            pytest.skip(f"this checkout has no history: {shown.stderr.strip()}")
        return shown.stdout

    assert f'BEFORE = "{BEFORE}"' in at_player(noisy_hosts)
    then = at_player(hosts)
    assert [name for name in HOSTS if f'"{name}"' not in then] == []
