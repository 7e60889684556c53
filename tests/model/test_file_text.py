"""A file that a study names is unpacked and decoded, or refused with what to do."""

from __future__ import annotations

import gzip
import os
from pathlib import Path

import pytest

from autotune.errors import StudyFileError
from autotune.model.texts.file_text import MAX_BYTES, read_file_text


def text_of(file: Path) -> str:
    return read_file_text(file, "problem.texts", "one text to a line").text


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-32"])
def test_a_mark_at_the_beginning_tells_the_encoding(tmp_path: Path, encoding: str) -> None:
    (tmp_path / "a.txt").write_bytes("grün\nrot".encode(encoding))
    assert text_of(tmp_path / "a.txt") == "grün\nrot"


def test_what_is_packed_is_known_by_its_content_and_named_without_its_ending(tmp_path: Path) -> None:
    for name, suffix in (("a.jsonl.gz", ".jsonl"), ("a", ""), ("a.CSV.GZ", ".csv")):
        (tmp_path / name).write_bytes(gzip.compress(b"one\n", mtime=0) + gzip.compress(b"two\n"))
        found = read_file_text(tmp_path / name, "problem.texts", "")
        assert (found.text, found.suffix, found.is_gzip) == ("one\ntwo\n", suffix, True)


@pytest.mark.parametrize(
    ("content", "told", "remedy"),
    [
        (gzip.compress(b"a" * 1000, mtime=0)[:-9], "packed with gzip and damaged", "gzip -t"),
        (b"\x1f\x8bno", "packed with gzip and damaged", "gzip -t"),
        (b"PAR1\x00", "is a Parquet file", "JSON Lines"),
        (b"PK\x03\x04\x00", "a zip archive or a spreadsheet", "CSV"),
        (gzip.compress(b"BZh9", mtime=0), "packed with bzip2", "gzip"),
        (b"<?xml version='1.0'?>", "is XML", "JSON Lines"),
        ("a\ncafé".encode("latin-1"), "line 2: not UTF-8 text (byte 5)", "iconv -f latin1"),
        ("a\nb".encode("utf-16-le"), "line 1: a NUL", "iconv -f utf-16"),
        ("\ufeffa".encode("utf-16-le")[:-1], "not UTF-16 text", "UTF-8"),
    ],
    ids=str,
)
def test_what_is_no_text_is_refused_by_what_it_is(
    tmp_path: Path, content: bytes, told: str, remedy: str
) -> None:
    file = tmp_path / "texts"
    file.write_bytes(content)
    with pytest.raises(StudyFileError) as caught:
        text_of(file)
    assert told in caught.value.problem
    assert str(file) in caught.value.problem
    assert caught.value.path == "problem.texts"
    assert remedy in caught.value.remedy


def test_too_much_is_refused_packed_or_not(tmp_path: Path) -> None:
    (tmp_path / "plain").write_bytes(b"a" * (MAX_BYTES + 1))
    (tmp_path / "packed").write_bytes(gzip.compress(bytes(MAX_BYTES + 1), compresslevel=1, mtime=0))
    for name, told in (("plain", "has more than 64 MiB"), ("packed", "unpacks to more than 64 MiB")):
        with pytest.raises(StudyFileError, match=told) as caught:
            text_of(tmp_path / name)
        assert "sample" in caught.value.remedy


def test_what_is_no_file_is_refused(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    places = {
        tmp_path / "absent": "does not exist",
        tmp_path: "is no file but a folder",
        tmp_path / "pipe": "is no file",
        tmp_path / ("a" * 300): "cannot be read",
    }
    for place, told in places.items():
        with pytest.raises(StudyFileError, match=told) as caught:
            text_of(place)
        assert caught.value.remedy
