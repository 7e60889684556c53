"""How fast each engine and precision is expected to be on this machine, before anything is measured.

What decides is a *look*: the time of a request to a shortened model, on one thread of this machine. What was
not looked at is expected to be like its nearest of kin that was, with a wide spread; and where nothing was
looked at, all engines are expected to be alike, and precisions differ by `STATED`.

Only differences matter: the unit cancels, as the level of all is learned from what is measured.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass

from autotune.backends.times import stated_times
from autotune.spec.configuration import Precision, Prepared

LOOK_SPREAD = 0.2
"""Of the logarithm of a speed that was looked at. Source: stated. A look leaves out most layers, all but one
thread and all other instances; engines' relative speeds differ by some 5 to 25 % between one layout of two
threads and another (Zen 3 guest, DistilBERT 8 x 128: ratios of 1.02 to 1.29)."""

OTHER_MODEL_SPREAD = 0.3
"""Where another variant of the model was looked at. Source: stated; the work is known, its shape differs."""

KIN_SPREAD, PRECISION_SPREAD, ENGINE_SPREAD, STRANGER_SPREAD = 0.4, 0.5, 0.6, 0.7
"""Of what is expected like the engine that it is built on, like its precision in other engines, like its
engine at other precisions, and like all that was looked at.

Source: stated. At one precision the engines of a Zen 3 guest differ by a standard deviation of 0.25 (fp32) to
0.35 (int8), and their int8 is worth 0.9 to 2.4 times their fp32; twice that, as another machine may differ.
"""

STATED: Mapping[Precision, tuple[float, float]] = {
    "fp32": (0.0, 0.3),
    "bf16": (0.2, 0.6),
    "fp16": (0.2, 0.6),
    "int8-dynamic": (0.5, 0.5),
    "int8-static": (0.45, 0.5),
    "int8-weights": (0.0, 0.4),
    "int4-weights": (-0.1, 0.4),
}
"""Expected logarithm of the speed over fp32 and its spread, where nothing was looked at.

Source: ONNX Runtime's dynamic int8 is worth 1.3 times its fp32 on a Zen 3 guest, 2.3 on a Xeon with VNNI and
2.7 on a Zen 4 guest (DistilBERT 8 x 128); static is no faster than that, as its answers suffer first. bf16
and fp16 are offered where the cpu multiplies in them, and gain on products alone; `...-weights` compute in
floating point after unpacking.
"""


@dataclass(frozen=True)
class Expectation:
    """What is expected of a model in an engine at a precision.

    Attributes:
        log_speed: natural logarithm of its speed, in a unit that all of a study share.
        spread: standard deviation of what is not known of it.
    """

    log_speed: float
    spread: float


def expectations(
    prepared: Iterable[Prepared], looks: Mapping[Prepared, float], sizes: Mapping[str, float] | None = None
) -> dict[Prepared, Expectation]:
    """Say what is expected of each, in the order given.

    The first of these rules that applies: it was looked at; another variant of the model was, in this engine
    at this precision; the engine that this one is built on (`StatedTimes.built_on`) was; its precision was in
    other engines; its engine was at other precisions; anything was. The median of several counts. Without any
    look, `STATED` says it.

    Args:
        looks: seconds of a request to the shortened model.
        sizes: work of the variants, as `autotune.model.size` gives it; one that is missing is taken to be as
            large as the largest.
    """
    known_sizes = sizes or {}
    largest = max(known_sizes.values(), default=1.0)

    def log_size(model: str) -> float:
        return math.log(known_sizes.get(model, largest))

    per_work = {pair: log_size(pair.model) - math.log(seconds) for pair, seconds in looks.items()}
    expected: dict[Prepared, Expectation] = {}
    for pair in dict.fromkeys(prepared):
        found = _of_kin(pair, per_work) if looks else Expectation(*STATED[pair.precision])
        expected[pair] = Expectation(found.log_speed - log_size(pair.model), found.spread)
    return expected


def _of_kin(pair: Prepared, per_work: Mapping[Prepared, float]) -> Expectation:
    """What the nearest of those that were looked at say of it, per unit of work."""
    for is_kin, spread in _kinds(pair):
        if near := [log_speed for looked, log_speed in per_work.items() if is_kin(looked)]:
            return Expectation(statistics.median(near), spread)
    return Expectation(statistics.median(per_work.values()), STRANGER_SPREAD)


def _kinds(pair: Prepared) -> Iterator[tuple[Callable[[Prepared], bool], float]]:
    """Ways to be near, nearest first, each with the spread that remains."""
    kin = (stated_times(pair.backend).built_on, pair.precision)
    yield lambda looked: looked._replace(knobs="") == pair._replace(knobs=""), LOOK_SPREAD
    yield lambda looked: looked[1:3] == pair[1:3], OTHER_MODEL_SPREAD
    yield lambda looked: looked[1:3] == kin, KIN_SPREAD
    yield lambda looked: looked.precision == pair.precision, PRECISION_SPREAD
    yield lambda looked: looked.backend == pair.backend, ENGINE_SPREAD
