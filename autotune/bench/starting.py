"""Makes the commands that start configurations, with what they load prepared where the cache lacks it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from autotune.backends.availability import compiling_engines
from autotune.backends.protocol import Shape
from autotune.backends.registry import get_backend
from autotune.bench.artifacts import PREPARATION_TIMEOUT_S, Artifacts
from autotune.errors import UnsupportedError
from autotune.model.artifacts.artifact import Artifact
from autotune.model.stream import StreamDescription, read_description
from autotune.placement.command import Service, request_shapes, worker_commands
from autotune.placement.place import place
from autotune.placement.placement import Command
from autotune.preflight.setup import Setup
from autotune.preparation.preparing import prepare_stream
from autotune.search.serving import require_serving
from autotune.spec.configuration import Configuration


@dataclass(frozen=True)
class Starting:
    """Starts the configurations of one study, as far as commands go."""

    setup: Setup
    artifacts: Artifacts

    def commands(
        self, configuration: Configuration, preparation_s: float | None = None
    ) -> tuple[Command, ...]:
        """Prepare what the configuration needs if the cache lacks it, and give the commands that start it.

        Args:
            preparation_s: about how long that takes, as far as it is known.

        Raises:
            UnsupportedError: the engine cannot do this.
            PreparationError: the artifact cannot be made; `CacheError` where the cache is the reason.
        """
        spec, requests = self.setup.spec, self.requests(configuration)
        return worker_commands(
            configuration,
            place(configuration, self.setup.machine),
            self.artifacts.get(configuration, self._shapes(configuration, requests), preparation_s),
            get_backend(configuration.backend),
            Service(spec.problem, spec.scenario, spec.seed, spec.measure.warmup_s, requests),
        )

    def artifact(self, configuration: Configuration) -> Artifact:
        """Prepare what the configuration's instances load, for requests as the study has them.

        An engine that compiles is given none of their shapes: its answers are compared at others.

        Raises:
            UnsupportedError, PreparationError: as `commands` does.
        """
        compiles = bool(compiling_engines([configuration.backend]))
        shapes = () if compiles else self._shapes(configuration, self.requests(configuration))
        return self.artifacts.get(configuration, shapes)

    def requests(self, configuration: Configuration) -> Artifact | None:
        """Prepare the stream that the instances are given; None where requests are of one length.

        Raises:
            PlacementError: the configuration does not say how they are put together, or says it in vain.
            PreparationError: the stream cannot be made.
        """
        require_serving(configuration, self.setup.spec)
        variant = self.setup.variant(configuration)
        source = variant.stream(configuration)
        if source is None:
            return None
        cache = self.artifacts.cache
        return prepare_stream(variant.model, source, cache, timeout_s=PREPARATION_TIMEOUT_S)

    def described_requests(self, configuration: Configuration) -> StreamDescription | None:
        """Describe what a configuration's instances are given; None where requests are of one length.

        Raises:
            PreparationError: the stream cannot be made.
        """
        stream = self.requests(configuration)
        return None if stream is None else read_description(stream.directory)

    def _shapes(self, configuration: Configuration, requests: Artifact | None) -> Iterable[Shape]:
        """Name the shapes that an engine compiles for, if it does, or that an export may hold for alone.

        Raises:
            UnsupportedError: it does, and there are too many.
        """
        spec = self.setup.spec
        if requests is None:
            return request_shapes(configuration, spec.problem, spec.scenario)
        described = read_description(requests.directory)
        if not described.shapes and compiling_engines([configuration.backend]):
            raise UnsupportedError(
                f"{configuration.backend} compiles for every shape of request, and these have "
                f"{described.shape_count}",
                remedy="pad to the longest or to buckets, in batches as they come and without a cache",
            )
        return described.shapes
