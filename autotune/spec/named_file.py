"""How a study names a file of texts, labelled data or lengths: by its path, or with what to read of it."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self, TypeVar

from pydantic import BeforeValidator, Field, SerializerFunctionWrapHandler, model_serializer, model_validator

from autotune.spec.part import FileName, Part, refuse

FileFormat = Literal["text", "jsonl", "json", "csv", "tsv", "fasttext"]
"""Plain text (one to a line), JSON values one after another, a JSON array, tables with a header, and lines of
fastText's, which have labels as words: `__label__positive the text`."""

MAX_KEY = 500
Key = Annotated[str, Field(min_length=1, max_length=MAX_KEY)]

KEYS = ("key", "pair", "label")
"""What may be read of an object or a row."""


class NamedFile(Part):
    """A file, and what to read of it where its content alone does not tell."""

    path: FileName
    """The file."""
    format: FileFormat | None = None
    """What it is; by default its content tells."""
    key: Key | None = None
    """What to read of every object or row: a key, a column, or a path such as `body.text`."""

    @model_serializer(mode="wrap")
    def _as_written(self, plain: SerializerFunctionWrapHandler) -> str | dict[str, Any]:
        """The path alone where nothing else is stated, as studies were stored before there was more."""
        stated = {name: value for name, value in plain(self).items() if value is not None}
        return self.path if len(stated) == 1 else stated

    @model_validator(mode="after")
    def _lines_have_no_keys(self) -> Self:
        named = [name for name in KEYS if getattr(self, name, None) is not None]
        if self.format == "text" and named:
            refuse("plain text is read line by line and has no keys: leave it out", named[0])
        return self


class TextsFile(NamedFile):
    """A file of texts, or of pairs of texts that a model reads as one sequence."""

    pair: Key | None = None
    """What to read as the second text of a pair, as for rerankers."""

    @model_validator(mode="after")
    def _a_pair_has_two(self) -> Self:
        if self.pair is not None and self.key is None:
            refuse("missing: write what the first text of a pair is, as in `key: query`", "key")
        return self


class DataFile(TextsFile):
    """A file of labelled texts."""

    label: Key | None = None
    """What to read as the label, or as the score."""


def by_name(value: Any) -> Any:
    """A path alone as a file of which nothing else is stated; anything else as it is."""
    return {"path": value} if isinstance(value, str) else value


FileKind = TypeVar("FileKind", bound=NamedFile)
Named = Annotated[FileKind, BeforeValidator(by_name)]
"""A `NamedFile`, which may be given by its path."""
