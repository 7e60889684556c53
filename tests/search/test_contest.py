from __future__ import annotations

import random
from collections.abc import Mapping

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from autotune.search.contest import MIN_ROUNDS, Contest, look_rounds
from autotune.search.verdict import Contender, Verdict

BASELINE = Contender("baseline", "baseline", 2, 100, 1)


def contenders(*finalists: Contender, twin: bool = True) -> list[Contender]:
    return [*finalists, *([Contender("twin", "twin")] if twin else []), BASELINE]


def finalist(name: str, cores: int = 2, memory_bytes: int = 100, instances: int = 1) -> Contender:
    return Contender(name, "finalist", cores, memory_bytes, instances)


def fought(
    entered: list[Contender],
    truths: Mapping[str, float],
    *,
    noise: float = 0.01,
    rounds: int = 8,
    seed: int = 1,
    tie: float = 0.02,
) -> tuple[Contest, Verdict | None, list[tuple[str, ...]]]:
    """Run a contest in which every contender reaches its truth times log-normal noise."""
    contest = Contest(entered, tie=tie, max_rounds=rounds, seed=seed)
    draw = random.Random(seed)
    orders = []
    while (names := contest.next_round()) is not None:
        orders.append(names)
        for name in names:
            contest.record(name, truths[name] * draw.lognormvariate(0, noise))
    return contest, contest.verdict(), orders


def test_the_best_wins_and_the_worse_one_is_named_and_runs_no_further() -> None:
    truths = {"a": 3.0, "b": 2.0, "twin": 3.0, "baseline": 1.0}
    _, verdict, orders = fought(contenders(finalist("a"), finalist("b")), truths, noise=0.03, seed=2)
    assert verdict is not None
    assert (verdict.winner, verdict.beats_baseline) == ("a", True)
    assert [(rival.name, rival.standing) for rival in verdict.rivals] == [("b", "worse")]
    assert verdict.gain is not None
    assert verdict.gain.low < 3.0 < verdict.gain.high
    assert all("b" in names for names in orders[:MIN_ROUNDS])
    assert not any("b" in names for names in orders[MIN_ROUNDS:])


@pytest.mark.parametrize(
    "cheaper",
    [finalist("b", cores=1), finalist("b", memory_bytes=99), finalist("b", cores=1, memory_bytes=999)],
)
def test_of_equally_good_ones_the_more_economical_is_taken(cheaper: Contender) -> None:
    truths = {"a": 3.0, "b": 3.0, "twin": 3.0, "baseline": 1.0}
    _, verdict, _ = fought(contenders(finalist("a"), cheaper), truths, noise=0.002)
    assert verdict is not None
    assert verdict.winner == "b"
    assert [(rival.name, rival.standing) for rival in verdict.rivals] == [("a", "tied")]


def test_fewer_instances_decide_where_cores_and_memory_do_not() -> None:
    truths = {"a": 3.0, "b": 3.0, "twin": 3.0, "baseline": 1.0}
    entered = contenders(finalist("a", instances=4), finalist("b", instances=2))
    _, verdict, _ = fought(entered, truths, noise=0.002)
    assert verdict is not None
    assert verdict.winner == "b"


def test_a_cheaper_one_outside_of_the_indifference_zone_is_not_taken() -> None:
    truths = {"a": 3.0, "b": 2.7, "twin": 3.0, "baseline": 1.0}
    _, verdict, _ = fought(contenders(finalist("a"), finalist("b", cores=1)), truths, noise=0.002)
    assert verdict is not None
    assert verdict.winner == "a"


@pytest.mark.parametrize("advantage", [1.0, 0.9])
def test_where_nothing_beats_the_baseline_the_baseline_is_the_plan(advantage: float) -> None:
    truths = {"a": advantage, "b": advantage, "twin": advantage, "baseline": 1.0}
    _, verdict, _ = fought(contenders(finalist("a"), finalist("b")), truths, noise=0.02)
    assert verdict is not None
    assert (verdict.winner, verdict.beats_baseline, verdict.gain) == ("baseline", False, None)
    assert {rival.name for rival in verdict.rivals} == {"a", "b"}


def test_finalists_that_are_worse_than_the_baseline_are_no_ties() -> None:
    truths = {"a": 0.5, "b": 0.99, "twin": 0.5, "baseline": 1.0}
    _, verdict, orders = fought(contenders(finalist("a"), finalist("b")), truths, noise=0.02)
    assert verdict is not None
    assert verdict.winner == "baseline"
    assert [(rival.name, rival.standing) for rival in verdict.rivals] == [("a", "worse"), ("b", "tied")]
    assert not any("a" in names for names in orders[MIN_ROUNDS:])


def test_a_failed_baseline_leaves_the_finalists_unopposed() -> None:
    contest = Contest(contenders(finalist("a")), tie=0.02, max_rounds=3, seed=1)
    while (names := contest.next_round()) is not None:
        for name in names:
            if name == "baseline":
                contest.fail(name, "crash")
            else:
                contest.record(name, 2.0)
    verdict = contest.verdict()
    assert verdict is not None
    assert (verdict.winner, verdict.beats_baseline, verdict.gain) == ("a", None, None)


def test_a_finalist_that_failed_once_is_out_and_its_twin_with_it() -> None:
    contest = Contest(contenders(finalist("a"), finalist("b")), tie=0.02, max_rounds=6, seed=1)
    orders = []
    while (names := contest.next_round()) is not None:
        orders.append(names)
        for name in names:
            if name == "a":
                contest.fail(name, "crash: exit status 70")
            else:
                contest.record(name, {"b": 2.0, "twin": 3.0, "baseline": 1.0}[name])
    verdict = contest.verdict()
    assert verdict is not None
    assert verdict.winner == "b"
    assert [(rival.standing, rival.reason) for rival in verdict.rivals] == [
        ("failed", "crash: exit status 70")
    ]
    assert set(orders[1]) == {"b", "baseline"}


