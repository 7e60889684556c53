"""Finds backends by their entry points, built-in ones through the same door."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from functools import cache
from importlib.metadata import EntryPoint, PackageNotFoundError, version
from typing import cast

from autotune.backends.protocol import Backend, DerivesPrecisions, StatedTimes
from autotune.errors import BackendError
from autotune.plugins import (
    BACKENDS,
    OWN,
    Broken,
    distribution_of,
    engine_fault,
    make_plugin,
    ordered_plugins,
    plugins,
)
from autotune.spec.configuration import PRECISIONS, Precision
from autotune.spec.known_knobs import declared_knobs, find_knob, is_declared

AGAIN = "install autotune again, as you installed it"
"""What helps where an installation in place knows autotune's own engines by where they were."""


def backends() -> dict[str, Backend]:
    """Give every backend that can be used, by name, autotune's own first; import no engine."""
    loaded = {name: _load_distinct(point) for name, point in plugins(BACKENDS).items()}
    return {name: backend for name, backend in loaded.items() if not isinstance(backend, str)}


def broken_backends() -> tuple[str, ...]:
    """Say in a sentence why each registered backend is left out: broken, or a second of its name or knobs."""
    loaded = (_load_distinct(point) for point in plugins(BACKENDS).values())
    return (*(reason for reason in loaded if isinstance(reason, str)), *_duplicates())


def get_backend(name: str) -> Backend:
    """Give the backend of this name; import no other.

    Raises:
        BackendError: there is none, or its plug-in is broken.
    """
    return _whole(_load(_point(name)))


def require_backend(name: str) -> Backend:
    """Give the backend of this name for a study: one whose knobs are nobody else's too.

    Raises:
        BackendError: as from `get_backend`, or it declares a knob otherwise than another engine does.
    """
    return _whole(_load_distinct(_point(name)))


def is_registered(name: str) -> bool:
    """Say whether an installed distribution brings a backend of this name; import none."""
    return name in plugins(BACKENDS)


def _point(name: str) -> EntryPoint:
    points = plugins(BACKENDS)
    if name not in points:
        near = difflib.get_close_matches(name, points, n=1)
        hint = f"did you mean {near[0]}? " if near else ""
        raise BackendError(
            f"{name!r} is not a known backend", remedy=f"{hint}known: {', '.join(points) or 'none'}"
        )
    return points[name]


def _whole(backend: Backend | str) -> Backend:
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


def _duplicates() -> list[str]:
    first = plugins(BACKENDS)
    return [
        f"{_describe(point)} is left out: {distribution_of(first[point.name])} has one of this name"
        for point in ordered_plugins(BACKENDS)
        if point.value != first[point.name].value
    ]


def _describe(point: EntryPoint) -> str:
    return f"backend {point.name!r} of {distribution_of(point)}"


@cache
def _load(point: EntryPoint) -> Backend | str:
    """Give the backend, or say why there is none: a plug-in of somebody else must not stop everything."""
    made = make_plugin(point)
    if fault := engine_fault(point):
        is_own = isinstance(made, Broken) and distribution_of(point) == OWN
        return f"{_describe(point)} {fault}{f' ({AGAIN})' if is_own else ''}"
    backend = cast(Backend, made)
    if fault := _declared_fault(backend):
        return f"{_describe(point)} is no backend of this version: {fault}"
    return backend


def _declared_fault(backend: Backend) -> str:
    """Say what of its declarations is of another type or unknown; empty if nothing is."""
    if not isinstance(getattr(backend, "times", StatedTimes()), StatedTimes):
        return "its times are no StatedTimes"
    if not is_declared(getattr(backend, "knobs", {})):
        return "its knobs are not declared"
    derived = backend.derived if isinstance(backend, DerivesPrecisions) else {}
    used = {*backend.precisions, *derived, *derived.values(), *getattr(backend, "documented", ())}
    if unknown := sorted(used.difference(PRECISIONS)):
        return f"nobody knows the precision {unknown[0]!r}: there are {', '.join(PRECISIONS)}"
    return ""


@cache
def _load_distinct(point: EntryPoint) -> Backend | str:
    """Do as `_load` does, and refuse a knob that another engine declares otherwise: texts name no engine."""
    backend = _load(point)
    if isinstance(backend, str):
        return backend
    for knob in declared_knobs(backend):
        if find_knob(knob.name) != knob:
            return (
                f"{_describe(point)} is left out: another engine has a knob {knob.name!r} that is not its own"
            )
    return backend
