"""Trials without processes, on a clock of their own, which nobody waits for.

What decides how long they are is the product's own: the loop that collects blocks, and its rule.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from autotune.measurement.correction import UNCORRECTED, Correction, load_of
from autotune.measurement.measurement import Block, InstanceBlock, Measurement, Observation
from autotune.objectives.throughput import THROUGHPUT
from autotune.spec.configuration import Configuration
from autotune.spec.knobs import parse_knobs
from autotune.spec.problem import Problem
from autotune.spec.study import Measure
from autotune.testing.fake_model import FakeModel, request_seconds
from autotune.testing.noise import Noise, NoiseSource
from autotune.testing.observations import build_observation
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
"""Seconds of one instance's request without noise."""


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


class SimulatedMachine:
    """A machine whose time passes only when something runs on it; there is nothing but `offline` trials.

    Attributes:
        clock: its time; blocks: how many were measured on it.
    """

    def __init__(
        self,
        surface: Surface,
        noise: Noise,
        seed: int,
        clock: VirtualClock | None = None,
        *,
        samples_per_request: int = 1,
    ) -> None:
        """Begin at the clock's time."""
        self.clock = clock or VirtualClock()
        self.blocks = 0
        self._surface = surface
        self._noise = noise
        self._seed = seed
        self._samples = samples_per_request
        self._launches = 0

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

    def measure(self, configuration: Configuration, rule: Rule, measure: Measure) -> Measurement:
        """Launch a configuration and measure it for as long as the rule says, within the trial's time limit.

        Raises:
            InstanceError: `disturbed`, as `collect` does.
        """
        began_s, launch = self.clock.now_s, self.launch()
        collected = collect(
            lambda: self.measure_block(configuration, launch, measure.block_s),
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

    def launch(self) -> NoiseSource:
        """Start anew: what a launch has of its own is drawn, and `LAUNCH_S` pass."""
        self._launches += 1
        self.clock.now_s += LAUNCH_S
        return NoiseSource(self._noise, self._seed, self._launches)

    def measure_block(self, configuration: Configuration, launch: NoiseSource, block_s: float) -> Block:
        """Run all instances over one window.

        It begins with a new window of `Noise.block`, so that this is the spread of blocks and not of parts.
        """
        start_s = self._noise.block_s * (self.clock.now_s // self._noise.block_s + 1)
        seconds = self._surface(configuration)
        parts = tuple(
            _instance(seconds, launch, (start_s, start_s + block_s), self._samples)
            for _ in range(configuration.instances)
        )
        self.blocks += 1
        self.clock.now_s = max(part.ends_s[-1] for part in parts)
        return Block(start_s, parts)


def _instance(
    seconds: float, launch: NoiseSource, window_s: tuple[float, float], samples: int
) -> InstanceBlock:
    """Run two requests or more, back to back until the first completion at or after the window's end."""
    start_s, end_s = window_s
    times_s = [start_s]
    while len(times_s) < 3 or times_s[-1] < end_s:
        times_s.append(times_s[-1] + seconds * launch.factor(times_s[-1]))
    return InstanceBlock(samples, tuple(times_s[:-1]), tuple(times_s[1:]))
