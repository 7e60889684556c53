"""Looks in the cache: what they are called, and how they are found and kept."""

from __future__ import annotations

import time
from collections.abc import Sequence

from autotune.backends.protocol import CompilesNatively, Shape
from autotune.backends.registry import get_backend, package_versions
from autotune.model.artifacts.artifact import ArtifactName, deciding_isa
from autotune.model.artifacts.cache import ArtifactCache
from autotune.model.artifacts.manifest import Manifest, record_files
from autotune.model.looked import Look, Refused, read_look, write_look
from autotune.model.reduced import architecture_digest
from autotune.model.sources import ResolvedModel
from autotune.preparation.names import LOOK
from autotune.preparation.reference import TRANSFORMERS_PACKAGES
from autotune.spec.configuration import Precision

EnginePrecision = tuple[str, Precision]
"""Of an engine's name and a precision."""


def look_names(
    model: ResolvedModel,
    pairs: Sequence[EnginePrecision],
    shape: Shape,
    isa: frozenset[str],
    machine_key: str,
) -> dict[EnginePrecision, ArtifactName]:
    """Name looks in the cache; compilers are left out.

    Source: on two cpus of an AMD EPYC (Zen 4) inductor takes 14 s for one layer, the others 0.1 to 3 s.
    """
    digest = architecture_digest(model)
    return {
        (backend, precision): ArtifactName(
            digest,
            f"{LOOK}-{backend}",
            precision,
            package_versions((*get_backend(backend).packages, "autotune")),
            deciding_isa(isa),
            shapes=(shape,),
            machine=machine_key,
        )
        for backend, precision in pairs
        if not isinstance(get_backend(backend), CompilesNatively)
    }


def looks_key(model: ResolvedModel, shape: Shape, machine_key: str) -> str:
    """Name all looks at a model, which one process at a time takes."""
    versions = package_versions((*TRANSFORMERS_PACKAGES, "autotune"))
    digest = architecture_digest(model)
    return ArtifactName(digest, LOOK, "fp32", versions, shapes=(shape,), machine=machine_key).key()


def find_look(name: ArtifactName, cache: ArtifactCache) -> Look | Refused | None:
    """Read a look from the cache; None where it has none."""
    found = cache.find(name.key())
    return None if found is None else read_look(found.directory)


def keep_look(name: ArtifactName, model: ResolvedModel, answer: Look | Refused, cache: ArtifactCache) -> None:
    """Put an answer into the cache, but for one that may be another next time."""
    if isinstance(answer, Refused) and not answer.is_final:
        return
    key = name.key()
    with cache.exclusively(key), cache.staging(key) as directory:
        write_look(directory, answer)
        manifest = Manifest(
            key=key,
            backend=name.backend,
            precision=name.precision,
            model_digest=name.model_digest,
            model_source=model.source,
            versions=dict(name.versions),
            isa=name.isa,
            shapes=name.shapes,
            seconds=answer.took_s if isinstance(answer, Look) else None,
            created_s=time.time(),
            files=record_files(directory),
            observed_precision=name.precision,
        )
        cache.publish(directory, manifest)
