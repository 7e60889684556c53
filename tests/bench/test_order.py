from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autotune.bench.order import Order
from autotune.bench.orders import Orders
from autotune.errors import StudyError
from autotune.measurement.correction import Correction
from autotune.placement.placement import Command, ServerProgram, WorkerProgram
from autotune.rounds.running import Entrant
from autotune.spec.configuration import Configuration
from autotune.testing.plans import build_assignment
from autotune.trial.stopping import Rival

finite = st.floats(allow_nan=False, allow_infinity=False)
values = st.lists(finite, max_size=3).map(tuple)
configurations = st.builds(
    Configuration,
    instances=st.integers(1, 64),
    threads_per_instance=st.integers(0, 64),
    placement=st.sampled_from(("close", "spread", "unpinned")),
    sockets=st.sampled_from(("0", "0-1")),
    smt=st.booleans(),
    backend=st.sampled_from(("fake", "onnxruntime")),
    precision=st.sampled_from(("fp32", "int8-dynamic")),
    knobs=st.sampled_from(("", "spinning=off")),
)
workers = st.builds(
    WorkerProgram,
    st.text(),
    st.builds(build_assignment, artifact=st.text().map(Path), requests=st.none() | st.text().map(Path)),
)
orders = st.builds(
    Order,
    id=st.text(),
    study=st.text(),
    configuration=configurations,
    purpose=st.sampled_from(("search", "confirm")),
    launch=st.integers(1, 10**6),
    rival=st.none() | st.builds(Rival, values, finite, st.integers(1, 99)),
    correction=st.builds(
        Correction, values, values, st.dictionaries(st.integers(0, 64), values), values, finite, finite
    ),
    max_measuring_s=st.none() | finite,
    start_rate_per_s=st.none() | finite,
    preparation_s=st.none() | finite,
    commands=st.lists(
        st.builds(
            Command,
            st.lists(st.text()).map(tuple).map(ServerProgram) | workers,
            st.dictionaries(st.text(), st.text()),
            st.lists(st.integers(0, 99)).map(tuple),
            st.lists(st.integers(0, 7)).map(tuple),
        ),
        max_size=2,
    ).map(tuple),
)
ONE = Configuration(2, 1, "close", "0", False, "fake", "fp32")


@given(orders)
def test_an_order_travels_as_json(order: Order) -> None:
    assert Order.from_json(json.loads(json.dumps(order.to_json()))) == order


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"schema": "autotune.order/9"}, "schema 'autotune.order/9'"),
        ({"launch": "many"}, "wrong at launch"),
        ({"purpose": "joy"}, "wrong at purpose"),
        ({"configuration": {"instances": 1}}, "wrong at configuration.threads_per_instance"),
    ],
)
def test_an_order_that_is_none_is_refused_with_its_place(change: dict[str, Any], told: str) -> None:
    document = Order("s-1", "s", ONE, "search", 1).to_json()
    with pytest.raises(StudyError, match=told):
        Order.from_json(document | change)
    with pytest.raises(StudyError, match="schema 'nonsense'"):
        Order.from_json("nonsense")


def test_every_launch_has_a_number_of_its_own() -> None:
    written = Orders("s", launches=4)
    entrant = Entrant("twin", "twin", ONE, 3, (Command(ServerProgram(("a",)), {}, (0,), ()),))
    search, confirm = written.search(ONE), written.confirm(entrant)
    assert (search.id, search.launch, search.purpose) == ("s-5", 5, "search")
    assert (confirm.id, confirm.launch, confirm.purpose) == ("s-6", 6, "confirm")
    assert confirm.commands == entrant.commands
    assert (confirm.rival, confirm.correction) == (None, Correction())
