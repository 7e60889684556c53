"""The artifacts of one call: prepared when a trial needs them, or before that, beside one that is needed."""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

from autotune.backends.children import end_preparing
from autotune.backends.preparation import prepare_artifact
from autotune.backends.registry import base_precision
from autotune.errors import AutotuneError, PreparationError, UnsupportedError
from autotune.machine.machine import Machine
from autotune.model.artifact import Artifact
from autotune.model.cache import ArtifactCache
from autotune.preflight import Setup
from autotune.report.progress import Observer
from autotune.spec.configuration import Configuration, Prepared

PREPARATION_TIMEOUT_S = 1800.0
"""Longest preparation of one artifact. Source: 100 times what BERT-base takes on a 2-core Xeon, 15 s."""

MOST_AT_ONCE, EACH_BYTES = 4, 1 << 31
"""Preparations side by side, and memory for each. Source: stated; exporting DistilBERT holds 1.5 GB."""


def at_once(machine: Machine) -> int:
    """How many artifacts are prepared side by side: as many as have a core and memory of their own.

    Most of a preparation is one thread's work.
    """
    sizes = (machine.memory_bytes, machine.memory_limit_bytes)
    room = [size // EACH_BYTES for size in sizes if size is not None]
    return max(1, min(MOST_AT_ONCE, machine.thread_budget, len(machine.allowed_cores), *room))


@dataclass
class Artifacts:
    """What is prepared in this call.

    Attributes:
        prices_s: about how long each will take, as far as that is known.
        told: what the observer has heard of.
        ready: what was prepared, or found, in this call, with what it was made from.
        failed: why something could not be prepared before its turn.
    """

    setup: Setup
    observer: Observer
    prices_s: Mapping[Prepared, float] = field(default_factory=dict)
    told: set[Prepared] = field(default_factory=set)
    ready: set[Prepared] = field(default_factory=set)
    failed: dict[Prepared, AutotuneError] = field(default_factory=dict)

    def get(self, configuration: Configuration, shapes: Iterable[tuple[int, int]]) -> Artifact:
        """From the cache each time, as somebody may have pruned it since the last trial.

        Raises:
            UnsupportedError, PreparationError: as `prepare_artifact` does, now or before its turn.
        """
        one, variant = configuration.prepared, self.setup.variant(configuration)
        self._tell(one)
        if (error := self.failed.pop(one, None)) is not None:
            raise error
        made = prepare_artifact(
            variant.model,
            configuration.backend,
            configuration.precision,
            self.setup.machine.isa,
            ArtifactCache(),
            timeout_s=PREPARATION_TIMEOUT_S,
            calibration=variant.calibration,
            shapes=shapes,
            knobs=one.knobs,
        )
        base = base_precision(one.backend, one.precision)
        self.ready.update((one, one if base is None else one._replace(precision=base)))
        return made

    def worth_beside(
        self, configuration: Configuration, upcoming: Iterable[Configuration], there: Collection[Prepared]
    ) -> tuple[Configuration, ...]:
        """Which of those that come next to prepare beside one: what is done by the time that this one is.

        So nothing waits for what may not be tried in the end.

        Args:
            upcoming: what comes next, in this order.
            there: what was prepared before this call.
        """
        places, known = at_once(self.setup.machine), {*there, *self.ready, *self.told}
        is_fake = self.setup.variant(configuration).model.kind == "fake"
        if places < 2 or is_fake or configuration.prepared in known:
            return ()
        own_s = self.prices_s.get(configuration.prepared, 0.0)
        chosen: dict[Prepared, Configuration] = {}
        left_s = (places - 1) * own_s
        for one in upcoming:
            price_s = self.prices_s.get(one.prepared, math.inf)
            is_new = one.prepared not in (*known, *chosen, configuration.prepared)
            if is_new and price_s <= min(own_s, left_s):
                chosen[one.prepared] = one
                left_s -= price_s
        return tuple(chosen.values())

    @contextmanager
    def beside(self, jobs: Mapping[Prepared, Callable[[], object]]) -> Iterator[None]:
        """Prepare these side by side with what is prepared meanwhile; all of them have ended in the end.

        What goes wrong with them is for their turn to say.

        Args:
            jobs: by what they prepare.
        """
        if not jobs:
            yield
            return
        for one in jobs:
            self._tell(one)
        places = threading.Semaphore(at_once(self.setup.machine))
        pool = ThreadPoolExecutor(len(jobs))
        failure: AutotuneError | None = None
        try:
            with places:
                for one, job in jobs.items():
                    pool.submit(self._try, one, job, places)
                try:
                    yield
                except AutotuneError as error:
                    failure = error
            pool.shutdown()
        except BaseException:  # Ctrl-C reaches this thread alone
            pool.shutdown(wait=False, cancel_futures=True)
            end_preparing()
            raise
        if failure is not None:
            raise failure

    def _try(self, one: Prepared, job: Callable[[], object], places: threading.Semaphore) -> None:
        with places, suppress(AutotuneError):
            try:
                job()
            except (UnsupportedError, PreparationError) as error:
                # Not of its subclasses: another time there may be memory, or space.
                if one not in self.ready and type(error) in (UnsupportedError, PreparationError):
                    self.failed[one] = error

    def _tell(self, one: Prepared) -> None:
        if one not in self.told:
            self.observer.preparing(one, self.prices_s.get(one))
            self.told.add(one)
