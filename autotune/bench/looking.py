"""Looks at engines on this machine before a study's first trial, and at what earlier preparations took."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import AbstractContextManager

from autotune.backends.protocol import Shape
from autotune.bench.host import Seen
from autotune.events import Emit, LookingBegan, LookingEnded, LookTaken
from autotune.machine.document import fingerprint
from autotune.machine.machine import Machine
from autotune.model.artifacts.cache import ArtifactCache
from autotune.model.looked import Look, Refused
from autotune.model.size import fp32_bytes
from autotune.preflight.setup import Setup
from autotune.preparation.kept_looks import EnginePrecision
from autotune.preparation.looking import LookedOn, Looks, Pace, take_looks
from autotune.preparation.preparing import find_artifact
from autotune.preparation.records import model_bytes, preparation_records
from autotune.search.expectations import expectations
from autotune.spec.configuration import Prepared
from autotune.spec.problem import Problem

LOOK_SHARE = 0.2
"""Of the budget's minutes, for looks at most."""

LONGEST_LOOKS_S = 180.0
"""For looks at most, where no minutes bound them."""

MOST_AT_ONCE, EACH_BYTES = 4, 1 << 31
"""Builds of looks side by side, and memory for each. Source: stated."""

STATED_TOKENS = 128
"""Of texts of which nobody knows how long they are, twice what is taken."""


def look_around(
    setup: Setup,
    emit: Emit,
    cache: ArtifactCache,
    alone: Callable[[], AbstractContextManager[None]],
    go_on: Callable[[], None],
) -> Seen:
    """Look at every engine and precision of a study that is worth it, and at what the cache holds.

    Looks have a fifth of the study's minutes at most, and are taken under the host's lock; those of an
    earlier study of the same model, shape and versions on this machine cost nothing.

    Args:
        alone: holds the host's lock.
        go_on: raises where it is to end, or the machine is not the study's any more.

    Raises:
        CacheError: the cache cannot be written.
        ChangedMachineError, Stopped: as `go_on` does; the look that was under way is not kept.
    """
    begin_s = time.monotonic()
    pairs, looks = pairs_to_look_at(setup), Looks()
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
                LookedOn(fingerprint(setup.machine), setup.machine.isa),
                cache,
                pace=Pace(time.monotonic() + most_s, at_once=at_once(setup.machine)),
                tell=lambda pair, answer: emit(_look_taken(pair, answer)),
                before_keeping=go_on,
            )
    looking_s = time.monotonic() - begin_s - looks.waited_s
    emit(LookingEnded(looking_s, _fastest_first(looks), looks.reason))
    return Seen(
        looks=looks,
        looking_s=looking_s,
        records=tuple(preparation_records(cache)),
        there=frozenset(_there(setup, cache)),
        sizes_bytes=_sizes_bytes(setup, cache),
    )


def at_once(machine: Machine) -> int:
    """Count how many looks are built side by side: as many as have a core and memory of their own.

    Whole models are prepared one after the other: on two cpus of a guest on AMD Zen 3, an export of MiniLM
    took 14 to 18 s beside other preparations and 12.5 s alone, so that nothing was won.
    """
    sizes = (machine.memory_bytes, machine.memory_limit_bytes)
    room = [size // EACH_BYTES for size in sizes if size is not None]
    return max(1, min(MOST_AT_ONCE, machine.thread_budget, len(machine.allowed_cores), *room))


def shape_of(problem: Problem) -> Shape:
    """Choose a request that stands for all: of sequences that differ, of half of the longest."""
    if problem.sequence_length is not None:
        return problem.batch_size, problem.sequence_length
    return problem.batch_size, max(1, (problem.longest or STATED_TOKENS) // 2)


def seen_looks(looks: Looks) -> dict[EnginePrecision, Look]:
    """Give the looks that showed something, without the engines that refused."""
    return {pair: answer for pair, answer in looks.seen.items() if isinstance(answer, Look)}


def pairs_to_look_at(setup: Setup) -> list[EnginePrecision]:
    """Name what is searched of the first model, most promising first."""
    first = setup.spec.variants[0]
    prepared = dict.fromkeys(
        configuration.prepared for configuration in (*setup.space.defaults, *setup.space.configurations)
    )
    own = [choice for choice in prepared if choice.model == first]
    expected = expectations(own, {})
    own.sort(key=lambda choice: -expected[choice].log_speed)
    return [(choice.backend, choice.precision) for choice in own]


def _there(setup: Setup, cache: ArtifactCache) -> list[Prepared]:
    """Name what is in the cache of all that the study may run."""
    space = setup.space
    everything = dict.fromkeys(
        configuration.prepared for configuration in (space.baseline, *space.configurations, *space.defaults)
    )
    return [choice for choice in everything if _is_there(setup, choice, cache)]


def _is_there(setup: Setup, choice: Prepared, cache: ArtifactCache) -> bool:
    variant, isa = setup.variants[choice.model], setup.machine.isa
    shapes = (shape_of(setup.found.stored.problem),)
    return find_artifact(variant.model.digest, choice, isa, cache, variant.calibration, shapes) is not None


def _sizes_bytes(setup: Setup, cache: ArtifactCache) -> dict[str, float | None]:
    return {
        name: model_bytes(variant.model, cache) or fp32_bytes(variant.model)
        for name, variant in setup.variants.items()
    }


def _look_taken(pair: EnginePrecision, answer: Look | Refused) -> LookTaken:
    if isinstance(answer, Look):
        return LookTaken(*pair, request_s=answer.request_s)
    return LookTaken(*pair, refusal=answer.reason)


def _fastest_first(looks: Looks) -> tuple[str, ...]:
    ranked = sorted(seen_looks(looks).items(), key=lambda item: item[1].request_s)
    return tuple(" ".join(pair) for pair, _ in ranked)
