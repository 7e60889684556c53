from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from autotune.series.lineup import Lineup

NAMES = ("a", "b", "c", "d", "e")


def order(lineup: Lineup) -> list[tuple[int, str]]:
    """Every run, round by round."""
    found = []
    while (names := lineup.next_round()) is not None:
        found += [(lineup.rounds, name) for name in names]
    return found


def test_every_point_runs_once_in_every_round_in_an_order_of_its_own() -> None:
    runs = order(Lineup(NAMES, rounds=4, seed=0))
    assert sorted(runs) == [(number, name) for number in range(1, 5) for name in NAMES]
    orders = {tuple(name for at, name in runs if at == number) for number in range(1, 5)}
    assert len(orders) > 1


@given(st.sets(st.integers(1, 4)), st.integers(0, 1000))
def test_rounds_that_are_left_run_whole_and_as_they_would_have(done: set[int], seed: int) -> None:
    whole = order(Lineup(NAMES, rounds=4, seed=seed))
    rest = order(Lineup(NAMES, rounds=4, seed=seed, done=done))
    assert rest == [(number, name) for number, name in whole if number not in done]


def test_a_point_that_does_not_run_is_left_out_from_the_next_round_on() -> None:
    lineup = Lineup(NAMES, rounds=2, seed=0)
    assert set(lineup.next_round() or ()) == set(NAMES)
    lineup.fail("c", "crash")
    assert set(lineup.next_round() or ()) == {"a", "b", "d", "e"}
    assert order(Lineup(NAMES, rounds=1, seed=0, failed=NAMES)) == []
