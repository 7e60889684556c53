"""A study that can be run here: its models and files are present, and fit the machine."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from autotune.backends.availability import Engines
from autotune.machine.machine import Machine
from autotune.model.artifacts.cache import ArtifactCache
from autotune.model.texts.files_read import FileRead
from autotune.model.variants import Variant, find_models, notes_of, variants_of
from autotune.placement.preloads import PRELOADED, preload_versions
from autotune.preflight.misfits import check_models, unsplit
from autotune.preflight.survey import Survey
from autotune.preflight.versions import study_versions
from autotune.preparation.files_read import read_files
from autotune.preparation.preparing import reference_notes
from autotune.search.space import SearchSpace
from autotune.spec.configuration import Configuration
from autotune.spec.knobs import parse_knobs
from autotune.spec.study import StudySpec


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
