"""Gets a model's artifact from the cache, or has a child process make it."""

from __future__ import annotations

import signal
import time
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from autotune.backends.calibration import CALIBRATION
from autotune.backends.protocol import Backend, DerivesPrecisions
from autotune.backends.reference import REFERENCE, REFERENCE_PACKAGES
from autotune.backends.registry import get_backend, package_versions
from autotune.backends.transformers_model import OFFLINE_AND_QUIET
from autotune.errors import BackendError, PreparationError
from autotune.model.artifact import Artifact, ArtifactName, deciding_isa
from autotune.model.cache import ArtifactCache
from autotune.model.calibration import CalibrationSource
from autotune.model.child import ChildResult, run_child
from autotune.model.manifest import Manifest, record_files
from autotune.model.sources import ResolvedModel
from autotune.spec.configuration import Precision


def prepare_artifact(
    model: ResolvedModel,
    backend: str,
    precision: Precision,
    isa: frozenset[str],
    cache: ArtifactCache,
    *,
    timeout_s: float,
    calibration: CalibrationSource | None = None,
) -> Artifact:
    """The artifact, from the cache or made now; processes that want the same one make it once.

    A real engine's artifact is made from the model's reference and compared with it.

    Args:
        isa: flags as in `Machine.isa`.
        timeout_s: for each child process.
        calibration: what scales are calibrated on, where this precision has any; None = random tokens.

    Raises:
        ModelError: the model cannot be loaded at all.
        UnsupportedError: this engine cannot take it at this precision; in the engine's words.
        PreparationError: it took too long, ran out of memory or disk, or broke.
    """
    engine = get_backend(backend)
    source = calibration or CalibrationSource()
    name = _name(model.digest, engine, precision, isa, source)
    found = cache.find(name.key())
    if found is not None:
        return found
    request: dict[str, Any] = {"isa": sorted(isa), "model": _to_json(model)}
    if model.kind != "fake":
        reference = _prepare_reference(model, cache, timeout_s)
        request["reference"] = str(reference.directory)
        request["model"] = _to_json(replace(model, path=reference.directory))
    base = engine.derived.get(precision) if isinstance(engine, DerivesPrecisions) else None
    if base is not None:
        made = prepare_artifact(model, backend, base, isa, cache, timeout_s=timeout_s, calibration=source)
        request["base"] = str(made.directory)
    if name.calibration:
        request["calibration"] = str(prepare_calibration(model, source, cache, timeout_s=timeout_s).directory)
    return _make_once(name, model, request, cache, timeout_s)


def prepare_calibration(
    model: ResolvedModel, source: CalibrationSource, cache: ArtifactCache, *, timeout_s: float
) -> Artifact:
    """The requests made from this source and the reference's answers to them, from the cache or made now.

    Raises:
        ModelError: the model cannot be loaded at all.
        PreparationError: as from `prepare_artifact`.
    """
    versions = package_versions(REFERENCE_PACKAGES)
    name = ArtifactName(model.digest, CALIBRATION, "fp32", versions, calibration=source.digest)
    found = cache.find(name.key())
    if found is not None:
        return found
    described = {**asdict(source), "texts": None if source.texts is None else str(source.texts)}
    reference = _prepare_reference(model, cache, timeout_s)
    request = {"model": _to_json(model), "reference": str(reference.directory), "source": described}
    return _make_once(name, model, request, cache, timeout_s)


def find_artifact(
    model_digest: str,
    backend: str,
    precision: Precision,
    isa: frozenset[str],
    cache: ArtifactCache,
    calibration: CalibrationSource | None = None,
) -> Artifact | None:
    """The artifact if it is in the cache; needs no model.

    Raises:
        BackendError: the engine is unknown or not installed.
    """
    source = calibration or CalibrationSource()
    return cache.find(_name(model_digest, get_backend(backend), precision, isa, source).key())


def _name(
    model_digest: str,
    engine: Backend,
    precision: Precision,
    isa: frozenset[str],
    calibration: CalibrationSource,
) -> ArtifactName:
    calibrated = isinstance(engine, DerivesPrecisions) and precision in engine.calibrated
    digest = calibration.digest if calibrated else ""
    return ArtifactName(model_digest, engine.name, precision, _versions(engine), deciding_isa(isa), digest)


def _prepare_reference(model: ResolvedModel, cache: ArtifactCache, timeout_s: float) -> Artifact:
    name = ArtifactName(model.digest, REFERENCE, "fp32", package_versions(REFERENCE_PACKAGES))
    found = cache.find(name.key())
    return found or _make_once(name, model, {"model": _to_json(model)}, cache, timeout_s)


def _make_once(
    name: ArtifactName, model: ResolvedModel, request: dict[str, Any], cache: ArtifactCache, timeout_s: float
) -> Artifact:
    key = name.key()
    with cache.exclusively(key):
        found = cache.find(key)
        if found is not None:
            return found
        with cache.staging(key) as directory:
            complete = {**request, "name": asdict(name), "directory": str(directory), "root": str(cache.root)}
            result = run_child(
                "autotune.backends.prepare_child", complete, timeout_s=timeout_s, variables=OFFLINE_AND_QUIET
            )
            reply = _reply_of(result, f"{model.source} for {name.backend} at {name.precision}", timeout_s)
            return cache.publish(directory, _manifest(name, model, reply, directory))


def _reply_of(result: ChildResult, what: str, timeout_s: float) -> dict[str, Any]:
    """The child's reply.

    Raises:
        AutotuneError: the one that it answered, or a PreparationError for how it ended.
    """
    result.raise_error()
    if result.timed_out:
        raise PreparationError(
            f"preparing {what} took longer than {timeout_s:g} s",
            remedy="allow more time, or use a smaller model",
        )
    if result.reply is not None:
        return result.reply
    words = result.last_words()
    raise PreparationError(
        f"preparing {what} {_describe_end(result.returncode)}",
        remedy=f"its last words: {words}" if words else "",
    )


def _describe_end(returncode: int) -> str:
    if returncode == -signal.SIGKILL:
        return "was killed, most likely by the kernel for want of memory"
    if returncode < 0:
        return f"crashed with {signal.Signals(-returncode).name}"
    return f"ended with exit status {returncode} and no answer"


def _versions(engine: Backend) -> dict[str, str]:
    versions = package_versions(engine.packages)
    missing = [name for name in engine.packages if name not in versions]
    if missing:
        raise BackendError(f"{engine.name} needs {', '.join(missing)}", remedy=engine.install_hint)
    return versions


def _manifest(name: ArtifactName, model: ResolvedModel, reply: dict[str, Any], directory: Path) -> Manifest:
    return Manifest(
        key=name.key(),
        backend=name.backend,
        precision=name.precision,
        model_digest=name.model_digest,
        model_source=model.source,
        versions=dict(name.versions),
        isa=name.isa,
        calibration=name.calibration,
        created_s=time.time(),
        files=record_files(directory),
        observed_precision=reply["observed_precision"],
        agreement=reply["agreement"],
    )


def _to_json(model: ResolvedModel) -> dict[str, Any]:
    return {**asdict(model), "path": None if model.path is None else str(model.path)}
