"""A study that can be run here: its models and files are present, and fit the machine."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from autotune.backends.availability import Engines
from autotune.machine.machine import Machine
from autotune.model.artifacts.cache import ArtifactCache
from autotune.model.found import FoundStudy, Variant
from autotune.model.variants import find_models
from autotune.placement.preloads import PRELOADED, preload_versions
from autotune.preflight.misfits import check_models, unsplit
from autotune.preflight.survey import Survey
from autotune.preflight.versions import study_versions
from autotune.preparation.preparing import reference_notes
from autotune.search.space import SearchSpace
from autotune.spec.configuration import Configuration
from autotune.spec.knobs import parse_knobs
from autotune.spec.study import StudySpec


@dataclass(frozen=True)
class Setup:
    """A study that can be run here.

    Attributes:
        found: the study, its models, and what its files hold.
        engines: precisions by backend that can run a model here.
        versions: of autotune, Python, the kernel and every library that decides speed, those that its knobs
            may preload included.
        left_out: what has no room in memory, and is not searched.
        warnings: of what may not have it.
    """

    found: FoundStudy
    machine: Machine
    engines: Engines
    space: SearchSpace
    versions: dict[str, str]
    left_out: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()

    @property
    def spec(self) -> StudySpec:
        """The study as it is written."""
        return self.found.spec

    @property
    def variants(self) -> Mapping[str, Variant]:
        """The models, by what `Configuration.model` says; the first is the baseline's."""
        return self.found.variants

    def variant(self, configuration: Configuration) -> Variant:
        """Give the model that a configuration runs."""
        return self.variants[configuration.model]

    def versions_of(self, configuration: Configuration) -> dict[str, str]:
        """Give the versions that decide a configuration's speed; of preloadable ones those it loads."""
        usual = {name: version for name, version in self.versions.items() if not name.startswith(PRELOADED)}
        return {**usual, **preload_versions(parse_knobs(configuration.knobs).items())}


def set_up(surveyed: Survey, *, base: Path, offline: bool) -> Setup:
    """Make sure that the models and the study's own files are here; nothing is written but a download.

    Raises:
        AutotuneError: they are not, they are wrong, or there is no room for them in memory.
    """
    models = find_models(surveyed.spec, base=base, offline=offline)
    found = check_models(surveyed.spec, models, base)
    weighed = surveyed.weighed(found)
    space = unsplit(weighed.space, found.spec, models.values())
    return Setup(
        found=found,
        machine=surveyed.machine,
        engines=surveyed.engines,
        space=space,
        versions=study_versions(found.spec, surveyed.engines, space),
        left_out=weighed.left_out[len(surveyed.left_out) :],
        warnings=weighed.warnings,
    )


def noting(setup: Setup) -> Setup:
    """Give the same setup with what the models' references show of them, as far as they are in the cache."""
    cache, found = ArtifactCache(), setup.found
    for name, variant in setup.variants.items():
        found = found.noting(name, *reference_notes(variant.model, cache))
    return replace(setup, found=found)
