"""Model sources: `random:NAME`, `path:DIR`, `hf:ORG/NAME@REVISION`, `fake:FILE`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class ResolvedModel:
    """A model that is present on this machine, identified by its content.

    Attributes:
        source: as written in the study.
        kind: the source's prefix: `random`, `path`, `hf`, `fake`.
        digest: hex SHA-256 over what decides its outputs (config and weights, or architecture and seed).
        path: its folder (`path`, `hf`) or file (`fake`); None for `random`.
        architecture: the name after `random:`; empty otherwise.
        seed: seed of random weights.
    """

    source: str
    kind: str
    digest: str
    path: Path | None
    architecture: str = ""
    seed: int = 0
