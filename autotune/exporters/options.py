"""A target's options, from `NAME=VALUE` texts to values, and as a listing."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, get_args, get_origin

from annotated_types import Ge, Le
from pydantic import ValidationError
from pydantic.fields import FieldInfo

from autotune.errors import ExportError
from autotune.exporters.protocol import Exporter, ExportOptions

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails


def read_options(exporter: Exporter, settings: Iterable[str]) -> ExportOptions:
    """Read what `--set` was given, each `NAME=VALUE`.

    Raises:
        ExportError: one has no value, is there twice, is unknown, or has a wrong value.
    """
    values: dict[str, str] = {}
    for setting in settings:
        name, equals, value = setting.partition("=")
        if not equals or not name:
            raise ExportError(
                f"--set {setting!r:.80} is no setting", remedy=f"write --set NAME=VALUE; {_listing(exporter)}"
            )
        if name in values:
            raise ExportError(f"--set {name} is there twice", remedy="give each option once")
        if name not in exporter.options.model_fields:
            raise _unknown(exporter, name)
        values[name] = value
    try:
        return exporter.options.model_validate(values)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        name = str(first["loc"][0]) if first["loc"] else ""
        if first["type"] == "missing":
            raise ExportError(
                f"{exporter.name} needs the option {name}", remedy=f"give --set {name}=..."
            ) from None
        raise ExportError(
            f"--set {name}={values.get(name, '')!r:.80} {_wrong(exporter, name, first)}",
            remedy=_listing(exporter),
        ) from error


REQUIRED = "required"
"""In the place of the default of an option that must be given."""


@dataclass(frozen=True)
class OptionRow:
    """One option of a target, for people.

    Attributes:
        usual: its default; `REQUIRED` where there is none.
    """

    name: str
    usual: str
    meaning: str


def option_rows(exporter: Exporter) -> Iterator[OptionRow]:
    """List a target's options in the order of their declaration."""
    for name, field in exporter.options.model_fields.items():
        usual = REQUIRED if field.is_required() else str(field.get_default(call_default_factory=True))
        yield OptionRow(name, usual, " ".join((field.description or "").split()))


def _wrong(exporter: Exporter, name: str, error: ErrorDetails) -> str:
    """Say what a value is not; of a check of an exporter's own, what that says."""
    if error["type"] == "value_error":
        return f"is wrong: {error['msg'].removeprefix('Value error, ')}"
    field = exporter.options.model_fields[name]
    if said := _may_be(field):
        return f"is not {said}"
    return f"is not what it may be: {' '.join((field.description or name).split())}"


def _may_be(field: FieldInfo) -> str:
    """Say what a value may be, in words: its title, one of its choices, or a number within its limits."""
    if field.title:
        return field.title
    if get_origin(field.annotation) is Literal:
        return " or ".join(get_args(field.annotation))
    limits = {type(limit): limit for limit in field.metadata}
    least, most = limits.get(Ge), limits.get(Le)
    if field.annotation is int and least and most:
        return f"a whole number from {least.ge} to {most.le}"
    return ""


def _unknown(exporter: Exporter, name: str) -> ExportError:
    near = difflib.get_close_matches(name, exporter.options.model_fields, n=1)
    return ExportError(
        f"{exporter.name} has no option {name!r:.80}",
        remedy=f"did you mean {near[0]}?" if near else _listing(exporter),
    )


def _listing(exporter: Exporter) -> str:
    return f"`autotune export --to {exporter.name} --help-options` lists what there is"
