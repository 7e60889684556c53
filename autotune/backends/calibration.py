"""Makes the calibration artifact: requests, and what the fp32 reference answers. Runs in a child process."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from autotune.backends.reference import open_reference
from autotune.backends.tokenization import tokenized
from autotune.errors import ModelError
from autotune.model.calibration import CalibrationSource, Request, write_requests
from autotune.model.inputs import make_inputs, nearest_shape, read_inputs
from autotune.model.texts import read_texts

CALIBRATION = "calibration"
"""Stands in the place of the backend where a calibration artifact is named."""
ANSWERS_FILE = "answers.npz"

LENGTHS = (1 / 8, 1 / 4, 1 / 2, 1)
"""Of random requests, as shares of the longest, in turn: an engine sees short sequences and long ones."""


def write_calibration(reference: Path, source: CalibrationSource, directory: Path) -> None:
    """Write the requests and the reference's answers into the empty `directory`.

    Args:
        reference: a finished reference artifact.

    Raises:
        ModelError: the tokenizer does not belong to the model, or the answers are not finite.
        StudyFileError: the texts cannot be read, or have changed since.
    """
    requests = list(_requests(reference, source))
    write_requests(directory, requests)
    answers = list(reference_answers(reference, requests))
    if not all(np.isfinite(answer).all() for answer in answers):
        raise ModelError(
            "the model answers with numbers that are not finite, even at fp32", remedy="check its weights"
        )
    arrays = {f"{index:05}": answer for index, answer in enumerate(answers)}
    np.savez(directory / ANSWERS_FILE, allow_pickle=False, **arrays)


def read_answers(directory: Path) -> list[np.ndarray[Any, Any]]:
    """What the fp32 reference answered to `read_requests(directory)`; first axis = batch."""
    with np.load(directory / ANSWERS_FILE, allow_pickle=False) as stored:
        return [stored[name] for name in sorted(stored.files)]


def reference_answers(reference: Path, requests: Iterable[Request]) -> Iterator[np.ndarray[Any, Any]]:
    """What the fp32 reference answers to each request; first axis = batch."""
    return map(open_reference(reference), requests)


def _requests(reference: Path, source: CalibrationSource) -> Iterator[Request]:
    """One sequence each, so that nothing is padded, unless the model takes one shape alone."""
    if source.texts is None:
        return _random_requests(reference, source)
    assert source.tokenizer is not None
    texts = [(text, None) for text in _sample(read_texts(source.texts, "quality.texts"), source)]
    digest = source.texts_digest
    return tokenized(reference, source.tokenizer, texts, source.tokens, file=source.texts, digest=digest)


def _sample(texts: tuple[str, ...], source: CalibrationSource) -> list[str]:
    """As many texts as asked for, from all over the file, in its order."""
    drawn = np.random.default_rng(source.seed).permutation(len(texts))[: source.sequences]
    return [texts[index] for index in sorted(drawn)]


def _random_requests(reference: Path, source: CalibrationSource) -> Iterator[Request]:
    description = read_inputs(reference)
    batch, longest = nearest_shape(description, 1, source.tokens)
    for index in range(math.ceil(source.sequences / batch)):
        tokens = max(1, round(longest * LENGTHS[index % len(LENGTHS)]))
        yield make_inputs(reference, *nearest_shape(description, batch, tokens), source.seed + index)
