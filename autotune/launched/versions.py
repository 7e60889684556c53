"""Tells the versions of the Python distributions whose libraries a running process has in its memory.

The version of a distribution stands beside its folder, so that a library's path tells it. Distributions
without libraries of their own do not show.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Final

_FOLDERS: Final = re.compile(r"^(?P<site>/.*/(?:site|dist)-packages)/(?P<top>[^/]+)/")
_RECORD: Final = re.compile(r"(?P<name>.+)-(?P<version>[^-]+)\.dist-info")


def loaded_versions(
    mapped: Collection[str], distributions: Collection[str], inside: Callable[[str], Path]
) -> dict[str, str]:
    """Give the versions of these distributions, as far as one of their libraries is in a process's memory.

    Args:
        mapped: paths of the files in its memory.
        inside: finds where such a path lies for this process: containers have their own root.
    """
    places = {(match["site"], match["top"]) for path in mapped if (match := _FOLDERS.match(path))}
    found: dict[str, str] = {}
    for name in distributions:
        sites = {site for site, top in places if _belongs(top, name)}
        versions = {version for site in sites if (version := _recorded(inside(site), name))}
        if len(versions) == 1:
            found[name] = versions.pop()
    return found


def _belongs(folder: str, distribution: str) -> bool:
    """Whether a folder is a distribution's: its package, or the libraries beside it (`NAME.libs`)."""
    return _plain(folder.partition(".")[0]) == _plain(distribution)


def _recorded(site: Path, distribution: str) -> str:
    try:
        records = [match for path in site.iterdir() if (match := _RECORD.fullmatch(path.name))]
    except OSError:
        return ""
    return next((match["version"] for match in records if _plain(match["name"]) == _plain(distribution)), "")


def _plain(name: str) -> str:
    """Give a distribution's name as all of its spellings have it. Source: PEP 503."""
    return re.sub(r"[-_.]+", "-", name).lower()
