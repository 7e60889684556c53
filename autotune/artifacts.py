"""The artifacts of one call, which are prepared when a trial needs them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from autotune.backends.preparation import prepare_artifact
from autotune.backends.registry import base_precision
from autotune.machine.machine import Machine
from autotune.model.artifact import Artifact
from autotune.model.cache import ArtifactCache
from autotune.preflight import Setup
from autotune.report.progress import Observer
from autotune.spec.configuration import Configuration, Prepared

PREPARATION_TIMEOUT_S = 1800.0
"""Longest preparation of one artifact. Source: 100 times what BERT-base takes on a 2-core Xeon, 15 s."""

MOST_AT_ONCE, EACH_BYTES = 4, 1 << 31
"""Builds of looks side by side, and memory for each. Source: stated."""


def at_once(machine: Machine) -> int:
    """How many looks are built side by side: as many as have a core and memory of their own.

    Whole models are prepared one after the other: on two cpus of a guest on AMD Zen 3, an export of MiniLM
    took 14 to 18 s beside other preparations and 12.5 s alone, so that nothing was won.
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
    """

    setup: Setup
    observer: Observer
    prices_s: Mapping[Prepared, float] = field(default_factory=dict)
    told: set[Prepared] = field(default_factory=set)
    ready: set[Prepared] = field(default_factory=set)

    def get(self, configuration: Configuration, shapes: Iterable[tuple[int, int]]) -> Artifact:
        """From the cache each time, as somebody may have pruned it since the last trial.

        Raises:
            ModelError, UnsupportedError, PreparationError: as `prepare_artifact` does.
        """
        one, variant = configuration.prepared, self.setup.variant(configuration)
        self._tell(one)
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

    def _tell(self, one: Prepared) -> None:
        if one not in self.told:
            self.observer.preparing(one, self.prices_s.get(one))
            self.told.add(one)
