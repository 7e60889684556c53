from __future__ import annotations

import pytest

from autotune.spec.configuration import Prepared
from studies.benchmarks.search_order import (
    LOOK_S,
    ORDERS,
    Case,
    Preparing,
    own_price_s,
    quietly,
    seen_of,
    setup_of,
    world_of,
)


def a_case(order: str = "product", minutes: float = 3.0) -> Case:
    return Case("zen4", 2, order, minutes, 0.03, 1)


@pytest.mark.parametrize("order", ORDERS)
def test_a_search_of_three_minutes_tries_some_and_compares_good_ones(order: str) -> None:
    found = quietly(a_case(order))
    assert found.trials > 3
    assert 1 <= found.prepared <= found.trials
    assert 0 <= found.regret <= found.plan_regret < 0.8


def test_the_same_case_ends_the_same_way() -> None:
    assert quietly(a_case()) == quietly(a_case())


def test_looks_take_their_seconds_and_at_most_a_fifth_of_the_minutes() -> None:
    setup = setup_of("zen4", 2)
    world = world_of(a_case(), setup)
    few, all_ = (seen_of(a_case(minutes=minutes), world, setup) for minutes in (1.0, 10.0))
    for seen in (few, all_):
        assert seen.looking_s == pytest.approx(LOOK_S * len(seen.looks.seen))
    assert len(few.looks.seen) == int(0.2 * 60 / LOOK_S)
    assert len(all_.looks.seen) == len(world.looks)
    assert not seen_of(a_case("no looks"), world, setup).looks.seen


def test_wrong_looks_are_the_same_told_of_others() -> None:
    setup = setup_of("zen4", 2)
    world = world_of(a_case(), setup)
    right, wrong = (seen_of(a_case(order), world, setup).looks.seen for order in ("product", "wrong looks"))
    assert right.keys() == wrong.keys()
    assert right != wrong


def test_what_an_artifact_is_made_from_is_prepared_once() -> None:
    static, plain = (Prepared("", "onnxruntime", precision) for precision in ("int8-static", "fp32"))
    preparing = Preparing({static: 5.0, plain: 10.0})
    assert own_price_s(static) == pytest.approx(15.4 - 10.6)
    assert [preparing(static), preparing(static)] == [15.0, 0.0]
    assert preparing(plain) == 0.0
