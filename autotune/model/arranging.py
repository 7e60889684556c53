"""Puts sequences of different lengths together into requests, and says up to where each is filled."""

from __future__ import annotations

import bisect
import random
from collections.abc import Sequence
from dataclasses import dataclass

from autotune.spec.configuration import Batching, Padding

HORIZON = 16
"""So many requests' sequences are at hand to be sorted. More would save little padding, and who arrives first
waits for them all."""

MAX_SHAPES = 16
"""Shapes that an engine compiles for: each takes seconds, and whoever has more of them does not pad."""

LEAST_BUCKET = 16
"""Tokens of the shortest bucket; the next ones have twice as many each, the last one as many as the longest.

Source: AWS Neuron, "Running inference on variable input shapes with bucketing": powers of two bound the
padding by half, with few shapes to compile for.
"""


@dataclass(frozen=True)
class Arrangement:
    """How sequences become requests.

    Attributes:
        batch_size: sequences in a request; with batching `tokens`, of the longest sequences.
        longest: what padding `max` fills up to.
    """

    padding: Padding
    batching: Batching
    batch_size: int
    longest: int

    @property
    def bounds(self) -> tuple[int, ...]:
        """The lengths that are filled up to, ascending; none where it is the longest of the request."""
        if self.padding == "none":
            return ()
        return (self.longest,) if self.padding == "max" else buckets(self.longest)

    @property
    def budget(self) -> int:
        """The most tokens of a request of batching `tokens`, padding included: those that all requests have
        where padding is `max`."""
        return self.batch_size * self.longest


def buckets(longest: int) -> tuple[int, ...]:
    """Powers of two from `LEAST_BUCKET`, and the longest."""
    shorter = (LEAST_BUCKET << power for power in range(longest.bit_length()))
    return (*(length for length in shorter if length < longest), longest)


def padded_length(longest: int, bounds: Sequence[int]) -> int:
    """Up to where a request is filled whose longest sequence has so many tokens."""
    return bounds[bisect.bisect_left(bounds, longest)] if bounds else longest


def arrange(lengths: Sequence[int], arrangement: Arrangement, seed: int) -> list[tuple[int, ...]]:
    """The requests, as indices of their sequences; each sequence is in one of them.

    Those that are sorted are sorted within a horizon of `HORIZON` requests, whose order is then left to
    chance: so a short stretch of requests has long ones and short ones, as all of them have.
    """
    size = arrangement.batch_size
    if arrangement.batching == "arrival":
        return _cut(range(len(lengths)), size)
    chance = random.Random(seed)
    requests: list[tuple[int, ...]] = []
    for horizon in _cut(range(len(lengths)), HORIZON * size):
        ordered = sorted(horizon, key=lambda index: lengths[index])
        own = (
            _cut(ordered, size) if arrangement.batching == "sorted" else _fill(ordered, lengths, arrangement)
        )
        requests += chance.sample(own, len(own))
    return requests


def _cut(indices: Sequence[int], size: int) -> list[tuple[int, ...]]:
    return [tuple(indices[start : start + size]) for start in range(0, len(indices), size)]


def _fill(ordered: Sequence[int], lengths: Sequence[int], arrangement: Arrangement) -> list[tuple[int, ...]]:
    """Requests of as many sequences as the budget holds; the lengths ascend."""
    requests: list[list[int]] = [[]]
    for index in ordered:
        filled = padded_length(lengths[index], arrangement.bounds)
        if requests[-1] and (len(requests[-1]) + 1) * filled > arrangement.budget:
            requests.append([])
        requests[-1].append(index)
    return [tuple(request) for request in requests]


def part_of(request: Sequence[int], part: int, parts: int) -> Sequence[int]:
    """One of so many parts of a request, as even as they can be, larger ones first."""
    share, left = divmod(len(request), parts)
    start = part * share + min(part, left)
    return request[start : start + share + (part < left)]