def test_nothing_is_concluded_of_nothing() -> None:
    contest = Contest(contenders(finalist("a")), tie=0.02, max_rounds=3, seed=1)
    while (names := contest.next_round()) is not None:
        for name in names:
            contest.record(name, None)
    assert contest.verdict() is None
    assert contest.rounds == MIN_ROUNDS


def test_a_missing_value_is_no_failure() -> None:
    contest = Contest(contenders(finalist("a")), tie=0.02, max_rounds=4, seed=1)
    while (names := contest.next_round()) is not None:
        for name in names:
            lost = contest.rounds == 2 and name == "a"
            contest.record(name, None if lost else {"a": 2.0, "twin": 2.01, "baseline": 1.0}[name])
    verdict = contest.verdict()
    assert verdict is not None
    assert (verdict.winner, verdict.beats_baseline) == ("a", True)


def test_a_contest_without_finalists_is_for_the_baseline() -> None:
    _, verdict, orders = fought([BASELINE], {"baseline": 1.0})
    assert verdict is not None
    assert (verdict.winner, verdict.rivals) == ("baseline", ())
    assert len(orders) == MIN_ROUNDS


def test_the_twin_shows_how_well_the_rounds_repeat() -> None:
    truths = {"a": 3.0, "twin": 3.0, "baseline": 1.0}
    _, verdict, _ = fought(contenders(finalist("a")), truths, noise=0.02)
    assert verdict is not None
    assert verdict.twin is not None
    assert verdict.twin.low < 1.0 < verdict.twin.high
    assert verdict.spread == pytest.approx(0.02, rel=0.8)


def test_quiet_contests_end_early_and_noisy_ones_use_their_rounds() -> None:
    truths = {"a": 3.0, "twin": 3.0, "baseline": 1.0}
    quiet, noisy = (
        fought(contenders(finalist("a")), truths, noise=noise, rounds=8)[2] for noise in (0.002, 0.1)
    )
    assert len(quiet) == MIN_ROUNDS
    assert len(noisy) == 8


@settings(deadline=None, max_examples=50)
@given(st.integers(0, 10_000), st.integers(1, 4), st.integers(3, 9))
def test_every_round_runs_each_contender_once_and_the_order_depends_on_the_seed(
    seed: int, finalists: int, rounds: int
) -> None:
    entered = contenders(*(finalist(f"f{index}") for index in range(finalists)))
    truths = {one.name: 1.0 for one in entered}
    _, _, orders = fought(entered, truths, noise=0.05, rounds=rounds, seed=seed)
    assert MIN_ROUNDS <= len(orders) <= rounds
    for names in orders[:MIN_ROUNDS]:
        assert sorted(names) == sorted(truths)
    assert orders == fought(entered, truths, noise=0.05, rounds=rounds, seed=seed)[2]


def test_the_order_within_rounds_is_random() -> None:
    truths = {"a": 1.0, "b": 1.0, "twin": 1.0, "baseline": 1.0}
    entered = contenders(finalist("a"), finalist("b"))
    firsts = {fought(entered, truths, seed=seed, rounds=3)[2][0][0] for seed in range(40)}
    assert firsts == set(truths)


@pytest.mark.parametrize(
    ("rounds", "looks"), [(3, (3,)), (4, (3, 4)), (6, (3, 6)), (8, (3, 6, 8)), (30, (3, 6, 12, 24, 30))]
)
def test_looks_double_up_to_the_last_round(rounds: int, looks: tuple[int, ...]) -> None:
    assert look_rounds(rounds) == looks


def test_equal_configurations_are_seldom_declared_different() -> None:
    """300 contests: at a true rate of 3 % more than 5 % + 2 standard errors would come once in a thousand."""
    truths = {"a": 1.0, "b": 1.0, "c": 1.0, "twin": 1.0, "baseline": 1.0}
    entered = contenders(finalist("a"), finalist("b"), finalist("c"))
    claims = 0
    for seed in range(300):
        _, verdict, _ = fought(entered, truths, noise=0.04, rounds=6, seed=seed)
        assert verdict is not None
        claims += bool(verdict.beats_baseline) or any(one.standing == "worse" for one in verdict.rivals)
    assert claims / 300 <= 0.05 + 2 * (0.05 * 0.95 / 300) ** 0.5


def test_three_ratios_that_are_alike_by_chance_do_not_make_a_slower_finalist_lead() -> None:
    """Of a confirmation of quickstart on a noisy machine: b is the slower, and its ratios lie within 4 %."""
    rounds = (
        {"a": 45.53, "twin": 44.77, "b": 44.82, "baseline": 14.55},
        {"a": 42.65, "twin": 44.99, "b": 38.49, "baseline": 12.68},
        {"a": 44.59, "twin": 43.95, "b": 35.69, "baseline": 11.98},
    )
    contest = Contest(contenders(finalist("a"), finalist("b")), tie=0.02, max_rounds=3, seed=1)
    for values in rounds:
        contest.next_round()
        for name, value in values.items():
            contest.record(name, value)
    verdict = contest.verdict()
    assert verdict is not None
    assert verdict.winner == "a"
    assert [(rival.name, rival.standing) for rival in verdict.rivals] == [("b", "tied")]
