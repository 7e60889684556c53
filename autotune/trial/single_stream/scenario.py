"""The parent's side of the scenario `single_stream`: windows in which instances answer the same queries."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext

from autotune.measurement.measurement import Block, FailureKind
from autotune.trial.server.rate_search import Demand
from autotune.trial.windows import Windows
from autotune.worker.failures import InstanceError


def conducting(cpus: Sequence[Sequence[int]], demand: Demand | None) -> AbstractContextManager[Windows]:  # noqa: ARG001
    """Have nothing beside the instances, which agree among themselves when a query begins."""
    return nullcontext(Windows(_refuse_out_of_step))


def _refuse_out_of_step(block: Block) -> None:
    """Refuse a block whose instances have not answered the same queries.

    Raises:
        InstanceError: they have not.
    """
    counts = {len(part.ends_s) for part in block.instances}
    if len(counts) > 1:
        raise InstanceError(FailureKind.CRASH, f"the instances ran different numbers of queries: {counts}")
