"""Everything that is checked before `tune` measures or writes anything."""

from __future__ import annotations

import hashlib
import platform
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from importlib.metadata import version
from pathlib import Path

from autotune.backends.availability import (
    Engines,
    available_engines,
    compiling_engines,
    engines_of,
    model_kinds,
)
from autotune.backends.registry import get_backend, package_versions
from autotune.errors import PlacementError, StudyFileError
from autotune.machine.document import machine_differences, machine_document
from autotune.machine.machine import Machine
from autotune.machine.read import read_machine
from autotune.model.artifacts.cache import ArtifactCache
from autotune.model.folders.positions import longest_of_folder
from autotune.model.inputs import refuse_longer
from autotune.model.sources import ResolvedModel
from autotune.model.study_inputs import check_inputs_take
from autotune.model.texts.files_read import FileRead
from autotune.model.variants import (
    Variant,
    activations_of,
    check_variants,
    find_models,
    naming,
    notes_of,
    sizes_of,
    variants_of,
    weights_of,
)
from autotune.placement.preloads import PRELOADED, preload_versions
from autotune.preparation.evaluation import METRIC_PACKAGES, require_metric
from autotune.preparation.files_read import read_files
from autotune.preparation.preparing import reference_notes
from autotune.preparation.streams import STREAM_PACKAGES
from autotune.search.knobs import SPLITTING, KnobSpace, knob_space
from autotune.search.resume import (
    mapping_differences,
    model_differences,
    refuse_differences,
    study_differences,
)
from autotune.search.room import Least, with_room
from autotune.search.second_stage import second_stage
from autotune.search.serving import compilable_in_words
from autotune.search.space import SearchSpace, build_space
from autotune.search.study import Answer, SearchStudy, open_search, refuse_foreign
from autotune.spec.configuration import Configuration
from autotune.spec.knobs import parse_knobs
from autotune.spec.load import load_study
from autotune.spec.model_source import max_tokens
from autotune.spec.study import StudySpec
from autotune.store.records import StudyRecord
from autotune.store.store import StudyStore


@dataclass(frozen=True)
class Setup:
    """A study that can be run here.

    Attributes:
        variants: the models, by what `Configuration.model` says; the first is the baseline's.
        engines: precisions by backend that can run a model here.
        versions: of autotune, Python, the kernel and every library that decides speed, those that its knobs
            may preload included.
        files: what was read of those that the study names.
        left_out: what has no room in memory, and is not searched.
        warnings: of what may not have it.
    """

    spec: StudySpec
    machine: Machine
    variants: Mapping[str, Variant]
    engines: Engines
    space: SearchSpace
    versions: dict[str, str]
    files: tuple[FileRead, ...] = ()
    left_out: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()

    @property
    def notes(self) -> tuple[str, ...]:
        """In what the models are served otherwise than their files ask for."""
        return notes_of(variant.model for variant in self.variants.values())

    def variant(self, configuration: Configuration) -> Variant:
        """The model that a configuration runs."""
        return self.variants[configuration.model]

    def versions_of(self, configuration: Configuration) -> dict[str, str]:
        """Those that decide the speed of a configuration: of what may be preloaded, what it does preload."""
        usual = {name: version for name, version in self.versions.items() if not name.startswith(PRELOADED)}
        return {**usual, **preload_versions(parse_knobs(configuration.knobs).items())}


@dataclass(frozen=True)
class Survey:
    """What a study would search on this machine.

    Attributes:
        by_variant: those of the engines that can run each model.
        left_out: engines, precisions, knobs and configurations that are not searched, and why.
        warnings: of what may run out of memory; empty before `weighed`.
    """

    spec: StudySpec
    machine: Machine
    engines: Engines
    by_variant: Mapping[str, Engines]
    space: SearchSpace
    left_out: tuple[str, ...]
    warnings: tuple[str, ...] = ()

    def weighed(self, spec: StudySpec, models: Mapping[str, ResolvedModel]) -> Survey:
        """The same with room in memory, ordered by how large several models are, without needless padding.

        Args:
            spec: as `check_models` gives it.

        Raises:
            PlacementError: the baseline has no room in memory, or nothing has.
        """
        ordered = self._ordered(spec, models)
        least = Least(weights_of(models), activations_of(models), self.spec)
        space, without_room, warnings = with_room(ordered.space, self.machine, least)
        return replace(ordered, space=space, left_out=(*self.left_out, *without_room), warnings=warnings)

    def _ordered(self, spec: StudySpec, models: Mapping[str, ResolvedModel]) -> Survey:
        """The same, ordered by how large several models are, without padding where there is no mask."""
        if len(models) < 2 and not spec.unmasked:
            return self
        space = build_space(
            spec,
            self.machine,
            self.engines,
            by_variant=self.by_variant,
            sizes=sizes_of(models),
            compiling=compiling_engines(self.engines),
        )
        return replace(self, spec=spec, space=replace(space, knobs=self.space.knobs))


