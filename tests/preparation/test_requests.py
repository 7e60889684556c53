"""What a child is asked, and answers, arrives as it was sent."""

from __future__ import annotations

import json
from dataclasses import fields
from pathlib import Path
from typing import get_args

import pytest

from autotune.model.agreement import Agreement
from autotune.model.calibration import CalibrationSource
from autotune.model.exported import Export
from autotune.model.folders.sentence_modules import SentenceModule, SentenceModules
from autotune.model.inputs import InputsDescription
from autotune.model.sources import ResolvedModel
from autotune.model.stored_study import StoredProblem
from autotune.model.stream_source import StreamSource
from autotune.model.texts.labelled import EvaluationSource
from autotune.preparation.requests import (
    Assess,
    BuildArtifact,
    ChildRequest,
    Made,
    MakeArtifact,
    Reduced,
    ReduceModel,
    TimeRequests,
    Took,
    Work,
    WriteCalibration,
    WriteEvaluation,
    WriteReference,
    WriteStream,
    answer_from_json,
    answer_to_json,
    request_from_json,
    request_to_json,
)
from autotune.spec.named_file import DataFile, TextsFile
from autotune.spec.problem import Lengths

MODULES = SentenceModules(
    (SentenceModule("Pooling", modes=("cls", "mean")), SentenceModule("Dense", folder="2", sizes=(128, 64))),
    because="as modules.json lists them",
    longest_text=64,
)
INPUTS = InputsDescription(
    1000, (0, 101), 64, {"input_ids": "tokens"}, types={"input_ids": "int32"}, batch_size=4
)
MODELS = (
    ResolvedModel("random:minilm-l6", "random", "5e" * 32, None, architecture="minilm-l6", seed=3),
    ResolvedModel(
        "onnx:m.onnx", "onnx", "ab" * 32, Path("/m.onnx"), inputs=INPUTS, weights=7, modules=MODULES
    ),
    ResolvedModel("path:m", "path", "cd" * 32, Path("/m"), notes=("its weights are fp16",), head="pooling"),
)

TEXTS = TextsFile(path="log.jsonl", format="jsonl", key="query", pair="passage")
STREAM = StreamSource(
    StoredProblem(batch_size=4, lengths=Lengths(values=(8, 16), weights=(1.0, 2.0))),
    "bucket",
    "sorted",
    is_whole=False,
    parts=1,
    seed=5,
    file=Path("/lengths.txt"),
)
ARTIFACT = MakeArtifact(
    "onnxruntime",
    "int8-static",
    ("avx2", "avx512f"),
    "fusion=off",
    reference=Path("/cache/reference"),
    base=Path("/cache/base"),
    compiled=((1, 8), (4, 16)),
    exported=((4, 16),),
    calibration=Path("/cache/calibration"),
)
ASKED: tuple[Work, ...] = (
    WriteReference(),
    WriteCalibration(Path("/cache/reference"), CalibrationSource()),
    WriteCalibration(
        Path("/r"), CalibrationSource(8, 32, 1, Path("/log.jsonl"), "d1", Path("/tokenizer.json"), TEXTS)
    ),
    WriteEvaluation(Path("/r"), EvaluationSource(Path("/d.csv"), None, "d2", "f1", 64)),
    WriteEvaluation(
        Path("/r"),
        EvaluationSource(
            *(Path("/d.csv"), Path("/tokenizer.json"), "d2", "spearman", 64),
            stated=DataFile(path="d.csv", key="text", label="score"),
            is_stated=True,
        ),
    ),
    WriteStream(None, STREAM),
    WriteStream(Path("/cache/reference"), STREAM),
    MakeArtifact("fake", "fp32"),
    ARTIFACT,
    Assess("openvino", "fp32", Path("/a"), 4, Path("/r"), Path("/c"), "texts", None, "fastmath=on"),
    Assess("openvino", "fp32", Path("/a"), 4, Path("/r"), Path("/c"), "random", Path("/e")),
    ReduceModel((4, 16)),
    BuildArtifact(ARTIFACT),
    TimeRequests("pytorch", "bf16", (4, 16)),
)


def test_every_kind_of_work_is_among_those_that_are_sent() -> None:
    assert {type(work) for work in ASKED} == {*get_args(Work)}


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.kind)
@pytest.mark.parametrize("work", ASKED, ids=lambda work: type(work).__name__)
def test_a_request_arrives_as_it_was_sent(model: ResolvedModel, work: Work) -> None:
    request = ChildRequest(model, Path("/cache/staging/x"), Path("/cache"), work)
    assert request_from_json(json.loads(json.dumps(request_to_json(request)))) == request


def test_the_models_sent_have_a_value_of_every_kind() -> None:
    unset = {
        field.name
        for field in fields(ResolvedModel)
        if all(getattr(model, field.name) == field.default for model in MODELS)
    }
    assert unset == set()


@pytest.mark.parametrize(
    "answer",
    [
        Made("fp32"),
        Made("int8-dynamic", Agreement(0.99, 0.5), Export("dynamo", {"script": "no"}, ((1, 8),))),
        Reduced(2, 12),
        Took(0.25),
    ],
)
def test_an_answer_arrives_as_it_was_sent(answer: Made | Reduced | Took) -> None:
    assert answer_from_json(type(answer), json.loads(json.dumps(answer_to_json(answer)))) == answer


def test_what_is_asked_for_is_told_by_its_kind_alone() -> None:
    document = request_to_json(ChildRequest(MODELS[0], Path("/d"), Path("/c"), WriteReference()))
    assert document["work"] == {"kind": "write reference"}
    with pytest.raises(KeyError):
        request_from_json({**document, "work": {"kind": "reference"}})
