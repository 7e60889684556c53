"""What the several models of a study bring with them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from autotune.errors import StudyFileError
from autotune.model.sources import ResolvedModel
from autotune.model.variants import check_variants, of_variant, variants_of
from autotune.spec.named_file import DataFile, TextsFile
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


def alone(base: Path, source: str) -> StudySpec:
    """The checked study of one of the models."""
    return check_variants(a_study(source), {"": models(base)[source]}, base)


def test_every_model_reads_the_texts_as_if_it_were_alone(base: Path) -> None:
    spec = check_variants(a_study(A, B), models(base), base)
    for source in (A, B):
        assert of_variant(spec, source) == alone(base, source)
    assert alone(base, A).quality.texts_digest != alone(base, B).quality.texts_digest


def test_every_model_is_served_the_texts_as_if_it_were_alone(base: Path) -> None:
    problem = Problem(batch_size=1, texts=TextsFile(path="texts.txt"))
    both = a_study(A, B).model_copy(update={"problem": problem, "quality": Quality()})
    spec = check_variants(both, models(base), base)
    for source in (A, B):
        only = a_study(source).model_copy(update={"problem": problem, "quality": Quality()})
        assert of_variant(spec, source) == check_variants(only, {"": models(base)[source]}, base)
    assert of_variant(spec, A).problem.texts_digest != of_variant(spec, B).problem.texts_digest


def test_a_study_holds_the_digests_of_its_models(base: Path) -> None:
    assert check_variants(a_study(A, B), models(base), base).digests == ("a" * 64, "b" * 64)
    assert alone(base, A).digests == ()


def test_every_variant_has_its_own_tokenizer(base: Path) -> None:
    spec = check_variants(a_study(A, B), models(base), base)
    found = variants_of(spec, models(base), base)
    assert list(found) == [A, B]
    for name in "ab":
        one = found[f"path:{name}"]
        assert one.evaluation is not None
        assert one.calibration.tokenizer == one.evaluation.tokenizer == base / name / "tokenizer.json"
        assert one.spec == of_variant(spec, f"path:{name}")
    assert found[A].calibration.digest != found[B].calibration.digest


def test_a_study_without_files_has_nothing_to_tell_apart(base: Path) -> None:
    bare = a_study(A, B).model_copy(update={"quality": Quality()})
    spec = check_variants(bare, models(base), base)
    assert (spec.quality, of_variant(spec, B).quality) == (Quality(), Quality())


def test_the_model_without_a_tokenizer_is_named(base: Path) -> None:
    (base / "b" / "tokenizer.json").unlink()
    with pytest.raises(StudyFileError, match=r"b/tokenizer\.json cannot be read"):
        check_variants(a_study(A, B), models(base), base)
