"""Versions of everything that decides what is measured, and which of them differ."""

from __future__ import annotations

import platform
from collections.abc import Iterable, Mapping
from importlib.metadata import version

from autotune.backends.availability import Engines
from autotune.backends.registry import get_backend, package_versions
from autotune.placement.preloads import PRELOADED, preload_versions
from autotune.preparation.streams import STREAM_PACKAGES
from autotune.search.knobs import KnobSpace
from autotune.search.resume import mapping_differences
from autotune.search.second_stage import second_stage
from autotune.search.space import SearchSpace
from autotune.spec.study import StudySpec


def study_versions(spec: StudySpec, engines: Engines, space: SearchSpace) -> dict[str, str]:
    """Read the versions, as they are installed now, of everything that decides what a study measures.

    Args:
        engines: that it may start, beside the baseline's.
    """
    return {
        **relevant_versions({*engines, space.baseline.backend}),
        **(package_versions(STREAM_PACKAGES) if spec.problem.is_stream else {}),
        **_preloadable(spec, space.knobs),
    }


def _preloadable(spec: StudySpec, knobs: KnobSpace) -> dict[str, str]:
    """Read the versions of what the second stage may preload; nothing where there is no second stage."""
    if second_stage(spec, knobs) is None:
        return {}
    return preload_versions(
        (name, value)
        for choices in knobs.choices.values()
        for name, values in choices.items()
        for value in values
    )


def relevant_versions(backends: Iterable[str]) -> dict[str, str]:
    """Read the versions of everything that decides what is measured with these backends.

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


def version_differences(stored: Mapping[str, str], asked: Mapping[str, str]) -> list[str]:
    """Say which versions differ; a library that can be preloaded may come and go, but not be another one.

    The same holds for what makes request streams, of which older studies and results say nothing.
    """

    def compared(versions: Mapping[str, str], others: Mapping[str, str]) -> dict[str, str]:
        return {
            name: version
            for name, version in versions.items()
            if name in others or not (name.startswith(PRELOADED) or name in STREAM_PACKAGES)
        }

    return mapping_differences(compared(stored, asked), compared(asked, stored))
