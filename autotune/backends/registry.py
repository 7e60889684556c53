"""Finds backends by their entry points, built-in ones through the same door."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from functools import cache
from importlib.metadata import EntryPoint, PackageNotFoundError, entry_points, version

from autotune.backends.protocol import Backend, DerivesPrecisions
from autotune.errors import BackendError
from autotune.spec.configuration import Precision

GROUP = "autotune.backends"

MEMBERS = (
    *("name", "precisions", "packages", "install_hint"),
    *("unsupported", "environment", "prepare", "load"),
)
"""What a `Backend` has; a plug-in that lacks one was written for another version of the protocol."""


def backends() -> dict[str, Backend]:
    """Every backend that can be imported, by name, autotune's own first; no engine is imported."""
    loaded = {name: _load(point) for name, point in _entry_points().items()}
    return {name: backend for name, backend in loaded.items() if not isinstance(backend, str)}


def broken_backends() -> tuple[str, ...]:
    """One sentence for every registered backend that is left out: not importable, or a second of its name."""
    loaded = (_load(point) for point in _entry_points().values())
    return (*(reason for reason in loaded if isinstance(reason, str)), *_duplicates())


def get_backend(name: str) -> Backend:
    """The backend of this name; no other is imported.

    Raises:
        BackendError: there is none, or its plug-in is broken.
    """
    points = _entry_points()
    if name not in points:
        near = difflib.get_close_matches(name, points, n=1)
        hint = f"did you mean {near[0]}? " if near else ""
        raise BackendError(
            f"{name!r} is not a known backend", remedy=f"{hint}known: {', '.join(points) or 'none'}"
        )
    backend = _load(points[name])
    if isinstance(backend, str):
        raise BackendError(backend, remedy="repair or remove the package that brings it")
    return backend


def base_precision(name: str, precision: Precision) -> Precision | None:
    """The precision that an engine derives this one from; None where it is made from the model itself.

    Raises:
        BackendError: as `get_backend` does.
    """
    backend = get_backend(name)
    return backend.derived.get(precision) if isinstance(backend, DerivesPrecisions) else None


def package_versions(names: Iterable[str]) -> dict[str, str]:
    """Versions of the installed ones of these distributions, without importing them."""
    found = {name: _version(name) for name in names}
    return {name: present for name, present in found.items() if present is not None}


def missing_packages(backend: Backend) -> tuple[str, ...]:
    """Distributions that the backend needs and that are not installed."""
    installed = package_versions(backend.packages)
    return tuple(name for name in backend.packages if name not in installed)


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None


@cache
def _entry_points() -> dict[str, EntryPoint]:
    """The first entry point of every name."""
    points: dict[str, EntryPoint] = {}
    for point in _ordered_entry_points():
        points.setdefault(point.name, point)
    return points


def _ordered_entry_points() -> list[EntryPoint]:
    """autotune's own first, the others by distribution, so that no plug-in can replace a built-in one."""
    return sorted(
        entry_points(group=GROUP),
        key=lambda point: (_distribution(point) != "autotune", _distribution(point)),
    )


def _duplicates() -> list[str]:
    first = _entry_points()
    return [
        f"{_describe(point)} is left out: {_distribution(first[point.name])} has one of this name"
        for point in _ordered_entry_points()
        if point.value != first[point.name].value
    ]


def _describe(point: EntryPoint) -> str:
    return f"backend {point.name!r} of {_distribution(point)}"


def _distribution(point: EntryPoint) -> str:
    return point.dist.name if point.dist is not None else "an unknown package"


@cache
def _load(point: EntryPoint) -> Backend | str:
    """The backend, or why there is none: a plug-in of somebody else must not stop everything."""
    try:
        backend: Backend = point.load()()
    except Exception as error:
        return f"{_describe(point)} cannot be loaded: {type(error).__name__}: {error}"
    if lacking := [member for member in MEMBERS if not hasattr(backend, member)]:
        return f"{_describe(point)} is no backend of this version: it has no {', '.join(lacking)}"
    if backend.name != point.name:
        return f"{_describe(point)} calls itself {backend.name!r}"
    return backend
