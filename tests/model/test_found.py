"""What is found of a study: what its several models bring with them, and the form in which it is stored."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from autotune.errors import StudyFileError
from autotune.model.found import FoundStudy, find_study, found_again, of_variant
from autotune.model.inputs import InputsDescription
from autotune.model.sources import ResolvedModel
from autotune.model.stored_study import as_stored, read_stored_study, study_document
from autotune.spec.configuration import Configuration
from autotune.spec.load import parse_study
from autotune.spec.named_file import DataFile, TextsFile
from autotune.spec.part import Part
from autotune.spec.problem import Problem
from autotune.spec.quality import Quality
from autotune.spec.study import StudySpec

A, B = "path:a", "path:b"


@pytest.fixture
def base(tmp_path: Path, own_cache: Path) -> Path:
    """A study's folder with two models, whose tokenizers differ, texts and data."""
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "tokenizer.json").write_text(json.dumps({"of": name}))
    (tmp_path / "texts.txt").write_text("one\ntwo\n")
    rows = [{"text": "a", "label": 0}, {"text": "b", "label": 1}]
    (tmp_path / "data.jsonl").write_text("\n".join(map(json.dumps, rows)))
    return tmp_path


def a_study(*models: str) -> StudySpec:
    fields: dict[str, Any] = {"name": "s", "model": models if len(models) > 1 else models[0]}
    quality = Quality(texts=TextsFile(path="texts.txt"), data=DataFile(path="data.jsonl"), metric="accuracy")
    return StudySpec(**fields, problem=Problem(batch_size=1, sequence_length=16), quality=quality)


def models(base: Path) -> dict[str, ResolvedModel]:
    return {f"path:{name}": ResolvedModel(f"path:{name}", "path", name * 64, base / name) for name in "ab"}


def alone(base: Path, source: str) -> FoundStudy:
    """The study of one of the models."""
    return find_study(a_study(source), {"": models(base)[source]}, base)


def test_every_model_reads_the_texts_as_if_it_were_alone(base: Path) -> None:
    found = find_study(a_study(A, B), models(base), base)
    for source in (A, B):
        assert found.variants[source].study == alone(base, source).stored
    assert alone(base, A).stored.quality.texts_digest != alone(base, B).stored.quality.texts_digest


def test_every_model_is_served_the_texts_as_if_it_were_alone(base: Path) -> None:
    problem = Problem(batch_size=1, texts=TextsFile(path="texts.txt"))
    both = a_study(A, B).model_copy(update={"problem": problem, "quality": Quality()})
    found = find_study(both, models(base), base)
    for source in (A, B):
        only = a_study(source).model_copy(update={"problem": problem, "quality": Quality()})
        assert found.variants[source].study == find_study(only, {"": models(base)[source]}, base).stored
    digests = {variant.study.problem.texts_digest for variant in found.variants.values()}
    assert len(digests) == 2


def test_a_study_holds_the_digests_of_its_models(base: Path) -> None:
    both = find_study(a_study(A, B), models(base), base)
    assert both.stored.digests == ("a" * 64, "b" * 64)
    assert alone(base, A).stored.digests == ()
    assert alone(base, A).model_digest == "a" * 64
    assert both.model_digest not in both.stored.digests


def test_every_variant_has_its_own_tokenizer(base: Path) -> None:
    study = find_study(a_study(A, B), models(base), base)
    found = study.variants
    assert list(found) == [A, B]
    for name in "ab":
        one = found[f"path:{name}"]
        assert one.evaluation is not None
        assert one.calibration.tokenizer == one.evaluation.tokenizer == base / name / "tokenizer.json"
        assert one.study == of_variant(study.stored, f"path:{name}")
    assert found[A].calibration.digest != found[B].calibration.digest


