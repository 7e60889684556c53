"""When a contest doubts its rounds: what fell in them, beside what the search had measured."""

from __future__ import annotations

import math
import random
from collections.abc import Mapping

import pytest

from autotune.rounds.contest import Contest
from autotune.rounds.contradiction import REACH, Earlier
from autotune.rounds.looks import MIN_ROUNDS
from autotune.rounds.posterior import ContestPrior
from autotune.rounds.verdict import Contender, Role, Verdict
from autotune.statistics.linear import ScalePrior

SEARCHED = {"a": 526.0, "b": 500.0, "default": 400.0, "baseline": 270.0}
ROLES: Mapping[str, Role] = {"baseline": "baseline", "default": "default", "twin": "twin"}


def beats_baseline(verdict: Verdict) -> bool | None:
    """Say whether it is shown that the winner is better; None where there is no baseline to beat."""
    if verdict.baseline_estimate is None:
        return None
    return verdict.baseline is not None and verdict.baseline.said == "shown"


def contest(searched: Mapping[str, float], *, rounds: int = 12, spread: float = 0.015) -> Contest:
    """A contest of these, `a` the leader, after a search of ten configurations with such noise."""
    contenders = [
        Contender(
            name,
            ROLES.get(name, "finalist"),
            earlier=Earlier(value, spread, among=1 if name == "baseline" else 10),
        )
        for name, value in searched.items()
    ]
    return Contest(
        contenders, tie=0.02, max_rounds=rounds, seed=1, prior=ContestPrior(noise=ScalePrior(spread, 3.0))
    )


def play(
    fight: Contest,
    truths: Mapping[str, float],
    *,
    later: Mapping[str, float] | None = None,
    noise: float = 0.01,
    seed: int = 1,
) -> list[tuple[str, ...]]:
    """Run all rounds that are allowed; from the fourth on with other truths, if given. The order of each."""
    draw = random.Random(seed)
    orders = []
    while (names := fight.next_round()) is not None:
        orders.append(names)
        now = truths if later is None or fight.rounds <= MIN_ROUNDS else later
        for name in names:
            fight.record(name, now[name] * draw.lognormvariate(0, noise))
    return orders


def fallen(fight: Contest) -> list[str]:
    return [compared.name for compared in fight.compared() if compared.contradiction]


def with_changes(**changes: float) -> dict[str, float]:
    return {**SEARCHED, **changes}


def test_rounds_that_repeat_the_search_are_not_doubted_and_end_early() -> None:
    fight = contest(SEARCHED)
    assert len(play(fight, SEARCHED)) == MIN_ROUNDS
    assert fallen(fight) == []
    assert not fight.extend()
    assert [compared.name for compared in fight.compared()] == ["baseline", "a", "b", "default"]


def test_a_baseline_that_fell_is_doubted_with_its_figures_and_runs_on() -> None:
    fight = contest(SEARCHED)
    orders = play(fight, with_changes(baseline=10.0))
    assert len(orders) == 12
    assert all(set(names) == set(SEARCHED) for names in orders)
    baseline = fight.compared()[0]
    assert fallen(fight) == ["baseline"]
    assert baseline.contradiction is not None
    assert baseline.before == 270.0
    assert baseline.now == pytest.approx(10.0, rel=0.02)
    assert baseline.contradiction.times == pytest.approx(27.0, rel=0.05)
    assert baseline.contradiction.allowed == REACH
    assert not fight.extend(), "more rounds were run already"


def test_nothing_is_shown_while_the_rounds_are_doubted() -> None:
    fight = contest(SEARCHED)
    play(fight, with_changes(baseline=10.0))
    verdict = fight.verdict()
    assert verdict is not None
    assert beats_baseline(verdict) is False
    assert [rival.standing for rival in verdict.rivals] == ["likely"]


@pytest.mark.parametrize("rounds", [3, 4])
def test_more_rounds_are_owed_where_no_more_were_allowed(rounds: int) -> None:
    fight = contest(SEARCHED, rounds=rounds)
    before = len(play(fight, with_changes(baseline=10.0)))
    assert before == rounds
    assert fight.extend()
    more = play(fight, with_changes(baseline=10.0))
    assert before + len(more) == 2 * MIN_ROUNDS
    assert all(set(names) == set(SEARCHED) for names in more)
    assert fallen(fight) == ["baseline"]
    assert not fight.extend()


def test_what_has_gone_again_is_doubted_no_more_and_the_gain_is_the_searched_one() -> None:
    fight = contest(SEARCHED)
    play(fight, with_changes(baseline=10.0), later=SEARCHED)
    assert fallen(fight) == []
    verdict = fight.verdict()
    assert verdict is not None
    assert verdict.gain is not None
    assert verdict.gain.estimate == pytest.approx(526 / 270, rel=0.02)
    assert beats_baseline(verdict) is True


def test_rounds_of_two_kinds_are_doubted_however_wide_the_interval_has_become() -> None:
    """Half of the baseline's runs fell: it states 5 times as much as is true, and its interval holds that."""
    searched = {"a": 526.0, "baseline": 270.0}
    fight = contest(searched, rounds=6)
    play(fight, {"a": 526.0, "baseline": 10.0}, later=searched)
    assert fallen(fight) == ["baseline"]


