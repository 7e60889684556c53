"""Makes a request stream: draws or reads sequences, arranges them, says what came out. Runs in a child."""

from __future__ import annotations

import json
import math
import shutil
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from autotune.errors import ChangedFileError, ModelError, StudyFileError
from autotune.model.arranging import HORIZON, MAX_SHAPES, Arrangement, arrange, padded_length, part_of
from autotune.model.drawing import RECENT, STRATUM, draw_lengths, mixed, with_repeats
from autotune.model.inputs import (
    InputsDescription,
    is_unmasked,
    ordinary_tokens,
    read_inputs,
    write_inputs,
)
from autotune.model.stream import (
    TEXTS_FILE,
    Shape,
    StreamArrays,
    StreamDescription,
    write_arrays,
    write_description,
)
from autotune.model.stream_source import StreamSource
from autotune.model.texts.lengths_file import PLACE, read_lengths
from autotune.model.texts.texts import TOKENIZER_FILE, TextOrPair, content_digest, read_texts
from autotune.preparation.tokenization import (
    as_pair,
    open_tokenizer,
    prompted,
    refuse_changed,
    refuse_foreign_token,
)
from autotune.spec.problem import Lengths

STREAM_PACKAGES = ("numpy", "tokenizers")
"""Distributions that decide what is in a stream."""

DRAWN = 1024
"""Sequences of a distribution, before some of them come again, at least: 16 times `STRATUM`."""

FAKE_INPUTS = InputsDescription(
    vocabulary=30_522,
    reserved=(),
    max_sequence_length=None,
    arrays={"input_ids": "tokens", "attention_mask": "ones"},
)
"""Of a fake model, which computes nothing."""

_CONFIG = "config.json"

Array = np.ndarray[Any, Any]


@dataclass(frozen=True)
class _Sequences:
    """The different sequences, and the order in which they come.

    Attributes:
        texts: of the sequences; empty where there are none.
        cut: of how many of the texts that are a sequence, as a share, only the beginning is there.
    """

    tokens: list[Array]
    order: list[int]
    texts: tuple[TextOrPair, ...] = ()
    cut: tuple[float, ...] = ()


def write_stream(source: StreamSource, reference: Path | None, directory: Path) -> None:
    """Write the stream into the empty `directory`.

    Args:
        reference: a finished reference artifact; None of a fake model.

    Raises:
        ModelError: the model cannot take the sequences, or the tokenizer does not belong to it.
        StudyFileError: a file cannot be read, has changed since it was checked, or is too short.
    """
    inputs = FAKE_INPUTS if reference is None else read_inputs(reference)
    sequences = _repeated(_sequences(source, inputs), source)
    lengths = [len(sequences.tokens[number]) for number in sequences.order]
    arrangement = _arrangement(source, lengths)
    requests = arrange(lengths, arrangement, source.seed)
    _refuse_unmaskable(inputs, requests, lengths, arrangement)
    write_inputs(directory, inputs)
    write_arrays(directory, _arrays(sequences, requests, lengths, arrangement, source.parts))
    pad_token, cut_to = _pad_token(reference, source), _cut_to(source, inputs)
    described = _description(source, sequences, requests, lengths, arrangement, pad_token, cut_to)
    write_description(directory, described)
    if described.tokenizes:
        (directory / TEXTS_FILE).write_text(json.dumps(sequences.texts))
        _keep_tokenizer(_tokenizer(source), cut_to, directory, lower_case=inputs.lower_case)


def _keep_tokenizer(file: Path, longest: int, directory: Path, *, lower_case: bool) -> None:
    """Write the tokenizer that workers read texts with; as it is, unless it is to do more than by itself."""
    if lower_case:
        open_tokenizer(file, longest, lower_case=True).save(str(directory / TOKENIZER_FILE))
    else:
        shutil.copyfile(file, directory / TOKENIZER_FILE)


def _sequences(source: StreamSource, inputs: InputsDescription) -> _Sequences:
    """The sequences in the order of their arrival, before any comes again for the sake of a hit rate."""
    if source.problem.texts is not None:
        return _tokenized(source, inputs)
    lengths = _lengths(source)
    return _Sequences(_random_tokens(lengths, inputs, source.seed), [*range(len(lengths))])


def _lengths(source: StreamSource) -> list[int]:
    lengths, most = source.problem.lengths, source.problem.max_length
    assert lengths is not None
    if source.file is not None:
        found = _unchanged_lengths(source.file, lengths, source.problem.lengths_digest)
        own = [min(length, most or length) for length in found]
        return [own[place] for place in mixed(own, source.seed)]
    drawn = draw_lengths(lengths, _distinct_count(source), source.seed)
    return [min(length, most or length) for length in drawn]


def _unchanged_lengths(file: Path, lengths: Lengths, digest: str) -> tuple[int, ...]:
    found = read_lengths(file, lengths.file)
    if content_digest(file, found.reading.how) != digest:
        raise ChangedFileError(
            f"{file} has changed meanwhile", path=PLACE, remedy="restore it, or start again"
        )
    return found.lengths


