"""What an instance runs in its windows: one request again and again, or those of a stream."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Protocol

from autotune.backends.protocol import Session
from autotune.measurement.measurement import FailureKind
from autotune.worker.failures import InstanceError
from autotune.worker.warmup import WarmUp, warm_up


class Requests(Protocol):
    """An instance's requests, one after the other."""

    cycle: int
    """Requests in which short and long ones come as often as in all; 1 where all are alike."""

    def __call__(self) -> None:
        """Run one request."""
        ...

    def warm_up(self, limit_s: float) -> WarmUp:
        """Run requests until they get no faster, or the time is over."""
        ...

    def begin(self) -> None:
        """Begin to count for another block; its requests are those after the last one's."""
        ...

    def samples(self, count: int) -> tuple[int, ...]:
        """Sequences of each of the first requests of the block; empty where all have the batch's."""
        ...

    def hits(self, count: int) -> tuple[int, ...]:
        """How many of them were found in the cache; empty where there is none."""
        ...

    def check(self) -> None:
        """Look at the last output; outside of timing.

        Raises:
            InstanceError: it is not one finite row per sequence, or the cache is not what was asked.
        """
        ...


class OneRequest:
    """The same request, again and again; see `Requests`."""

    cycle = 1

    def __init__(self, session: Session, inputs: Mapping[str, Any], batch_size: int) -> None:
        self._session = session
        self._inputs = inputs
        self._batch_size = batch_size
        self._output: Any = None

    def __call__(self) -> None:
        """See `Requests`."""
        self._output = self._session.run(self._inputs)

    def warm_up(self, limit_s: float) -> WarmUp:
        """See `Requests.warm_up`."""
        return warm_up(self, limit_s)

    def begin(self) -> None:
        """See `Requests.begin`."""

    def samples(self, count: int) -> tuple[int, ...]:  # noqa: ARG002 - the protocol's
        """See `Requests.samples`."""
        return ()

    def hits(self, count: int) -> tuple[int, ...]:  # noqa: ARG002 - the protocol's
        """See `Requests.hits`."""
        return ()

    def check(self) -> None:
        """See `Requests.check`."""
        check_output(self._output, self._batch_size)


def check_output(output: Any, sequences: int) -> None:
    """Make sure that an output is an answer.

    Raises:
        InstanceError: it is not one finite row for each sequence.
    """
    shape = tuple(output.shape)
    if not shape or shape[0] != sequences:
        raise InstanceError(
            FailureKind.WRONG_OUTPUT,
            f"the output has the shape {shape}; its first axis should be {sequences}",
        )
    extremes = (float(output.min()), float(output.max()))
    if not all(map(math.isfinite, extremes)):
        raise InstanceError(FailureKind.WRONG_OUTPUT, f"the output contains {extremes[0]} and {extremes[1]}")