def survey(spec: StudySpec) -> Survey:
    """Read the machine and lay out the legal space; nothing is written.

    Raises:
        BackendError: no engine can run the study, or one that it names is not there.
        StudyFileError: a bound, or all of them together, leave nothing that is legal on this machine.
        PlacementError: the CPU quota is less than one cpu.
    """
    machine = read_machine()
    if machine.quota_is_too_small:
        raise PlacementError(
            f"the CPU quota of {machine.quota_cpus:g} cpus is too small for one thread",
            remedy="raise the quota of the cgroup or container to at least 1 cpu",
        )
    engines, left_out = available_engines(spec, machine)
    by_variant = {
        variant: engines_of(source, engines, spec, machine)
        for variant, source in zip(spec.variants, spec.models, strict=True)
    }
    knobs, missing = knob_space(spec.search.knobs, engines, machine.isa, kinds=model_kinds(spec))
    left_out += missing if second_stage(spec, knobs) else ()
    compiling = compiling_engines(engines)
    left_out += filter(None, (compilable_in_words(name, spec) for name in sorted(compiling)))
    space = build_space(spec, machine, engines, by_variant=by_variant, compiling=compiling)
    space = replace(space, knobs=knobs)
    return Survey(spec, machine, engines, by_variant, space, tuple(left_out))


def set_up(surveyed: Survey, *, base: Path, offline: bool) -> Setup:
    """Make sure that the models and the study's own files are here; nothing is written but a download.

    Raises:
        AutotuneError: they are not, they are wrong, or there is no room for them in memory.
    """
    models = find_models(surveyed.spec, base=base, offline=offline)
    spec = check_models(surveyed.spec, models, base)
    weighed = surveyed.weighed(spec, models)
    space = unsplit(weighed.space, spec, models.values())
    return Setup(
        spec=spec,
        machine=surveyed.machine,
        variants=variants_of(spec, models, base),
        engines=surveyed.engines,
        space=space,
        versions=study_versions(spec, surveyed.engines, space),
        files=read_files(spec, models, base),
        left_out=weighed.left_out[len(surveyed.left_out) :],
        warnings=weighed.warnings,
    )


def noting(setup: Setup) -> Setup:
    """The same setup, with what the models' references show of them, as far as they are in the cache."""
    cache = ArtifactCache()
    variants = {}
    for name, variant in setup.variants.items():
        notes = (*variant.model.notes, *reference_notes(variant.model, cache))
        variants[name] = replace(variant, model=replace(variant.model, notes=notes))
    return replace(setup, variants=variants)


def study_versions(spec: StudySpec, engines: Engines, space: SearchSpace) -> dict[str, str]:
    """Versions, as they are installed now, of everything that decides what a study measures.

    Args:
        engines: that it may start, beside the baseline's.
    """
    return {
        **relevant_versions({*engines, space.baseline.backend}),
        **(package_versions(STREAM_PACKAGES) if spec.problem.is_stream else {}),
        **_preloadable(spec, space.knobs),
    }


def _preloadable(spec: StudySpec, knobs: KnobSpace) -> dict[str, str]:
    """Versions of what the second stage may preload; empty where there is none."""
    if second_stage(spec, knobs) is None:
        return {}
    return preload_versions(
        (name, value)
        for choices in knobs.choices.values()
        for name, values in choices.items()
        for value in values
    )


def check_models(spec: StudySpec, models: Mapping[str, ResolvedModel], base: Path) -> StudySpec:
    """Refuse what a model does not take, and give the study with the digests of its files.

    Raises:
        ModelError: the requests are not of a shape that a model takes; see `refuse_misfit`.
        StudyFileError: likewise; or a file is wrong, or a model has no tokenizer to read it with, or what
            computes the metric is not installed.
    """
    require_metric(spec.quality.metric, package_versions(METRIC_PACKAGES))
    checked = check_variants(spec, models, base)
    for variant, model in models.items():
        with naming(variant):
            refuse_misfit(model, checked)
    return checked


def unsplit(space: SearchSpace, spec: StudySpec, models: Iterable[ResolvedModel]) -> SearchSpace:
    """The space without the knob that splits batches, where a model takes whole ones alone.

    Raises:
        StudyFileError: the study lists the knob.
    """
    whole = [model for model in models if model.inputs is not None and model.inputs.batch_size is not None]
    if not whole:
        return space
    if SPLITTING in spec.search.knobs:
        raise StudyFileError(
            f"{whole[0].source} takes whole batches alone: they cannot be split",
            path=f"search.knobs.{SPLITTING}",
            remedy="leave it out, or export the model with its first dimension left free",
        )
    return replace(space, knobs=space.knobs.without(SPLITTING))


