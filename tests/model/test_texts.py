from __future__ import annotations

from pathlib import Path

import pytest

from autotune.errors import StudyFileError
from autotune.model.texts import read_texts, texts_digest


@pytest.fixture(autouse=True)
def cache(own_cache: Path) -> Path:
    return own_cache


def test_every_line_that_is_not_blank_is_a_text(tmp_path: Path) -> None:
    file = tmp_path / "texts.txt"
    file.write_bytes("\ufeffone\r\n\n  \ntwo\u2028still two\nthree".encode())
    assert read_texts(file, "quality.texts") == ("one", "two\u2028still two", "three")


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"", "nothing but blank lines"),
        (b"\n \n", "nothing but blank lines"),
        (b"a\n\xff\n", "line 2: not UTF-8"),
    ],
)
def test_a_file_that_holds_no_texts_is_refused(tmp_path: Path, content: bytes, told: str) -> None:
    file = tmp_path / "texts.txt"
    file.write_bytes(content)
    with pytest.raises(StudyFileError) as caught:
        read_texts(file, "quality.texts")
    assert told in caught.value.problem
    assert str(file) in caught.value.problem
    assert caught.value.path == "quality.texts"
    assert caught.value.remedy


def test_what_is_no_file_is_refused(tmp_path: Path) -> None:
    for path, told in ((tmp_path / "absent", "does not exist"), (tmp_path, "is no file")):
        with pytest.raises(StudyFileError, match=told) as caught:
            read_texts(path, "quality.texts")
        assert "study file's folder" in caught.value.remedy


def test_a_digest_depends_on_the_texts_and_the_tokenizer_and_not_on_their_places(tmp_path: Path) -> None:
    for name, content in (("a", "one"), ("b", "one"), ("c", "two")):
        (tmp_path / name).write_text(content)
    a, b, c = (tmp_path / name for name in "abc")
    assert texts_digest(a, c) == texts_digest(b, c)
    assert len({texts_digest(a, c), texts_digest(c, a), texts_digest(a, a)}) == 3
