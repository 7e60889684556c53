"""Gets a model's artifact from the cache, or has a child process make it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from autotune.backends.asking import environment_of
from autotune.backends.knobs import knobs_read
from autotune.backends.protocol import (
    MOST_ALONE,
    Backend,
    CompilesNatively,
    CompilesShapes,
    DerivesPrecisions,
    ExportsForShapes,
    Shape,
)
from autotune.backends.reference import REFERENCE, read_notes
from autotune.backends.registry import base_precision, get_backend, package_versions
from autotune.errors import BackendError, ModelError, UnsupportedError
from autotune.model.agreement import LEAST_COSINE
from autotune.model.artifacts.artifact import Artifact, ArtifactName, deciding_isa
from autotune.model.artifacts.cache import ArtifactCache
from autotune.model.assessment import EXEMPT, Assessment, LabelledScore, held_to_fp32, read_assessment
from autotune.model.calibration import CalibrationSource
from autotune.model.folders.heads import refuse_noted
from autotune.model.sources import ResolvedModel
from autotune.model.stream_source import StreamSource
from autotune.model.texts.labelled import EvaluationSource
from autotune.preparation.children import FORK_SERVER
from autotune.preparation.evaluation import METRIC_PACKAGES, read_evaluation
from autotune.preparation.making import ANYTHING, MadeFor, find_either, make_once
from autotune.preparation.names import ASSESSMENT, CALIBRATION, EVALUATION, STREAM
from autotune.preparation.reference import reference_packages, reference_path
from autotune.preparation.requests import (
    Assess,
    MakeArtifact,
    WriteCalibration,
    WriteEvaluation,
    WriteReference,
    WriteStream,
)
from autotune.preparation.streams import STREAM_PACKAGES
from autotune.spec.configuration import Precision, Prepared
from autotune.spec.knobs import parse_knobs, preparing


def end_fork_server() -> None:
    """End the process that prepared last, before anything is measured: it is idle, but has memory."""
    FORK_SERVER.close()


def prepare_artifact(
    model: ResolvedModel,
    backend: str,
    precision: Precision,
    isa: frozenset[str],
    cache: ArtifactCache,
    *,
    timeout_s: float,
    made_for: MadeFor = ANYTHING,
) -> Artifact:
    """Give the artifact, from the cache or made now; processes that want the same one make it once.

    A real engine's artifact is made from the model's reference and compared with it.

    Args:
        isa: flags as in `Machine.isa`.
        timeout_s: for each child process.

    Raises:
        ModelError: the model cannot be loaded at all, or has weights left over; see `_require_meant`.
        UnsupportedError: this engine cannot take it at this precision; in the engine's words.
        PreparationError: it took too long, ran out of memory or disk, or broke.
    """
    engine, knobs = get_backend(backend), made_for.knobs
    _require_turnable(engine, precision, model, knobs)
    _require_meant(model, cache, timeout_s)
    source = made_for.calibration or CalibrationSource()
    own = tuple(sorted(set(made_for.shapes)))
    compiled = own if isinstance(engine, CompilesShapes) else ()
    exported = own if _is_exported(engine, model, knobs) else ()
    alone = exported if len(exported) <= MOST_ALONE else ()
    name = replace(_name(model.digest, engine, precision, isa, source), shapes=compiled, knobs=knobs)
    found = find_either(name, alone, cache)
    if found is not None:
        return found
    work, loaded = MakeArtifact(backend, precision, tuple(sorted(isa)), knobs, exported=exported), model
    if model.traits.has_reference:
        reference = _prepare_reference(model, cache, timeout_s).directory
        work = replace(work, reference=reference)
        loaded = replace(model, path=reference_path(model, reference))
    base = _base(engine, precision, compiled)
    if base is not None:
        made = prepare_artifact(
            model,
            backend,
            base,
            isa,
            cache,
            timeout_s=timeout_s,
            made_for=MadeFor(calibration=source, shapes=exported, knobs=knobs),
        )
        work = replace(work, base=made.directory, compiled=compiled)
        if made.only_shapes:
            _require_underived_scales(name, made)
            name = replace(name, shapes=made.only_shapes)
    if name.calibration:
        requests = prepare_calibration(model, source, cache, timeout_s=timeout_s)
        work = replace(work, calibration=requests.directory)
    return make_once(name, loaded, work, cache, timeout_s, alone=alone)


def _is_exported(engine: Backend, model: ResolvedModel, knobs: str) -> bool:
    """Whether the engine goes ways of export with this model for the requests to come."""
    return isinstance(engine, ExportsForShapes) and model.traits.is_module and not knobs


def _require_underived_scales(name: ArtifactName, base: Artifact) -> None:
    """Refuse scales from calibration requests, which are of all lengths, where the base takes a few shapes.

    Raises:
        UnsupportedError: they are asked for.
    """
    if name.calibration:
        shapes = ", ".join(f"{batch} x {tokens}" for batch, tokens in base.only_shapes)
        raise UnsupportedError(
            f"{name.backend} takes this model at {shapes} tokens alone, and {name.precision} is calibrated on"
            " requests of other lengths",
            remedy=f"leave {name.precision} out of search.precisions",
        )


def _require_turnable(engine: Backend, precision: Precision, model: ResolvedModel, knobs: str) -> None:
    """Refuse knobs that are turned in preparation where there is nothing to turn them in.

    Raises:
        UnsupportedError: there is not.
    """
    read = knobs_read(engine, frozenset({model.kind}))
    if any(precision not in read.get(name, ()) for name in parse_knobs(knobs)):
        raise UnsupportedError(
            f"{model.source} cannot have {knobs}: {engine.name} {precision} does not turn that"
            f" in {model.kind}: models",
            remedy=f"leave {knobs} out",
        )


def _base(engine: Backend, precision: Precision, shapes: tuple[Shape, ...]) -> Precision | None:
    """The precision of the artifact that this one is made from; None where it is made from the model."""
    if shapes:
        return precision
    return base_precision(engine.name, precision)


def prepare_calibration(
    model: ResolvedModel, source: CalibrationSource, cache: ArtifactCache, *, timeout_s: float
) -> Artifact:
    """The requests made from this source and the reference's answers to them, from the cache or made now.

    Raises:
        ModelError: the model cannot be loaded at all.
        PreparationError: as from `prepare_artifact`.
    """
    _require_meant(model, cache, timeout_s)
    versions = package_versions(reference_packages(model))
    name = ArtifactName(model.digest, CALIBRATION, "fp32", versions, calibration=source.digest)
    found = cache.find(name.key())
    if found is not None:
        return found
    reference = _prepare_reference(model, cache, timeout_s)
    if source.texts is not None:
        _require_files(model)
    return make_once(name, model, WriteCalibration(reference.directory, source), cache, timeout_s)


def prepare_assessment(
    model: ResolvedModel,
    artifact: Artifact,
    calibration: CalibrationSource,
    evaluation: EvaluationSource | None,
    cache: ArtifactCache,
    *,
    threads: int,
    timeout_s: float,
    knobs: str = "",
) -> Assessment:
    """How near an artifact's answers are to the fp32 reference's, from the cache or found out now.

    Args:
        calibration: what the answers are compared on.
        evaluation: what a metric is computed on; None = none.
        threads: intra-op threads of the engine meanwhile.
        timeout_s: for each child process.
        knobs: that change what is answered.

    Raises:
        ModelError: the model cannot be loaded, or its answers are not what the metric is computed of.
        StudyFileError: the study's texts or data have changed, or do not suit the model.
        UnsupportedError: the engine cannot answer some of them; in its words.
        PreparationError: as from `prepare_artifact`.
    """
    if not model.traits.has_reference:
        return EXEMPT
    requests = prepare_calibration(model, calibration, cache, timeout_s=timeout_s)
    labelled = None if evaluation is None else _prepare_evaluation(model, evaluation, cache, timeout_s)
    # By the time, too: one that was made anew is another one, even if it should be the same.
    made_of = tuple(f"{one.key} {one.created_s}" for one in (artifact, requests, labelled) if one is not None)
    what, versions = f"{ASSESSMENT}-{artifact.backend}", package_versions(("autotune",))
    name = ArtifactName(model.digest, what, artifact.precision, versions, made_of=made_of, knobs=knobs)
    work = Assess(
        backend=artifact.backend,
        precision=artifact.precision,
        artifact=artifact.directory,
        threads=threads,
        reference=_prepare_reference(model, cache, timeout_s).directory,
        calibration=requests.directory,
        inputs="random" if calibration.texts is None else "texts",
        evaluation=None if labelled is None else labelled.directory,
        knobs=knobs,
    )
    variables = environment_of(get_backend(artifact.backend), threads)
    found = read_assessment(make_once(name, model, work, cache, timeout_s, variables).directory)
    rounds = artifact.precision != "fp32" or knobs != preparing(knobs)
    return found if rounds else held_to_fp32(found, LEAST_COSINE)


def reference_score(
    model: ResolvedModel, source: EvaluationSource, cache: ArtifactCache, *, timeout_s: float
) -> LabelledScore:
    """What a model's fp32 reference reaches on labelled texts, from the cache or found out now.

    Raises:
        ModelError: the model cannot be loaded, or its answers are not what the metric is computed of.
        StudyFileError: the data have changed, or do not suit the model.
        PreparationError: as from `prepare_artifact`.
    """
    found = read_evaluation(_prepare_evaluation(model, source, cache, timeout_s).directory)
    return LabelledScore(found.metric, len(found.truths), found.reference, found.reference)


def _prepare_evaluation(
    model: ResolvedModel, source: EvaluationSource, cache: ArtifactCache, timeout_s: float
) -> Artifact:
    _require_meant(model, cache, timeout_s)
    versions = package_versions((*reference_packages(model), *METRIC_PACKAGES))
    name = ArtifactName(model.digest, EVALUATION, "fp32", versions, calibration=source.digest)
    found = cache.find(name.key())
    if found is not None:
        return found
    reference = _prepare_reference(model, cache, timeout_s)
    _require_files(model)
    return make_once(name, model, WriteEvaluation(reference.directory, source), cache, timeout_s)


def prepare_stream(
    model: ResolvedModel, source: StreamSource, cache: ArtifactCache, *, timeout_s: float
) -> Artifact:
    """The requests made from this source, from the cache or made now.

    Raises:
        ModelError: the model cannot be loaded at all, or cannot take them.
        StudyFileError: a file of theirs has changed, or is too short.
        PreparationError: as from `prepare_artifact`.
    """
    _require_meant(model, cache, timeout_s)
    name = _stream_name(model.digest, source)
    found = cache.find(name.key())
    if found is not None:
        return found
    has_reference = model.traits.has_reference
    reference = _prepare_reference(model, cache, timeout_s).directory if has_reference else None
    return make_once(name, model, WriteStream(reference, source), cache, timeout_s)


def find_stream(model_digest: str, source: StreamSource, cache: ArtifactCache) -> Artifact | None:
    """The requests if they are in the cache; needs no model."""
    return cache.find(_stream_name(model_digest, source).key())


def _stream_name(model_digest: str, source: StreamSource) -> ArtifactName:
    versions = package_versions(STREAM_PACKAGES)
    return ArtifactName(model_digest, STREAM, "fp32", versions, calibration=source.digest)


def find_artifact(
    model_digest: str,
    prepared: Prepared,
    isa: frozenset[str],
    cache: ArtifactCache,
    calibration: CalibrationSource | None = None,
    shapes: Iterable[Shape] = (),
) -> Artifact | None:
    """The artifact if it is in the cache; needs no model.

    Args:
        prepared: what is prepared of the model of this digest.
        shapes: of the requests to come, as in `prepare_artifact`.

    Raises:
        BackendError: the engine is unknown or not installed.
    """
    source = calibration or CalibrationSource()
    engine = get_backend(prepared.backend)
    name = replace(_name(model_digest, engine, prepared.precision, isa, source), knobs=prepared.knobs)
    alone = tuple(sorted(set(shapes))) if isinstance(engine, ExportsForShapes) else ()
    return find_either(name, alone, cache)


def _name(
    model_digest: str,
    engine: Backend,
    precision: Precision,
    isa: frozenset[str],
    calibration: CalibrationSource,
) -> ArtifactName:
    calibrated = isinstance(engine, DerivesPrecisions) and precision in engine.calibrated
    digest = calibration.digest if calibrated else ""
    return ArtifactName(model_digest, engine.name, precision, _versions(engine), _isa(engine, isa), digest)


def _isa(engine: Backend, isa: frozenset[str]) -> tuple[str, ...]:
    """The flags that the engine's artifacts depend on, ascending."""
    return tuple(sorted(isa)) if isinstance(engine, CompilesNatively) else deciding_isa(isa)


