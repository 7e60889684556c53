"""Child processes that prepare: with the slow imports done already, where they begin with them."""

from __future__ import annotations

from collections.abc import Mapping

import psutil

from autotune.backends.registry import get_backend
from autotune.backends.torch.engine import OFFLINE_AND_QUIET
from autotune.backends.trying import going_on
from autotune.model.child import ChildResult, run_child
from autotune.model.fork_server import ForkServer
from autotune.preparation.requests import Assess, ChildRequest, MakeArtifact, WriteStream, request_to_json

CHILD = "autotune.preparation.child"
FORK_SERVER = ForkServer(CHILD, OFFLINE_AND_QUIET)
"""For children that begin by importing torch and transformers, which takes several seconds."""

PLENTY = 10
"""Times what the process that prepared last holds: where so much is free, nobody misses that."""


def run_preparing(request: ChildRequest, timeout_s: float, variables: Mapping[str, str]) -> ChildResult:
    """Have a child do what the request asks, with these variables in its environment.

    Where a way of export ends it, another child goes on with the next way.
    """
    if _begins_with_transformers(request):
        return run_on_server(request, timeout_s, variables)
    document, with_ours = request_to_json(request), {**OFFLINE_AND_QUIET, **variables}
    return going_on(
        lambda left_s: run_child(CHILD, document, timeout_s=left_s, variables=with_ours),
        request.directory,
        timeout_s,
    )


def run_on_server(request: ChildRequest, timeout_s: float, variables: Mapping[str, str]) -> ChildResult:
    """Do as `run_preparing` does, with a child that has imported torch and transformers."""
    document = request_to_json(request)
    return going_on(
        lambda left_s: FORK_SERVER.run(document, timeout_s=left_s, variables=variables),
        request.directory,
        timeout_s,
    )


def _begins_with_transformers(request: ChildRequest) -> bool:
    """Whether this begins with importing torch and transformers."""
    if not request.model.traits.is_module:
        return False
    match request.work:
        case WriteStream():
            return False
        case Assess(backend=backend):
            return _is_of_torch(backend)
        case MakeArtifact(backend=backend, base=base):
            return _is_of_torch(backend) or (base is None and "transformers" in get_backend(backend).packages)
        case _:
            return True


def _is_of_torch(backend: str) -> bool:
    return "torch" in get_backend(backend).packages[:1]


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
