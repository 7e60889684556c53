"""Launches of generated plans, which are the fake engine's, as if another engine had been measured."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from autotune.plan.launch import Launch


def of_engine(launch: Launch, backend: str = "onnxruntime", **changes: Any) -> Launch:
    """The same launch of another engine; `changes` replace fields of the workers."""
    update = {"backend": backend, "knobs": "", **changes}
    instances = tuple(
        instance.model_copy(update={"worker": instance.worker.model_copy(update=update)})
        for instance in launch.plan.instances
    )
    return replace(launch, plan=launch.plan.model_copy(update={"instances": instances}))
