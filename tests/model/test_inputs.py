"""Requests are random, repeatable, and within what the model takes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from autotune.errors import ModelError
from autotune.model.architectures import ARCHITECTURES
from autotune.model.inputs import (
    InputsDescription,
    describe_inputs,
    make_inputs,
    read_inputs,
    refuse_longer,
    write_inputs,
)

BERT_PARAMETERS = ("input_ids", "attention_mask", "token_type_ids", "position_ids")


def describe(name: str, **changes: Any) -> InputsDescription:
    architecture = ARCHITECTURES[name]
    config = {**architecture.config, "model_type": architecture.model_type, **changes}
    return describe_inputs(config, BERT_PARAMETERS, ())


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("inputs")


@given(
    vocabulary=st.integers(1, 2000),
    reserved=st.sets(st.integers(0, 1999), max_size=20),
    shape=st.tuples(st.integers(1, 9), st.integers(1, 33)),
    seed=st.integers(0, 2**31 - 1),
)
def test_token_ids_are_within_the_vocabulary_and_never_reserved(
    directory: Path, vocabulary: int, reserved: set[int], shape: tuple[int, int], seed: int
) -> None:
    kept = sorted(token for token in reserved if token < vocabulary)[: vocabulary - 1]
    description = InputsDescription(vocabulary, tuple(kept), None, {"input_ids": "tokens"})
    write_inputs(directory, description)
    ids = make_inputs(directory, *shape, seed)["input_ids"]
    assert ids.shape == shape
    assert ids.dtype == np.int64
    assert ids.min() >= 0
    assert ids.max() < vocabulary
    assert not np.isin(ids, kept).any()


def test_the_same_arguments_make_the_same_request(directory: Path) -> None:
    write_inputs(directory, describe("bert-base"))
    first, again, other = (make_inputs(directory, 4, 32, seed) for seed in (1, 1, 2))
    assert all(np.array_equal(first[name], again[name]) for name in first)
    assert not np.array_equal(first["input_ids"], other["input_ids"])


def test_every_token_is_attended_to_and_of_the_first_segment(directory: Path) -> None:
    write_inputs(directory, describe("bert-base"))
    request = make_inputs(directory, 2, 5, 0)
    assert list(request) == ["input_ids", "attention_mask", "token_type_ids"]
    assert (request["attention_mask"] == 1).all()
    assert (request["token_type_ids"] == 0).all()


def test_segments_are_given_to_models_that_have_more_than_one() -> None:
    assert "token_type_ids" not in describe("roberta-base").arrays
    assert "token_type_ids" not in describe("distilbert-base").arrays


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_the_longest_sequence_of_every_known_architecture_is_512(name: str, directory: Path) -> None:
    write_inputs(directory, describe(name))
    assert make_inputs(directory, 1, 512, 0)["input_ids"].shape == (1, 512)
    with pytest.raises(ModelError, match="sequence_length: 513 tokens") as caught:
        make_inputs(directory, 1, 513, 0)
    assert "choose at most 512" in caught.value.remedy
    assert "`max_length: 512`" in caught.value.remedy


@pytest.mark.parametrize(
    ("place", "remedy"),
    [
        ("sequence_length", "choose at most 512; requests that differ (`lengths` or `texts`) are cut by"),
        ("lengths", "or cut longer ones with problem.max_length: 512"),
        ("lengths.file", "or cut longer ones with problem.max_length: 512"),
        ("max_length", "choose at most 512"),
    ],
)
def test_what_is_too_long_names_what_cuts_it(place: str, remedy: str) -> None:
    with pytest.raises(ModelError, match=f"problem.{place}: 600 tokens are more") as caught:
        refuse_longer(512, 600, place)
    assert remedy in caught.value.remedy


def test_a_model_without_a_position_table_takes_any_length() -> None:
    assert describe("bert-base", max_position_embeddings=None).max_sequence_length is None
    assert describe("bert-base", position_biased_input=False).max_sequence_length is None
    assert describe("bert-base", rope_theta=10_000.0).max_sequence_length is None


def test_texts_are_cut_to_what_a_model_takes_or_was_made_for() -> None:
    assert describe("bert-base").text_tokens == 512
    assert describe("bert-base", rope_theta=10_000.0, max_position_embeddings=8192).text_tokens == 8192
    assert describe("bert-base", max_position_embeddings=None).text_tokens == 512


def test_ids_of_the_configuration_and_the_tokenizer_are_reserved() -> None:
    config = {"vocab_size": 200, "pad_token_id": 1, "bos_token_id": 0, "sep_token_id": None}
    assert describe_inputs(config, (), [101, 102, 5000]).reserved == (0, 1, 101, 102)


def test_a_description_is_read_as_it_was_written(directory: Path) -> None:
    description = describe("roberta-base")
    write_inputs(directory, description)
    read = read_inputs(directory)
    assert (read.vocabulary, tuple(read.reserved)) == (description.vocabulary, description.reserved)
    assert (read.max_sequence_length, read.arrays) == (description.max_sequence_length, description.arrays)


def test_a_model_without_a_vocabulary_is_no_encoder_of_text() -> None:
    with pytest.raises(ModelError, match="a vit model takes no token ids"):
        describe_inputs({"model_type": "vit", "hidden_size": 64}, ("pixel_values",), ())


@pytest.mark.parametrize(
    "text", ["", "[]", "{}", '{"format": "autotune.inputs/2"}', '{"format": "autotune.inputs/1"}']
)
def test_what_is_no_description_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "inputs.json").write_text(text)
    with pytest.raises(ModelError, match="does not describe"):
        make_inputs(tmp_path, 1, 1, 0)
