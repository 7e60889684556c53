"""An artifact: everything that one engine needs to load one model at one precision."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from autotune.spec.configuration import Precision


@dataclass(frozen=True)
class Artifact:
    """A prepared model in the cache.

    Attributes:
        key: hex digest of (model digest, backend, precision, library versions, ISA).
        directory: where its files lie; read-only from here on.
        size_bytes: of all its files.
    """

    key: str
    directory: Path
    backend: str
    precision: Precision
    model_digest: str
    size_bytes: int
