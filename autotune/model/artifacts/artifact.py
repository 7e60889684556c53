"""An artifact: everything that one engine needs to load one model at one precision, and how it is named."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from autotune.spec.configuration import Precision

ARTIFACT_FORMAT = 6
"""Raised whenever what is written into artifacts changes; part of the key."""

DECIDING_ISA = frozenset(
    (
        *("avx2", "avx512f", "avx512_vnni", "avx_vnni", "avx512_bf16", "avx512_fp16"),
        *("amx_tile", "amx_int8", "amx_bf16", "amx_fp16"),
        *("asimddp", "asimdhp", "i8mm", "bf16", "sve", "sve2"),
    )
)
"""Flags that engines choose kernels and weight layouts by; as in /proc/cpuinfo."""


@dataclass(frozen=True)
class Artifact:
    """A prepared model in the cache.

    Attributes:
        key: hex digest of (model digest, backend, precision, library versions, ISA).
        directory: where its files lie; read-only from here on.
        size_bytes: of all its files.
        created_s: Unix time.
        only_shapes: `(batch, tokens)` of the only requests that it holds for; empty where it holds for any.
    """

    key: str
    directory: Path
    backend: str
    precision: Precision
    model_digest: str
    size_bytes: int
    created_s: float = 0.0
    only_shapes: tuple[tuple[int, int], ...] = ()


@dataclass(frozen=True)
class ArtifactName:
    """All that decides what is in an artifact; equal names have equal content.

    Attributes:
        versions: of the distributions that make and load it.
        isa: the flags of the machine that it depends on, ascending: those of `DECIDING_ISA`, or all of them
            where it holds machine code.
        calibration: digest of the requests that its scales come from; empty where they decide nothing.
        shapes: `(batch, tokens)` of the requests that it has code for, or alone holds for, ascending; empty
            where it has none.
        made_of: the artifacts that it says something of, by key and time; empty for what an engine loads.
        knobs: that were turned in making it, as `autotune.spec.knobs` writes them; of what says something of
            another one, that this was loaded with.
        machine: identifies the machine that something was measured on; empty for what is the same on all.
    """

    model_digest: str
    backend: str
    precision: Precision
    versions: Mapping[str, str]
    isa: tuple[str, ...] = ()
    calibration: str = ""
    shapes: tuple[tuple[int, int], ...] = ()
    made_of: tuple[str, ...] = ()
    knobs: str = ""
    machine: str = ""

    def key(self) -> str:
        """The hex digest that the artifact is found by."""
        content: dict[str, Any] = {
            "format": ARTIFACT_FORMAT,
            "model": self.model_digest,
            "backend": self.backend,
            "precision": self.precision,
            "versions": dict(self.versions),
            "isa": self.isa,
        }
        if self.calibration:
            content["calibration"] = self.calibration
        if self.shapes:
            content["shapes"] = self.shapes
        if self.made_of:
            content["made_of"] = self.made_of
        if self.knobs:
            content["knobs"] = self.knobs
        if self.machine:
            content["machine"] = self.machine
        return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def deciding_isa(isa: frozenset[str]) -> tuple[str, ...]:
    """Those of the machine's flags that an artifact may depend on."""
    return tuple(sorted(isa & DECIDING_ISA))
