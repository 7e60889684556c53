"""Texts become requests of the model's own tokens; the tokenizer's library is no engine."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tokenizers import Tokenizer, models, pre_tokenizers, processors

from autotune.errors import ChangedFileError, ModelError
from autotune.model.inputs import InputsDescription, write_inputs
from autotune.model.texts.texts import texts_digest
from autotune.preparation.tokenization import tokenized

WORDS = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "a", "good", "day", "bad")
CLS, SEP, A, GOOD, DAY, BAD = 2, 3, 4, 5, 6, 7


@pytest.fixture
def folder(tmp_path: Path, own_cache: Path) -> Path:
    """A folder with texts, a tokenizer that pads and truncates of itself, and a description of inputs."""
    tokenizer = Tokenizer(models.WordLevel({word: index for index, word in enumerate(WORDS)}, "[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    special = [("[CLS]", CLS), ("[SEP]", SEP)]
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", pair="[CLS] $A [SEP] $B:1 [SEP]:1", special_tokens=special
    )
    tokenizer.enable_padding(length=16)
    tokenizer.enable_truncation(4)
    tokenizer.save(str(tmp_path / "tokenizer.json"))
    (tmp_path / "texts.txt").write_text("a good day\n")
    describe(tmp_path)
    return tmp_path


def describe(folder: Path, vocabulary: int = len(WORDS), longest: int | None = 12, **more: Any) -> None:
    arrays: dict[str, Any] = {"input_ids": "tokens", "attention_mask": "ones", "token_type_ids": "zeros"}
    write_inputs(folder, InputsDescription(vocabulary, (), longest, arrays, **more))


@pytest.fixture
def cut(folder: Path) -> Callable[..., list[dict[str, Any]]]:
    """Makes requests of texts: (texts, tokens) → arrays as lists."""

    def make(*texts: tuple[str, str | None], tokens: int = 12) -> list[dict[str, Any]]:
        file, tokenizer = folder / "texts.txt", folder / "tokenizer.json"
        digest = texts_digest(file, tokenizer)
        found = tokenized(folder, tokenizer, texts, tokens, file=file, digest=digest)
        return [{name: array.tolist() for name, array in request.items()} for request in found]

    return make


def test_a_text_is_its_own_tokens_neither_padded_nor_cut(cut: Callable[..., list[dict[str, Any]]]) -> None:
    (request,) = cut(("a good day", None))
    assert request == {
        "input_ids": [[CLS, A, GOOD, DAY, SEP]],
        "attention_mask": [[1] * 5],
        "token_type_ids": [[0] * 5],
    }


def test_a_pair_is_told_apart_by_its_token_types(cut: Callable[..., list[dict[str, Any]]]) -> None:
    (request,) = cut(("good", "bad day"))
    assert request["input_ids"] == [[CLS, GOOD, SEP, BAD, DAY, SEP]]
    assert request["token_type_ids"] == [[0, 0, 0, 1, 1, 1]]


@pytest.mark.parametrize(("tokens", "longest", "cut_to"), [(4, 12, 4), (12, 6, 6), (9, None, 9)])
def test_a_long_text_is_cut_to_the_longest_that_study_and_model_take(
    folder: Path, cut: Callable[..., list[dict[str, Any]]], tokens: int, longest: int | None, cut_to: int
) -> None:
    describe(folder, longest=longest)
    (request,) = cut(("a good day " * 10, None), tokens=tokens)
    (ids,) = request["input_ids"]
    assert len(ids) == cut_to
    assert (ids[0], ids[-1]) == (CLS, SEP)


@pytest.mark.parametrize(("own", "is_stated", "cut_to"), [(6, False, 6), (6, True, 9), (20, False, 9)])
def test_a_long_text_is_cut_where_the_models_folder_says_so_unless_the_study_does(
    folder: Path, own: int, is_stated: bool, cut_to: int
) -> None:
    describe(folder, longest=12, longest_text=own)
    file, tokenizer = folder / "texts.txt", folder / "tokenizer.json"
    digest, texts = texts_digest(file, tokenizer), [("a good day " * 10, None)]
    (request,) = tokenized(folder, tokenizer, texts, 9, file=file, digest=digest, is_stated=is_stated)
    assert request["input_ids"].shape == (1, cut_to)


def test_a_prompt_is_put_before_a_text_or_a_pair_in_lower_case_where_the_model_asks_for_it(
    folder: Path, cut: Callable[..., list[dict[str, Any]]]
) -> None:
    describe(folder, prompt="A good ", lower_case=True)
    single, pair = cut(("DAY", None), ("Day", "bad"))
    assert single["input_ids"] == [[CLS, A, GOOD, DAY, SEP]]
    assert pair["input_ids"] == [[CLS, A, GOOD, DAY, SEP, BAD, SEP]]


def test_arrays_have_the_type_that_the_model_takes(folder: Path) -> None:
    describe(folder, types={"input_ids": "int32"})
    file, tokenizer = folder / "texts.txt", folder / "tokenizer.json"
    digest = texts_digest(file, tokenizer)
    (request,) = tokenized(folder, tokenizer, [("a", None)], 8, file=file, digest=digest)
    assert {name: str(array.dtype) for name, array in request.items()} == {
        "input_ids": "int32",
        "attention_mask": "int64",
        "token_type_ids": "int64",
    }


def test_a_tokenizer_of_another_model_is_refused(
    folder: Path, cut: Callable[..., list[dict[str, Any]]]
) -> None:
    describe(folder, vocabulary=5)
    with pytest.raises(ModelError, match=r"does not belong to the model: it gives the token 6"):
        cut(("a good day", None))


def test_special_tokens_leave_room_for_text_or_it_is_said(cut: Callable[..., list[dict[str, Any]]]) -> None:
    with pytest.raises(ModelError, match="3 tokens leave no room for text beside 3 special ones") as caught:
        cut(("a good day", None), tokens=3)
    assert "sequence_length, lengths or max_length" in caught.value.remedy


def test_a_file_that_is_no_tokenizer_is_refused(
    folder: Path, cut: Callable[..., list[dict[str, Any]]]
) -> None:
    (folder / "tokenizer.json").write_text("{}")
    with pytest.raises(ModelError, match=r"tokenizer\.json is not a tokenizer"):
        cut(("a", None))


def test_texts_that_have_changed_since_they_were_checked_are_refused(folder: Path) -> None:
    file, tokenizer = folder / "texts.txt", folder / "tokenizer.json"
    digest = texts_digest(file, tokenizer)
    file.write_text("another text\n")
    with pytest.raises(ChangedFileError, match="has changed meanwhile"):
        list(tokenized(folder, tokenizer, [("a", None)], 8, file=file, digest=digest))


def test_a_tokenizer_that_is_gone_is_named(folder: Path) -> None:
    file, tokenizer = folder / "texts.txt", folder / "tokenizer.json"
    digest = texts_digest(file, tokenizer)
    tokenizer.unlink()
    with pytest.raises(ChangedFileError, match=r"tokenizer\.json cannot be read") as caught:
        list(tokenized(folder, tokenizer, [("a", None)], 8, file=file, digest=digest))
    assert "--base" in caught.value.remedy
