"""Checks what callers give in the place of texts, before anything is tokenised."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from autotune.errors import ServingError


def listed(texts: Any) -> list[Any]:
    """Give texts as a list; whether each one is a text, `TextReader` says.

    Raises:
        ServingError: it is a single text, a mapping, or nothing that has texts in it.
    """
    if isinstance(texts, str | bytes | Mapping) or not isinstance(texts, Iterable):
        raise ServingError(f"{texts!r:.60} is no list of texts", remedy="give a list of str")
    return list(texts)


def refuse_batch_size(value: Any) -> None:
    """Refuse a number of texts that is none, though it would change nothing.

    Raises:
        ServingError: it is not a whole number from 1.
    """
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise ServingError(
            f"batch_size={value!r:.60} is no number of texts",
            remedy="give a whole number from 1, or leave it out, as it changes nothing",
        )
