"""Child processes that prepare: with the slow imports done already, where they begin with them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import psutil

from autotune.backends.reference import REFERENCE
from autotune.backends.registry import get_backend
from autotune.backends.torch.engine import OFFLINE_AND_QUIET
from autotune.backends.trying import going_on
from autotune.model.child import ChildResult, run_child
from autotune.model.fork_server import ForkServer
from autotune.model.sources import ResolvedModel
from autotune.preparation.calibration import CALIBRATION
from autotune.preparation.evaluation import EVALUATION
from autotune.preparation.streams import STREAM

CHILD = "autotune.preparation.child"
FORK_SERVER = ForkServer(CHILD, OFFLINE_AND_QUIET)
"""For children that begin by importing torch and transformers, which takes several seconds."""

PLENTY = 10
"""Times what the process that prepared last holds: where so much is free, nobody misses that."""


def model_to_json(model: ResolvedModel) -> dict[str, Any]:
    """A model as a request names it to a child."""
    return {**asdict(model), "path": None if model.path is None else str(model.path)}


def run_preparing(
    request: dict[str, Any], model: ResolvedModel, timeout_s: float, variables: Mapping[str, str]
) -> ChildResult:
    """Have a child prepare what the request names, with these variables in its environment.

    Where a way of export ends it, another child goes on with the next way.
    """
    if _begins_with_transformers(request, model):
        return run_on_server(request, timeout_s, variables)
    with_ours = {**OFFLINE_AND_QUIET, **variables}
    return going_on(
        lambda left_s: run_child(CHILD, request, timeout_s=left_s, variables=with_ours),
        Path(request["directory"]),
        timeout_s,
    )


def run_on_server(request: dict[str, Any], timeout_s: float, variables: Mapping[str, str]) -> ChildResult:
    """Do as `run_preparing` does, with a child that has imported torch and transformers."""
    return going_on(
        lambda left_s: FORK_SERVER.run(request, timeout_s=left_s, variables=variables),
        Path(request["directory"]),
        timeout_s,
    )


def _begins_with_transformers(request: dict[str, Any], model: ResolvedModel) -> bool:
    """Whether making this begins with importing torch and transformers."""
    if not model.traits.is_module:
        return False
    what = str(request["name"]["backend"])
    if what in (REFERENCE, CALIBRATION, EVALUATION, STREAM):
        return what != STREAM
    assessing = request.get("assessing")
    packages = get_backend(assessing["backend"] if assessing else what).packages
    if "torch" in packages[:1]:
        return True
    return "transformers" in packages and assessing is None and "base" not in request


def rest_fork_server(limit_bytes: int | None) -> None:
    """End the process that prepared last unless there is memory in plenty: more may be prepared soon.

    It waits without computing, and with its imports done saves the next preparation some seconds.

    Args:
        limit_bytes: of memory, that hold here; None = the machine's alone.
    """
    free = psutil.virtual_memory().available
    most = free if limit_bytes is None else min(free, limit_bytes)
    if most < PLENTY * FORK_SERVER.memory_bytes():
        FORK_SERVER.close()
