"""Loads a series file: its values, and the study of each point, or every fault in one error."""

from __future__ import annotations

import copy
import difflib
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from autotune.errors import StudyFileError
from autotune.series.values import Claim, Point, PointLayout, Series, Winners
from autotune.spec.load import read_text, study_of
from autotune.spec.part import FAULT, Part
from autotune.spec.price import Price
from autotune.spec.priced import look_up, priced
from autotune.spec.reading import Document, Written, read_document
from autotune.spec.refusal import Place, Refusal, study_file_error
from autotune.spec.study import StudySpec

FILE = "series.yaml"
"""Of a series' folder."""

HINT = "docs/series.md says what a series holds"

_PARTS: Mapping[tuple[str, ...], type[Part]] = {
    (): Series,
    ("configuration",): PointLayout,
    ("price",): Price,
    ("points",): Point,
    ("points", "configuration"): PointLayout,
    ("claims",): Claim,
    ("claims", "winners_differ"): Winners,
    ("beside",): Claim,
    ("beside", "winners_differ"): Winners,
    ("targets",): Claim,
    ("targets", "winners_differ"): Winners,
}
"""What stands at a place, its indices left out."""


@dataclass(frozen=True)
class SeriesFile:
    """A series and where it comes from.

    Attributes:
        name: its folder's, or its file's.
        folder: that relative paths of its study start from.
        studies: of each point, in order.
    """

    name: str
    folder: Path
    series: Series
    studies: tuple[StudySpec, ...]


def load_series(path: Path, *, known: Path | None = None) -> SeriesFile:
    """Load a series from its folder or its file.

    Args:
        known: a folder of series, one of which may be meant where the path leads to none; as may one that
            lies beside it.

    Raises:
        StudyFileError: it cannot be read, is no series, or a point's values are no study.
    """
    file = _file(path)
    name = file.absolute().parent.name if file.name == FILE else file.stem
    document = read_document(read_text(file, remedy=_remedy(path, known)), file=str(file), hint=HINT)
    if not isinstance(document.data, dict):
        fault = "this is no series: write at least title, source, study and points"
        raise study_file_error(str(file), [Refusal((), document.line(()), fault)], hint=HINT)
    try:
        series = Series.model_validate(document.data)
    except ValidationError as error:
        raise study_file_error(str(file), _refusals(document, error), hint=HINT) from None
    studies = tuple(
        priced(_study(document, index, name, str(file)), base=file.parent)
        for index in range(len(series.points))
    )
    if series.price is not None:
        series = series.model_copy(update={"price": look_up(series.price, base=file.parent)})
    return SeriesFile(name, file.parent, series, studies)


def find_series(folder: Path) -> list[Path]:
    """The folders right below this one that hold a series, by name.

    Raises:
        StudyFileError: the folder cannot be read.
    """
    try:
        return sorted(inside for inside in folder.iterdir() if (inside / FILE).is_file())
    except OSError as error:
        raise StudyFileError(
            f"{folder} cannot be read: {error.strerror}",
            remedy="give the folder that holds the series' folders, such as studies",
        ) from error


def _remedy(path: Path, known: Path | None) -> str:
    """What to give in the place of a path that leads to no series."""
    wanted = path.parent if path.name == FILE else path
    there: dict[str, Path] = {}
    for folder in filter(None, (known, wanted.parent)):
        with suppress(StudyFileError):
            there |= {found.name: found for found in find_series(folder)}
    near = difflib.get_close_matches(wanted.name, there, n=1)
    meant = f"did you mean {there[near[0]]}? " if near else ""
    return (
        f"{meant}give a series' folder, which holds {FILE}, or that file; `autotune series list` names them"
    )


def _file(path: Path) -> Path:
    if not path.is_dir():
        return path
    file = path / FILE
    if not file.exists():
        inside = ", ".join(str(one) for one in find_series(path))
        raise StudyFileError(
            f"{path} holds no {FILE}",
            remedy=f"give a series: {inside}" if inside else "`autotune series list` names the series",
        )
    return file


