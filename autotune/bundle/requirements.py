"""The distributions that a bundle is served with, at the versions that were measured, for pip."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from importlib.metadata import PackageNotFoundError, distribution
from typing import cast

from packaging.markers import default_environment
from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name

from autotune.errors import ExportError


def pinned_requirements(roots: Iterable[str]) -> tuple[str, ...]:
    """Give the installed versions of distributions and of everything that they need, ascending by name.

    Raises:
        ExportError: one of the roots is not installed.
    """
    found: dict[str, str] = {}
    waiting = [*roots]
    for root in waiting.copy():
        try:
            distribution(root)
        except PackageNotFoundError as error:
            raise ExportError(
                f"{root}, which the plan is served with, is not installed here",
                remedy="write the bundle in the environment that the plan was measured in",
            ) from error
    while waiting:
        name = canonicalize_name(waiting.pop())
        if name in found:
            continue
        try:
            installed = distribution(name)
        except PackageNotFoundError:
            continue  # a dependency that this environment does without
        found[name] = installed.version
        waiting += _needs(installed.requires or ())
    return tuple(f"{name}=={version}" for name, version in sorted(found.items()))


def _needs(requirements: Iterable[str]) -> Iterator[str]:
    """Names of what is needed here, without any extra."""
    environment: dict[str, str] = {**cast(dict[str, str], default_environment()), "extra": ""}
    for text in requirements:
        try:
            requirement = Requirement(text)
        except InvalidRequirement:
            continue
        if requirement.marker is None or requirement.marker.evaluate(environment):
            yield requirement.name
