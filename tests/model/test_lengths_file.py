"""A file of lengths is one number to a line, and what is none is refused with its line."""

from __future__ import annotations

from pathlib import Path

import pytest

from autotune.errors import StudyFileError
from autotune.model.lengths_file import read_lengths


def test_lengths_are_read_in_their_order(tmp_path: Path) -> None:
    (tmp_path / "lengths.txt").write_text("24\n\n 7 \r\n131072\n")
    assert read_lengths(tmp_path / "lengths.txt") == (24, 7, 131072)


@pytest.mark.parametrize("wrong", ["0", "-3", "2.5", "many", "131073", "9" * 5000, "²"])
def test_what_is_no_length_is_refused_with_its_line(tmp_path: Path, wrong: str) -> None:
    (tmp_path / "lengths.txt").write_text(f"24\n{wrong}\n")
    with pytest.raises(StudyFileError, match=r"line 2: .* is not a length") as caught:
        read_lengths(tmp_path / "lengths.txt")
    assert caught.value.path == "problem.lengths.file"


def test_a_file_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(StudyFileError, match="does not exist"):
        read_lengths(tmp_path / "none.txt")
