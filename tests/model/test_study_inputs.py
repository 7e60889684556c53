from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from autotune.errors import StudyFileError
from autotune.model.inputs import InputsDescription
from autotune.model.sources import ResolvedModel
from autotune.model.stored_study import as_stored
from autotune.model.study_inputs import calibration_source, check_study_inputs, evaluation_source
from autotune.spec.problem import Problem
from autotune.spec.quality import Quality
from autotune.spec.study import StudySpec


@pytest.fixture
def base(tmp_path: Path, own_cache: Path) -> Path:
    """A study's folder with a model, texts and data."""
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "tokenizer.json").write_text("{}")
    (tmp_path / "texts.txt").write_text("one\ntwo\n")
    rows = [{"text": "a", "label": 0}, {"text": "b", "label": 1}]
    (tmp_path / "data.jsonl").write_text("\n".join(map(json.dumps, rows)))
    return tmp_path


def a_study(**quality: Any) -> StudySpec:
    problem = Problem(batch_size=1, sequence_length=16)
    fields: dict[str, Any] = {"name": "s", "model": "path:model", "problem": problem, "seed": 5}
    return StudySpec(**fields, quality=Quality(**quality))


def a_model(base: Path, kind: str = "path", **changes: Any) -> ResolvedModel:
    return ResolvedModel(f"{kind}:model", kind, "5e" * 32, base / "model", **changes)


def test_a_study_without_files_is_as_it_was(base: Path) -> None:
    spec = a_study(sequences=7)
    found = check_study_inputs(spec, a_model(base), base)
    assert (found, found.written) == (as_stored(spec), spec)
    source = calibration_source(found, a_model(base), base)
    assert (source.sequences, source.tokens, source.seed, source.texts) == (7, 16, 5, None)
    assert evaluation_source(found, a_model(base), base) is None


def test_texts_and_data_are_found_beside_the_study_and_named_by_their_digests(base: Path) -> None:
    asked = a_study(texts="texts.txt", data="data.jsonl", metric="f1")
    spec = check_study_inputs(asked, a_model(base), base)
    source = calibration_source(spec, a_model(base), base)
    labelled = evaluation_source(spec, a_model(base), base)
    assert source.texts == base / "texts.txt"
    assert labelled is not None
    assert (labelled.data, labelled.metric, labelled.tokens) == (base / "data.jsonl", "f1", 16)
    assert source.digest == calibration_source(spec).digest, "the files are not needed to find what is made"
    gone = evaluation_source(spec, replace(a_model(base), path=None), base)
    assert gone is not None
    assert gone.digest == labelled.digest, "nor is the model"
    (base / "texts.txt").write_text("one\nthree\n")
    changed = check_study_inputs(asked, a_model(base), base)
    assert changed.quality.texts_digest != spec.quality.texts_digest
    assert changed.quality.data_digest == spec.quality.data_digest
    assert calibration_source(changed).digest != source.digest


def test_another_tokenizer_makes_other_requests_of_the_same_texts(base: Path) -> None:
    asked = a_study(texts="texts.txt")
    before = check_study_inputs(asked, a_model(base), base)
    (base / "model" / "tokenizer.json").write_text('{"version": "1.0"}')
    assert check_study_inputs(asked, a_model(base), base) != before


@pytest.mark.parametrize(
    ("quality", "path", "told"),
    [
        ({"texts": "absent.txt"}, "quality.texts", "absent.txt does not exist"),
        ({"data": "texts.txt", "metric": "f1"}, "quality.data", "texts.txt, line 1: not JSON"),
        (
            {"data": {"path": "data.jsonl", "label": "stars"}, "metric": "f1"},
            "quality.data",
            "line 1: it has no 'stars'",
        ),
    ],
)
def test_a_wrong_file_is_refused_by_the_key_that_names_it(
    base: Path, quality: dict[str, Any], path: str, told: str
) -> None:
    with pytest.raises(StudyFileError, match=told) as caught:
        check_study_inputs(a_study(**quality), a_model(base), base)
    assert caught.value.path == path


@pytest.mark.parametrize("kind", ["random", "fake"])
def test_a_model_without_files_reads_no_texts(base: Path, kind: str) -> None:
    model = ResolvedModel(f"{kind}:x", kind, "5e" * 32, base / "x.json" if kind == "fake" else None)
    with pytest.raises(StudyFileError, match="has no tokenizer") as caught:
        check_study_inputs(a_study(texts="texts.txt"), model, base)
    assert "path:DIR" in caught.value.remedy


def test_a_model_without_a_fast_tokenizer_reads_no_texts(base: Path) -> None:
    (base / "model" / "tokenizer.json").unlink()
    with pytest.raises(StudyFileError, match=r"tokenizer\.json cannot be read") as caught:
        check_study_inputs(a_study(texts="texts.txt"), a_model(base), base)
    assert "save_pretrained" in caught.value.remedy


def test_a_model_of_one_shape_reads_no_texts(base: Path) -> None:
    fixed = InputsDescription(100, (), None, {"ids": "tokens"}, sequence_length=16)
    with pytest.raises(StudyFileError, match="one shape of request alone"):
        check_study_inputs(a_study(texts="texts.txt"), a_model(base, "onnx", inputs=fixed), base)