def _study(document: Document, index: int, name: str, file: str) -> StudySpec:
    """The study of a point: the series' own, with the point's values set."""
    point = document.data["points"][index]
    data = copy.deepcopy(document.data["study"])
    written = _below(document.written, ("study",))
    for path, value in point.get("set", {}).items():
        place = tuple(path.split("."))
        source: Place = ("points", index, "set", path)
        _put(data, place, value, Refusal(source, document.line(source), _fault(path)), file)
        written = {at: one for at, one in written.items() if at[: len(place)] != place}
        written |= {(*place, *at): one for at, one in _below(document.written, source).items()}
    where = f"{file}, point {point['name']!r}"
    study = study_of(Document(data, written), name=name, file=where)
    if len(study.models) > 1:
        line = document.line(("study", "model"))
        fault = "a point runs one model: give each its own, as in `set: {model: random:bert-base}`"
        raise study_file_error(where, [Refusal(("model",), line, fault)], hint=HINT)
    return study


def _below(written: Mapping[Place, Written], place: Place) -> dict[Place, Written]:
    """What stands at a place and below it, seen from there."""
    return {at[len(place) :]: one for at, one in written.items() if at[: len(place)] == place}


def _put(data: dict[str, Any], place: tuple[str, ...], value: Any, refusal: Refusal, file: str) -> None:
    """Set a value of a study, making the sections on the way to it."""
    inside = data
    for step in place[:-1]:
        if inside.get(step) is None:
            inside[step] = {}
        inside = inside[step]
        if not isinstance(inside, dict):
            raise study_file_error(file, [refusal], hint=HINT)
    inside[place[-1]] = copy.deepcopy(value)


def _fault(path: str) -> str:
    return f"{path!r} leads through a value that has no parts: set a value such as problem.batch_size"


def _refusals(document: Document, error: ValidationError) -> Iterator[Refusal]:
    """One for each place: a union says once for each of its forms that a value is none of them."""
    seen: set[Place] = set()
    for fault in error.errors(include_url=False):
        loc: Place = (*fault["loc"], *fault.get("ctx", {}).get("at", ()))
        is_missing = fault["type"] == "missing"
        place = loc if is_missing else _written(document, loc)
        if place not in seen:
            seen.add(place)
            yield Refusal(place, document.line(place), _text(document, place, fault))


def _written(document: Document, place: Place) -> Place:
    """The part of a place that is in the file; what follows names the forms of a union."""
    while place not in document.written:
        place = place[:-1]
    return place


def _text(document: Document, place: Place, fault: Any) -> str:
    if fault["type"] == FAULT:
        return str(fault["ctx"]["fault"])
    if fault["type"] == "missing":
        return f"missing: {_meaning(place)}"
    if fault["type"] == "extra_forbidden":
        return _unknown(place)
    meaning = _meaning(place)
    told = f"{document.written[place].text} is not allowed: {meaning or fault['msg']}"
    return f"{told} {fault['msg']}" if meaning and fault["type"] in _TELLING else told


_TELLING = frozenset(
    (
        *("literal_error", "too_short", "too_long", "string_too_short", "string_pattern_mismatch"),
        *("greater_than", "greater_than_equal", "less_than", "less_than_equal"),
    )
)
"""Faults that say what would be allowed."""


def _part(place: Place) -> type[Part] | None:
    return _PARTS.get(tuple(step for step in place if isinstance(step, str)))


def _meaning(place: Place) -> str:
    """What stands at a place, as its class describes it."""
    keys = [step for step in place if isinstance(step, str)]
    part = _part(tuple(keys[:-1]))
    field = part.model_fields.get(keys[-1]) if part and keys else None
    return (field.description or "") if field else ""


def _unknown(place: Place) -> str:
    part, key = _part(place[:-1]), str(place[-1])
    known = list(part.model_fields) if part else []
    near = difflib.get_close_matches(key, known, n=1)
    hint = f" (did you mean {near[0]}?)" if near else ""
    return f"{key!r} is not known here{hint}: known are {', '.join(known)}"
