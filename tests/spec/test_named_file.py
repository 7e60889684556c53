"""A study names a file by its path, or with what to read of it; stored studies keep the form they had."""

from __future__ import annotations

import json
from typing import Any

import pytest

from autotune.errors import StudyFileError
from autotune.spec.load import parse_study
from autotune.spec.named_file import DataFile, TextsFile
from autotune.spec.problem import Problem, problem_in_words
from autotune.spec.study import StudySpec

NO_LENGTH = "a key or a path of keys, such as text or body.text"


def study(text: str) -> StudySpec:
    return parse_study(f"model: fake:m.json\n{text}", name="x")


def test_a_path_alone_is_stored_as_it_always_was() -> None:
    spec = study("problem: {batch_size: 8, texts: a.txt}\nquality: {data: b.jsonl, metric: f1}")
    stored = spec.model_dump(mode="json")
    assert (stored["problem"]["texts"], stored["quality"]["data"]) == ("a.txt", "b.jsonl")
    assert StudySpec.model_validate_json(json.dumps(stored)) == spec
    assert Problem.model_validate({"batch_size": 8, "texts": "a.txt"}) == spec.problem


def test_what_to_read_is_stored_with_the_path() -> None:
    spec = study(
        "problem: {batch_size: 8, texts: {path: a.jsonl, key: 0, pair: 1}}\n"
        "quality: {data: {path: b.csv, key: body, label: stars, format: csv}, metric: f1}"
    )
    assert spec.problem.texts == TextsFile(path="a.jsonl", key="0", pair="1")
    assert spec.quality.data == DataFile(path="b.csv", key="body", label="stars", format="csv")
    stored = spec.model_dump(mode="json")
    assert stored["problem"]["texts"] == {"path": "a.jsonl", "key": "0", "pair": "1"}
    assert StudySpec.model_validate_json(json.dumps(stored)) == spec
    assert StudySpec.model_validate(spec.model_dump()) == spec


@pytest.mark.parametrize(
    ("written", "place", "told"),
    [
        ("texts: {paht: a}", "texts.paht", "'paht' is not known here (did you mean path?)"),
        ("texts: {key: text}", "texts.path", "missing: write a file's path"),
        ("texts: {path: a, key: ''}", "texts.key", NO_LENGTH),
        ("texts: {path: a, key: true}", "texts.key", NO_LENGTH),
        ("texts: {path: a, key: }", "texts.key", "no value"),
        ("texts: {path: a, label: b}", "texts.label", "'label' is not known here"),
        ("texts: {path: a, pair: b}", "texts.key", "missing: write what the first text of a pair is"),
        ("texts: {path: a, format: yaml}", "texts.format", "one of text, jsonl, json, csv, tsv"),
        ("texts: {path: a, format: text, key: b}", "texts.key", "has no keys"),
        ("texts: [a]", "texts", "a file's path, which starts at the study file's folder, or {path: FILE"),
        ("lengths: {file: {path: a, pair: b}}", "lengths.file.pair", "'pair' is not known here"),
        ("lengths: {file: ''}", "lengths.file", "a file's path"),
    ],
)
def test_what_is_written_wrongly_is_refused_at_its_place(written: str, place: str, told: str) -> None:
    with pytest.raises(StudyFileError) as caught:
        study(f"problem: {{batch_size: 8, {written}}}")
    assert f"problem.{place}: " in str(caught.value)
    assert told in str(caught.value)


def test_a_study_that_names_its_data_with_a_key_needs_a_metric_too() -> None:
    with pytest.raises(StudyFileError, match=r"what b\.csv is scored by"):
        study("problem: {batch_size: 8, sequence_length: 8}\nquality: {data: {path: b.csv, label: stars}}")


def test_the_words_for_a_problem_name_the_file_alone() -> None:
    values: dict[str, Any] = {"batch_size": 8, "texts": {"path": "a.jsonl", "key": "body.text"}}
    assert problem_in_words(Problem(**values)) == "batch 8, texts of a.jsonl"
