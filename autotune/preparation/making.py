"""Has a child process make an artifact, once for all processes that want it."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from autotune.backends.ending import reply_of
from autotune.backends.protocol import Shape
from autotune.backends.registry import package_versions
from autotune.errors import PreparationError
from autotune.machine.counters import oom_kills
from autotune.model.artifacts.artifact import Artifact, ArtifactName
from autotune.model.artifacts.cache import ArtifactCache
from autotune.model.artifacts.manifest import AgreementRecord, Manifest, record_files
from autotune.model.calibration import CalibrationSource
from autotune.model.sources import ResolvedModel
from autotune.preparation.children import run_preparing
from autotune.preparation.requests import ChildRequest, Made, Work, answer_from_json


@dataclass(frozen=True)
class MadeFor:
    """What an artifact is made for, beside its engine and precision.

    Attributes:
        calibration: what scales are calibrated on, where this precision has any; None = random tokens.
        shapes: of the requests to come, for an engine that compiles for them, or whose export is proved at
            them, and may hold for them alone.
        knobs: that are turned in preparation, as `autotune.spec.knobs` writes them.
    """

    calibration: CalibrationSource | None = None
    shapes: Iterable[Shape] = ()
    knobs: str = ""


ANYTHING = MadeFor()


def find_either(name: ArtifactName, alone: tuple[Shape, ...], cache: ArtifactCache) -> Artifact | None:
    """What holds for any request, or else what holds for these shapes alone; None where neither is there."""
    found = cache.find(name.key())
    return cache.find(replace(name, shapes=alone).key()) if found is None and alone else found


def make_once(
    name: ArtifactName,
    model: ResolvedModel,
    work: Work,
    cache: ArtifactCache,
    timeout_s: float,
    variables: Mapping[str, str] | None = None,
    *,
    alone: tuple[Shape, ...] = (),
) -> Artifact:
    """Find the artifact, or have a child make it.

    Args:
        model: as the child loads it.
        work: what the child does for it.
        variables: of the child's environment, besides its usual ones.
        alone: shapes of request that it may hold for alone: then it is kept, and found, under these.

    Raises:
        AutotuneError: the child's, or for how it ended; see `ending.reply_of`.
    """
    key, what = name.key(), f"{model.source} for {name.backend} at {name.precision}"
    with cache.exclusively(key, f"prepares {what}"):
        found = find_either(name, alone, cache)
        if found is not None:
            return found
        with cache.staging(key) as directory:
            request = ChildRequest(model, directory, cache.root, work)
            kills = oom_kills()
            begin = time.monotonic()
            result = run_preparing(request, timeout_s, variables or {})
            seconds = time.monotonic() - begin
            reply = reply_of(result, what, timeout_s, oom_killed=oom_kills().since(kills))
            _refuse_other_versions(name, what)
            manifest = _manifest(name, model, answer_from_json(Made, reply), directory, seconds)
            return cache.publish(directory, manifest)


def _refuse_other_versions(name: ArtifactName, what: str) -> None:
    """Refuse to keep what a package has made that was replaced meanwhile, under the name of its old version.

    Raises:
        PreparationError: says which.
    """
    now = {**dict.fromkeys(name.versions, "none"), **package_versions(name.versions)}
    both = ((package, then, now[package]) for package, then in name.versions.items())
    changed = [f"{package}: {then} -> {found}" for package, then, found in both if found != then]
    if changed:
        raise PreparationError(
            f"{what} was not kept, as packages were replaced while it was made: {', '.join(changed)}",
            remedy="install nothing meanwhile, and run the same command again",
        )


def _manifest(
    name: ArtifactName, model: ResolvedModel, made: Made, directory: Path, seconds: float
) -> Manifest:
    """Describe a finished artifact; one that holds for some shapes alone goes by these."""
    if made.export is not None and made.export.shapes:
        name = replace(name, shapes=made.export.shapes)
    return Manifest(
        key=name.key(),
        backend=name.backend,
        precision=name.precision,
        model_digest=name.model_digest,
        model_source=model.source,
        versions=dict(name.versions),
        isa=name.isa,
        calibration=name.calibration,
        knobs=name.knobs,
        shapes=name.shapes,
        seconds=seconds,
        created_s=time.time(),
        files=record_files(directory),
        observed_precision=made.observed_precision,
        agreement=None if made.agreement is None else AgreementRecord(**asdict(made.agreement)),
        export=made.export,
    )
