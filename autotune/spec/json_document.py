"""Takes a study that came as JSON, under the bounds of a study file, for the same reader as the file's."""

from __future__ import annotations

import json
from contextlib import suppress
from typing import Any, Final

from pydantic import ValidationError

from autotune.errors import StudyFileError
from autotune.spec.load import study_of
from autotune.spec.reading import (
    MAX_DEPTH,
    MAX_DIGITS,
    MAX_TEXT,
    MAX_VALUES,
    UNPRINTABLE,
    Document,
    Written,
    shortened,
)
from autotune.spec.refusal import SCHEMA_HINT, Place, Refusal, study_file_error
from autotune.spec.study import StudySpec

MAX_KEY: Final = 100
"""Characters of a key, as in a file."""


def study_of_json(data: Any, *, name: str = "", file: str = "the study") -> StudySpec:
    """Read a study from JSON values, shorthands and all, with the texts of `load_study`.

    Args:
        data: what the JSON text holds: what a study file does, or every value of a `StudySpec`.
        name: of the study if it gives none; empty = it must give one.
        file: names it in errors.

    Raises:
        StudyFileError: it is not a study, or larger than a file may be.
    """
    document = document_of_json(data, file=file)
    if isinstance(data, dict) and data.keys() >= StudySpec.model_fields.keys():
        with suppress(ValidationError):
            return StudySpec.model_validate_json(json.dumps(data))
    if isinstance(data, dict) and "name" not in data and not name:
        raise _nameless(document, file)
    return study_of(document, name=name, file=file)


def _nameless(document: Document, file: str) -> StudyFileError:
    """Say that a study lacks a name, and what else is wrong with it."""
    missing = "missing: there is no file to call the study by"
    try:
        study_of(document, name=ANY_NAME, file=file)
    except StudyFileError as error:
        others = [
            Refusal((fault.path,) if fault.path else (), fault.line, fault.fault) for fault in error.faults
        ]
        return study_file_error(file, [Refusal(("name",), 0, missing), *others])
    return StudyFileError(f"{missing} ({file})", path="name", remedy=NAME_IT)


def document_of_json(data: Any, *, file: str, hint: str = SCHEMA_HINT) -> Document:
    """Take JSON values for a document of the part of YAML that study files are written in.

    Args:
        data: what the JSON text holds.
        file: names it in errors.
        hint: what says what such a document holds.

    Raises:
        StudyFileError: it is larger or deeper than a file may be, or holds what no file may.
    """
    reader = _Walker()
    reader.walk(data, ())
    if reader.refusals:
        raise study_file_error(file, reader.refusals, hint=hint)
    return Document(data, reader.written)


ANY_NAME: Final = "nameless"
"""Stands for the name of a study that has none, to find what else is wrong with it."""

NAME_IT: Final = "write a name of letters, digits, dots, - and _"


class _Walker:
    """Notes where every value of a document stands, and refuses what no study file may hold."""

    def __init__(self) -> None:
        self.written: dict[Place, Written] = {}
        self.refusals: list[Refusal] = []

    def walk(self, value: Any, place: Place) -> None:
        """Note a value and all that is in it; of what is too much, nothing more."""
        if len(place) > MAX_DEPTH or len(self.written) >= MAX_VALUES:
            if not self.refusals:
                many = f"too many values: at most {MAX_VALUES}"
                deep = f"nested too deeply: at most {MAX_DEPTH} levels"
                self._refuse(place[:MAX_DEPTH], deep if len(place) > MAX_DEPTH else many)
            return
        if isinstance(value, dict):
            self._note(place, "a mapping")
            for key, inner in value.items():
                if len(key) > MAX_KEY or UNPRINTABLE.search(key):
                    self._refuse(place, f"{key[:40]!r}... is no key")
                else:
                    self.walk(inner, (*place, key))
        elif isinstance(value, list):
            self._note(place, "a list" if value else "an empty list")
            for index, inner in enumerate(value):
                self.walk(inner, (*place, index))
        else:
            self._single(value, place)

    def _single(self, value: Any, place: Place) -> None:
        text = repr(value) if isinstance(value, str) else json.dumps(value)
        self._note(place, shortened(text))
        if isinstance(value, str) and len(value) > MAX_TEXT:
            self._refuse(place, f"{len(value)} characters are too many for one value")
        elif isinstance(value, str) and UNPRINTABLE.search(value):
            self._refuse(place, f"{shortened(text)} holds control characters or line breaks")
        elif isinstance(value, int) and abs(value) >= 10**MAX_DIGITS:
            self._refuse(place, f"{shortened(text)} is too large a number")

    def _note(self, place: Place, text: str) -> None:
        self.written[place] = Written(0, text)

    def _refuse(self, place: Place, fault: str) -> None:
        self.refusals.append(Refusal(place, 0, fault))