def refuse_misfit(model: ResolvedModel, spec: StudySpec) -> None:
    """Refuse requests that the model does not take.

    Raises:
        ModelError: they are longer than its longest, or not of the only shape that it was exported for.
        StudyFileError: they are split over instances, and the model takes whole ones alone.
    """
    problem = spec.problem
    place = ".".join(problem.longest_place)
    if model.inputs is not None:
        check_inputs_take(model.inputs, problem)
        is_split = spec.scenario == "single_stream" and spec.search.instances != (1,)
        if model.inputs.batch_size is not None and problem.batch_size > 1 and is_split:
            raise StudyFileError(
                f"{model.source} takes {problem.batch_size} sequences at a time: a request cannot be split",
                path="search.instances",
                remedy="write `instances: 1`, or export the model with its first dimension left free",
            )
    elif problem.longest is not None and model.kind == "random":
        refuse_longer(max_tokens(model.source), problem.longest, place)
    elif problem.longest is not None and model.path is not None and model.kind != "fake":
        refuse_longer(longest_of_folder(model.path), problem.longest, place)


def read_study(study: StudySpec | Path | str, base: Path | None = None) -> tuple[StudySpec, Path]:
    """A study's values, and the folder that its relative model path starts from.

    That is `base` if given, else the study file's folder, else the working directory.
    """
    if isinstance(study, StudySpec):
        return study, base or Path()
    return load_study(Path(study)), base or Path(study).parent


def relevant_versions(backends: Iterable[str]) -> dict[str, str]:
    """Versions of everything that decides what is measured with these backends.

    Raises:
        BackendError: one of them is unknown.
    """
    packages = sorted({package for name in backends for package in get_backend(name).packages})
    return {
        "autotune": version("autotune"),
        "python": platform.python_version(),
        "kernel": platform.release(),
        **package_versions(packages),
    }


def begin_or_resume(setup: Setup, store: StudyStore) -> SearchStudy:
    """Open the study in the store: a new one, or the stored one where it stopped.

    Raises:
        ResumeError: the stored study was made on another machine, with another model, other library
            versions or another study file; or an engine or precision has come or gone since, as where a
            compiler was installed.
        StudyError: Optuna has a study of this name in the store that is not ours.
    """
    asked = _record(setup)
    stored = store.find_study(setup.spec.name)
    if stored is None:
        refuse_foreign(setup.spec.name, store.optuna_storage())
        store.create_study(asked)
    else:
        refuse_differences(setup.spec.name, _differences(stored, asked))
    search = open_search(setup.spec, setup.space, store.optuna_storage())
    refuse_differences(setup.spec.name, search.choice_differences())
    trials = store.trials(setup.spec.name)
    search.expect([one.number for one in trials])
    search.settle({one.number: Answer(one.result, one.score, one.violations) for one in trials})
    return search


def _record(setup: Setup) -> StudyRecord:
    return StudyRecord(
        name=setup.spec.name,
        created_s=time.time(),
        spec=setup.spec.model_dump(mode="json"),
        machine=machine_document(setup.machine),
        versions=setup.versions,
        model_digest=_digest_of([variant.model.digest for variant in setup.variants.values()]),
        model_source=", ".join(setup.spec.models),
    )


def _digest_of(digests: Sequence[str]) -> str:
    """One digest for all models of a study: of a single one its own."""
    return digests[0] if len(digests) == 1 else hashlib.sha256("\n".join(digests).encode()).hexdigest()


def _differences(stored: StudyRecord, asked: StudyRecord) -> list[str]:
    """What differs between two studies of one name, as sentences; empty when they may be mixed."""
    return [
        *machine_differences(stored.machine, asked.machine),
        *model_differences(stored, asked),
        *version_differences(stored.versions, asked.versions),
        *study_differences(stored.spec, asked.spec),
    ]


def version_differences(stored: Mapping[str, str], asked: Mapping[str, str]) -> list[str]:
    """Which versions differ; a library that can be preloaded may come and go, but not be another one.

    Nor may what makes request streams, of which older studies and results say nothing.
    """

    def compared(versions: Mapping[str, str], others: Mapping[str, str]) -> dict[str, str]:
        return {
            name: version
            for name, version in versions.items()
            if name in others or not (name.startswith(PRELOADED) or name in STREAM_PACKAGES)
        }

    return mapping_differences(compared(stored, asked), compared(asked, stored))
