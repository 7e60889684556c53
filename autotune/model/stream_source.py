"""What a request stream is made of."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter

from autotune.model.stored_study import StoredProblem, StoredStudy
from autotune.spec.configuration import Batching, Configuration, Padding
from autotune.spec.scenario import traits_of

FORMAT = 2
"""Raised whenever the rules change by which a stream is made; part of the digest."""

_PLACES = {"file", "tokenizer"}


@dataclass(frozen=True)
class StreamSource:
    """What decides the requests that the workers of a configuration are given.

    Attributes:
        problem: with the digests of its files.
        is_whole: every request has `batch_size` sequences, as when it comes from one client; what is left
            over of a file is not served.
        parts: instances that share every request; 1 = each has requests of its own.
        seed: of lengths, tokens, and what comes again.
        file: of the problem's lengths or texts; None where they are drawn.
        tokenizer: the model's `tokenizer.json`; None without texts.
    """

    problem: StoredProblem
    padding: Padding
    batching: Batching
    is_whole: bool
    parts: int
    seed: int
    file: Path | None = None
    tokenizer: Path | None = None

    @property
    def digest(self) -> str:
        """Hex SHA-256 of all that decides the requests; where the files lie does not."""
        content = {name: value for name, value in source_to_json(self).items() if name not in _PLACES}
        content["problem"] = _without_names(content["problem"])
        text = json.dumps({"format": FORMAT, **content}, sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()


_SOURCE = TypeAdapter(StreamSource)


def source_to_json(source: StreamSource) -> dict[str, Any]:
    """Write a source for the child that makes the stream."""
    document: dict[str, Any] = _SOURCE.dump_python(source, mode="json")
    return document


def source_from_json(document: dict[str, Any]) -> StreamSource:
    """The inverse of `source_to_json`."""
    return _SOURCE.validate_json(json.dumps(document))


def stream_source(
    study: StoredStudy, configuration: Configuration, *, base: Path, tokenizer: Path | None
) -> StreamSource | None:
    """What a configuration's requests are made of; None where they are of one length.

    Args:
        base: folder that relative paths start from (the study file's).
        tokenizer: the model's; None where it has none.
    """
    problem = study.problem
    if not problem.is_stream:
        return None
    named = problem.texts or (problem.lengths and problem.lengths.file)
    traits = traits_of(study.scenario)
    return StreamSource(
        problem=problem,
        padding=configuration.padding,
        batching=configuration.batching,
        is_whole=not traits.has_all_at_hand,
        parts=configuration.instances if traits.is_split else 1,
        seed=study.seed,
        file=base / named.path if named else None,
        tokenizer=tokenizer if problem.texts else None,
    )


def _without_names(problem: dict[str, Any]) -> dict[str, Any]:
    """The problem without its files' names: their content is in the digests."""
    lengths = problem["lengths"]
    is_file = lengths is not None and lengths["file"] is not None
    return {
        **problem,
        "texts": problem["texts"] is not None,
        "lengths": "file" if is_file else lengths,
    }
