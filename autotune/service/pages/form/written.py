"""The study file that the fields of a form stand for, as somebody would write it."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Final

import yaml

from autotune.errors import FileFault, StudyFileError
from autotune.service.asking import NAMELESS
from autotune.service.pages.form.fields import FIELD, FormField, form_fields
from autotune.spec.allowed import allowed_at
from autotune.spec.load import parse_study
from autotune.spec.study import StudySpec

INDENT: Final = "  "
_PLAIN: Final = re.compile(r"[A-Za-z][A-Za-z0-9_./@+-]*(:[A-Za-z0-9_./@+-]+)*")
"""Texts that mean themselves in YAML; `true` and the like are looked up."""
_WORDS: Final = frozenset({"true", "false", "null", "yes", "no", "on", "off", "y", "n"})


def study_text(typed: Mapping[str, str]) -> str:
    """Write the study file of what is typed; fields that are empty are left out."""
    lines: list[str] = []
    open_path: tuple[str, ...] = ()
    for field, text in _filled(typed):
        *parents, name = field.path.split(".")
        shared = 0
        while shared < min(len(parents), len(open_path)) and parents[shared] == open_path[shared]:
            shared += 1
        lines += [f"{INDENT * depth}{parents[depth]}:" for depth in range(shared, len(parents))]
        lines.append(f"{INDENT * len(parents)}{name}: {value_text(text, is_text=field.is_text)}")
        open_path = tuple(parents)
    return "".join(f"{line}\n" for line in lines)


def _filled(typed: Mapping[str, str]) -> Iterator[tuple[FormField, str]]:
    for path, field in form_fields().items():
        text = " ".join(typed.get(FIELD + path, "").split())
        if text:
            yield field, text


def value_text(text: str, *, is_text: bool) -> str:
    """Write one value: a text so that it stays one, all else as it was typed, if that is one value."""
    if is_text:
        return (
            text
            if _PLAIN.fullmatch(text) and text.lower() not in _WORDS
            else json.dumps(text, ensure_ascii=False)
        )
    return text if _is_one_value(text) else json.dumps(text, ensure_ascii=False)


def _is_one_value(text: str) -> bool:
    """Whether a text is a value by itself: no comment, no further key, nothing that is left open."""
    try:
        tokens = list(yaml.scan(f"key: {text}\n"))
        events = list(yaml.parse(f"key: {text}\n"))
    except (yaml.YAMLError, ValueError):
        return False
    keys = sum(isinstance(token, yaml.BlockMappingStartToken) for token in tokens)
    mark = events[-4].end_mark if len(events) > 4 else None
    return keys == 1 and mark is not None and mark.column == len(f"key: {text}")


def read_typed(text: str) -> tuple[StudySpec | None, tuple[FileFault, ...]]:
    """Read the text of a study file as the command line does; give the study, or every fault of it."""
    try:
        return parse_study(text, name=NAMELESS), ()
    except StudyFileError as error:
        return None, tuple(map(_of_the_form, error.faults))


def _of_the_form(fault: FileFault) -> FileFault:
    """Say that a name is missing, where a study file would have taken that of the file."""
    if fault.path == "name" and repr(NAMELESS) in fault.fault:
        return replace(fault, fault=f"missing: write {allowed_at(('name',))}")
    return fault


def fault_field(path: str) -> str:
    """Name the field of the form that a place in the file belongs to; empty where there is none.

    Of a part that is missing as a whole, it is the first one.
    """
    place = re.sub(r"\[\d+\]", "", path)
    while place:
        if place in form_fields():
            return FIELD + place
        inside = next((field for field in form_fields() if field.startswith(f"{place}.")), "")
        if inside:
            return FIELD + inside
        place = place.rpartition(".")[0]
    return ""
