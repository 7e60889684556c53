"""Libraries that a worker is started with in the place of others: memory allocators and OpenMP runtimes."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from autotune.errors import UnsupportedError


@dataclass(frozen=True)
class Preload:
    """A library by the knob that asks for it.

    Attributes:
        value: of the knob.
        names: as the dynamic linker knows it, best first.
        stem: what the names of its files begin with.
        install: the command that installs it.
        package: the Python distribution that brings it; empty = none.
    """

    value: str
    names: tuple[str, ...]
    stem: str
    install: str
    package: str = ""


PRELOADS: Mapping[str, tuple[Preload, ...]] = {
    "allocator": (
        Preload(
            "jemalloc",
            ("libjemalloc.so.2", "libjemalloc.so.1"),
            "libjemalloc",
            "apt-get install libjemalloc2",
        ),
        Preload(
            "tcmalloc",
            ("libtcmalloc_minimal.so.4", "libtcmalloc.so.4"),
            "libtcmalloc",
            "apt-get install libtcmalloc-minimal4",
        ),
        Preload(
            "mimalloc",
            ("libmimalloc.so.3", "libmimalloc.so.2", "libmimalloc.so.2.0"),
            "libmimalloc",
            "apt-get install libmimalloc2.0",
        ),
    ),
    "openmp": (
        Preload("libiomp5", ("libiomp5.so",), "libiomp5", "pip install intel-openmp", "intel-openmp"),
    ),
}
"""By knob. Debian's and Ubuntu's packages; other systems have them under other names."""


PRELOADED: Final = "preloaded "
"""What the names of such libraries begin with where versions are listed."""

_DIGITS = 16
"""Of a digest; enough to tell builds of a library apart."""


def preload_of(knob: str, value: str) -> Preload | None:
    """The library that a value stands for; None for a path, and for what is there anyway."""
    return next((one for one in PRELOADS.get(knob, ()) if one.value == value), None)


def find_preload(knob: str, value: str) -> Path | None:
    """Where the library of a value lies on this host, or that at a path; None where there is none."""
    preload = preload_of(knob, value)
    if preload is None:
        return Path(value) if value.startswith("/") and Path(value).is_file() else None
    return next(_places(preload), None)


def require_preload(knob: str, value: str) -> Path:
    """The same, where it must be there.

    Raises:
        UnsupportedError: it is not; with the command that installs it.
    """
    found = find_preload(knob, value)
    if found is None:
        raise UnsupportedError(f"{knob} {missing(knob, value)}", remedy=install(knob, value))
    return found


def preload_versions(knobs: Iterable[tuple[str, str]]) -> dict[str, str]:
    """What tells builds of the libraries apart that knobs stand for, of those that are on this host.

    By `preloaded VALUE`: version of the Python distribution that brings it, or else digest of its file.

    Args:
        knobs: names and values; those that no library stands for are passed over.
    """
    found = {value: _version(knob, value) for knob, value in sorted(set(knobs))}
    return {f"{PRELOADED}{value}": version for value, version in found.items() if version}


def _version(knob: str, value: str) -> str:
    """Empty where there is no such library."""
    from importlib.metadata import version

    preload, path = preload_of(knob, value), find_preload(knob, value)
    if path is None:
        return ""
    if preload is not None and preload.package and path in _brought(preload):
        return f"{preload.package} {version(preload.package)}"
    try:
        return f"sha256 {hashlib.sha256(path.read_bytes()).hexdigest()[:_DIGITS]}"
    except OSError as error:
        return f"unreadable: {error.strerror}"


def missing(knob: str, value: str) -> str:
    """Say that the library of a value is not here."""
    preload = preload_of(knob, value)
    name = value if preload is None else f"{value} ({preload.names[0]})"
    return f"{name} is not on this host"


def install(knob: str, value: str) -> str:
    """The command that helps against that, or what does."""
    preload = preload_of(knob, value)
    return preload.install if preload else "give the path of a library that is there"


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
