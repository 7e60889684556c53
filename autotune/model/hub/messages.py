"""What is asked of the child that asks the hub, and what it answers: one JSON document each."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class FetchSnapshot:
    """Find a repository in the hub's cache, or download it.

    Attributes:
        name: of the repository, as `ORG/NAME`.
        revision: branch, tag or commit.
        offline_because: why the hub must not be asked, as in `--offline was given`; empty where it may.
    """

    name: str
    revision: str
    offline_because: str = ""


@dataclass(frozen=True)
class Fetched:
    """The folder of the snapshot."""

    directory: Path


def fetch_to_json(request: FetchSnapshot) -> dict[str, Any]:
    """Write the request as one JSON object."""
    return asdict(request)


def fetch_from_json(document: Mapping[str, Any]) -> FetchSnapshot:
    """The inverse of `fetch_to_json`."""
    return FetchSnapshot(**document)


def fetched_to_json(answer: Fetched) -> dict[str, Any]:
    """Write the answer as one JSON object."""
    return {"directory": str(answer.directory)}


def fetched_from_json(document: Mapping[str, Any]) -> Fetched:
    """The inverse of `fetched_to_json`."""
    return Fetched(Path(document["directory"]))
