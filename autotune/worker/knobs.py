"""Reads back which knobs a worker's process really has, and compares them with what was asked.

Reading runs in the worker, about itself.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from pathlib import Path

from autotune.backends.protocol import Backend
from autotune.machine.mapped import read_mapped_files
from autotune.spec.knobs import split_knobs
from autotune.spec.known_knobs import OF_EVERY_PROCESS, declared_knobs, find_knob


def process_knobs(backend: Backend | None = None) -> dict[str, str]:
    """Read back, by name, the knobs of this process that show in it.

    Args:
        backend: whose knobs to look for, beside those of every process; None = those alone.
    """
    mapped = tuple(read_mapped_files())
    seen: dict[str, str] = {}
    for knob in (*OF_EVERY_PROCESS, *declared_knobs(backend)):
        if knob.in_force is not None and (value := knob.in_force(mapped)):
            seen[knob.name] = value
    return seen


def knob_differences(asked: str, seen: Mapping[str, str]) -> Iterator[str]:
    """Say what differs between a configuration's knobs and what a worker found, a sentence each."""
    for name, value in split_knobs(asked).items():
        if name not in seen:
            yield f"{name} should be {value}, which nothing in the worker shows"
        elif not _is_as_asked(name, value, seen[name]):
            yield f"{name} is {seen[name]}, not {value}"


def _is_as_asked(name: str, value: str, seen: str) -> bool:
    knob = find_knob(name)
    preload = None if knob is None else knob.preload(value)
    if preload is not None:
        return Path(seen).name.startswith(preload.stem)
    return seen == (os.path.realpath(value) if value.startswith("/") else value)
