"""What preparing an artifact will take, before it is begun: its price in seconds.

The first of these rules that applies, for each engine and precision:

1. it is in the cache: nothing;
2. the cache has records of the same, of whatever model: their seconds, scaled by the models' sizes;
3. a look at it took so long: that, times the root of the model's layers over the look's;
4. what the engine states (`autotune.backends.protocol.StatedTimes`), scaled by the model's size.

To that comes what it is made from, if that is not there either, and comparing its answers.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from autotune.backends.registry import base_precision
from autotune.backends.times import STATED_BYTES, stated_preparing_s
from autotune.model.looked import Look
from autotune.preparation.records import PreparationRecord
from autotune.spec.configuration import Precision, Prepared

COMPARING_S = 1.6
"""Comparing the answers of one artifact, for a model of `STATED_BYTES`.

Source: DistilBERT on a two-cpu guest on AMD Zen 4 (studies/benchmarks/preparation.py), 1.1 to 2.4 s.
"""

STARTING_S = 0.5
"""What a whole preparation takes beside a look's: writing weights, loading and checking. Source: there."""

LAYERS_EXPONENT = 0.5
"""Of the model's layers over the look's, to which power preparing grows: most of it is always the same.

Source: there, ONNX Runtime's export takes 3.2 s of one layer and 8.2 s of six, static int8 0.7 s and 6.1 s,
dynamic int8 0.4 s and 1.5 s.
"""

FIXED_SHARE = 0.3
"""Of an artifact's seconds, what does not grow with the model: imports, tracing, optimising."""


@dataclass(frozen=True)
class Pricing:
    """What is known of prices.

    Attributes:
        records: of earlier artifacts in the cache of this machine.
        looks: at engines and precisions, of the model in question.
        model_bytes: by variant, as `PreparationRecord.model_bytes`; None where that is not known yet.
    """

    records: Sequence[PreparationRecord] = ()
    looks: Mapping[tuple[str, Precision], Look] = field(default_factory=dict)
    model_bytes: Mapping[str, float | None] = field(default_factory=dict)

    def prices_s(self, pairs: Iterable[Prepared], there: Collection[Prepared]) -> dict[Prepared, float]:
        """Seconds that each takes from now, with what it is made from and the comparison of answers."""
        return {pair: self._price_s(pair, there) for pair in pairs}

    def _price_s(self, pair: Prepared, there: Collection[Prepared]) -> float:
        if pair in there:
            return 0.0
        base = _base_of(pair)
        below_s = 0.0 if base is None or base in there else self._own_s(base)
        return below_s + self._own_s(pair) + COMPARING_S * self._growth(pair, STATED_BYTES)

    def _own_s(self, pair: Prepared) -> float:
        engine = (pair.backend, pair.precision)
        if alike := [one for one in self.records if (one.backend, one.precision) == engine and not one.knobs]:
            scaled = (one.seconds * self._growth(pair, one.model_bytes or STATED_BYTES) for one in alike)
            return statistics.median(scaled)
        if look := self.looks.get(engine):
            growth = math.pow(look.whole_layers / look.layers, LAYERS_EXPONENT)
            return STARTING_S + look.preparation_s * growth
        return stated_preparing_s(*engine) * self._growth(pair, STATED_BYTES)

    def _growth(self, pair: Prepared, from_bytes: float) -> float:
        """How many times as long it takes for this model as for one of so many bytes."""
        size = self.model_bytes.get(pair.model)
        return 1.0 if size is None else FIXED_SHARE + (1 - FIXED_SHARE) * size / from_bytes


def _base_of(pair: Prepared) -> Prepared | None:
    """What it is made from; None where that is the model itself."""
    base = base_precision(pair.backend, pair.precision)
    return None if base is None else pair._replace(precision=base)
