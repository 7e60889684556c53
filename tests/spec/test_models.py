"""A study of several models, as its file says it."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autotune.errors import StudyFileError
from autotune.spec.configuration import Configuration
from autotune.spec.load import parse_study
from autotune.spec.models import MAX_VARIANTS
from autotune.spec.study import StudySpec

BERT, DISTILBERT = "random:bert-base", "random:distilbert-base"


def study(model: object, tokens: int = 8, **values: object) -> StudySpec:
    document = {"model": model, "problem": {"batch_size": 1, "sequence_length": tokens}, **values}
    return parse_study(json.dumps(document), name="s")


def test_a_list_is_several_variants_in_its_order() -> None:
    spec = study([DISTILBERT, BERT])
    assert spec.models == spec.variants == (DISTILBERT, BERT)


@pytest.mark.parametrize("model", [BERT, [BERT]])
def test_one_model_is_no_choice_however_it_is_written(model: object) -> None:
    spec = study(model)
    assert (spec.models, spec.variants) == ((BERT,), ("",))
    assert spec == study(BERT)


@pytest.mark.parametrize(("written", "source"), [("", DISTILBERT), (BERT, BERT)])
def test_a_configuration_runs_what_it_names_and_else_the_first(written: str, source: str) -> None:
    one = Configuration(1, 1, "close", "0", smt=False, backend="x", precision="fp32", model=written)
    assert study([DISTILBERT, BERT]).source_of(one) == source


@given(st.lists(st.text("abc", min_size=1, max_size=3), min_size=1, max_size=MAX_VARIANTS, unique=True))
def test_a_study_of_any_models_comes_back_from_its_document(names: list[str]) -> None:
    spec = study([f"fake:{name}" for name in names])
    assert StudySpec.model_validate_json(spec.model_dump_json()) == spec
    assert StudySpec.model_validate(spec.model_dump()) == spec


@pytest.mark.parametrize(
    ("model", "path", "told"),
    [
        ([], "model", "an empty list is not allowed: write random:NAME"),
        ([BERT, BERT], "model[1]", f"'{BERT}' is there twice"),
        ([f"fake:{number}" for number in range(33)], "model", "33 models are too many .* at most 32"),
        (
            [BERT, "random:distilbet"],
            "model[1]",
            r"'distilbet' is no architecture .*mean random:distilbert-base",
        ),
        ([BERT, "bert"], "model[1]", "'bert' is not a model: write random:NAME"),
        ([BERT, 3], "model[1]", "3 is not allowed"),
        ({"a": BERT}, "model", "a mapping is not allowed"),
    ],
)
def test_a_wrong_list_is_refused_with_the_place(model: object, path: str, told: str) -> None:
    with pytest.raises(StudyFileError, match=told) as caught:
        study(model)
    assert caught.value.path == path


def test_the_model_that_a_request_is_too_long_for_is_named() -> None:
    with pytest.raises(
        StudyFileError, match=f"513 tokens are more than {DISTILBERT} takes: choose at most 512"
    ):
        study(["fake:m.json", DISTILBERT], tokens=513)


def test_inputs_belong_to_a_study_one_of_whose_models_is_an_onnx_file() -> None:
    assert study([BERT, "onnx:m.onnx"], inputs={"ids": "tokens"}).inputs == {"ids": "tokens"}
    with pytest.raises(StudyFileError, match="belongs to an onnx: model alone"):
        study([BERT, DISTILBERT], inputs={"ids": "tokens"})


def test_digests_are_never_written_in_a_file() -> None:
    with pytest.raises(StudyFileError, match="'digests' is not known here"):
        study([BERT, DISTILBERT], digests=["5e", "5f"])
