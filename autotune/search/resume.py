"""Whether a stored study may go on: measurements of different things are never mixed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from autotune.errors import ResumeError

FREE = ("name", "model", "budget")
"""Parts of a study file that may change between runs: the name is the key, the model is compared by its
digest, and a budget bounds how much is measured and not what."""

FILES = ("quality.texts", "quality.data")
"""Names of files, which are compared by their digests too."""


def refuse_differences(name: str, differences: Sequence[str]) -> None:
    """Refuse to go on with a study when anything differs.

    Raises:
        ResumeError: names every difference, old and new.
    """
    if differences:
        raise ResumeError(
            f"study {name!r} was begun with something else: {'; '.join(differences)}",
            remedy="rename the study (--name NEW), use another store (--store URL), or restore what differs",
        )


def study_differences(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[str]:
    """Which values of two study documents differ: `objective.percentile: 50.0 -> 99.0`."""
    return mapping_differences(_compared(old), _compared(new))


def mapping_differences(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[str]:
    """Which keys of two flat mappings differ, as `key: old -> new`; a missing one is `none`."""
    keys = sorted(old.keys() | new.keys())
    return [
        f"{key}: {old.get(key, 'none')} -> {new.get(key, 'none')}"
        for key in keys
        if old.get(key) != new.get(key)
    ]


def _compared(document: Mapping[str, Any]) -> dict[str, Any]:
    leaves = _leaves({key: value for key, value in document.items() if key not in FREE})
    return {path: value for path, value in leaves if path not in FILES}


def _leaves(value: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    if isinstance(value, Mapping) and value:
        for key, part in value.items():
            yield from _leaves(part, f"{path}.{key}" if path else str(key))
    else:
        yield path, value
