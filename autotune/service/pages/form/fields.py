"""Fields of the form, one for each value of a study file, generated from its schema."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any, Final

from autotune.spec.schema import Schema, study_schema

FIELD: Final = "study."
"""Begins the name of a field that holds a value of the study file; its place in the file follows."""

TOLD: Final = 16
"""A description that holds so many of the first letters of what may be written says it all."""

FIRST: Final = ("name", "model", "problem", "objective", "limits", "budget")
"""Sections that nearly every study has, in the order of the form; all others can be unfolded."""

FIRST_OF: Final[Mapping[str, tuple[str, ...]]] = {"problem": ("batch_size", "sequence_length", "texts")}
"""Of a section of `FIRST`, what is shown at once, where that is not all of it."""

OF_FILE: Final = " By default the file's name."
"""Ends what is said of a study's name, and does not hold where there is no file."""

EXAMPLES: Final[Mapping[str, str]] = {
    "name": "my-first-study",
    "model": "random:minilm-l6",
    "problem.batch_size": "8",
    "problem.sequence_length": "64",
    "problem.texts": "requests.jsonl",
    "objective": "throughput",
    "limits.latency": "{p99: 50ms}",
    "limits.memory": "4GiB",
}
"""What is shown in fields that are empty and have no default."""


@dataclass(frozen=True)
class FormField:
    """One value of the study file.

    Attributes:
        path: its place, such as `search.instances`.
        about: what it is; form: what may be written.
        choices: what may be chosen, where that is all there is.
        usual: what holds where nothing is written, as the file has it; empty without.
        is_text: a text is wanted, so that what is typed is never read as anything else.
    """

    path: str
    about: str
    form: str
    choices: tuple[str, ...]
    usual: str
    is_required: bool
    is_text: bool

    @property
    def name(self) -> str:
        """The last part of its place."""
        return self.path.rpartition(".")[2]

    @property
    def field(self) -> str:
        """Its name in the form."""
        return FIELD + self.path

    @property
    def example(self) -> str:
        """What an empty field shows."""
        return self.usual or EXAMPLES.get(self.path, "")


@dataclass(frozen=True)
class FormSection:
    """A part of the study file.

    Attributes:
        first: fields that are shown at once; rest: that can be unfolded.
    """

    name: str
    about: str
    first: tuple[FormField, ...]
    rest: tuple[FormField, ...]
    is_usual: bool

    @property
    def is_single(self) -> bool:
        """Whether it is one value, and no mapping."""
        return [field.path for field in self.fields] == [self.name]

    @property
    def fields(self) -> tuple[FormField, ...]:
        """All of them."""
        return (*self.first, *self.rest)


@cache
def form_sections() -> tuple[FormSection, ...]:
    """Give the sections of the form, those that nearly every study has first."""
    schema = study_schema()
    properties: Mapping[str, Schema] = schema["properties"]
    names = [*FIRST, *(name for name in properties if name not in FIRST)]
    return tuple(
        _section(name, properties[name], is_required=name in (*schema["required"], "name")) for name in names
    )


@cache
def form_fields() -> Mapping[str, FormField]:
    """Give all fields by their place."""
    return {field.path: field for section in form_sections() for field in section.fields}


def _section(name: str, schema: Schema, *, is_required: bool) -> FormSection:
    fields = tuple(_fields(name, schema, is_required=is_required))
    first = FIRST_OF.get(name)
    shown = tuple(field for field in fields if first is None or field.name in first)
    about = "" if len(fields) == 1 and fields[0].path == name else _words(schema.get("description"))
    return FormSection(
        name, about, shown, tuple(field for field in fields if field not in shown), name in FIRST
    )


def _fields(path: str, schema: Schema, *, is_required: bool) -> Iterator[FormField]:
    if "properties" in schema:
        for name, inside in schema["properties"].items():
            yield from _fields(f"{path}.{name}", inside, is_required=name in schema.get("required", ()))
        return
    yield FormField(
        path=path,
        about=_words(schema.get("description")).removesuffix(OF_FILE),
        form=_form(schema),
        choices=tuple(map(str, schema.get("enum", ()))),
        usual=_usual(schema.get("default")),
        is_required=is_required,
        is_text=schema.get("type") == "string",
    )


def _form(schema: Schema) -> str:
    """Say what may be written, where the description does not."""
    if title := str(schema.get("title", "")).replace("`", ""):
        return "" if title[:TOLD] in _words(schema.get("description")) else title
    if "enum" in schema:
        return ""
    if schema.get("type") in ("integer", "number"):
        return _bounds(schema)
    *others, last = [told for form in schema.get("anyOf", ()) if (told := _alternative(form))] or [""]
    return f"{', '.join(others)} or {last}" if others else last


def _alternative(schema: Schema) -> str:
    if "const" in schema:
        return str(schema["const"])
    if "enum" in schema:
        return ", ".join(map(str, schema["enum"]))
    if schema.get("type") == "array":
        return "a list of several"
    if schema.get("type") == "boolean":
        return "true or false"
    return _bounds(schema) if schema.get("type") in ("integer", "number") else str(schema.get("title", ""))


def _bounds(schema: Schema) -> str:
    noun = "a whole number" if schema["type"] == "integer" else "a number"
    least, above = schema.get("minimum"), schema.get("exclusiveMinimum")
    most, below = schema.get("maximum"), schema.get("exclusiveMaximum")
    told = [
        *([f"from {least:g}"] if least is not None else []),
        *([f"above {above:g}"] if above is not None else []),
        *([f"to {most:.12g}"] if most is not None else []),
        *([f"below {below:g}"] if below is not None else []),
    ]
    return " ".join([noun, *told])


def _usual(default: Any) -> str:
    if default is None or isinstance(default, dict | list):
        return ""
    return (
        str(default).lower()
        if isinstance(default, bool)
        else f"{default:g}"
        if isinstance(default, float)
        else str(default)
    )


def _words(description: object) -> str:
    """A description on one line, without the marks of code."""
    return " ".join(str(description or "").split()).replace("`", "")
