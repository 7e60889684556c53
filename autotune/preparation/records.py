"""How long earlier preparations took, as the cache's manifests have it: the prices of the next ones."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from autotune.backends.reference import REFERENCE
from autotune.model.artifacts.cache import ArtifactCache
from autotune.model.artifacts.manifest import Manifest
from autotune.model.sources import ResolvedModel
from autotune.preparation.names import LOOK
from autotune.spec.configuration import Precision


@dataclass(frozen=True)
class PreparationRecord:
    """What one artifact in the cache took to make.

    Attributes:
        backend: the engine; or what stands in its place of a `reference`, a `calibration` and the like.
        seconds: imports included, what it is made from left out.
        model_bytes: of the model's reference in the cache, which are its weights at fp32 but for a few
            kilobytes; what is exported, traced and quantised grows with them. None where it is not there.
        shapes: how many shapes of request code was compiled for.
    """

    backend: str
    precision: Precision
    seconds: float
    model_source: str
    model_bytes: int | None
    knobs: str = ""
    shapes: int = 0


def preparation_records(cache: ArtifactCache) -> list[PreparationRecord]:
    """A record of each artifact whose making was timed, least recently used first; looks have none."""
    manifests = _manifests(cache)
    sizes = _reference_bytes(manifests)
    return [
        PreparationRecord(
            made.backend,
            made.precision,
            made.seconds,
            made.model_source,
            sizes.get(made.model_digest),
            made.knobs,
            len(made.shapes),
        )
        for made in manifests
        if made.seconds is not None and not made.backend.startswith(f"{LOOK}-")
    ]


def model_bytes(model: ResolvedModel, cache: ArtifactCache) -> int | None:
    """Give `PreparationRecord.model_bytes` of a model that is to be prepared.

    None until its reference is in the cache.
    """
    return _reference_bytes(_manifests(cache)).get(model.digest)


def _manifests(cache: ArtifactCache) -> list[Manifest]:
    return [entry.manifest for entry in cache.entries() if entry.manifest is not None]


def _reference_bytes(manifests: Iterable[Manifest]) -> dict[str, int]:
    """Sizes of references by the digests of their models."""
    return {made.model_digest: made.size_bytes for made in manifests if made.backend == REFERENCE}
