"""Finds the libraries that a worker is started with in the place of others, as knobs ask for them."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final

from autotune.errors import UnsupportedError
from autotune.spec.knob import Preload
from autotune.spec.known_knobs import find_knob

PRELOADED: Final = "preloaded "
"""What the names of such libraries begin with where versions are listed."""

_DIGITS = 16
"""Of a digest; enough to tell builds of a library apart."""


def find_preload(name: str, value: str) -> Path | None:
    """Find where the library of a knob's value, or that at a path, lies on this host; None if nowhere."""
    knob = find_knob(name)
    if knob is None or not knob.asks_for_library(value):
        return None
    preload = knob.preload(value)
    if preload is None:
        return Path(value) if Path(value).is_file() else None
    return next(_places(preload), None)


def require_preload(name: str, value: str) -> Path:
    """Do the same, where it must be there.

    Raises:
        UnsupportedError: it is not; with the command that installs it.
    """
    path, knob = find_preload(name, value), find_knob(name)
    if path is None:
        assert knob is not None
        raise UnsupportedError(f"{name} {knob.missing(value)}", remedy=knob.install(value))
    return path


def preload_versions(knobs: Iterable[tuple[str, str]]) -> dict[str, str]:
    """What tells builds of the libraries apart that knobs stand for, of those that are on this host.

    By `preloaded VALUE`: version of the Python distribution that brings it, or else digest of its file.

    Args:
        knobs: names and values; those that no library stands for are passed over.
    """
    found = {value: _version(knob, value) for knob, value in sorted(set(knobs))}
    return {f"{PRELOADED}{value}": version for value, version in found.items() if version}


def _version(name: str, value: str) -> str:
    """Tell a build of a library apart; empty where there is no such library."""
    from importlib.metadata import version

    knob, path = find_knob(name), find_preload(name, value)
    if knob is None or path is None:
        return ""
    preload = knob.preload(value)
    if preload is not None and preload.package and path in _brought(preload):
        return f"{preload.package} {version(preload.package)}"
    try:
        return f"sha256 {hashlib.sha256(path.read_bytes()).hexdigest()[:_DIGITS]}"
    except OSError as error:
        return f"unreadable: {error.strerror}"


def _places(preload: Preload) -> Iterator[Path]:
    """What a Python distribution brings comes first: it goes with this environment."""
    from autotune.machine.libraries import find_library

    if preload.package:
        yield from _brought(preload)
    found = find_library(preload.names)
    if found is not None:
        yield found


def _brought(preload: Preload) -> Iterator[Path]:
    from importlib.metadata import PackageNotFoundError, files

    try:
        listed = files(preload.package) or []
    except PackageNotFoundError:
        return
    for file in listed:
        if file.name in preload.names and (place := Path(str(file.locate())).resolve()).is_file():
            yield place
