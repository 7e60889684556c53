"""What a worker reports of itself, made up."""

from __future__ import annotations

from typing import Any

from autotune.measurement.measurement import Observation


def build_observation(**changes: Any) -> Observation:
    """Of an unpinned instance of the fake engine that took no time to load; `changes` replace fields."""
    fields: dict[str, Any] = {
        "pid": 1,
        "cpus": (),
        "threads": (),
        "memory_policy": "default",
        "memory_nodes": (),
        "engine": "fake",
        "engine_version": "1",
        "precision": "fp32",
        "engine_threads": 1,
        "memory_bytes": 2**20,
        "peak_memory_bytes": 2**20,
        "load_s": 0.0,
        "warmup_s": 0.0,
    }
    return Observation(**(fields | changes))
