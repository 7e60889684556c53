"""The requests that scales are calibrated on and answers compared on: their origin, and their file."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from autotune.errors import ModelError

if TYPE_CHECKING:
    from autotune.spec.named_file import TextsFile

REQUESTS_FILE = "calibration.npz"

Request = Mapping[str, np.ndarray[Any, Any]]
"""int64 `(batch, tokens)` by name of the model's input."""


@dataclass(frozen=True)
class CalibrationSource:
    """What calibration requests are made of; the defaults are random tokens.

    Attributes:
        sequences: how many.
        tokens: of the longest; a model that takes fewer gets as many as it takes.
        seed: of random tokens.
        texts: a file of texts that are tokenised instead; None = random tokens.
        texts_digest: as `autotune.model.texts.texts.texts_digest` gives it; empty without.
        tokenizer: the model's `tokenizer.json`, which reads the texts; None without.
        stated: what the study says of the file; the digest has what comes of it.
        place: of the file's name in the study.
        longest: tokens that the study's longest request has, which no text may have; 0 = the texts tell.
    """

    sequences: int = 32
    tokens: int = 128
    seed: int = 0
    texts: Path | None = None
    texts_digest: str = ""
    tokenizer: Path | None = None
    stated: TextsFile | None = None
    place: str = "quality.texts"
    longest: int = 0

    @property
    def digest(self) -> str:
        """Hex SHA-256 of all that decides the requests; where texts and tokenizer lie does not."""
        elsewhere = ("texts", "tokenizer", "stated", "place")
        names = (field.name for field in fields(self) if field.name not in elsewhere)
        content = {name: getattr(self, name) for name in names}
        return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def write_requests(directory: Path, requests: Iterable[Request]) -> None:
    """Write requests into `directory`, in order."""
    arrays = {
        f"{index:05}/{name}": array
        for index, request in enumerate(requests)
        for name, array in request.items()
    }
    np.savez(directory / REQUESTS_FILE, allow_pickle=False, **arrays)


def read_requests(directory: Path) -> list[dict[str, np.ndarray[Any, Any]]]:
    """The requests of a calibration artifact, in order.

    Raises:
        ModelError: there are none, or the file is not one of ours.
    """
    file = directory / REQUESTS_FILE
    requests: dict[str, dict[str, np.ndarray[Any, Any]]] = {}
    try:
        with np.load(file, allow_pickle=False) as stored:
            for key in sorted(stored.files):
                index, _, name = key.partition("/")
                requests.setdefault(index, {})[name] = stored[key]
    except (OSError, ValueError) as error:
        raise ModelError(
            f"{file} holds no requests: {error}", remedy="prune the cache and try again"
        ) from error
    return list(requests.values())