def _drawn_total(source: StreamSource) -> int:
    """Sequences of a distribution, those that come again included: all requests are whole.

    There is at least a horizon of requests, without which nothing could be sorted.
    """
    size = source.problem.batch_size
    return math.ceil(max(DRAWN, HORIZON * size) / (1 - _hit_rate(source)) / size) * size


def _distinct_count(source: StreamSource) -> int:
    return max(1, round(_drawn_total(source) * (1 - _hit_rate(source))))


def _hit_rate(source: StreamSource) -> float:
    cache = source.problem.cache
    return 0.0 if cache is None or cache.hit_rate is None else cache.hit_rate


def _random_tokens(lengths: Sequence[int], inputs: InputsDescription, seed: int) -> list[Array]:
    """Different sequences of ordinary tokens."""
    drawn = np.random.default_rng(seed)
    ordinary = ordinary_tokens(inputs)
    return [ordinary[drawn.integers(len(ordinary), size=length)] for length in lengths]


def _tokenized(source: StreamSource, inputs: InputsDescription) -> _Sequences:
    """Every different text once, and the order in which they come."""
    assert source.file is not None
    tokenizer = _tokenizer(source)
    found = read_texts(source.file, "problem.texts", source.problem.texts)
    refuse_changed(source.file, tokenizer, source.problem.texts_digest, found.reading.how)
    texts = [_prompted(text, inputs.prompt) for text in found.texts]
    cutting = open_tokenizer(tokenizer, _cut_to(source, inputs), lower_case=inputs.lower_case)
    encodings = cutting.encode_batch(texts)
    for text, encoding in zip(texts, encodings, strict=True):
        refuse_foreign_token(as_pair(text)[0], encoding, tokenizer, inputs.vocabulary)
    by_text = "tokenization" in source.problem.include
    # What a cache would take for the same: the text where it is in front of the tokenizer, else its tokens.
    keys: list[TextOrPair | tuple[int, ...]] = [
        text if by_text else tuple(one.ids) for text, one in zip(texts, encodings, strict=True)
    ]
    lengths = [len(one.ids) for one in encodings]
    places = range(len(texts)) if _is_in_order(source) else mixed(lengths, source.seed)
    first: dict[TextOrPair | tuple[int, ...], int] = {}
    for place in places:
        first.setdefault(keys[place], place)
    numbers = {key: number for number, key in enumerate(first)}
    return _Sequences(
        tokens=[np.array(encodings[place].ids, dtype=np.int64) for place in first.values()],
        order=[numbers[keys[place]] for place in places],
        texts=tuple(texts[place] for place in first.values()) if by_text else (),
        cut=_cut_shares([numbers[key] for key in keys], [bool(one.overflowing) for one in encodings]),
    )


def _prompted(text: TextOrPair, prompt: str) -> TextOrPair:
    first, second = prompted(as_pair(text), prompt)
    return first if second is None else (first, second)


def _cut_shares(numbers: Sequence[int], is_cut: Sequence[bool]) -> tuple[float, ...]:
    """Of every sequence, by number, how many of its texts had more tokens; as a share."""
    return tuple((np.bincount(numbers, weights=is_cut) / np.bincount(numbers)).tolist())


def _is_in_order(source: StreamSource) -> bool:
    """Whether a file is served in its own order, as that decides what a cache of so many answers finds."""
    cache = source.problem.cache
    return cache is not None and cache.size is not None


def _cut_to(source: StreamSource, inputs: InputsDescription) -> int:
    return source.problem.max_length or inputs.text_tokens


def _tokenizer(source: StreamSource) -> Path:
    assert source.tokenizer is not None
    return source.tokenizer


