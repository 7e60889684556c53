"""Trials without processes, on a clock of their own, which nobody waits for.

What decides how long they are is the product's own: the loop that collects blocks, and its rule. What befalls
them meanwhile is their machine's `autotune.testing.nature`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from autotune.measurement.correction import UNCORRECTED, Correction, load_of
from autotune.measurement.measurement import Block, InstanceBlock, Measurement, Observation
from autotune.measurement.statistics import block_seconds
from autotune.objectives.throughput import THROUGHPUT
from autotune.spec.configuration import Configuration
from autotune.spec.knobs import parse_knobs
from autotune.spec.problem import Problem
from autotune.spec.study import Measure
from autotune.testing.fake_model import FakeModel, request_seconds
from autotune.testing.nature import BlockMaker, Workers, nature_of
from autotune.testing.noise import Noise
from autotune.testing.observations import build_observation
from autotune.testing.weather import WeatherMaker
from autotune.trial.collect import collect
from autotune.trial.stopping import Rival, Rule

REQUESTS = 4
"""Requests of each instance of `simulated_measurement`; they all take the same time."""

LAUNCH_S = 3.0
"""From a launch to its first block: an engine's import, load and warm-up."""


def simulated_measurement(model: FakeModel, configuration: Configuration, problem: Problem) -> Measurement:
    """What an undisturbed `offline` trial of the configuration would measure, by the closed form.

    Raises:
        ModelError: the model does not have this precision.
    """
    seconds = surface_of(model, problem)(configuration)
    starts = tuple(index * seconds for index in range(REQUESTS))
    instance = InstanceBlock(problem.batch_size, starts, tuple(start + seconds for start in starts))
    return Measurement(
        scenario="offline",
        blocks=(Block(0.0, (instance,) * configuration.instances),),
        observations=(_observation(configuration, model),) * configuration.instances,
        memory_binding="none",
        wall_s=REQUESTS * seconds,
        measuring_s=REQUESTS * seconds,
        warmup_s=0.0,
    )


def _observation(configuration: Configuration, model: FakeModel) -> Observation:
    return build_observation(
        engine=configuration.backend,
        precision=configuration.precision,
        engine_threads=configuration.threads_per_instance or model.default_threads,
        memory_bytes=model.memory_bytes,
        peak_memory_bytes=model.memory_bytes,
    )


EPOCH_S = 1_700_000_000.0
"""Unix time at which virtual clocks begin."""

Surface = Callable[[Configuration], float]
"""Seconds by configuration, such as of one instance's request without noise."""


def surface_of(model: FakeModel, problem: Problem) -> Surface:
    """Give the closed form of a fake model, with what instances do to each other."""

    def request_s(configuration: Configuration) -> float:
        return request_seconds(
            model,
            problem.batch_size,
            problem.longest or 0,
            configuration.threads_per_instance,
            configuration.instances,
            configuration.precision,
            parse_knobs(configuration.knobs),
        )

    return request_s


@dataclass
class VirtualClock:
    """A clock that stands still unless something is run by it; see `autotune.bench.clock.Clock`.

    Attributes:
        now_s: since it began.
    """

    now_s: float = 0.0

    def monotonic_s(self) -> float:
        """Give the seconds since it began."""
        return self.now_s

    def unix_s(self) -> float:
        """Give a Unix time."""
        return EPOCH_S + self.now_s


def usual_launch_s(configuration: Configuration) -> float:  # noqa: ARG001 - whatever it is
    """Give every launch the same seconds."""
    return LAUNCH_S


@dataclass(frozen=True)
class Launched:
    """Workers that have been started."""

    workers: Workers
    make_block: BlockMaker


class SimulatedMachine:
    """A machine whose time passes only when something runs on it; there is nothing but `offline` trials.

    Attributes:
        clock: its time; blocks: how many were measured on it.
        worked_s: seconds of all requests without noise; ran_s: seconds that they took.
        measured_s: length of all blocks.
    """

    def __init__(
        self,
        surface: Surface,
        nature: Noise | WeatherMaker,
        seed: int,
        clock: VirtualClock | None = None,
        *,
        samples_per_request: int = 1,
        launch_s: Surface = usual_launch_s,
    ) -> None:
        """Begin at the clock's time.

        Args:
            nature: what the machine does to all that runs on it; `seed` draws it.
            launch_s: seconds from a launch to its first block.
        """
        self.clock = clock or VirtualClock()
        self.blocks = 0
        self.worked_s = self.ran_s = self.measured_s = 0.0
        self._surface = surface
        self._nature = nature_of(nature, seed)
        self._samples = samples_per_request
        self._launch_s = launch_s

    @property
    def mean_speed(self) -> float:
        """Of all blocks until now, where 1 is without noise."""
        return self.worked_s / self.ran_s if self.ran_s else 1.0

    def trial(
        self,
        configuration: Configuration,
        measure: Measure,
        rival: Rival | None = None,
        correction: Correction = UNCORRECTED,
    ) -> Measurement:
        """Launch a configuration and measure it as a trial for throughput does."""
        rule = Rule(
            "offline",
            THROUGHPUT,
            measure.blocks,
            measure.max_blocks,
            rival=rival,
            treatment=measure.disturbed,
            correction=correction,
            load=load_of(configuration),
        )
        return self.measure(configuration, rule, measure)

    def measure(
        self, configuration: Configuration, rule: Rule, measure: Measure, *, is_confirming: bool = False
    ) -> Measurement:
        """Launch a configuration and measure it for as long as the rule says, within the trial's time limit.

        Args:
            is_confirming: whether this is a run of the rounds.

        Raises:
            InstanceError: `disturbed`, as `collect` does.
        """
        began_s = self.clock.now_s
        launched = self.launch(configuration, is_confirming=is_confirming)
        collected = collect(
            lambda: self.measure_block(launched, measure.block_s),
            rule,
            deadline_s=began_s + measure.trial_timeout_s,
            clock=self.clock.monotonic_s,
        )
        return Measurement(
            scenario="offline",
            blocks=collected.blocks,
            observations=(_observation(configuration, FakeModel()),) * configuration.instances,
            memory_binding="none",
            wall_s=self.clock.now_s - began_s,
            measuring_s=collected.measuring_s,
            warmup_s=0.0,
            dropped=collected.dropped,
            stopped=collected.stopped,
            cores=rule.resources.cores,
        )

    def launch(self, configuration: Configuration, *, is_confirming: bool = False) -> Launched:
        """Start anew: what a launch has of its own is drawn, and its seconds pass."""
        workers = Workers(
            self._surface(configuration),
            configuration.instances,
            self._samples,
            is_pinned=configuration.placement != "unpinned",
            is_confirming=is_confirming,
        )
        self.clock.now_s += self._launch_s(configuration)
        return Launched(workers, self._nature.launch(workers))

    def measure_block(self, launched: Launched, block_s: float) -> Block:
        """Run all instances over one window."""
        block, self.clock.now_s = launched.make_block(self.clock.now_s, block_s)
        self.blocks += 1
        self.measured_s += block_seconds(block)
        for instance in block.instances:
            self.worked_s += launched.workers.request_s * len(instance.ends_s)
            self.ran_s += instance.ends_s[-1] - block.start_s
        return block
