"""Loads an artifact with the knobs of a configuration."""

from __future__ import annotations

from pathlib import Path

from autotune.backends.protocol import Backend, Session, TakesKnobs
from autotune.spec.configuration import Precision
from autotune.spec.knobs import Knobs


def load_session(
    backend: Backend, directory: Path, precision: Precision, threads: int, knobs: Knobs
) -> Session:
    """Load a prepared artifact; an engine without settings of its own takes no notice of the knobs."""
    if knobs and isinstance(backend, TakesKnobs):
        return backend.load_with(directory, precision, threads, knobs)
    return backend.load(directory, precision, threads)
