"""Loads the session of a planned instance: checks what is there, then the engine, then checks the engine."""

from __future__ import annotations

import math
from dataclasses import replace
from itertools import chain
from pathlib import Path

from autotune.backends.loading import load_session
from autotune.backends.registry import get_backend
from autotune.errors import ServingError
from autotune.model.exported import only_shapes
from autotune.model.inputs import INPUTS_FILE, InputsDescription, make_inputs, read_inputs
from autotune.model.stream import StreamDescription, read_description
from autotune.runtime.bundled import bundle_differences
from autotune.runtime.differences import (
    Tolerance,
    artifact_differences,
    package_differences,
    process_differences,
    read_manifest_of,
    session_differences,
    settle,
)
from autotune.runtime.filling import Filling
from autotune.runtime.planned import PlannedInstance
from autotune.runtime.reading import TextReader, find_tokenizer, longest_text, padding_token
from autotune.runtime.session import MeasuredSession
from autotune.spec.knobs import split_knobs


def load_session_of(
    planned: PlannedInstance,
    tolerance: Tolerance | None = None,
    tokenizer: Path | str | None = None,
    *,
    digests: bool = False,
) -> MeasuredSession:
    """Load the artifact of a planned instance, and answer a first request.

    Args:
        tolerance: as `differences` of `autotune.runtime.load`.
        tokenizer, digests: as there.

    Raises:
        DifferenceError: the process, its machine, packages or artifact are others than the plan's.
        ServingError: the tokenizer that is named is none, or the artifact does not say what it takes.
        BackendError: the engine is unknown.
    """
    backend = get_backend(planned.backend)
    before = (
        bundle_differences(planned),
        artifact_differences(planned, digests=digests),
        package_differences(planned, backend),
        process_differences(planned),
    )
    tolerated = settle(planned, chain.from_iterable(before), tolerance)
    if not (planned.artifact / INPUTS_FILE).is_file():
        raise ServingError(
            f"{planned.artifact} does not say what its model takes: it computes nothing that could be served",
            remedy="tune a real model",
        )
    inputs = read_inputs(planned.artifact)
    stream = None if planned.requests is None else read_description(planned.requests)
    file = find_tokenizer(planned, tokenizer)
    # First, as in the worker: an engine counts its own threads from there.
    reader = None if file is None else TextReader(file, inputs, longest_text(inputs, stream))
    filling = filling_of(planned, inputs, stream)
    engine = load_session(
        backend, planned.artifact, planned.precision, planned.threads, split_knobs(planned.knobs)
    )
    engine.run(make_inputs(planned.artifact, *_first_shape(planned, filling, stream), seed=0))
    tolerated += settle(planned, session_differences(planned, backend, engine), tolerance)
    cache_size = 0 if stream is None else stream.cache_size
    return MeasuredSession(planned, engine, filling, reader, cache_size, tolerated)


def filling_of(
    planned: PlannedInstance, inputs: InputsDescription, stream: StreamDescription | None
) -> Filling:
    """Give the rules by which the plan's requests were made.

    Raises:
        DifferenceError: the artifact is gone.
    """
    compiled = tuple((batch, tokens) for batch, tokens in read_manifest_of(planned).get("shapes", ()))
    only = only_shapes(planned.artifact)
    rules = Filling(
        inputs,
        planned.batch_size,
        pad_token=padding_token(planned, stream),
        shapes=only or compiled,
        holds_for_all=not only,
    )
    if stream is None:
        return rules
    return replace(
        rules,
        batch_size=math.ceil(stream.batch_size / stream.parts),
        padding=planned.padding,
        batching=planned.batching,
        longest=stream.longest,
        bounds=stream.bounds,
    )


def _first_shape(
    planned: PlannedInstance, filling: Filling, stream: StreamDescription | None
) -> tuple[int, int]:
    """Give the shape of the first request, which has the engine start its threads: one that was measured."""
    tokens = planned.sequence_length if stream is None else math.ceil(stream.median_tokens)
    return filling.shape(filling.batch_size if not filling.shapes else 1, tokens)
