from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from autotune.model.comparing import compare_answers, row_by_row

RANDOM = np.random.default_rng(3)
HIDDEN = [RANDOM.standard_normal((1, tokens, 8)).astype(np.float32) for tokens in (2, 5, 9)]
LOGITS = [RANDOM.standard_normal((1, 3)).astype(np.float32) for _ in range(6)]


def compared(
    references: list[Any], answers: list[Any], *, has_classes: bool = False, are_embeddings: bool = False
) -> Any:
    return compare_answers(
        references, answers, inputs="random", has_classes=has_classes, are_embeddings=are_embeddings
    )


def test_the_same_answers_agree_in_everything() -> None:
    found = compared(HIDDEN, HIDDEN, has_classes=True)
    assert (found.sequences, found.max_difference, found.top1, found.fault) == (3, 0.0, 1.0, "")
    assert found.cosine == pytest.approx(1.0)
    assert found.least_cosine == pytest.approx(1.0)


def test_one_broken_sequence_shows_however_short_it_is() -> None:
    found = compared(HIDDEN, [-HIDDEN[0], *HIDDEN[1:]])
    assert found.least_cosine == pytest.approx(-1.0)
    assert found.cosine == pytest.approx(1 / 3)


def test_scaled_answers_point_the_same_way_and_differ_all_the_same() -> None:
    found = compared(HIDDEN, [2 * one for one in HIDDEN])
    assert found.cosine == pytest.approx(1.0)
    assert found.max_difference == pytest.approx(1.0)


def test_a_near_tie_that_changes_sides_is_no_broken_classifier() -> None:
    references = [*LOGITS, np.array([[0.01, -0.01, 0.0]], dtype=np.float32)]
    answers = [*LOGITS, np.array([[-0.01, 0.01, 0.0]], dtype=np.float32)]
    found = compared(references, answers, has_classes=True)
    assert found.least_cosine == pytest.approx(-1.0)
    assert found.cosine > 0.999
    assert found.top1 == pytest.approx(6 / 7)


def test_embeddings_agree_sequence_by_sequence_however_long_they_are() -> None:
    references = [100 * LOGITS[0], LOGITS[1]]
    answers = [100 * LOGITS[0], -LOGITS[1]]
    assert compared(references, answers, are_embeddings=True).cosine == pytest.approx(0)
    assert compared(references, answers).cosine > 0.99


def test_a_head_for_tokens_agrees_token_by_token() -> None:
    changed = HIDDEN[2].copy()
    changed[0, 4] = -changed[0, 4]
    assert compared(HIDDEN, [*HIDDEN[:2], changed], has_classes=True).top1 == pytest.approx(15 / 16)


def test_an_encoder_without_classes_has_no_top_1() -> None:
    assert compared(HIDDEN, HIDDEN).top1 is None
    single = [np.ones((1, 1), dtype=np.float32)]
    assert compared(single, single, has_classes=True).top1 is None


def test_what_only_fills_a_batch_is_not_compared() -> None:
    batch = np.full((3, 9, 8), np.nan, dtype=np.float32)
    for row, alone in zip(batch, HIDDEN, strict=True):
        row[: alone.shape[1]] = alone[0]
    assert all((one == other).all() for one, other in zip(row_by_row(batch, HIDDEN), HIDDEN, strict=True))
    pooled = np.concatenate(LOGITS)
    assert all((one == other).all() for one, other in zip(row_by_row(pooled, LOGITS), LOGITS, strict=True))


def test_answers_to_a_batch_count_as_much_as_those_to_single_sequences() -> None:
    wrong = [(one, -one) for one in HIDDEN[:1]]
    found = compare_answers(HIDDEN, HIDDEN, inputs="random", has_classes=False, together=wrong)
    assert found.sequences == 3
    assert found.cosine == pytest.approx(-1.0)
    right = [(one, one) for one in HIDDEN[:1]]
    found = compare_answers(
        HIDDEN, [-one for one in HIDDEN], inputs="random", has_classes=False, together=right
    )
    assert found.cosine == pytest.approx(-1.0)


def test_a_batch_with_a_row_too_few_cannot_be_compared() -> None:
    rows = row_by_row(np.concatenate(LOGITS)[:5], LOGITS)
    pairs = list(zip(LOGITS, rows, strict=True))
    found = compare_answers(LOGITS, LOGITS, inputs="random", has_classes=True, together=pairs)
    assert "shape (0, 3), not (1, 3)" in found.fault


def test_answers_that_cannot_be_compared_say_why() -> None:
    missing = compared(HIDDEN, [HIDDEN[0][:, :1], *HIDDEN[1:]])
    broken = compared(HIDDEN, [HIDDEN[0] * np.nan, *HIDDEN[1:]])
    assert "shape (1, 1, 8), not (1, 2, 8)" in missing.fault
    assert "not finite" in broken.fault
    assert missing.cosine is broken.cosine is None


def test_a_reference_of_zeros_differs_from_anything_else() -> None:
    zeros = [np.zeros((1, 2, 8), dtype=np.float32)]
    assert compared(zeros, zeros).max_difference == 0.0
    assert compared(zeros, HIDDEN[:1]).max_difference > 1e30
