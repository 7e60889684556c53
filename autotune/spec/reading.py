"""Reads the small, unambiguous part of YAML that study files are written in.

Values mean what YAML 1.2's core schema says. What could surprise or harm is refused: tags, anchors and
aliases, duplicate keys, several documents, words that only some readers take for booleans (`yes`, `off`),
numbers with leading zeros, deep nesting, huge files. No YAML constructor runs.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, NoReturn

import yaml

from autotune.spec.refusal import SCHEMA_HINT, Place, Refusal, format_place, study_file_error

MAX_CHARACTERS = 2**20
MAX_DEPTH = 8
"""Levels of nesting; a study file needs four."""
MAX_VALUES = 20_000
MAX_TEXT = 4_096
"""Characters of one value."""
MAX_DIGITS = 18
"""Of a whole number; every number of this length fits 64 bits."""

_NULL = re.compile(r"~|null|Null|NULL|")
_BOOLEANS = {"true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False}
_INTEGER = re.compile(r"[-+]?[0-9]+")
_LEADING_ZERO = re.compile(r"([-+]?)0+([0-9]+)")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_SPECIAL_FLOAT = re.compile(r"([-+]?)\.(inf|Inf|INF|nan|NaN|NAN)")
"""Source of these: YAML 1.2.2, section 10.3.2, less hexadecimal and octal numbers."""
_AMBIGUOUS = re.compile(r"y|n|yes|no|on|off", re.IGNORECASE)
"""Booleans in YAML 1.1, text in YAML 1.2."""
UNPRINTABLE = re.compile(r"[\x00-\x08\x0a-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")


@dataclass(frozen=True)
class Written:
    """Where and how a value stands in the file.

    Attributes:
        line: counted from 1.
        text: a single value as it is written, quotes included; else `a list`, `an empty list`, `a mapping`.
    """

    line: int
    text: str


@dataclass(frozen=True)
class Document:
    """A study file as plain data, and where its values stand.

    Attributes:
        data: mappings, lists, texts, numbers, booleans and None.
    """

    data: Any
    written: Mapping[Place, Written]

    def line(self, place: Place) -> int:
        """The line of a place, or of the nearest place around it that is in the file."""
        while place and place not in self.written:
            place = place[:-1]
        return self.written[place].line


def read_document(text: str, *, file: str, hint: str = SCHEMA_HINT) -> Document:
    """Read the text of a study file, or of another file that is written in the same part of YAML.

    Args:
        file: names it in errors.
        hint: what says what such a file holds.

    Raises:
        StudyFileError: the text is not YAML, or uses what such files do without.
    """
    if len(text) > MAX_CHARACTERS:
        fault = f"{len(text)} characters are too many: at most {MAX_CHARACTERS}"
        raise study_file_error(file, [Refusal((), 0, fault)], hint=hint)
    reader = _Reader(text)
    try:
        document = reader.document()
    except _StopReading:
        raise study_file_error(file, reader.refusals, hint=hint) from None
    # ValueError and OverflowError: escapes of characters that do not exist, such as "\UFFFFFFFF".
    except (yaml.YAMLError, ValueError, OverflowError) as error:
        raise study_file_error(file, [_syntax_refusal(text, error)], hint=hint) from error
    if reader.refusals:
        raise study_file_error(file, reader.refusals, hint=hint)
    return document


class _StopReading(Exception):  # noqa: N818 - ends the reading early; the refusals tell why
    """What follows cannot be read or is not worth it."""


def _syntax_refusal(text: str, error: Exception) -> Refusal:
    problem = "an escape of a character that does not exist"
    line = 0
    if isinstance(error, yaml.reader.ReaderError):
        problem = f"character #x{error.character:04x} is not allowed"
        line = text.count("\n", 0, error.position) + 1
    elif isinstance(error, yaml.MarkedYAMLError):
        problem = error.problem or "it ends too early"
        line = error.problem_mark.line + 1 if error.problem_mark else 0
    if "mapping values are not allowed" in problem:
        problem += "; put quotes around a value that holds ': '"
    return Refusal((), line, f"this is not YAML: {problem}")


@dataclass
class _Reader:
    """Turns YAML events into a `Document`, collecting refusals on the way."""

    text: str
    refusals: list[Refusal] = field(default_factory=list)
    written: dict[Place, Written] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._events: Iterator[yaml.Event] = yaml.parse(self.text, yaml.SafeLoader)

    def document(self) -> Document:
        self._next()  # the stream's start
        if isinstance(self._next(), yaml.StreamEndEvent):
            self._stop((), 0, "there is nothing in it: write at least `model` and `problem`")
        data = self._value(self._next(), ())
        self._next()  # the document's end
        after = self._next()
        if not isinstance(after, yaml.StreamEndEvent):
            self._refuse((), after, "a second document begins here: write one per file")
        return Document(data, self.written)

    def _value(self, event: Any, place: Place) -> Any:
        """The value that begins with the event; its place must be new."""
        self._check_bounds(event, place)
        if isinstance(event, yaml.AliasEvent):
            self._refuse(place, event, f"*{event.anchor} repeats a value by reference: write it out")
            return None
        self._check_plain(event, place)
        if isinstance(event, yaml.ScalarEvent):
            return self._scalar(event, place)
        if isinstance(event, yaml.SequenceStartEvent):
            return self._list(event, place)
        return self._mapping(event, place)

    def _mapping(self, start: Any, place: Place) -> dict[str, Any]:
        self._note(place, start, "a mapping")
        values: dict[str, Any] = {}
        while not isinstance(event := self._next(), yaml.MappingEndEvent):
            key = self._key(event, place)
            inner = (*place, key)
            repeated = inner in self.written
            if repeated:
                first = self.written[inner].line
                self._refuse(inner, event, f"the key is there twice, first on line {first}")
            value = self._value(self._next(), inner)
            if not repeated:
                values[key] = value
        return values

    def _key(self, event: Any, place: Place) -> str:
        if not isinstance(event, yaml.ScalarEvent):
            self._stop(place, _line_of(event), "a key must be a single word")
        self._check_plain(event, place)
        if len(event.value) > 100 or UNPRINTABLE.search(event.value):
            self._stop(place, _line_of(event), f"{event.value[:40]!r}... is no key")
        return str(event.value)

    def _list(self, start: Any, place: Place) -> list[Any]:
        self._note(place, start, "a list")
        values: list[Any] = []
        while not isinstance(event := self._next(), yaml.SequenceEndEvent):
            values.append(self._value(event, (*place, len(values))))
        if not values:
            self.written[place] = Written(_line_of(start), "an empty list")
        return values

    def _scalar(self, event: Any, place: Place) -> Any:
        text = event.value
        quoted = not event.implicit[0]
        self._note(place, event, shortened(repr(text) if quoted else text))
        if len(text) > MAX_TEXT:
            self._refuse(place, event, f"{len(text)} characters are too many for one value")
        elif UNPRINTABLE.search(text):
            self._refuse(place, event, f"{shortened(repr(text))} holds control characters or line breaks")
        elif not quoted and (fault := _plain_fault(text)):
            self._refuse(place, event, fault)
        else:
            return text if quoted else _plain_value(text)
        return None

    def _check_bounds(self, event: Any, place: Place) -> None:
        if len(place) > MAX_DEPTH:
            self._stop(place, _line_of(event), f"nested too deeply: at most {MAX_DEPTH} levels")
        if len(self.written) >= MAX_VALUES:
            self._stop((), _line_of(event), f"too many values: at most {MAX_VALUES}")

    def _check_plain(self, event: Any, place: Place) -> None:
        if event.anchor is not None:
            self._refuse(
                place, event, f"&{event.anchor} is an anchor: write the value out where it is repeated"
            )
        if event.tag is not None:
            self._refuse(place, event, f"{shortened(event.tag)} is a YAML tag: write the plain value")

    def _note(self, place: Place, event: Any, text: str) -> None:
        self.written.setdefault(place, Written(_line_of(event), text))

    def _refuse(self, place: Place, event: Any, fault: str) -> None:
        self.refusals.append(Refusal(place, _line_of(event), fault))

    def _stop(self, place: Place, line: int, fault: str) -> NoReturn:
        self.refusals.append(Refusal(place, line, fault))
        raise _StopReading(format_place(place))

    def _next(self) -> Any:
        return next(self._events)


def _line_of(event: Any) -> int:
    return int(event.start_mark.line) + 1


def shortened(text: str) -> str:
    """Cut what is written to what a sentence can name of it."""
    return text if len(text) <= 60 else f"{text[:57]}..."


def _plain_fault(text: str) -> str | None:
    """Why an unquoted value is refused before anybody asks what it is for."""
    if _AMBIGUOUS.fullmatch(text):
        return f"{text} is a boolean to some readers and text to others: write true or false, or quote it"
    if zeros := _LEADING_ZERO.fullmatch(text):
        return f"{shortened(text)} is octal to some readers: write {zeros[1]}{zeros[2]}, or quote it"
    if _INTEGER.fullmatch(text) and len(text.lstrip("+-")) > MAX_DIGITS:
        return f"{shortened(text)} is too large a number"
    return None


def _plain_value(text: str) -> Any:
    """What an unquoted value means."""
    if _NULL.fullmatch(text):
        return None
    if text in _BOOLEANS:
        return _BOOLEANS[text]
    if _INTEGER.fullmatch(text):
        return int(text)
    if _FLOAT.fullmatch(text):
        return float(text)
    if special := _SPECIAL_FLOAT.fullmatch(text):
        return float(special[1] + special[2])
    return text
