"""A file of lengths is one number to a line, JSON, or a table; what is no length is refused by its place."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest

from autotune.errors import StudyFileError
from autotune.model.texts.file_text import MOST_RECORDS
from autotune.model.texts.lengths_file import read_lengths
from autotune.spec.named_file import NamedFile


def test_lengths_are_read_in_their_order(tmp_path: Path) -> None:
    (tmp_path / "lengths.txt").write_text("24\n\n 7 \r\n131072\n")
    assert read_lengths(tmp_path / "lengths.txt").lengths == (24, 7, 131072)


@pytest.mark.parametrize(
    ("name", "content", "key"),
    [
        ("a.json", "[24, 7]", None),
        ("a.jsonl", "24\n7\n", None),
        ("a.csv", "24\n7\n", None),
        ("a.csv", "id,tokens\n1,24\n2,7.0\n", None),
        ("a", '{"length": 24}\n{"length": 7}\n', None),
        ("a.csv", "id,n\n1,24\n2,7\n", "n"),
        ("a", '{"usage": {"prompt_tokens": 24}}\n{"usage": {"prompt_tokens": 7}}\n', "usage.prompt_tokens"),
    ],
)
def test_lengths_are_read_from_json_and_tables(
    tmp_path: Path, name: str, content: str, key: str | None
) -> None:
    (tmp_path / name).write_text(content)
    (tmp_path / "packed").write_bytes(gzip.compress(content.encode(), mtime=0))
    stated = None if key is None else NamedFile(path=name, key=key)
    assert read_lengths(tmp_path / name, stated).lengths == (24, 7)
    if not name.endswith(".csv") or "," in content:
        assert read_lengths(tmp_path / "packed", stated).lengths == (24, 7)


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ('{"text": "a"}\n', "line 1: has no key of lengths; it has text"),
        ('{"tokens": 1, "length": 2}\n', "has lengths under length and tokens"),
        ('{"tokens": 1}\n{"id": 2}\n', "line 2: it has no 'tokens'"),
        ('{"tokens": true}\n', "'True' is not a length"),
    ],
)
def test_objects_without_lengths_are_refused(tmp_path: Path, content: str, told: str) -> None:
    (tmp_path / "lengths.jsonl").write_text(content)
    with pytest.raises(StudyFileError) as caught:
        read_lengths(tmp_path / "lengths.jsonl")
    assert told in caught.value.problem
    assert caught.value.remedy


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ("1\n" * (MOST_RECORDS + 1), "has 1,000,001 lines, more than 1,000,000"),
        ("1\r" * (MOST_RECORDS + 1), "has 1,000,001 lines, more than 1,000,000"),
        (f"[{'1,' * MOST_RECORDS}1]", "has 1,000,001 items, more than 1,000,000"),
        ("tokens\n" + "1\n" * MOST_RECORDS, "has 1,000,001 lines, more than 1,000,000"),
    ],
    ids=["lines", "old lines", "list", "table"],
)
def test_more_than_anybody_needs_is_refused_before_it_is_taken_apart(
    tmp_path: Path, content: str, told: str
) -> None:
    for name in ("many.txt", "many.csv", "many.json"):
        (tmp_path / name).write_bytes(content.encode())
        with pytest.raises(StudyFileError) as caught:
            read_lengths(tmp_path / name)
        assert told in caught.value.problem
        assert caught.value.remedy == "give a sample of it"


@pytest.mark.parametrize("wrong", ["0", "-3", "2.5", "many", "131073", "9" * 5000, "²"])
def test_what_is_no_length_is_refused_with_its_line(tmp_path: Path, wrong: str) -> None:
    (tmp_path / "lengths.txt").write_text(f"24\n{wrong}\n")
    with pytest.raises(StudyFileError, match=r"line 2: .* is not a length") as caught:
        read_lengths(tmp_path / "lengths.txt")
    assert caught.value.path == "problem.lengths.file"


def test_a_file_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(StudyFileError, match="does not exist"):
        read_lengths(tmp_path / "none.txt")
