"""A study as a request has it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from autotune.errors import StudyFileError

if TYPE_CHECKING:
    from autotune.spec.study import StudySpec


def study_body(study: StudySpec | Mapping[str, Any] | Path) -> dict[str, Any]:
    """Write a study as a request has it: a file as its text, with its name, so that errors tell its lines.

    Raises:
        StudyFileError: it is no study, or the file cannot be read.
    """
    if isinstance(study, Path):
        return _file_body(study)
    if isinstance(study, Mapping):
        return {"study": dict(study)}
    if not hasattr(study, "model_dump"):
        raise StudyFileError(
            f"{study!r:.60} is no study",
            remedy="give a `Path` of a study file, the values of one as a dictionary, or a `StudySpec`",
        )
    return {"study": study.model_dump(mode="json")}


def _file_body(file: Path) -> dict[str, Any]:
    """Write a file's text, and its name where the text says none; what is wrong in it the service tells."""
    from autotune.spec.load import read_text
    from autotune.spec.reading import read_document

    text = read_text(file)
    try:
        written = read_document(text, file=str(file)).data
    except StudyFileError:
        written = None
    is_nameless = isinstance(written, Mapping) and "name" not in written
    return {"study_yaml": text, **({"name": file.stem} if is_nameless else {})}
