"""Files of texts that a study names: their lines, and a digest of all that decides what a model sees."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path

from autotune.errors import StudyFileError
from autotune.model.digests import digest_file

TOKENIZER_FILE = "tokenizer.json"
"""The one form of a tokenizer that needs no code of its own. Source: the library tokenizers."""

MAX_BYTES = 64 * 2**20
TEXTS = "one text (or one JSON object) to a line"
"""What the lines of most files hold."""


def read_texts(file: Path, place: str) -> tuple[str, ...]:
    """The texts of a file, one to a line.

    Args:
        place: of the file's name in the study.

    Raises:
        StudyFileError: it cannot be read, or holds no text.
    """
    return tuple(text for _, text in read_lines(file, place))


def read_lines(file: Path, place: str, form: str = TEXTS) -> tuple[tuple[int, str], ...]:
    """Every line that is not blank, with its number from 1.

    Args:
        place: of the file's name in the study.
        form: what its lines should hold, for who gets it wrong.

    Raises:
        StudyFileError: it cannot be read, is too large, is not UTF-8, or has no such line.
    """
    lines = tuple(_numbered(_decoded(file, _content(file, place), place, form)))
    if not lines:
        raise StudyFileError(f"{file} has nothing but blank lines", path=place, remedy=_remedy(form))
    return lines


def texts_digest(file: Path, tokenizer: Path) -> str:
    """Hex SHA-256 of the texts and of the tokenizer that cuts them up; where they lie does not count.

    Raises:
        OSError: one cannot be read.
    """
    return hashlib.sha256(f"{digest_file(file)}\n{digest_file(tokenizer)}".encode()).hexdigest()


def _content(file: Path, place: str) -> bytes:
    try:
        if not file.is_file():
            raise StudyFileError(
                f"{file} {'is no file' if file.exists() else 'does not exist'}",
                path=place,
                remedy="a relative path starts at the study file's folder",
            )
        with file.open("rb") as stream:
            content = stream.read(MAX_BYTES + 1)
    except OSError as error:
        raise StudyFileError(
            f"{file} cannot be read: {error.strerror}", path=place, remedy="check its permissions"
        ) from error
    if len(content) > MAX_BYTES:
        raise StudyFileError(
            f"{file} has more than {MAX_BYTES // 2**20} MiB", path=place, remedy="give a sample of it"
        )
    return content


def _decoded(file: Path, content: bytes, place: str, form: str) -> str:
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise StudyFileError(
            f"{file}, line {line}: not UTF-8 text", path=place, remedy=_remedy(form)
        ) from error


def _remedy(form: str) -> str:
    return f"give a file of UTF-8 text, {form}"


def _numbered(text: str) -> Iterator[tuple[int, str]]:
    """By line feeds alone: other separators of Unicode may stand within a text."""
    for number, line in enumerate(text.split("\n"), start=1):
        if line.strip():
            yield number, line.rstrip("\r")
