"""Loads a study file: YAML text to a valid `StudySpec`, or every fault of it in one error."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from autotune.errors import StudyFileError
from autotune.spec.allowed import allowed_at, not_allowed
from autotune.spec.part import FAULT, LIST, WORD
from autotune.spec.reading import Document, read_document
from autotune.spec.refusal import Place, Refusal, study_file_error
from autotune.spec.shorthand import Expansion, expand
from autotune.spec.study import StudySpec

MAX_BYTES = 2**20

REMEDY = "give the path of a study file (YAML, UTF-8), such as studies/quickstart.yaml"
"""For who gives something else."""


def load_study(path: Path, *, name: str | None = None) -> StudySpec:
    """Load a study file; without a `name` in it, the study is called `name`, or else as the file's stem.

    Raises:
        StudyFileError: the file cannot be read, or is not a study.
    """
    return _parse(read_text(path), name=name or path.stem, file=str(path))


def read_study(study: StudySpec | Path | str, base: Path | None = None) -> tuple[StudySpec, Path]:
    """Give a study's values, and the folder that its relative paths start from.

    That is `base` if given, else the study file's folder, else the working directory.

    Raises:
        StudyFileError: see `load_study`.
    """
    if isinstance(study, StudySpec):
        return study, base or Path()
    return load_study(Path(study)), base or Path(study).parent


def parse_study(text: str, *, name: str) -> StudySpec:
    """Parse the text of a study file; `name` is the study's if the text gives none.

    Raises:
        StudyFileError: the text is not a study.
    """
    return _parse(text, name=name, file="the study")


def _parse(text: str, *, name: str, file: str) -> StudySpec:
    return study_of(read_document(text, file=file), name=name, file=file)


def study_of(document: Document, *, name: str, file: str) -> StudySpec:
    """The study that a document holds; `name` is the study's if it gives none, `file` names it in errors.

    Raises:
        StudyFileError: it is not a study.
    """
    if not isinstance(document.data, dict):
        fault = f"{document.written[()].text or 'nothing'} is no study: write at least model and problem"
        raise study_file_error(file, [Refusal((), document.line(()), fault)])
    expansion = expand(document, name)
    try:
        spec = StudySpec.model_validate(expansion.values)
    except ValidationError as error:
        raise study_file_error(file, _all_refusals(expansion, error)) from None
    if expansion.refusals:
        raise study_file_error(file, expansion.refusals)
    return spec


def _all_refusals(expansion: Expansion, error: ValidationError) -> Iterator[Refusal]:
    yield from expansion.refusals
    seen = {refusal.place for refusal in expansion.refusals}
    for fault in error.errors(include_url=False):
        if not _is_echo(fault):
            place = _written_place(expansion, fault)
            if place not in seen:
                yield Refusal(place, expansion.document.line(place), _fault_text(expansion, place, fault))


def _is_echo(fault: Any) -> bool:
    """Whether pydantic only repeats in other words that another value is wrong."""
    too_short_for_bad_elements = fault["type"] == "too_short" and bool(fault["input"])
    return too_short_for_bad_elements or fault["type"] == "default_factory_not_called"


def _written_place(expansion: Expansion, fault: Any) -> Place:
    inside = tuple(step for step in fault["loc"] if step not in (WORD, LIST))
    return expansion.written_place(inside + tuple(fault.get("ctx", {}).get("at", ())))


def _fault_text(expansion: Expansion, place: Place, fault: Any) -> str:
    if fault["type"] == FAULT:
        return str(fault["ctx"]["fault"])
    if fault["type"] == "missing":
        return f"missing: write {allowed_at(place)}"
    if place in expansion.document.written:
        return not_allowed(expansion.document.written[place].text, place)
    return f"{fault['input']!r}, the file's name, cannot be the study's: add a name of {allowed_at(place)}"


def read_text(path: Path, *, remedy: str = REMEDY) -> str:
    """The text of a file; `remedy` says what to give in the place of one that is none.

    Raises:
        StudyFileError: it cannot be read, is too large, or no UTF-8.
    """

    def unreadable(fault: str) -> StudyFileError:
        return StudyFileError(f"{path} {fault}", remedy=remedy)

    try:
        if not path.is_file():
            raise unreadable("is no file" if path.exists() else "does not exist")
        with path.open("rb") as file:
            content = file.read(MAX_BYTES + 1)
    except (OSError, ValueError) as error:  # ValueError: a NUL in the path
        raise unreadable(f"cannot be read: {getattr(error, 'strerror', None) or error}") from error
    if len(content) > MAX_BYTES:
        raise unreadable(f"is too large: at most {MAX_BYTES} bytes")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise unreadable(f"is not UTF-8 text (byte {error.start})") from error
