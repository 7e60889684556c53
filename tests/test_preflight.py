"""What a model does not take is refused before anything is measured."""

from __future__ import annotations

from pathlib import Path

import pytest

from autotune.errors import ModelError, StudyFileError
from autotune.model.inputs import InputsDescription
from autotune.model.sources import ResolvedModel
from autotune.preflight import refuse_misfit
from autotune.spec.load import parse_study
from autotune.spec.study import StudySpec


def study(batch_size: int, tokens: int, more: str = "") -> StudySpec:
    problem = f"problem: {{batch_size: {batch_size}, sequence_length: {tokens}}}"
    return parse_study(f"model: onnx:m.onnx\n{problem}\n{more}", name="study")


def onnx_model(batch_size: int | None = None, tokens: int | None = None) -> ResolvedModel:
    inputs = InputsDescription(
        50, (), 64, {"input_ids": "tokens"}, batch_size=batch_size, sequence_length=tokens
    )
    return ResolvedModel("onnx:m.onnx", "onnx", "d" * 64, Path("m.onnx"), inputs=inputs)


@pytest.mark.parametrize(
    ("model", "spec"),
    [
        (onnx_model(), study(8, 64)),
        (onnx_model(2, 8), study(2, 8)),
        (onnx_model(None, 8), study(4, 8, "scenario: single_stream")),
        (onnx_model(1, 8), study(1, 8, "scenario: single_stream")),
        (onnx_model(2, 8), study(2, 8, "scenario: single_stream\nsearch: {instances: 1}")),
    ],
)
def test_requests_that_an_onnx_file_takes_are_let_through(model: ResolvedModel, spec: StudySpec) -> None:
    refuse_misfit(model, spec)


@pytest.mark.parametrize(
    ("model", "spec", "words", "remedy"),
    [
        (onnx_model(), study(8, 65), "65 is more than the model takes", "at most 64"),
        (onnx_model(2, 8), study(4, 8), "batch_size 4 .* takes 2 alone", "problem.batch_size to 2"),
        (onnx_model(2, 8), study(2, 7), "sequence_length 7 .* takes 8 alone", "problem.sequence_length to 8"),
    ],
)
def test_requests_of_a_shape_that_an_onnx_file_does_not_take_are_refused(
    model: ResolvedModel, spec: StudySpec, words: str, remedy: str
) -> None:
    with pytest.raises(ModelError, match=words) as caught:
        refuse_misfit(model, spec)
    assert remedy in caught.value.remedy


def test_a_fixed_batch_cannot_be_split_over_instances() -> None:
    with pytest.raises(StudyFileError, match="a request cannot be split") as caught:
        refuse_misfit(onnx_model(2, 8), study(2, 8, "scenario: single_stream"))
    assert caught.value.path == "search.instances"
    assert "instances: 1" in caught.value.remedy
