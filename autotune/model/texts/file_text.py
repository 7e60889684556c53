"""The text of a file that a study names: unpacked and decoded, or refused with what to do."""

from __future__ import annotations

import codecs
import gzip
import io
import zlib
from dataclasses import dataclass
from pathlib import Path

from autotune.errors import StudyFileError

MAX_BYTES = 64 * 2**20
"""Of a file, and of what a packed one unpacks to."""

MOST_RECORDS = 1_000_000
"""Of what stands in a file one after the other. Source: measured, on two cpus: a million short rows take
up to 0.9 GiB and a minute to read."""

_GZIP = b"\x1f\x8b"
_BYTE_ORDERS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
"""Marks that files begin with, and their encodings. Those of 32 bits begin like those of 16."""

_FOREIGN = (
    (b"PAR1", "a Parquet file", "write it as JSON Lines, as pandas does: to_json(..., lines=True)"),
    (b"ARROW1", "an Arrow file", "write it as JSON Lines"),
    (b"PK\x03\x04", "a zip archive or a spreadsheet", "unpack it, or save the sheet as CSV"),
    (b"BZh", "packed with bzip2", "unpack it, or pack it with gzip"),
    (b"\xfd7zXZ", "packed with xz", "unpack it, or pack it with gzip"),
    (b"\x28\xb5\x2f\xfd", "packed with zstd", "unpack it, or pack it with gzip"),
    (b"SQLite format 3", "a database", "export the texts as CSV or JSON Lines"),
    (b"%PDF", "a PDF", "give its text, one to a line"),
    (b"<?xml", "XML", "write it as JSON Lines, or as plain text, one to a line"),
)
"""What files of other formats begin with."""


@dataclass(frozen=True)
class FileText:
    """What is written in a file.

    Attributes:
        text: line ends are as they are in the file.
        suffix: of its name, in lower case, without the `.gz` of a packed one.
        is_gzip: whether it was unpacked.
        form: what the file should hold, for who gets it wrong.
    """

    file: Path
    place: str
    text: str
    suffix: str
    is_gzip: bool
    form: str

    def wrong(self, fault: str, remedy: str, where: str = "") -> StudyFileError:
        """The error of a wrong file.

        Args:
            where: in the file, as `line 3`; empty for all of it.
        """
        at = f"{self.file}, {where}:" if where else f"{self.file}"
        return StudyFileError(f"{at} {fault}", path=self.place, remedy=remedy)

    @property
    def line_count(self) -> int:
        """About how many lines there are, blank ones included."""
        return self.text.count("\n") or self.text.count("\r")

    def refuse_many(self, count: int, what: str) -> None:
        """Refuse what would take more memory and time than anybody gives to reading a sample of requests.

        Raises:
            StudyFileError: it is so much.
        """
        if count > MOST_RECORDS:
            raise self.wrong(f"has {count:,} {what}, more than {MOST_RECORDS:,}", "give a sample of it")


def read_file_text(file: Path, place: str, form: str) -> FileText:
    """Read, unpack and decode a file.

    Args:
        place: of the file's name in the study.
        form: what the file should hold, for who gets it wrong.

    Raises:
        StudyFileError: it cannot be read, is too large, is damaged, of another format, or no text.
    """
    content = _content(file, place)
    is_gzip = content.startswith(_GZIP)
    if is_gzip:
        content = _unpacked(file, content, place)
    for beginning, what, remedy in _FOREIGN:
        if content.startswith(beginning):
            raise StudyFileError(f"{file} is {what}", path=place, remedy=remedy)
    text = _decoded(file, content, place, form)
    name = file.name.lower()
    return FileText(file, place, text, Path(name.removesuffix(".gz")).suffix, is_gzip, form)


def _content(file: Path, place: str) -> bytes:
    try:
        if not file.is_file():
            raise StudyFileError(
                f"{file} {_what_is_there(file)}",
                path=place,
                remedy="a relative path starts at the study file's folder",
            )
        with file.open("rb") as stream:
            content = stream.read(MAX_BYTES + 1)
    except (OSError, ValueError) as error:  # ValueError: a NUL in the path
        raise StudyFileError(
            f"{file} cannot be read: {getattr(error, 'strerror', None) or error}",
            path=place,
            remedy="check its name and its permissions",
        ) from error
    if len(content) > MAX_BYTES:
        raise _too_large(file, "has", place)
    return content


def _what_is_there(file: Path) -> str:
    if file.is_dir():
        return "is no file but a folder: name a file in it"
    return "is no file" if file.exists() else "does not exist"


def _unpacked(file: Path, content: bytes, place: str) -> bytes:
    try:
        with gzip.GzipFile(fileobj=io.BytesIO(content)) as stream:
            unpacked = stream.read(MAX_BYTES + 1)
    except (OSError, EOFError, zlib.error) as error:
        raise StudyFileError(
            f"{file} is packed with gzip and damaged: {error}",
            path=place,
            remedy="`gzip -t` checks a file; pack it anew",
        ) from error
    if len(unpacked) > MAX_BYTES:
        raise _too_large(file, "unpacks to", place)
    return unpacked


def _too_large(file: Path, has: str, place: str) -> StudyFileError:
    return StudyFileError(
        f"{file} {has} more than {MAX_BYTES // 2**20} MiB", path=place, remedy="give a sample of it"
    )


def _decoded(file: Path, content: bytes, place: str, form: str) -> str:
    encoding = next((name for mark, name in _BYTE_ORDERS if content.startswith(mark)), "utf-8")
    try:
        text = content.decode(encoding)
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise StudyFileError(
            f"{file}, line {line}: not {encoding.removesuffix('-sig').upper()} text (byte {error.start})",
            path=place,
            remedy=f"give a file of UTF-8 text, {form}; `iconv -f latin1 -t utf-8` converts one",
        ) from error
    if (at := text.find("\0")) >= 0:
        raise StudyFileError(
            f"{file}, line {text.count(chr(10), 0, at) + 1}: a NUL, which no text has: it is binary, or"
            " UTF-16 without its mark",
            path=place,
            remedy=f"give a file of UTF-8 text, {form}; `iconv -f utf-16 -t utf-8` converts one",
        )
    return text