def test_a_study_without_files_has_nothing_to_tell_apart(base: Path) -> None:
    bare = a_study(A, B).model_copy(update={"quality": Quality()})
    found = find_study(bare, models(base), base)
    assert found.stored == as_stored(bare).model_copy(update={"digests": found.stored.digests})
    assert found.stored.written == found.spec == bare


def test_the_model_without_a_tokenizer_is_named(base: Path) -> None:
    (base / "b" / "tokenizer.json").unlink()
    with pytest.raises(StudyFileError, match=r"b/tokenizer\.json cannot be read"):
        find_study(a_study(A, B), models(base), base)


def test_a_model_has_more_to_say_and_the_others_stay(base: Path) -> None:
    found = find_study(a_study(A, B), models(base), base)
    noted = found.noting(B, "its weights are odd")
    assert noted.notes == (f"{B}: its weights are odd",)
    assert noted.variants[A] == found.variants[A]
    assert found.notes == ()


EXAMPLES = json.loads((Path(__file__).parent / "assets" / "studies-0.1.json").read_text())
"""Studies as version 0.1.0 stored them, with the digests under which their calibration requests, labelled
texts and streams lie in its cache: of the files that `base` writes, of lengths, and of a model without a
mask.
"""

CONFIGURATION = Configuration(
    2, 1, "close", "0", False, "pytorch", "fp32", padding="none", batching="arrival"
)


def found_example(name: str, base: Path) -> FoundStudy:
    (base / "lengths.txt").write_text("3\n20\n7\n")
    spec = parse_study(json.dumps(EXAMPLES[name]["study"]), name=name)
    bare = InputsDescription(50, (), 64, {"input_ids": "tokens"})
    unmasked = ResolvedModel("onnx:m.onnx", "onnx", "d" * 64, base / "m.onnx", inputs=bare)
    known = {**models(base), "onnx:m.onnx": unmasked}
    return find_study(spec, {name: known[name or spec.models[0]] for name in spec.variants}, base)


def digests(found: FoundStudy) -> dict[str, Any]:
    """Under what things made of the models lie in the cache."""
    streams = {name: variant.stream(CONFIGURATION) for name, variant in found.variants.items()}
    return {
        "calibration": {name: variant.calibration.digest for name, variant in found.variants.items()},
        "evaluation": {
            name: variant.evaluation and variant.evaluation.digest for name, variant in found.variants.items()
        },
        "stream": {name: stream and stream.digest for name, stream in streams.items()},
    }


@pytest.mark.parametrize("name", EXAMPLES)
def test_a_study_is_stored_as_by_the_first_version_byte_for_byte(base: Path, name: str) -> None:
    found = found_example(name, base)
    assert json.dumps(study_document(found.stored)) == json.dumps(EXAMPLES[name]["stored"])
    assert digests(found) == {key: EXAMPLES[name][key] for key in ("calibration", "evaluation", "stream")}


@pytest.mark.parametrize("name", EXAMPLES)
def test_a_stored_study_is_found_again_without_its_files(base: Path, name: str) -> None:
    found = found_example(name, base)
    stored = read_stored_study(EXAMPLES[name]["stored"])
    assert stored == found.stored
    assert stored.written == found.spec
    again = found_again(stored, found.models, base)
    assert (again.spec, digests(again)) == (found.spec, digests(found))


@pytest.mark.parametrize("part", ["", "problem", "quality"])
def test_what_was_found_cannot_be_written(part: str) -> None:
    stored = EXAMPLES["several"]["stored"]
    kinds: dict[str, type[Part]] = {"": StudySpec, "problem": Problem, "quality": Quality}
    with pytest.raises(ValidationError, match="Extra inputs are not permitted"):
        kinds[part].model_validate_json(json.dumps(stored[part] if part else stored))


def test_of_a_study_that_is_only_written_nothing_was_found() -> None:
    spec = a_study(A, B)
    document = study_document(spec)
    assert (document["digests"], document["unmasked"], document["quality"]["texts_digest"]) == ([], [], "")
    assert read_stored_study(document).written == spec