def reference_notes(model: ResolvedModel, cache: ArtifactCache) -> tuple[str, ...]:
    """Read what the model's reference shows of its weights, as sentences; nothing where none is in the cache.

    Raises:
        ModelError: some are left over, and the study does not say that they may be.
    """
    found = cache.find(_reference_name(model).key()) if model.traits.has_reference else None
    if found is None:
        return ()
    refuse_noted(model.path or model.source, found.directory, model.class_head)
    return read_notes(found.directory)


def _reference_name(model: ResolvedModel) -> ArtifactName:
    return ArtifactName(model.digest, REFERENCE, "fp32", package_versions(reference_packages(model)))


def _require_meant(model: ResolvedModel, cache: ArtifactCache, timeout_s: float) -> None:
    """Refuse a model with weights left over where the study does not say that they may be.

    All that is made of it may be in the cache: a study that says so has the same model.

    Raises:
        ModelError: there are some, or the model cannot be loaded at all.
    """
    if model.traits.may_hold_more and model.path is not None and model.class_head is None:
        _prepare_reference(model, cache, timeout_s)


def _prepare_reference(model: ResolvedModel, cache: ArtifactCache, timeout_s: float) -> Artifact:
    name = _reference_name(model)
    found = cache.find(name.key())
    if found is None:
        _require_files(model)
        found = make_once(name, model, WriteReference(), cache, timeout_s)
    refuse_noted(model.path or model.source, found.directory, model.class_head)
    return found


def _require_files(model: ResolvedModel) -> None:
    """Refuse to prepare anything of a model that is only known by its digest.

    Raises:
        ModelError: it is.
    """
    if model.path is None and model.traits.has_files:
        raise ModelError(
            f"{model.source} is not here, and what is in the cache is not all that is needed of it",
            remedy="put it back, or name the folder that its path starts from (--base)",
        )


def _versions(engine: Backend) -> dict[str, str]:
    versions = package_versions(engine.packages)
    missing = [name for name in engine.packages if name not in versions]
    if missing:
        raise BackendError(f"{engine.name} needs {', '.join(missing)}", remedy=engine.install_hint)
    return versions
