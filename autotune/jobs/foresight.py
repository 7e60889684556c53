"""Says what trials may gain and cost, by what a host has seen of engines before any of them was tried."""

from __future__ import annotations

import statistics
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

from autotune.backends.times import stated_times
from autotune.bench.host import Seen
from autotune.bench.looking import seen_looks
from autotune.jobs.pricing import Pricing
from autotune.measurement.measurement import Measurement
from autotune.model.looked import Look
from autotune.model.variants import sizes_of
from autotune.objectives.catalogue import objective_of
from autotune.preflight.setup import Setup
from autotune.search.beliefs import Prior
from autotune.search.expectations import Expectation, expectations
from autotune.search.likeness import most_threads
from autotune.search.prospects import Prospects
from autotune.spec.configuration import Prepared
from autotune.store.records import TrialRecord

FAR_BEHIND, REFUSED_SPREAD = 1.0, 1.0
"""So far (in logarithms) behind the slowest is what is expected of an engine that refused to be looked at."""


@dataclass(frozen=True)
class Foresight:
    """What to expect of trials, by what a host has seen before the first one."""

    setup: Setup
    seen: Seen = field(default_factory=Seen)

    def prospects(
        self, trials: Sequence[TrialRecord], *, search_s: float | None, ready: Collection[Prepared] = ()
    ) -> Prospects:
        """What trials may gain and cost, by what was seen before and in the trials until now.

        Args:
            search_s: the search's part of the minutes; None = no bound.
            ready: what was prepared meanwhile.
        """
        space = self.setup.space
        pairs = tuple(dict.fromkeys(one.prepared for one in (*space.configurations, *space.defaults)))
        pricing = Pricing(self.seen.records, seen_looks(self.seen.looks), self.seen.sizes_bytes)
        return Prospects(
            Prior(
                self._expected(pairs),
                most_threads(space.configurations),
                core_exponent=objective_of(self.setup.spec).core_exponent,
            ),
            prices_s=pricing.prices_s(pairs, self.seen.there | frozenset(ready)),
            trials_s=_trials_s(trials, pairs),
            defaults=space.defaults,
            search_s=search_s,
        )

    def _expected(self, pairs: Sequence[Prepared]) -> Mapping[Prepared, Expectation]:
        first = self.setup.spec.variants[0]
        looks = {Prepared(first, *pair): look.request_s for pair, look in seen_looks(self.seen.looks).items()}
        models = {name: variant.model for name, variant in self.setup.variants.items()}
        expected = expectations(pairs, looks, sizes_of(models) if len(models) > 1 else None)
        refused = {pair for pair, answer in self.seen.looks.seen.items() if not isinstance(answer, Look)}
        slowest = min((one.log_speed for one in expected.values()), default=0.0)
        behind = Expectation(slowest - FAR_BEHIND, REFUSED_SPREAD)
        return {
            pair: behind if (pair.backend, pair.precision) in refused else one
            for pair, one in expected.items()
        }


def _trials_s(trials: Sequence[TrialRecord], pairs: Sequence[Prepared]) -> dict[str, float]:
    """Give the seconds of a trial by backend: the median of those of this study, else what it states."""
    walls: dict[str, list[float]] = {}
    for trial in trials:
        if isinstance(trial.result, Measurement):
            walls.setdefault(trial.configuration.backend, []).append(trial.result.wall_s)
    return {
        backend: statistics.median(walls[backend]) if backend in walls else stated_times(backend).trial_s
        for backend in {pair.backend for pair in pairs}
    }
