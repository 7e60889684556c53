"""Makes the calibration artifact: requests, and what the fp32 reference answers. Runs in a child process."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from autotune.backends.reference import Answering
from autotune.errors import ModelError
from autotune.model.calibration import CalibrationSource, Request, write_requests
from autotune.model.comparing import row_by_row
from autotune.model.inputs import InputsDescription, make_inputs, nearest_shape, read_inputs
from autotune.model.stream import collate
from autotune.model.texts.texts import TextOrPair, read_texts
from autotune.preparation.reference import open_reference
from autotune.preparation.tokenization import as_pair, tokenized

ANSWERS_FILE = "answers.npz"

TOGETHER = 8
"""Sequences that are answered as one batch too, filled up to the longest of them: what is quantised at run
time may have one scale for all of a batch."""

LENGTHS = (1 / 8, 1 / 4, 1 / 2, 1)
"""Of random requests, as shares of the longest, in turn: an engine sees short sequences and long ones."""


def write_calibration(reference: Path, source: CalibrationSource, directory: Path) -> None:
    """Write the requests and the reference's answers into the empty `directory`.

    The answer to `filled_together` is the last one, where the reference has any to such a request.

    Args:
        reference: a finished reference artifact.

    Raises:
        ModelError: the tokenizer does not belong to the model, or the answers are not finite.
        StudyFileError: the texts cannot be read, or have changed since.
    """
    answer = open_reference(reference)
    _try_longest(reference, source, answer)
    both = list(_answered(reference, source, answer))
    requests, answers = [request for request, _ in both], [answer for _, answer in both]
    write_requests(directory, requests)
    if not _is_finite(answers):
        raise ModelError(
            "the model answers with numbers that are not finite, even at fp32", remedy="check its weights"
        )
    if (batch := filled_together(requests, read_inputs(reference))) is not None:
        together = answer(batch.request)
        if _is_finite(row_by_row(together, [answers[place] for place in batch.sequences])):
            answers.append(together)
    arrays = {f"{index:05}": answer for index, answer in enumerate(answers)}
    np.savez(directory / ANSWERS_FILE, allow_pickle=False, **arrays)


def _is_finite(answers: Iterable[np.ndarray[Any, Any]]) -> bool:
    return all(np.isfinite(answer).all() for answer in answers)


def read_answers(directory: Path) -> list[np.ndarray[Any, Any]]:
    """What the fp32 reference answered to `read_requests(directory)`; first axis = batch.

    One more, the last, is what it answered to `filled_together` of them, if it has been asked.
    """
    with np.load(directory / ANSWERS_FILE, allow_pickle=False) as stored:
        return [stored[name] for name in sorted(stored.files)]


def reference_answers(reference: Path, requests: Iterable[Request]) -> Iterator[np.ndarray[Any, Any]]:
    """What the fp32 reference answers to each request; first axis = batch."""
    return map(open_reference(reference), requests)


@dataclass(frozen=True)
class Batch:
    """Some sequences as one request; `sequences` are their places among the requests with one each."""

    sequences: tuple[int, ...]
    request: Request


def filled_together(requests: Sequence[Request], inputs: InputsDescription) -> Batch | None:
    """Some of the sequences as one batch, filled up to the longest of them; without a mask, of one length.

    None where the model takes one batch size alone, or no two of them fit together.
    """
    if inputs.batch_size is not None:
        return None
    name = next(name for name, kind in inputs.arrays.items() if kind == "tokens")
    tokens = [request[name][0] for request in requests]
    may_fill = "ones" in inputs.arrays.values()
    fitting = [place for place, one in enumerate(tokens) if may_fill or len(one) == len(tokens[0])]
    chosen = fitting[:TOGETHER]
    if len(chosen) < 2:
        return None
    sequences = [tokens[place] for place in chosen]
    return Batch(tuple(chosen), collate(sequences, max(map(len, sequences)), inputs, pad_token=0))


def _try_longest(reference: Path, source: CalibrationSource, answer: Answering) -> None:
    """Have the reference answer a request as long as the study's, which texts may all be shorter than.

    Raises:
        ModelError: it does not.
    """
    if source.longest:
        answer(make_inputs(reference, *nearest_shape(read_inputs(reference), 1, source.longest), source.seed))


def _answered(
    reference: Path, source: CalibrationSource, answer: Answering
) -> Iterator[tuple[Request, np.ndarray[Any, Any]]]:
    """Requests with their answers: of one sequence each, so that nothing is padded, unless the model takes
    one shape alone."""
    if source.texts is None:
        yield from _answered_random(reference, source, answer)
        return
    assert source.tokenizer is not None
    found = read_texts(source.texts, source.place, source.stated)
    for request in tokenized(
        reference,
        source.tokenizer,
        map(as_pair, sample(found.texts, source)),
        source.tokens,
        file=source.texts,
        digest=source.texts_digest,
        how=found.reading.how,
        is_stated=bool(source.longest),
    ):
        yield request, answer(request)


def sample(texts: tuple[TextOrPair, ...], source: CalibrationSource) -> list[TextOrPair]:
    """As many texts as asked for, from all over the file, in its order."""
    drawn = np.random.default_rng(source.seed).permutation(len(texts))[: source.sequences]
    return [texts[index] for index in sorted(drawn)]


def _answered_random(
    reference: Path, source: CalibrationSource, answer: Answering
) -> Iterator[tuple[Request, np.ndarray[Any, Any]]]:
    """Requests of random tokens with their answers; where the model takes no short ones, of the longest."""
    description = read_inputs(reference)
    batch, longest = whole = nearest_shape(description, 1, source.tokens)
    refused: set[tuple[int, int]] = set()
    for index in range(math.ceil(source.sequences / batch)):
        tokens = max(1, round(longest * LENGTHS[index % len(LENGTHS)]))
        shape = nearest_shape(description, batch, tokens)
        if shape != whole and shape not in refused:
            request = make_inputs(reference, *shape, source.seed + index)
            try:
                answered = answer(request)
            except ModelError:
                refused.add(shape)
            else:
                yield request, answered
                continue
        request = make_inputs(reference, *whole, source.seed + index)
        yield request, answer(request)
