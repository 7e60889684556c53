"""What engines state of their times, for where nothing was seen of them on this machine yet."""

from __future__ import annotations

from functools import cache
from typing import Final

from autotune.backends.protocol import StatedTimes, StatesTimes
from autotune.backends.registry import backends
from autotune.spec.configuration import Precision

STATED_BYTES: Final = 268_000_000
"""Weights of DistilBERT-base at fp32: the model of `StatedTimes.preparing_s`."""

UNSTATED_S: Final = 4.0
"""Of preparing what no engine states. Source: stated."""

_NOTHING_STATED: Final = StatedTimes()


@cache
def stated_times(name: str) -> StatedTimes:
    """Give what an engine states; of one that states nothing, or is not here, what is usual."""
    backend = backends().get(name)
    return backend.times if isinstance(backend, StatesTimes) else _NOTHING_STATED


def stated_preparing_s(name: str, precision: Precision) -> float:
    """Give the seconds that preparing an artifact of an engine at a precision is stated to take."""
    return stated_times(name).preparing_s.get(precision, UNSTATED_S)
