"""Turns texts into requests with the model's own tokenizer. Runs in a child process."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from autotune.errors import ChangedFileError, ModelError
from autotune.model.calibration import Request
from autotune.model.inputs import InputsDescription, nearest_shape, read_inputs
from autotune.model.texts.texts import TextOrPair, texts_digest

TextPair = tuple[str, str | None]
"""A text, and the second one of a pair or None."""


def as_pair(text: TextOrPair) -> TextPair:
    """A text as the tokenizer takes it."""
    return (text, None) if isinstance(text, str) else text


def prompted(pair: TextPair, prompt: str) -> TextPair:
    """A text, or the first of a pair, with the prompt before it."""
    text, second = pair
    return prompt + text, second


def tokenized(
    reference: Path,
    tokenizer: Path,
    texts: Iterable[TextPair],
    tokens: int,
    *,
    file: Path,
    digest: str,
    how: str = "",
    is_stated: bool = False,
) -> Iterator[Request]:
    """One request for each text, cut to the longest sequence and not padded.

    Args:
        reference: a finished reference artifact.
        tokenizer: the model's `tokenizer.json`.
        tokens: of the longest sequence; a model that takes fewer gets as many as it takes.
        is_stated: whether the study says how many; else texts are cut where the model's folder says so.
        file: where the texts come from.
        digest: what `texts_digest` gave of the two when they were checked.
        how: the file was read, as `autotune.model.texts.texts.Reading` says.

    Raises:
        ModelError: the tokenizer is not one, does not belong to the model, or leaves no room for text.
        ChangedFileError: texts or tokenizer have changed since they were checked, or are gone.
    """
    refuse_changed(file, tokenizer, digest, how)
    description = read_inputs(reference)
    if not is_stated:
        tokens = min(tokens, description.longest_text or tokens)
    longest = nearest_shape(description, 1, tokens)[1]
    cutting = open_tokenizer(tokenizer, longest, lower_case=description.lower_case)
    for text in texts:
        encoding = cutting.encode(*prompted(text, description.prompt))
        refuse_foreign_token(text[0], encoding, tokenizer, description.vocabulary)
        yield _request(description, encoding)


def refuse_changed(file: Path, tokenizer: Path, digest: str, how: str = "") -> None:
    """Refuse other texts, or another tokenizer, than those that were checked.

    Args:
        digest: what `texts_digest` gave of the two then.

    Raises:
        ChangedFileError: one has changed, or cannot be read any more.
    """
    try:
        found = texts_digest(file, tokenizer, how)
    except OSError as error:
        raise ChangedFileError(
            f"{error.filename} cannot be read: {error.strerror}",
            remedy="put it back; a plan's files are looked for beside its model (--base)",
        ) from error
    if found != digest:
        raise ChangedFileError(
            f"{file} or {tokenizer} has changed meanwhile", remedy="restore it, or start again"
        )


def open_tokenizer(file: Path, longest: int, *, lower_case: bool = False) -> Any:
    """The library's tokenizer, which cuts texts to the longest sequence and fills none up.

    Args:
        lower_case: whether it puts texts into lower case first, whatever else it does.

    Raises:
        ModelError: the file is not one, or so many tokens leave no room for text.
    """
    from tokenizers import Tokenizer

    try:
        tokenizer = Tokenizer.from_file(str(file))
    except Exception as error:  # the library raises Exception itself
        raise ModelError(
            f"{file} is not a tokenizer: {error}", remedy="save it again with transformers"
        ) from error
    if lower_case:
        _lower(tokenizer)
    tokenizer.no_padding()
    tokenizer.enable_truncation(longest)
    special = tokenizer.num_special_tokens_to_add(is_pair=True)
    if longest <= special:
        raise ModelError(
            f"{longest} tokens leave no room for text beside {special} special ones",
            remedy="make requests longer in the study's problem (sequence_length, lengths or max_length), "
            "or leave quality's texts and data out",
        )
    return tokenizer


def _lower(tokenizer: Any) -> None:
    from tokenizers import normalizers

    own = [] if tokenizer.normalizer is None else [tokenizer.normalizer]
    tokenizer.normalizer = normalizers.Sequence([normalizers.Lowercase(), *own])


def refuse_foreign_token(text: str, encoding: Any, tokenizer: Path, vocabulary: int) -> None:
    """Refuse a text of which the tokenizer makes nothing, or what the model does not know.

    Raises:
        ModelError: it has no token, or one beyond the model's vocabulary.
    """
    if not encoding.ids:
        raise ModelError(
            f"{tokenizer} makes no token of {text!r:.60}", remedy="take this text out of the file"
        )
    if max(encoding.ids) >= vocabulary:
        raise ModelError(
            f"{tokenizer} does not belong to the model: it gives the token {max(encoding.ids)}, and the model"
            f" knows {vocabulary}",
            remedy="put the model's own tokenizer.json beside it",
        )


def _request(description: InputsDescription, encoding: Any) -> Request:
    values = {
        "tokens": encoding.ids,
        "ones": encoding.attention_mask,
        "zeros": encoding.type_ids,
        "positions": description.positions(len(encoding.ids)),
    }
    return {
        name: np.array([values[kind]], dtype=description.types.get(name, "int64"))
        for name, kind in description.arrays.items()
    }