@pytest.mark.parametrize("times", [0.5, 0.1, 1.5])
def test_what_slows_everybody_alike_leaves_the_ratios_as_they_are(times: float) -> None:
    fight = contest(SEARCHED)
    play(fight, {name: times * value for name, value in SEARCHED.items()})
    assert fallen(fight) == []


@pytest.mark.parametrize("name", list(SEARCHED))
def test_every_entrant_is_compared_not_the_baseline_alone(name: str) -> None:
    fight = contest(SEARCHED)
    play(fight, with_changes(**{name: SEARCHED[name] / 3}))
    assert fallen(fight) == [name]


def test_what_slows_all_but_the_baseline_is_told_of_each() -> None:
    fight = contest(SEARCHED)
    play(fight, {name: value if name == "baseline" else value / 2 for name, value in SEARCHED.items()})
    assert fallen(fight) == ["a", "b", "default"]


def test_what_was_held_up_in_the_search_alone_says_nothing_of_the_rounds() -> None:
    fight = contest(with_changes(baseline=10.0))
    play(fight, SEARCHED)
    assert fallen(fight) == []
    verdict = fight.verdict()
    assert verdict is not None
    assert verdict.gain is not None
    assert verdict.gain.estimate == pytest.approx(526 / 270, rel=0.02)


@pytest.mark.parametrize(("spread", "doubted"), [(0.015, True), (0.15, False)])
def test_what_the_searchs_noise_explains_is_no_contradiction(spread: float, *, doubted: bool) -> None:
    fight = contest(SEARCHED, spread=spread, rounds=3)
    play(fight, with_changes(baseline=150.0))
    assert bool(fallen(fight)) == doubted


def test_rounds_that_jump_for_everybody_excuse_what_the_search_could_not_know() -> None:
    """The search met one regime; rounds in which all go up and down by half tell how far launches differ."""
    fight, draw = contest(SEARCHED, rounds=6), random.Random(2)
    while (names := fight.next_round()) is not None:
        for name in names:
            regime = math.log(0.5) * draw.randrange(2)
            fight.record(name, 0.75 * SEARCHED[name] * math.exp(regime) * draw.lognormvariate(0, 0.01))
    assert fallen(fight) == []


def test_a_correction_that_is_unsure_excuses_what_it_may_have_got_wrong() -> None:
    """The baseline's runs met a host that gave half, as a search that saw nothing of the kind corrects it."""

    def fought(error: float, *, expected: float = 0.5) -> Contest:
        noise = ScalePrior(0.015, 3.0)
        prior = ContestPrior(noise, slopes=(0.5,), errors=(error,), expected=(expected,))
        contenders = [
            Contender("a", "finalist", earlier=Earlier(500.0, 0.015, (0.0,))),
            Contender("baseline", "baseline", earlier=Earlier(270.0, 0.015, (0.0,))),
        ]
        fight, draw = Contest(contenders, tie=0.02, max_rounds=3, seed=1, prior=prior), random.Random(4)
        while (names := fight.next_round()) is not None:
            for name in names:
                given = math.log(0.5) if name == "baseline" else 0.0
                value = {"a": 500.0, "baseline": 100.0}[name]
                fight.record(name, value * draw.lognormvariate(0, 0.01), (given,))
        return fight

    assert fallen(fought(0.01)) == ["baseline"]
    assert fallen(fought(0.7)) == []
    assert fallen(fought(0.01, expected=1.2)) == [], "found far from what such slopes are"


def test_chance_alone_hardly_ever_makes_a_contradiction() -> None:
    """A search of twenty equal configurations, of which the luckiest two are finalists, 400 times."""
    doubted = 0
    for seed in range(400):
        draw = random.Random(seed)
        lucky = sorted((draw.lognormvariate(0, 0.1) for _ in range(20)), reverse=True)
        contenders = [
            Contender(name, ROLES.get(name, "finalist"), earlier=Earlier(value, 0.1, (), among))
            for name, value, among in (
                ("a", lucky[0], 20),
                ("b", lucky[1], 20),
                ("baseline", draw.lognormvariate(0, 0.1), 1),
            )
        ]
        prior = ContestPrior(noise=ScalePrior(0.08, 3.0))
        fight = Contest(contenders, tie=0.02, max_rounds=3, seed=seed, prior=prior)
        play(fight, dict.fromkeys(("a", "b", "baseline"), 1.0), noise=0.1, seed=seed)
        doubted += fight.is_contradicted
    assert doubted == 0


def test_a_contender_that_failed_or_was_not_searched_is_not_compared() -> None:
    fight = contest(SEARCHED, rounds=3)
    while (names := fight.next_round()) is not None:
        for name in names:
            if name == "baseline":
                fight.fail(name, "crash")
            else:
                fight.record(name, SEARCHED[name])
    assert "baseline" not in [compared.name for compared in fight.compared()]
    assert not fight.is_contradicted


def test_the_twin_counts_for_its_leader() -> None:
    fight = contest({**SEARCHED, "twin": 526.0}, rounds=3)
    play(fight, {**SEARCHED, "a": 200.0, "twin": 200.0})
    assert fallen(fight) == ["a"]
