"""A stored plan made ready to run again here: what differs from then, and its commands as they are stored."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

import autotune
from autotune.backends.protocol import Shape
from autotune.backends.registry import get_backend, package_versions
from autotune.bench.here import machine_here
from autotune.bench.host import Host
from autotune.errors import ModelError, PlanError
from autotune.machine.document import machine_differences, machine_document
from autotune.machine.machine import Machine
from autotune.model.artifacts.cache import ArtifactCache
from autotune.model.artifacts.manifest import read_manifest
from autotune.model.found import found_again, of_variant
from autotune.model.sources import ResolvedModel, resolve_model
from autotune.model.stream_source import stream_source
from autotune.model.study_inputs import calibration_source
from autotune.placement.command import request_shapes
from autotune.placement.placement import Command
from autotune.placement.preloads import PRELOADED, preload_versions
from autotune.plan.document import Plan
from autotune.plan.study import spec_of, stored_of
from autotune.preflight.setup import Setup
from autotune.preflight.survey import survey
from autotune.preflight.versions import relevant_versions
from autotune.preparation.preparing import find_artifact, find_stream
from autotune.preparation.streams import STREAM_PACKAGES
from autotune.search.resume import mapping_differences
from autotune.search.space import baseline_configuration
from autotune.spec.configuration import Configuration, Prepared
from autotune.spec.knobs import parse_knobs
from autotune.spec.model_source import Head, model_kind
from autotune.spec.study import StudySpec

DIGEST_SHOWN = 12
"""Digits of a digest that a sentence shows."""


@dataclass(frozen=True)
class Origin:
    """Where a plan's models are looked for.

    Attributes:
        base: folder that a relative path of the study starts from.
        offline: never download.
    """

    base: Path = Path()
    offline: bool = False


@dataclass(frozen=True)
class Differences:
    """What is not as it was when a plan was made, as sentences."""

    machine: tuple[str, ...]
    versions: tuple[str, ...]
    model: tuple[str, ...]

    def all(self) -> tuple[str, ...]:
        """Every one."""
        return (*self.machine, *self.versions, *self.model)


def differences(plan: Plan, origin: Origin) -> Differences:
    """What differs between then and now; nothing is measured or prepared.

    Versions are compared as far as the plan and its baseline depend on them. A model that cannot be found is
    no difference as long as the artifacts made of it are in the cache.

    Raises:
        ModelError: the model is neither found nor needless, on the same machine with the same versions.
    """
    machine = machine_here()
    hardware = tuple(machine_differences(plan.machine, machine_document(machine)))
    versions = (*_version_differences(plan, machine), *_foreign_code(plan))
    if not hardware and not versions:
        return Differences((), (), _model_differences(plan, find_models(plan, machine, origin)))
    with suppress(ModelError):
        models = {variant: _resolve(plan, variant, origin, offline=True) for variant in _digests(plan)}
        return Differences(hardware, versions, _model_differences(plan, models))
    return Differences(hardware, versions, ())


def find_models(plan: Plan, machine: Machine, origin: Origin) -> dict[str, ResolvedModel]:
    """The models of the plan and of its baseline by variant, which are the same unless the study has several.

    A stand-in of its digest where all artifacts of one are in the cache and it is not found.

    Raises:
        ModelError: one cannot be found, and is needed.
    """
    return {variant: _find_model(plan, variant, machine, origin) for variant in _digests(plan)}


def _find_model(plan: Plan, variant: str, machine: Machine, origin: Origin) -> ResolvedModel:
    try:
        return _resolve(plan, variant, origin, offline=True)
    except ModelError:
        if _is_prepared(plan, variant, machine):
            source = _source(plan, variant)
            kind, digest = model_kind(source).name, _digests(plan)[variant]
            return ResolvedModel(source, kind, digest, None, head=_head(plan))
    return _resolve(plan, variant, origin, offline=origin.offline)


def _resolve(plan: Plan, variant: str, origin: Origin, *, offline: bool) -> ResolvedModel:
    source, spec = _source(plan, variant), spec_of(plan)
    return resolve_model(
        source,
        base=origin.base,
        seed=spec.seed,
        offline=offline,
        arrays=spec.inputs,
        head=_head(plan),
    )


def _head(plan: Plan) -> Head:
    """What of a model is served: a plan serves what it was measured with."""
    return spec_of(plan).head or "auto"


def _source(plan: Plan, variant: str) -> str:
    return variant or _named(plan, "source")


def _digests(plan: Plan) -> dict[str, str]:
    """Of the plan's model and of its baseline's, by variant.

    Raises:
        PlanError: one is not there.
    """
    stored, own = stored_of(plan), {plan.configuration.model: _named(plan, "digest")}
    first = stored.variants[0]
    if first in own:
        return own
    if len(stored.digests) != len(stored.models):
        raise PlanError(
            f"study.spec.digests: {len(stored.digests)} do not fit {len(stored.models)} models",
            remedy="give a plan as `autotune tune` stores it",
        )
    return {**own, first: stored.digests[0]}


def set_up_plan(plan: Plan, origin: Origin) -> Setup:
    """The study of a plan, as far as the plan and its baseline need it.

    Raises:
        AutotuneError: the model, the engine or the machine do not permit it.
    """
    stored, chosen = stored_of(plan), plan.configuration
    spec = stored.written
    narrow = {"backends": (chosen.backend,), "precisions": (chosen.precision,)}
    search = type(spec.search).model_validate(narrow)
    narrowed = spec.model_copy(update={"search": search, "model": spec.source_of(chosen)})
    surveyed = survey(narrowed, machine_here())
    baseline = baseline_configuration(spec, surveyed.machine, stored.unmasked)
    models = find_models(plan, surveyed.machine, origin)
    return Setup(
        found=found_again(stored.model_copy(update={"search": search}), models, origin.base),
        machine=surveyed.machine,
        engines=surveyed.engines,
        space=replace(surveyed.space, baseline=baseline),
        versions=relevant_versions({chosen.backend, baseline.backend}),
    )


def stored_commands(plan: Plan, host: Host) -> tuple[Command, ...]:
    """The plan's commands exactly as stored; what they load is prepared where it is gone.

    Only its folders may be other ones, where the cache is another one than then.

    Raises:
        PreparationError: it cannot be made.
        PlacementError: the configuration is not legal here.
    """
    made = prepared_commands(plan.configuration, host)[0].worker.assignment
    return tuple(_loading(command, made.artifact, made.requests) for command in plan.commands())


def prepared_commands(configuration: Configuration, host: Host) -> tuple[Command, ...]:
    """What starts a configuration, its artifact prepared while nobody measures.

    Raises:
        PreparationError: the artifact cannot be made.
        PlacementError: the configuration is not legal here.
    """
    return host.admit(configuration, compare=False).commands


def refusal_of_plan(plan: Plan, commands: Sequence[Command], host: Host) -> str:
    """Why a study would not measure a plan today for its answers; empty if it would.

    What the plan was made with, it was compared with; what was prepared since is compared now.

    Args:
        commands: of the plan, as `stored_commands` gives them.
    """
    return refusal_of(plan.configuration, host) if _is_made_since(plan, commands) else ""


def _is_made_since(plan: Plan, commands: Sequence[Command]) -> bool:
    """Whether what the commands load is not the artifact that the plan was made with."""
    then, now = plan.model.get("artifact"), commands[0].worker.assignment.artifact
    if Path(str(then)).name != now.name:
        return True
    manifest = read_manifest(now)
    return manifest is None or manifest.created_s > plan.created_s


def refusal_of(configuration: Configuration, host: Host) -> str:
    """Why a study would not measure a configuration for its answers; empty if it would.

    Compared while nobody measures.
    """
    return host.admit(configuration).refusal


def _named(plan: Plan, name: str) -> str:
    """A text of the plan's model.

    Raises:
        PlanError: it is not there.
    """
    value = plan.model.get(name)
    if not isinstance(value, str):
        raise PlanError(
            f"model.{name}: {value!r:.80} is not a text", remedy="give a plan as `autotune tune` stores it"
        )
    return value


def _loading(command: Command, artifact: Path, requests: Path | None) -> Command:
    """The command, with what it loads as it lies today."""
    worker = command.worker
    assignment = replace(worker.assignment, artifact=artifact, requests=requests)
    return replace(command, program=replace(worker, assignment=assignment))


def _prepared(plan: Plan, machine: Machine) -> frozenset[Prepared]:
    """What is prepared for the plan's configuration and its baseline's."""
    return frozenset(one.prepared for one in _both(plan, machine))


def _both(plan: Plan, machine: Machine) -> tuple[Configuration, Configuration]:
    stored = stored_of(plan)
    return plan.configuration, baseline_configuration(stored, machine, stored.unmasked)


def _version_differences(plan: Plan, machine: Machine) -> Iterator[str]:
    backends = {one.backend for one in _prepared(plan, machine)}
    now = {**relevant_versions(backends), **_known_now(plan)}
    decisive = {package for name in backends for package in get_backend(name).packages} | now.keys()
    then = {
        name: version
        for name, version in plan.versions.items()
        if name in decisive or name.startswith(PRELOADED)
    }
    yield from mapping_differences(then, now)


def _foreign_code(plan: Plan) -> Iterator[str]:
    """Say where a plan's workers would import another autotune, with which this one may not be able to speak.

    A plan of an autotune that was not installed names the folder of its code; where that is gone, the
    interpreter's own is imported.
    """
    own = Path(autotune.__file__).resolve().parents[1]
    for folder in plan.commands()[0].environment.get("PYTHONPATH", "").split(os.pathsep):
        if folder and Path(folder, "autotune", "__init__.py").is_file():
            if Path(folder).resolve() != own:
                yield f"autotune's own code: {folder} -> {own}"
            return


def _known_now(plan: Plan) -> dict[str, str]:
    """Versions of what the plan preloads, and of what makes request streams, as far as it states them.

    Older plans do not.
    """
    preloaded = preload_versions(parse_knobs(plan.configuration.knobs).items())
    found = {**preloaded, **package_versions(STREAM_PACKAGES)}
    return {name: version for name, version in found.items() if name in plan.versions}


def _model_differences(plan: Plan, models: Mapping[str, ResolvedModel]) -> tuple[str, ...]:
    return tuple(
        f"model {model.source}: sha256 {then[:DIGEST_SHOWN]} -> {model.digest[:DIGEST_SHOWN]}"
        for variant, then in _digests(plan).items()
        if (model := models[variant]).digest != then
    )


def _is_prepared(plan: Plan, variant: str, machine: Machine) -> bool:
    cache, digest, study = ArtifactCache(), _digests(plan)[variant], of_variant(stored_of(plan), variant)
    own = [one for one in _both(plan, machine) if one.model == variant]
    calibration = calibration_source(study)
    streams = [stream_source(study, one, base=Path(), tokenizer=None) for one in own]
    found = [
        *(
            find_artifact(digest, one.prepared, machine.isa, cache, calibration, _one_length(study, one))
            for one in own
        ),
        *(find_stream(digest, stream, cache) for stream in streams if stream is not None),
    ]
    return None not in found


def _one_length(spec: StudySpec, configuration: Configuration) -> frozenset[Shape]:
    """`(batch, tokens)` of a configuration's requests, where they are of one length."""
    if spec.problem.sequence_length is None:
        return frozenset()
    return request_shapes(configuration, spec.problem, spec.scenario)
