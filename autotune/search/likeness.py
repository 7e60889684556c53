"""How much one layout tells of another, and one engine's of another's: correlations between 0 and 1.

All are products of Gaussian kernels over numbers and constants for categories that differ, so that matrices
of them are positive semidefinite (Rasmussen and Williams, Gaussian Processes for Machine Learning, 2006,
section 4.2.4).
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from autotune.spec.configuration import Configuration, Prepared
from autotune.spec.knobs import preparing

Floats = NDArray[np.float64]

LENGTH_LOG2 = 2.0
"""Distance in log2 of instances, or of threads, over which layouts stay alike. Source: stated; a factor of
two in either changes some per cent to a quarter (Zen 3 guest, 1 x 2 against 2 x 1), of sixteen anything."""
LENGTH_SHARE = 0.5
"""The same in the share of the machine that is filled."""

DIFFERING: Mapping[str, float] = {
    "placement": 0.85,
    "sockets": 0.8,
    "smt": 0.7,
    "padding": 0.7,
    "batching": 0.8,
    "knobs": 0.95,
    "cores": 0.9,
}
"""Correlation of layouts that differ in this alone. Source: stated, in the order in which they matter in the
sources: SMT and padding change factors, a placement of as many threads some per cent."""

OTHER_MODEL, OTHER_PRECISION, OTHER_KNOBS = 0.8, 0.3, 0.9
"""Correlation of what is surprising in an engine's speed: over variants of a model, over its precisions, and
with knobs turned in preparation. Source: stated; its kernels are shared by models of one architecture, and
its overheads alone by its precisions."""
OTHER_PRECISION_LAYOUT = 0.7
"""Correlation of how layouts suit an engine, over its precisions: its threads are the same ones. Stated."""

SHARE_EXPONENT = 0.5
"""A layout that fills a share of the machine is expected to reach this power of it. Source: stated; between
1, of work that scales, and 0, of a problem that is too small for more."""


class Layout(NamedTuple):
    """All of a configuration but what is prepared for it.

    Attributes:
        threads: of each instance; 0 = the engine's default.
        knobs: those that are turned when the model is loaded.
        cores: of the smaller machine that is paid for as a whole; 0 = those that are taken.
    """

    instances: int
    threads: int
    placement: str
    sockets: str
    smt: bool
    padding: str
    batching: str
    knobs: str
    cores: int = 0


def layout_of(configuration: Configuration) -> Layout:
    """Leave out what is prepared."""
    one = configuration
    return Layout(
        one.instances, one.threads_per_instance, one.placement, one.sockets, one.smt, one.padding,
        one.batching, "" if one.knobs == preparing(one.knobs) else one.knobs, one.cores,
    )  # fmt: skip


def most_threads(configurations: Iterable[Configuration]) -> dict[bool, int]:
    """The most threads that any configuration runs, without and with SMT siblings."""
    most: dict[bool, int] = {}
    for configuration in configurations:
        threads = configuration.instances * max(1, configuration.threads_per_instance)
        most[configuration.smt] = max(most.get(configuration.smt, 1), threads)
    return most


def filled_shares(layouts: Sequence[Layout], most: Mapping[bool, int]) -> Floats:
    """The share of the machine that each fills, above 0 and at most 1; the engine's default fills it."""
    return np.array([_share(layout, most) for layout in layouts], dtype=np.float64)


def charged_shares(layouts: Sequence[Layout], most: Mapping[bool, int]) -> Floats:
    """The share of the machine that each pays for: what it fills, or all of the smaller machine it is on."""
    whole = most.get(False) or max(most.values(), default=1)
    shares = [min(1.0, one.cores / whole) if one.cores else _share(one, most) for one in layouts]
    return np.array(shares, dtype=np.float64)


def layout_likeness(some: Sequence[Layout], others: Sequence[Layout], most: Mapping[bool, int]) -> Floats:
    """The correlation of every layout with every other: a row for each of `some`."""
    likeness = np.exp(-_squared_distances(_positions(some, most), _positions(others, most)) / 2)
    for name, correlation in DIFFERING.items():
        codes: dict[Any, int] = {}
        rows, columns = (
            np.array([codes.setdefault(getattr(layout, name), len(codes)) for layout in layouts], dtype=int)
            for layouts in (some, others)
        )
        if len(codes) > 1:
            likeness *= np.where(rows[:, None] == columns[None, :], 1.0, correlation)
    return likeness


def speed_likeness(some: Sequence[Prepared], others: Sequence[Prepared]) -> Floats:
    """The correlation of how far each is from its expectation with every other: a row for each of `some`."""
    return _pairwise(some, others, OTHER_PRECISION)


def suiting_likeness(some: Sequence[Prepared], others: Sequence[Prepared]) -> Floats:
    """The correlation of how layouts suit each with every other: a row for each of `some`."""
    return _pairwise(some, others, OTHER_PRECISION_LAYOUT)


def _pairwise(some: Sequence[Prepared], others: Sequence[Prepared], other_precision: float) -> Floats:
    def correlation(one: Prepared, other: Prepared) -> float:
        if one.backend != other.backend:
            return 0.0
        precision = 1.0 if one.precision == other.precision else other_precision
        model = 1.0 if one.model == other.model else OTHER_MODEL
        return precision * model * (1.0 if one.knobs == other.knobs else OTHER_KNOBS)

    cells = [[correlation(one, other) for other in others] for one in some]
    return np.array(cells, dtype=np.float64).reshape(len(some), len(others))


def _share(layout: Layout, most: Mapping[bool, int]) -> float:
    whole = most.get(layout.smt) or max(most.values(), default=1)
    return min(1.0, layout.instances * (layout.threads or whole) / whole)


def _positions(layouts: Sequence[Layout], most: Mapping[bool, int]) -> Floats:
    """Numbers of each layout, in units of the length over which they stay alike."""
    whole = max(most.values(), default=1)
    return np.array(
        [
            (
                math.log2(layout.instances) / LENGTH_LOG2,
                math.log2(layout.threads or most.get(layout.smt, whole)) / LENGTH_LOG2,
                _share(layout, most) / LENGTH_SHARE,
            )
            for layout in layouts
        ],
        dtype=np.float64,
    ).reshape(len(layouts), 3)


def _squared_distances(some: Floats, others: Floats) -> Floats:
    total: Floats = np.zeros((len(some), len(others)))
    for axis in range(some.shape[1]):
        total += (some[:, axis, None] - others[None, :, axis]) ** 2
    return total
