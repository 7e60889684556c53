"""What is known of engines before any of them is tried: looks at them, and what preparing them takes."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field

from autotune.backends.protocol import Shape
from autotune.backends.times import stated_times
from autotune.events import Emit, LookingBegan, LookingEnded, LookTaken
from autotune.jobs.pricing import Pricing
from autotune.machine.document import fingerprint
from autotune.machine.machine import Machine
from autotune.measurement.measurement import Measurement
from autotune.model.artifacts.cache import ArtifactCache
from autotune.model.looked import Look, Refused
from autotune.model.size import fp32_bytes
from autotune.model.variants import sizes_of
from autotune.objectives.catalogue import objective_of
from autotune.preflight.setup import Setup
from autotune.preparation.looking import Looks, Pair, take_looks
from autotune.preparation.preparing import find_artifact
from autotune.preparation.records import Record, model_bytes, preparation_records
from autotune.search.beliefs import Prior
from autotune.search.expectations import Expectation, expectations
from autotune.search.likeness import most_threads
from autotune.search.prospects import Prospects
from autotune.spec.configuration import Prepared
from autotune.spec.problem import Problem
from autotune.stop import Stop
from autotune.store.records import TrialRecord

LOOK_SHARE = 0.2
"""Of the budget's minutes, for looks at most."""

LONGEST_LOOKS_S = 180.0
"""For looks at most, where no minutes bound them."""

MOST_AT_ONCE, EACH_BYTES = 4, 1 << 31
"""Builds of looks side by side, and memory for each. Source: stated."""

FAR_BEHIND, REFUSED_SPREAD = 1.0, 1.0
"""So far (in logarithms) behind the slowest is what is expected of an engine that refused to be looked at."""


@dataclass(frozen=True)
class Foresight:
    """What was seen before the first trial.

    Attributes:
        looks: at engines and precisions, of the first model.
        looking_s: that they took.
        records: what earlier artifacts in the cache took.
        there: what is prepared already.
    """

    setup: Setup
    looks: Looks = field(default_factory=Looks)
    looking_s: float = 0.0
    records: tuple[Record, ...] = ()
    there: frozenset[Prepared] = frozenset()

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
        pricing = Pricing(self.records, _seen(self.looks), self._sizes())
        return Prospects(
            Prior(
                self._expected(pairs),
                most_threads(space.configurations),
                core_exponent=objective_of(self.setup.spec).core_exponent,
            ),
            prices_s=pricing.prices_s(pairs, self.there | frozenset(ready)),
            trials_s=_trials_s(trials, pairs),
            defaults=space.defaults,
            search_s=search_s,
        )

    def _expected(self, pairs: Sequence[Prepared]) -> Mapping[Prepared, Expectation]:
        first = self.setup.spec.variants[0]
        looks = {Prepared(first, *pair): look.request_s for pair, look in _seen(self.looks).items()}
        models = {name: variant.model for name, variant in self.setup.variants.items()}
        expected = expectations(pairs, looks, sizes_of(models) if len(models) > 1 else None)
        refused = {pair for pair, answer in self.looks.seen.items() if not isinstance(answer, Look)}
        slowest = min((one.log_speed for one in expected.values()), default=0.0)
        behind = Expectation(slowest - FAR_BEHIND, REFUSED_SPREAD)
        return {
            pair: behind if (pair.backend, pair.precision) in refused else one
            for pair, one in expected.items()
        }

    def _sizes(self) -> dict[str, float | None]:
        cache = ArtifactCache()
        return {
            name: model_bytes(variant.model, cache) or fp32_bytes(variant.model)
            for name, variant in self.setup.variants.items()
        }


