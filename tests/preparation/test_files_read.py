"""Before a study begins it is said what was read of its files, how long that is, and what is cut where."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tokenizers import Tokenizer, models, pre_tokenizers, processors

from autotune.errors import ModelError, StudyFileError
from autotune.model.folders.sentence_modules import SentenceModule, SentenceModules
from autotune.model.sources import ResolvedModel
from autotune.model.texts.files_read import FileRead, file_in_words, files_document
from autotune.preparation.files_read import LOOKED_AT, read_files
from autotune.spec.load import parse_study

WORDS = ("[UNK]", "[CLS]", "[SEP]", "a", "good", "day")
TEXTS = ("a good day", "a", "good day", "day a good day a good")


@pytest.fixture
def folder(tmp_path: Path, own_cache: Path) -> Path:
    """A folder with a model of 64 positions and its tokenizer, which has two special tokens."""
    (tmp_path / "model").mkdir()
    write_model(tmp_path)
    return tmp_path


def write_model(folder: Path, truncation: int | None = None, **config: Any) -> None:
    tokenizer = Tokenizer(models.WordLevel({word: index for index, word in enumerate(WORDS)}, "[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", pair="[CLS] $A [SEP] $B [SEP]", special_tokens=[("[CLS]", 1), ("[SEP]", 2)]
    )
    if truncation is not None:
        tokenizer.enable_truncation(truncation)
    tokenizer.save(str(folder / "model" / "tokenizer.json"))
    (folder / "model" / "config.json").write_text(json.dumps({"max_position_embeddings": 64, **config}))


@pytest.fixture
def read(folder: Path) -> Callable[..., FileRead]:
    """What was read of the only file that a study names: (its problem, what is served, the rest) → that."""

    def files(problem: dict[str, Any], modules: SentenceModules | None = None, **more: Any) -> FileRead:
        study = {"model": "path:model", "problem": {"batch_size": 1, **problem}, **more}
        model = ResolvedModel("path:model", "path", "5e" * 32, folder / "model", modules=modules)
        (found,) = read_files(parse_study(json.dumps(study), name="x"), {"": model}, folder)
        return found

    return files


def write_texts(folder: Path) -> None:
    (folder / "plain.txt").write_text("\n".join(TEXTS))
    (folder / "log.jsonl").write_text("\n".join(json.dumps({"id": 1, "text": text}) for text in TEXTS))
    (folder / "table.csv").write_text("id,text\n" + "\n".join(f"7,{text}" for text in TEXTS))


def test_a_log_is_as_long_as_its_texts_are_and_not_as_its_syntax(
    folder: Path, read: Callable[..., FileRead]
) -> None:
    write_texts(folder)
    for name, words in (
        ("plain.txt", "plain.txt is plain text: 4 texts, the first 'a good day'"),
        ("log.jsonl", "log.jsonl is JSON Lines, text of each: 4 texts, the first 'a good day'"),
        ("table.csv", "table.csv is CSV, text of each: 4 texts, the first 'a good day'"),
    ):
        found = read({"texts": name})
        assert file_in_words(found) == f"problem.texts: {words}; median 4.5 tokens, longest 8"
        (counts,) = found.tokens
        assert (counts.median, counts.longest, counts.cut, counts.cut_to) == (4.5, 8, 0, 64)


@pytest.mark.parametrize(
    ("problem", "config", "cut", "cut_by"),
    [
        ({"max_length": 4}, {}, (2, 4), "problem.max_length"),
        ({}, {"max_position_embeddings": 5}, (1, 5), "the model takes no more"),
        ({}, {"max_position_embeddings": None}, (0, 512), "autotune's bound"),
    ],
)
def test_it_is_said_how_many_texts_are_cut_where_and_by_what(
    folder: Path,
    read: Callable[..., FileRead],
    problem: dict[str, Any],
    config: dict[str, Any],
    cut: tuple[int, int],
    cut_by: str,
) -> None:
    write_texts(folder)
    write_model(folder, **config)
    found = read({"texts": "log.jsonl", **problem})
    (counts,) = found.tokens
    assert (counts.cut, counts.cut_to) == cut
    assert counts.cut_by.startswith(cut_by)
    said = f"; {cut[0]} of 4 are cut to {cut[1]} tokens ({cut_by}"
    assert (said in file_in_words(found)) == (cut[0] > 0)


MAX_SEQ_LENGTH = "max_seq_length in sentence_bert_config.json"


@pytest.mark.parametrize(
    ("problem", "more", "words"),
    [
        ({"texts": "plain.txt"}, {}, f"2 of 4 are cut to 4 tokens ({MAX_SEQ_LENGTH})"),
        (
            {"texts": "plain.txt", "max_length": 6},
            {},
            "1 of 4 are cut to 6 tokens (problem.max_length); the tokenizer by itself would cut 2 to 4",
        ),
        (
            {"texts": "plain.txt"},
            {"quality": {"texts": "plain.txt"}},
            f"2 of 4 are cut to 4 tokens ({MAX_SEQ_LENGTH})",
        ),
    ],
)
def test_texts_that_the_models_folder_has_cut_are_told(
    folder: Path, problem: dict[str, Any], more: dict[str, Any], words: str
) -> None:
    write_texts(folder)
    write_model(folder, truncation=5)  # which a server of sentence embeddings sets anew
    modules = SentenceModules((SentenceModule("Pooling", ("mean",)),), "", 4, MAX_SEQ_LENGTH)
    model = ResolvedModel("path:model", "path", "5e" * 32, folder / "model", modules=modules)
    study = {"model": "path:model", "problem": {"batch_size": 1, **problem}, **more}
    found = read_files(parse_study(json.dumps(study), name="x"), {"": model}, folder)
    assert words in file_in_words(found[-1])


def test_a_positions_table_that_is_shorter_than_where_texts_are_cut_counts(
    folder: Path, read: Callable[..., FileRead]
) -> None:
    write_texts(folder)
    write_model(folder, max_position_embeddings=5)
    modules = SentenceModules((), "", 7, MAX_SEQ_LENGTH)
    assert "1 of 4 are cut to 5 tokens (the model takes no more)" in file_in_words(
        read({"texts": "plain.txt"}, modules)
    )


def test_a_prompt_makes_texts_longer_and_is_counted(folder: Path, read: Callable[..., FileRead]) -> None:
    write_texts(folder)
    modules = SentenceModules((), "", 64, MAX_SEQ_LENGTH, prompt="a good ", lower_case=True)
    (counts,) = read({"texts": "plain.txt"}, modules).tokens
    assert (counts.median, counts.longest) == (6.5, 10)


def test_what_the_tokenizer_would_cut_by_itself_is_said(folder: Path, read: Callable[..., FileRead]) -> None:
    write_texts(folder)
    write_model(folder, truncation=4)
    found = read({"texts": "log.jsonl"})
    assert "the tokenizer by itself would cut 2 to 4: write `max_length: 4`" in file_in_words(found)
    assert "by itself" not in file_in_words(read({"texts": "log.jsonl", "max_length": 4}))


def test_texts_of_quality_are_cut_to_the_length_of_the_problem(
    folder: Path, read: Callable[..., FileRead]
) -> None:
    write_texts(folder)
    found = read({"sequence_length": 4}, quality={"texts": "log.jsonl"})
    assert "2 of 4 are cut to 4 tokens (problem.sequence_length)" in file_in_words(found)


def test_pairs_labelled_rows_and_lengths_are_told_too(folder: Path, read: Callable[..., FileRead]) -> None:
    (folder / "pairs.jsonl").write_text(
        '{"query": "a", "passage": "good day"}\n{"query": "", "passage": "a"}'
    )
    found = read({"texts": "pairs.jsonl"})
    assert file_in_words(found) == (
        "problem.texts: pairs.jsonl is JSON Lines, query and passage of each: 1 pair (1 without text left "
        "out), the first 'a | good day'; median 6 tokens, longest 6"
    )
    (folder / "data.csv").write_text("text,label\na,1\ngood day,0\n")
    found = read({"sequence_length": 8}, quality={"data": "data.csv", "metric": "accuracy"})
    assert (found.place, found.kind, found.count, found.keys) == (
        "quality.data",
        "rows",
        2,
        ("text", "label"),
    )
    assert found.tokens[0].median == 3.5
    (folder / "lengths.json").write_text("[3, 9, 700]")
    found = read({"lengths": {"file": "lengths.json"}, "max_length": 64})
    assert file_in_words(found) == (
        "problem.lengths.file: lengths.json is JSON: 3 lengths, the first '3'; median 9 tokens, longest 700; "
        "1 of 3 are cut to 64 tokens (problem.max_length)"
    )


@pytest.mark.parametrize(
    ("architecture", "median"), [("BertModel", 3.0), ("BertForSequenceClassification", 5.0)]
)
def test_pairs_that_are_scored_are_told_as_the_model_is_given_them(
    folder: Path, read: Callable[..., FileRead], architecture: str, median: float
) -> None:
    write_model(folder, architectures=[architecture])
    (folder / "data.csv").write_text("sentence1,sentence2,score\na,day,1\ngood,a,0\n")
    found = read({"sequence_length": 8}, quality={"data": "data.csv", "metric": "spearman"})
    assert found.tokens[0].median == median


def test_of_a_large_file_a_part_is_cut_up_from_all_over(folder: Path, read: Callable[..., FileRead]) -> None:
    count = 3 * LOOKED_AT
    (folder / "many.txt").write_text("\n".join("a " * (1 + number // LOOKED_AT) for number in range(count)))
    found = read({"texts": "many.txt"})
    assert (found.count, found.tokens[0].of, found.tokens[0].median) == (count, LOOKED_AT, 4.0)
    assert f"longest 5 (of {LOOKED_AT} that were looked at)" in file_in_words(found)


def test_a_long_first_text_is_shown_by_its_beginning_on_one_line(
    folder: Path, read: Callable[..., FileRead]
) -> None:
    (folder / "long.jsonl").write_text(json.dumps({"text": "good\nday " * 100}))
    first = read({"texts": "long.jsonl"}).first
    assert (first[:9], first[-3:], len(first)) == ("good day ", "...", 60)


def test_the_document_is_plain_json(folder: Path, read: Callable[..., FileRead]) -> None:
    write_texts(folder)
    (document,) = json.loads(json.dumps(files_document([read({"texts": "log.jsonl"})])))
    assert document["format"] == "JSON Lines"
    assert document["first"] == "a good day"
    assert document["tokens"][0]["median"] == 4.5


def test_files_are_read_where_no_model_is_here_yet(folder: Path) -> None:
    write_texts(folder)
    study = {"model": "hf:org/name", "problem": {"batch_size": 1, "texts": "log.jsonl"}}
    spec = parse_study(json.dumps(study), name="x")
    (found,) = read_files(spec, {}, folder)
    assert (found.count, found.tokens) == (4, ())
    (folder / "log.jsonl").write_text('{"note": "a"}\n')
    with pytest.raises(StudyFileError, match="note"):
        read_files(spec, {}, folder)


def test_a_tokenizer_that_is_none_is_refused_before_anything_is_prepared(
    folder: Path, read: Callable[..., FileRead]
) -> None:
    write_texts(folder)
    (folder / "model" / "tokenizer.json").write_text("{}")
    with pytest.raises(ModelError, match="is not a tokenizer"):
        read({"texts": "log.jsonl"})