def _repeated(sequences: _Sequences, source: StreamSource) -> _Sequences:
    """The same, with those that come again; where requests are whole, without what is left over."""
    order, size, cache = sequences.order, source.problem.batch_size, source.problem.cache
    if cache is not None and cache.hit_rate is not None:
        distinct = len(sequences.tokens)
        total = _drawn_total(source) if source.file is None else round(distinct / (1 - cache.hit_rate))
        order = with_repeats(distinct, total, source.seed)
    if source.is_whole:
        order = order[: len(order) // size * size]
    if not order:
        raise StudyFileError(
            f"{len(sequences.order)} sequences are fewer than one request of batch_size {size}",
            path="problem.batch_size",
            remedy="lower it, or name a longer file",
        )
    return replace(sequences, order=order)


def _arrangement(source: StreamSource, lengths: Sequence[int]) -> Arrangement:
    problem = source.problem
    longest = problem.longest or max(lengths)
    return Arrangement(source.padding, source.batching, problem.batch_size, longest)


def _refuse_unmaskable(
    inputs: InputsDescription,
    requests: Sequence[Sequence[int]],
    lengths: Sequence[int],
    arrangement: Arrangement,
) -> None:
    """Refuse to pad for a model that cannot be told what is padding."""
    if not is_unmasked(inputs):
        return
    for request in requests:
        own = [lengths[index] for index in request]
        if min(own) != padded_length(max(own), arrangement.bounds):
            raise ModelError(
                "the model has no attention mask, so that padding would change its answers",
                remedy="write problem.batch_size: 1, or export it with a mask",
            )


def _arrays(
    sequences: _Sequences,
    requests: Sequence[Sequence[int]],
    lengths: Sequence[int],
    arrangement: Arrangement,
    parts: int,
) -> StreamArrays:
    order = [sequences.order[index] for request in requests for index in request]
    return StreamArrays(
        tokens=np.concatenate(sequences.tokens).astype(np.int32),
        starts=_starts(map(len, sequences.tokens)),
        order=np.array(order, dtype=np.int32),
        request_starts=_starts(map(len, requests)),
        first_of_shape=np.array(_first_of_shape(requests, lengths, arrangement, parts), dtype=np.int32),
    )


def _starts(sizes: Iterable[int]) -> Array:
    starts: Array = np.cumsum([0, *sizes], dtype=np.int64)
    return starts


def _shape(request: Sequence[int], lengths: Sequence[int], arrangement: Arrangement) -> Shape:
    return len(request), padded_length(max(lengths[index] for index in request), arrangement.bounds)


def _first_of_shape(
    requests: Sequence[Sequence[int]], lengths: Sequence[int], arrangement: Arrangement, parts: int
) -> list[int]:
    """Requests that have every shape, longest first; of those that are split, in each part on its own."""
    first: dict[tuple[int, Shape], int] = {}
    for index, request in enumerate(requests):
        for part in range(parts):
            own = part_of(request, part, parts)
            first.setdefault((part, _shape(own, lengths, arrangement)), index)
    found = dict.fromkeys(first.values())
    return sorted(
        found, key=lambda index: math.prod(_shape(requests[index], lengths, arrangement)), reverse=True
    )


def _description(
    source: StreamSource,
    sequences: _Sequences,
    requests: Sequence[Sequence[int]],
    lengths: Sequence[int],
    arrangement: Arrangement,
    pad_token: int,
    cut_to: int,
) -> StreamDescription:
    problem = source.problem
    parts = [part_of(request, part, source.parts) for request in requests for part in range(source.parts)]
    shapes = sorted({_shape(part, lengths, arrangement) for part in parts})
    filled = sum(rows * tokens for rows, tokens in (_shape(part, lengths, arrangement) for part in parts))
    return StreamDescription(
        requests=len(requests),
        sequences=len(lengths),
        distinct=len(sequences.tokens),
        batch_size=problem.batch_size,
        bounds=arrangement.bounds,
        longest=arrangement.longest,
        pad_token=pad_token,
        parts=source.parts,
        cycle=_cycle(source, len(requests), len(lengths)),
        shapes=tuple(shapes) if len(shapes) <= MAX_SHAPES and problem.cache is None else (),
        shape_count=len(shapes),
        mean_tokens=sum(lengths) / len(lengths),
        median_tokens=float(np.median(lengths)),
        p90_tokens=float(np.percentile(lengths, 90)),
        most_tokens=max(lengths),
        padding=1 - sum(lengths) / filled,
        tokenizes="tokenization" in problem.include,
        cache_size=_cache_size(source, len(sequences.tokens)),
        hit_rate=None if problem.cache is None else problem.cache.hit_rate,
        cut=round(sum(sequences.cut[number] for number in sequences.order)) if problem.texts else None,
        cut_to=cut_to if problem.texts else None,
    )


def _stretch(source: StreamSource) -> int:
    """Sequences of which the requests have a whole stratum, sorted ones a whole horizon."""
    horizon = 0 if source.batching == "arrival" else HORIZON * source.problem.batch_size
    return max(STRATUM, horizon)


def _cycle(source: StreamSource, requests: int, sequences: int) -> int:
    """Of a file in its own order nobody knows where its long ones are, so that it is all of it."""
    if _is_in_order(source):
        return requests
    return min(requests, math.ceil(_stretch(source) * requests / sequences))


def _cache_size(source: StreamSource, distinct: int) -> int:
    """Of a cache that is asked for its hit rate, room for all that may come again.

    That is one of the `RECENT` before, and, where requests are sorted, from the other end of this horizon or
    the one before.
    """
    cache = source.problem.cache
    if cache is None:
        return 0
    return min(distinct, RECENT + 2 * _stretch(source)) if cache.size is None else cache.size


def _pad_token(reference: Path | None, source: StreamSource) -> int:
    """What the model's configuration says; of an ONNX file, the tokenizer beside it; else 0, as in BERT."""
    if reference is None:
        return 0
    if (reference / _CONFIG).is_file():
        configured = json.loads((reference / _CONFIG).read_bytes()).get("pad_token_id")
        if isinstance(configured, int) and configured >= 0:
            return configured
    return 0 if source.tokenizer is None else _padding_of(source.tokenizer)


def _padding_of(tokenizer: Path) -> int:
    padding = json.loads(tokenizer.read_bytes()).get("padding") or {}
    token = padding.get("pad_id", 0)
    return token if isinstance(token, int) and token >= 0 else 0
