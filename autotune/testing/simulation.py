"""Trials of the fake model without processes: for tests and benchmarks of the search alone."""

from __future__ import annotations

from autotune.spec.configuration import Configuration
from autotune.spec.study import Problem
from autotune.testing.fake_model import FakeModel, request_seconds
from autotune.trial.measurement import Block, InstanceBlock, Measurement, Observation

REQUESTS = 4
"""Requests of each instance; they all take the same time."""


def simulated_measurement(model: FakeModel, configuration: Configuration, problem: Problem) -> Measurement:
    """What an undisturbed `offline` trial of the configuration would measure, by the closed form.

    Raises:
        ModelError: the model does not have this precision.
    """
    seconds = request_seconds(
        model,
        problem.batch_size,
        problem.sequence_length,
        configuration.threads_per_instance,
        configuration.instances,
        configuration.precision,
    )
    starts = tuple(index * seconds for index in range(REQUESTS))
    instance = InstanceBlock(problem.batch_size, starts, tuple(start + seconds for start in starts))
    return Measurement(
        scenario="offline",
        blocks=(Block(0.0, (instance,) * configuration.instances),),
        observations=(_observation(model, configuration),) * configuration.instances,
        memory_binding="none",
        wall_s=REQUESTS * seconds,
        measuring_s=REQUESTS * seconds,
        warmup_s=0.0,
    )


def _observation(model: FakeModel, configuration: Configuration) -> Observation:
    return Observation(
        pid=1,
        cpus=(),
        threads=(),
        memory_policy="default",
        memory_nodes=(),
        engine=configuration.backend,
        engine_version="1",
        precision=configuration.precision,
        engine_threads=configuration.threads_per_instance or model.default_threads,
        memory_bytes=model.memory_bytes,
        peak_memory_bytes=model.memory_bytes,
        load_s=0.0,
        warmup_s=0.0,
    )