def look_ahead(
    setup: Setup,
    emit: Emit,
    stop: Stop,
    cache: ArtifactCache,
    alone: Callable[[], AbstractContextManager[None]],
    refuse_changes: Callable[[], None],
) -> Foresight:
    """Look at every engine and precision of a study that is worth it, and at what the cache holds.

    Looks have a fifth of the study's minutes at most, and are taken under the host's lock; those of an
    earlier study of the same model, shape and versions on this machine cost nothing.

    Args:
        alone: holds the host's lock.
        refuse_changes: raises ChangedMachineError where the machine is not the study's any more.

    Raises:
        CacheError: the cache cannot be written.
        ChangedMachineError: as `refuse_changes` does; the look that was under way is not kept.
        Stopped: as `stop` says.
    """

    def go_on() -> None:
        stop.heed()
        refuse_changes()

    space = setup.space
    begin_s = time.monotonic()
    pairs = _pairs(setup)
    looks = Looks()
    if len(pairs) > 1:
        minutes = setup.spec.budget.minutes
        most_s = LONGEST_LOOKS_S if minutes is None else LOOK_SHARE * minutes * 60
        with alone():
            begin_s = time.monotonic()
            emit(LookingBegan(len(pairs)))
            looks = take_looks(
                setup.variants[setup.spec.variants[0]].model,
                pairs,
                shape_of(setup.found.stored.problem),
                setup.machine.isa,
                cache,
                machine_key=fingerprint(setup.machine),
                deadline_s=time.monotonic() + most_s,
                at_once=at_once(setup.machine),
                tell=lambda pair, answer: emit(_look_taken(pair, answer)),
                before_keeping=go_on,
            )
    looking_s = time.monotonic() - begin_s - looks.waited_s
    emit(LookingEnded(looking_s, _fastest_first(looks), looks.reason))
    everything = dict.fromkeys(
        one.prepared for one in (space.baseline, *space.configurations, *space.defaults)
    )
    there = frozenset(pair for pair in everything if _is_there(setup, pair, cache))
    return Foresight(setup, looks, looking_s, tuple(preparation_records(cache)), there)


def at_once(machine: Machine) -> int:
    """How many looks are built side by side: as many as have a core and memory of their own.

    Whole models are prepared one after the other: on two cpus of a guest on AMD Zen 3, an export of MiniLM
    took 14 to 18 s beside other preparations and 12.5 s alone, so that nothing was won.
    """
    sizes = (machine.memory_bytes, machine.memory_limit_bytes)
    room = [size // EACH_BYTES for size in sizes if size is not None]
    return max(1, min(MOST_AT_ONCE, machine.thread_budget, len(machine.allowed_cores), *room))


def shape_of(problem: Problem) -> Shape:
    """A request that stands for all: of sequences that differ, of half of the longest."""
    if problem.sequence_length is not None:
        return problem.batch_size, problem.sequence_length
    return problem.batch_size, max(1, (problem.longest or STATED_TOKENS) // 2)


STATED_TOKENS = 128
"""Of texts of which nobody knows how long they are, twice what is taken."""


def _pairs(setup: Setup) -> list[Pair]:
    """What is searched, most promising first, of the first model."""
    first = setup.spec.variants[0]
    prepared = dict.fromkeys(one.prepared for one in (*setup.space.defaults, *setup.space.configurations))
    own = [one for one in prepared if one.model == first]
    expected = expectations(own, {})
    own.sort(key=lambda one: -expected[one].log_speed)
    return [(one.backend, one.precision) for one in own]


def _is_there(setup: Setup, pair: Prepared, cache: ArtifactCache) -> bool:
    variant, isa = setup.variants[pair.model], setup.machine.isa
    shapes = (shape_of(setup.found.stored.problem),)
    return find_artifact(variant.model.digest, pair, isa, cache, variant.calibration, shapes) is not None


def _look_taken(pair: Pair, answer: Look | Refused) -> LookTaken:
    if isinstance(answer, Look):
        return LookTaken(*pair, request_s=answer.request_s)
    return LookTaken(*pair, refusal=answer.reason)


def _fastest_first(looks: Looks) -> tuple[str, ...]:
    ranked = sorted(_seen(looks).items(), key=lambda item: item[1].request_s)
    return tuple(" ".join(pair) for pair, _ in ranked)


def _seen(looks: Looks) -> dict[Pair, Look]:
    return {pair: answer for pair, answer in looks.seen.items() if isinstance(answer, Look)}


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
