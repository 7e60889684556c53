"""Agreement is the worst over sequences and requests, and only between finite outputs of one shape."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from autotune.model.agreement import measure_agreement

OUTPUTS = arrays(np.float32, (3, 4), elements=st.floats(-100, 100, width=32))


@given(output=OUTPUTS)
def test_an_output_agrees_with_itself(output: np.ndarray[Any, Any]) -> None:
    agreement = measure_agreement([output], [output.copy()])
    assert agreement.cosine == pytest.approx(1, abs=1e-6)
    assert agreement.max_abs_difference == 0


@given(reference=OUTPUTS, output=OUTPUTS)
def test_cosines_lie_between_minus_one_and_one(
    reference: np.ndarray[Any, Any], output: np.ndarray[Any, Any]
) -> None:
    assert -1 - 1e-6 <= measure_agreement([reference], [output]).cosine <= 1 + 1e-6


def test_one_sequence_turned_round_is_enough_to_disagree() -> None:
    reference = np.ones((3, 4), dtype=np.float32)
    output = reference.copy()
    output[1] *= -1
    agreement = measure_agreement([reference, reference], [reference, output])
    assert agreement.cosine == pytest.approx(-1)
    assert agreement.max_abs_difference == 2


def test_a_zero_output_has_no_direction_to_agree_in() -> None:
    assert measure_agreement([np.ones((1, 4))], [np.zeros((1, 4))]).cosine == 0


@pytest.mark.parametrize(
    ("output", "words"),
    [
        (np.ones((2, 4)), "shape"),
        (np.array([[1.0, np.nan]]), "not finite"),
        (np.array([[1.0, np.inf]]), "not finite"),
    ],
)
def test_what_cannot_be_compared_is_refused(output: np.ndarray[Any, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        measure_agreement([np.ones((1, 2))], [output])
