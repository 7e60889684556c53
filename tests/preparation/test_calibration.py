"""Which calibration sequences share a request, and how it is filled up."""

from __future__ import annotations

from typing import Any

import numpy as np

from autotune.model.inputs import InputsDescription
from autotune.preparation.calibration import TOGETHER, filled_together
from autotune.spec.model_source import ArrayKind

MASKED: dict[str, ArrayKind] = {"input_ids": "tokens", "attention_mask": "ones", "token_type_ids": "zeros"}
UNMASKED: dict[str, ArrayKind] = {"input_ids": "tokens"}


def inputs(arrays: dict[str, ArrayKind], batch_size: int | None = None) -> InputsDescription:
    return InputsDescription(50, (), 64, arrays, batch_size=batch_size)


def alone(arrays: dict[str, ArrayKind], *lengths: int) -> list[Any]:
    """A request for each length, whose tokens are that length."""
    values = {"tokens": None, "ones": 1, "zeros": 0}
    return [
        {
            name: np.full((1, length), length if kind == "tokens" else values[kind], dtype=np.int64)
            for name, kind in arrays.items()
        }
        for length in lengths
    ]


def test_sequences_share_a_request_filled_up_to_the_longest() -> None:
    batch = filled_together(alone(MASKED, 2, 4, 3), inputs(MASKED))
    assert batch is not None
    assert batch.sequences == (0, 1, 2)
    assert batch.request["input_ids"].tolist() == [[2, 2, 0, 0], [4, 4, 4, 4], [3, 3, 3, 0]]
    assert batch.request["attention_mask"].sum(axis=1).tolist() == [2, 4, 3]
    assert not batch.request["token_type_ids"].any()


def test_without_a_mask_only_those_of_one_length_share_a_request() -> None:
    batch = filled_together(alone(UNMASKED, 2, 4, 2), inputs(UNMASKED))
    assert batch is not None
    assert batch.sequences == (0, 2)
    assert batch.request["input_ids"].tolist() == [[2, 2], [2, 2]]
    assert filled_together(alone(UNMASKED, 2, 4), inputs(UNMASKED)) is None


def test_no_more_share_a_request_than_are_needed() -> None:
    batch = filled_together(alone(MASKED, *range(1, 3 * TOGETHER)), inputs(MASKED))
    assert batch is not None
    assert len(batch.sequences) == TOGETHER


def test_a_model_of_one_batch_size_is_asked_for_no_other() -> None:
    assert filled_together(alone(MASKED, 2, 2), inputs(MASKED, batch_size=1)) is None
