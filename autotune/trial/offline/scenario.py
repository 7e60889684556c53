"""The parent's side of the scenario `offline`: windows in which every instance is busy by itself."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext

from autotune.trial.server.rate_search import Demand
from autotune.trial.windows import Windows


def conducting(cpus: Sequence[Sequence[int]], demand: Demand | None) -> AbstractContextManager[Windows]:  # noqa: ARG001
    """Have nothing beside the instances."""
    return nullcontext(Windows())
