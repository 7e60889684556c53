"""Requests are put together and filled up as the plan's were."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from autotune.errors import ServingError
from autotune.model.inputs import InputsDescription
from autotune.runtime.filling import Filling
from autotune.runtime.reading import Tokens

INPUTS = InputsDescription(
    vocabulary=100,
    reserved=(0,),
    max_sequence_length=64,
    arrays={"input_ids": "tokens", "attention_mask": "ones", "token_type_ids": "zeros"},
)
UNMASKED = InputsDescription(100, (), 64, {"ids": "tokens", "places": "positions"}, first_position=2)


def tokens(*lengths: int) -> list[Tokens]:
    return [
        Tokens(np.full(length, 7, dtype=np.int64), np.arange(length, dtype=np.int64) % 2)
        for length in lengths
    ]


@given(
    lengths=st.lists(st.integers(1, 64), max_size=40),
    batching=st.sampled_from(["", "arrival", "sorted", "tokens"]),
    padding=st.sampled_from(["max", "bucket", "none"]),
    size=st.integers(1, 8),
    longest=st.integers(8, 64),
)
def test_every_sequence_is_in_one_request(
    lengths: list[int], batching: Any, padding: Any, size: int, longest: int
) -> None:
    filling = Filling(INPUTS, size, padding, batching, longest=longest, bounds=(longest,))
    requests = filling.requests(lengths)
    assert sorted(index for request in requests for index in request) == list(range(len(lengths)))
    if batching != "tokens":
        assert all(len(request) <= size for request in requests)


def test_those_of_like_length_share_a_request_where_they_did() -> None:
    lengths = [3, 40, 4, 41, 5, 42]
    sorted_up = Filling(INPUTS, 3, "none", "sorted", longest=64)
    assert sorted(map(sorted, sorted_up.requests(lengths))) == [[0, 2, 4], [1, 3, 5]]
    assert Filling(INPUTS, 3, "none", "arrival", longest=64).requests(lengths) == [(0, 1, 2), (3, 4, 5)]


def test_a_request_is_filled_up_to_its_bound_and_beyond_the_last_to_itself() -> None:
    filling = Filling(INPUTS, 4, bounds=(16, 32), longest=32, pad_token=9)
    made = filling.collate(tokens(3, 17))
    assert made["input_ids"].shape == (2, 32)
    assert made["input_ids"][0].tolist() == [7] * 3 + [9] * 29
    assert made["attention_mask"].sum(axis=1).tolist() == [3, 17]
    assert made["token_type_ids"][0].tolist() == [0, 1, 0] + [0] * 29
    assert filling.shape(1, 40) == (1, 40)


def test_where_there_is_code_for_shapes_alone_the_least_that_fits_is_filled() -> None:
    filling = Filling(INPUTS, 4, shapes=((4, 16), (4, 64), (2, 64)), holds_for_all=False)
    assert filling.shape(1, 5) == (4, 16)
    assert filling.shape(2, 17) == (2, 64)
    made = filling.collate(tokens(5))
    assert made["input_ids"].shape == (4, 16)
    assert (made["input_ids"] == made["input_ids"][0]).all()
    with pytest.raises(ServingError, match="4 x 65 tokens does not fit") as refused:
        filling.shape(4, 65)
    assert "4 x 16, 4 x 64, 2 x 64" in refused.value.problem


def test_what_an_engine_compiles_for_later_is_no_obstacle() -> None:
    filling = Filling(INPUTS, 4, shapes=((4, 16),))
    assert filling.shape(4, 30) == (4, 30)


def test_a_model_without_a_mask_gets_sequences_of_one_length_alone() -> None:
    filling = Filling(UNMASKED, 4, bounds=(16,))
    requests = filling.requests([3, 5, 3, 5, 5])
    assert sorted(map(sorted, requests)) == [[0, 2], [1, 3], [4]]
    made = filling.collate(tokens(3, 3))
    assert made["ids"].shape == (2, 3)
    assert made["places"].tolist() == [[2, 3, 4]] * 2


def test_a_model_of_one_shape_is_given_that() -> None:
    inputs = InputsDescription(
        100, (), 64, {"input_ids": "tokens", "mask": "ones"}, {"mask": "float32"}, 2, sequence_length=8
    )
    filling = Filling(inputs, 5)
    assert filling.requests([1, 2, 3]) == [(0, 1), (2,)]
    made = filling.collate(tokens(3))
    assert made["input_ids"].shape == (2, 8)
    assert made["mask"].dtype == np.float32
    assert made["mask"][0].tolist() == [1] * 3 + [0] * 5


def test_arrays_go_by_the_models_names_or_the_usual_ones() -> None:
    filling = Filling(UNMASKED, 4)
    ids = np.arange(1, 7).reshape(2, 3)
    for name in ("ids", "input_ids"):
        made, given_shape = filling.complete({name: ids})
        assert given_shape == (2, 3)
        assert made["ids"].tolist() == ids.tolist()
        assert made["places"].tolist() == [[2, 3, 4]] * 2


def test_arrays_are_filled_up_and_attended_to_where_nobody_says() -> None:
    filling = Filling(INPUTS, 4, bounds=(8,), pad_token=9)
    made, _ = filling.complete({"input_ids": [[1, 2, 3]]})
    assert made["input_ids"].tolist() == [[1, 2, 3, 9, 9, 9, 9, 9]]
    assert made["attention_mask"].tolist() == [[1, 1, 1, 0, 0, 0, 0, 0]]
    made, _ = filling.complete({"input_ids": [[1, 2, 3]], "attention_mask": [[1, 1, 0]]})
    assert made["attention_mask"].tolist() == [[1, 1, 0, 0, 0, 0, 0, 0]]


@pytest.mark.parametrize(
    ("arrays", "said"),
    [
        ({}, "no token ids"),
        ({"attention_mask": [[1]]}, "no token ids"),
        ({"input_ids": [1, 2]}, "no token ids"),
        ({"input_ids": np.zeros((0, 4))}, "no token ids"),
        ({"input_ids": [[1, 2]], "attention_mask": [[1]]}, "differ in shape"),
        ({"input_ids": [[1, 2]], "pixels": [[1, 2]]}, "takes no 'pixels'"),
        ({"input_ids": [[1, 2], [3]]}, "rows of input_ids differ in length"),
        ({"input_ids": [["a"]]}, "no array of numbers"),
        ({"input_ids": [[None]]}, "no array of numbers"),
        ({"input_ids": [[1.5]]}, "input_ids are float64, not whole numbers"),
        ({"input_ids": [[1, 100]]}, "the token 100 is none of the model's 100"),
        ({"input_ids": [[1, -1]]}, "the token -1 is none"),
        ({"input_ids": np.ones((1, 65), np.int64)}, "sequences have 65 tokens, and the model takes 64"),
    ],
)
def test_arrays_that_the_model_cannot_take_are_refused(arrays: dict[str, Any], said: str) -> None:
    with pytest.raises(ServingError, match=said) as refused:
        Filling(INPUTS, 4).complete(arrays)
    assert refused.value.remedy
