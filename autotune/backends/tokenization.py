"""Turns texts into requests with the model's own tokenizer. Runs in a child process."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from autotune.errors import ModelError, StudyFileError
from autotune.model.calibration import Request
from autotune.model.inputs import InputsDescription, nearest_shape, read_inputs
from autotune.model.texts import texts_digest

Text = tuple[str, str | None]
"""A text, and the second one of a pair or None."""


def tokenized(
    reference: Path, tokenizer: Path, texts: Iterable[Text], tokens: int, *, file: Path, digest: str
) -> Iterator[Request]:
    """One request for each text, cut to the longest sequence and not padded.

    Args:
        reference: a finished reference artifact.
        tokenizer: the model's `tokenizer.json`.
        tokens: of the longest sequence; a model that takes fewer gets as many as it takes.
        file: where the texts come from.
        digest: what `texts_digest` gave of the two when they were checked.

    Raises:
        ModelError: the tokenizer is not one, does not belong to the model, or leaves no room for text.
        StudyFileError: texts or tokenizer have changed since they were checked.
    """
    if texts_digest(file, tokenizer) != digest:
        raise StudyFileError(f"{file} or {tokenizer} has changed meanwhile", remedy="start again")
    description = read_inputs(reference)
    cut = _Cutter(tokenizer, nearest_shape(description, 1, tokens)[1])
    for text in texts:
        yield _request(description, cut(text), tokenizer)


class _Cutter:
    """A tokenizer that cuts every text to the longest sequence."""

    def __init__(self, file: Path, longest: int) -> None:
        from tokenizers import Tokenizer

        self._file = file
        try:
            self._tokenizer = Tokenizer.from_file(str(file))
        except Exception as error:  # the library raises Exception itself
            raise ModelError(
                f"{file} is not a tokenizer: {error}", remedy="save it again with transformers"
            ) from error
        self._tokenizer.no_padding()
        self._tokenizer.enable_truncation(longest)
        special = self._tokenizer.num_special_tokens_to_add(is_pair=True)
        if longest <= special:
            raise ModelError(
                f"{longest} tokens leave no room for text beside {special} special ones",
                remedy="raise problem.sequence_length, or leave quality.texts and quality.data out",
            )

    def __call__(self, text: Text) -> Any:
        encoding = self._tokenizer.encode(text[0], text[1])
        if not encoding.ids:
            raise ModelError(
                f"{self._file} makes no token of {text[0]!r:.60}", remedy="take this text out of the file"
            )
        return encoding


def _request(description: InputsDescription, encoding: Any, tokenizer: Path) -> Request:
    if max(encoding.ids) >= description.vocabulary:
        raise ModelError(
            f"{tokenizer} does not belong to the model: it gives the token {max(encoding.ids)}, and the model"
            f" knows {description.vocabulary}",
            remedy="put the model's own tokenizer.json beside it",
        )
    values = {"tokens": encoding.ids, "ones": encoding.attention_mask, "zeros": encoding.type_ids}
    return {
        name: np.array([values[kind]], dtype=description.types.get(name, "int64"))
        for name, kind in description.arrays.items()
    }
