"""Draws lengths of sequences, or mixes those of a file, so that every stretch of them is like all of them."""

from __future__ import annotations

import bisect
import itertools
import math
import random
from collections.abc import Callable, Iterator, Sequence
from statistics import NormalDist

from autotune.spec.problem import Lengths

STRATUM = 64
"""Sequences of which each comes from another 64th of the distribution: so few have its mean, and its tail.

A block of measurement is then like every other one, where independent draws of log-normal lengths (sigma 0.5)
would have means of 64 that vary by 7 %.
"""


def draw_lengths(lengths: Lengths, count: int, seed: int) -> list[int]:
    """So many lengths, in an order of chance; those of a file are read and not drawn.

    Raises:
        ValueError: they are those of a file.
    """
    quantile, chance = _quantile(lengths), random.Random(seed)
    return [quantile(share) for share in itertools.islice(_shares(chance, count), count)]


def _shares(chance: random.Random, count: int) -> Iterator[float]:
    """Shares from 0 to 1, stratum by stratum; together as even as they can be."""
    strata = max(1, count // STRATUM)
    for place in itertools.cycle(chance.sample(range(strata), strata)):
        yield from (
            (part + (place + 0.5) / strata) / STRATUM for part in chance.sample(range(STRATUM), STRATUM)
        )


def _quantile(lengths: Lengths) -> Callable[[float], int]:
    """The length that a share of all are not longer than."""
    if lengths.lognormal is not None:
        drawn, normal = lengths.lognormal, NormalDist()
        return lambda share: _rounded(drawn.median * math.exp(drawn.sigma * normal.inv_cdf(share)), drawn.max)
    if lengths.values is None:
        raise ValueError("the lengths of a file are read, not drawn")
    ordered = sorted(zip(lengths.values, lengths.weights or (1.0,) * len(lengths.values), strict=True))
    sums = list(itertools.accumulate(weight for _, weight in ordered))
    return lambda share: ordered[min(bisect.bisect_right(sums, share * sums[-1]), len(ordered) - 1)][0]


def _rounded(length: float, longest: int) -> int:
    return max(1, min(round(length), longest))


def mixed(lengths: Sequence[int], seed: int) -> list[int]:
    """The places of all lengths in an order of chance, in which every stretch is like all of them.

    Of each `STRATUM` that follow one another every one comes from another 64th of the lengths, as in
    `draw_lengths`: files are often sorted, by date or by length.
    """
    chance = random.Random(seed)
    count = len(lengths)
    ordered = sorted(chance.sample(range(count), count), key=lengths.__getitem__)
    parts = [ordered[count * part // STRATUM : count * (part + 1) // STRATUM] for part in range(STRATUM)]
    order: list[int] = []
    for stretch in itertools.zip_longest(*(chance.sample(part, len(part)) for part in parts)):
        found = [place for place in stretch if place is not None]
        order += chance.sample(found, len(found))
    return order


RECENT = 32
"""A sequence that comes again is one of so many different ones before it."""

EVEN = 16
"""Places of which as many come again as of all: few, as a short window does not end with a stratum."""


def with_repeats(distinct: int, total: int, seed: int) -> list[int]:
    """The order in which `distinct` sequences come, some of them again, so that there are `total`.

    Each comes first in the order of its number. Those that come again are spread evenly, stretch by stretch
    of `EVEN`, and are one of the `RECENT` ones before.
    """
    chance = random.Random(seed)
    order: list[int] = []
    known = 0
    for repeats in _repeats(distinct, total, chance):
        if repeats:
            order.append(chance.randrange(max(0, known - RECENT), known))
        else:
            order.append(known)
            known += 1
    return order


def _repeats(distinct: int, total: int, chance: random.Random) -> Iterator[bool]:
    """Whether each place is a repeat; the first never is."""
    done = 0
    for start in range(0, total, EVEN):
        end = min(start + EVEN, total)
        first = 1 if start == 0 else 0
        # Of the places up to the end, so many are repeats; the rounding is carried on.
        due = min((total - distinct) * end // total - done, end - start - first)
        chosen = set(chance.sample(range(start + first, end), due))
        done += due
        yield from (place in chosen for place in range(start, end))
