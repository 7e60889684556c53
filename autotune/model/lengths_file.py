"""Files of lengths that a study names: one number to a line."""

from __future__ import annotations

from pathlib import Path

from autotune.errors import StudyFileError
from autotune.model.texts import read_lines
from autotune.spec.problem import MAX_LENGTH

PLACE = "problem.lengths.file"
FORM = f"one whole number from 1 to {MAX_LENGTH} to a line"


def read_lengths(file: Path) -> tuple[int, ...]:
    """The lengths of a file, in tokens, in its order.

    Raises:
        StudyFileError: it cannot be read, has none, or a line is no length; with its number.
    """
    return tuple(_length(file, line, text.strip()) for line, text in read_lines(file, PLACE, FORM))


def _length(file: Path, line: int, text: str) -> int:
    if not text.isascii() or not text.isdigit() or not 1 <= int(text[:10]) <= MAX_LENGTH:
        raise StudyFileError(
            f"{file}, line {line}: {text[:40]!r} is not a length",
            path=PLACE,
            remedy=f"write {FORM}",
        )
    return int(text)
