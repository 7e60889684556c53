"""The artifacts of one call, which are prepared when a trial needs them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from autotune.backends.registry import base_precision
from autotune.events import Emit, PreparationBegan
from autotune.model.artifacts.artifact import Artifact
from autotune.model.artifacts.cache import ArtifactCache
from autotune.preflight.setup import Setup
from autotune.preparation.making import MadeFor
from autotune.preparation.preparing import prepare_artifact
from autotune.spec.configuration import Configuration, Prepared

PREPARATION_TIMEOUT_S = 1800.0
"""Longest preparation of one artifact. Source: 100 times what BERT-base takes on a 2-core Xeon, 15 s."""


@dataclass
class Artifacts:
    """What is prepared in this call.

    Attributes:
        told: what it was said of that it is prepared.
        ready: what was prepared, or found, in this call, with what it was made from.
    """

    setup: Setup
    emit: Emit
    cache: ArtifactCache
    told: set[Prepared] = field(default_factory=set)
    ready: set[Prepared] = field(default_factory=set)

    def get(
        self,
        configuration: Configuration,
        shapes: Iterable[tuple[int, int]],
        preparation_s: float | None = None,
    ) -> Artifact:
        """Take it from the cache each time, as somebody may have pruned it since the last trial.

        Args:
            shapes: of the requests to come.
            preparation_s: about how long it takes to prepare, as far as that is known.

        Raises:
            ModelError, UnsupportedError, PreparationError: as `prepare_artifact` does.
        """
        one, variant = configuration.prepared, self.setup.variant(configuration)
        self._tell(one, preparation_s)
        made = prepare_artifact(
            variant.model,
            configuration.backend,
            configuration.precision,
            self.setup.machine.isa,
            self.cache,
            timeout_s=PREPARATION_TIMEOUT_S,
            made_for=MadeFor(calibration=variant.calibration, shapes=shapes, knobs=one.knobs),
        )
        base = base_precision(one.backend, one.precision)
        self.ready.update((one, one if base is None else one._replace(precision=base)))
        return made

    def _tell(self, one: Prepared, preparation_s: float | None) -> None:
        if one not in self.told:
            self.emit(PreparationBegan(str(one), preparation_s))
            self.told.add(one)
