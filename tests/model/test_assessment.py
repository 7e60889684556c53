from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from autotune.errors import PreparationError, StudyFileError
from autotune.model.assessment import (
    ASSESSMENT_FILE,
    EXEMPT,
    Assessment,
    LabelledScore,
    held_to_fp32,
    limits_in_words,
    read_assessment,
    refuse_void_limits,
    shortfalls,
    write_assessment,
)
from autotune.spec.named_file import DataFile, TextsFile
from autotune.spec.quality import Quality

NEAR = Assessment("random", 32, cosine=0.999, least_cosine=0.998, max_difference=0.05)
SCORED = LabelledScore("f1", rows=200, reference=0.9, value=0.885)


@pytest.mark.parametrize("assessment", [NEAR, EXEMPT, replace(NEAR, top1=0.97, labelled=SCORED)])
def test_an_assessment_comes_back_as_it_was_written(tmp_path: Path, assessment: Assessment) -> None:
    write_assessment(tmp_path, assessment)
    assert read_assessment(tmp_path) == assessment


def test_a_file_that_is_no_assessment_is_refused(tmp_path: Path) -> None:
    for content in ("", "{}", '{"inputs": "random", "sequences": 1, "cosines": 1}'):
        (tmp_path / ASSESSMENT_FILE).write_text(content)
        with pytest.raises(PreparationError, match="no assessment"):
            read_assessment(tmp_path)


def test_a_drop_of_as_much_as_is_allowed_is_allowed() -> None:
    at_the_limit = replace(NEAR, labelled=replace(SCORED, value=0.89))
    assert list(shortfalls(at_the_limit, Quality(data=DataFile(path="a"), metric="f1", max_drop=0.01))) == []


@pytest.mark.parametrize("cosine", [0.9998, 0.9])
def test_at_fp32_no_limit_of_a_study_allows_other_answers(cosine: float) -> None:
    wrong = held_to_fp32(replace(NEAR, cosine=cosine), 0.99999)
    (found,) = shortfalls(wrong, Quality(cosine=0.5))
    assert found == f"cosine {cosine:.5f} at fp32, where the model's own answers have at least 0.99999"


@pytest.mark.parametrize(
    "assessment", [replace(NEAR, cosine=0.999995), EXEMPT, Assessment("random", 32, fault="none is there")]
)
def test_what_is_right_at_fp32_or_cannot_be_compared_is_left_as_it_is(assessment: Assessment) -> None:
    assert held_to_fp32(assessment, 0.99999) == assessment


def test_a_limit_on_what_the_answers_do_not_have_is_refused() -> None:
    with pytest.raises(StudyFileError, match="does not answer with a number for each class") as caught:
        refuse_void_limits(NEAR, Quality(top1=0.9))
    assert caught.value.path == "quality.top1"
    assert "config.json" in caught.value.remedy


@pytest.mark.parametrize(
    ("assessment", "limits"),
    [
        (NEAR, Quality()),
        (replace(NEAR, top1=0.5), Quality(top1=0.9)),
        (EXEMPT, Quality(top1=0.9)),
        (Assessment("random", 32, fault="an answer is missing"), Quality(top1=0.9)),
    ],
)
def test_a_limit_on_what_there_is_or_was_not_compared_is_none_too_many(
    assessment: Assessment, limits: Quality
) -> None:
    refuse_void_limits(assessment, limits)


@pytest.mark.parametrize("assessment", [NEAR, EXEMPT, replace(NEAR, top1=0.5)])
def test_what_is_near_enough_falls_short_of_nothing(assessment: Assessment) -> None:
    assert list(shortfalls(assessment, Quality())) == []


@pytest.mark.parametrize(
    ("assessment", "limits", "told"),
    [
        (replace(NEAR, cosine=0.81), Quality(), "cosine 0.8100 (least 0.9980), below quality.cosine 0.85"),
        (NEAR, Quality(cosine=1.0), "below quality.cosine 1"),
        (
            replace(NEAR, cosine=0.999974),
            Quality(cosine=0.99997445),
            "cosine 0.999974000 (least 0.998000000), below quality.cosine 0.99997445",
        ),
        (replace(NEAR, max_difference=0.75), Quality(), "difference 0.750 of the largest number, above"),
        (replace(NEAR, top1=0.97), Quality(top1=0.98), "top-1 agreement 97.0%, below quality.top1 0.98"),
        (Assessment("random", 32, fault="an answer is missing"), Quality(), "an answer is missing"),
        (
            replace(NEAR, labelled=SCORED),
            Quality(data=DataFile(path="a"), metric="f1"),
            "f1 0.9000 -> 0.8850 on 200 rows, a drop of 0.0150, above quality.max_drop 0.01",
        ),
    ],
)
def test_what_is_too_far_is_told_in_numbers(assessment: Assessment, limits: Quality, told: str) -> None:
    (shortfall,) = shortfalls(assessment, limits)
    assert told in shortfall


def test_with_labelled_texts_the_drop_alone_is_the_limit_unless_others_are_given() -> None:
    far = replace(NEAR, cosine=0.5, max_difference=3.0, labelled=replace(SCORED, value=0.895))
    assert list(shortfalls(far, Quality(data=DataFile(path="a"), metric="f1"))) == []
    assert (
        len(
            list(
                shortfalls(far, Quality(data=DataFile(path="a"), metric="f1", cosine=0.9, max_difference=1.0))
            )
        )
        == 2
    )


def test_a_metric_that_rises_is_no_drop() -> None:
    better = replace(NEAR, labelled=replace(SCORED, value=0.95))
    assert list(shortfalls(better, Quality(data=DataFile(path="a"), metric="f1", max_drop=0.0))) == []


def test_limits_are_told_in_words() -> None:
    assert limits_in_words(Quality(texts=TextsFile(path="t{0}.txt"), top1=0.9)) == (
        "cosine at least 0.85, largest difference at most 0.5 of the largest number, "
        "top-1 agreement at least 0.9; compared with fp32 on 32 texts of t{0}.txt"
    )
    labelled = limits_in_words(Quality(data=DataFile(path="d{}.jsonl"), metric="f1"))
    assert labelled.startswith("f1 on d{}.jsonl at most 0.01 less; compared with fp32 on 32 seq")
