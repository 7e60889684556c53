"""Compares what every worker observed with what was asked of it: the placement proof."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from autotune.machine.cpus import format_cpu_list
from autotune.measurement.measurement import FailureKind, Observation
from autotune.placement.placement import InstancePlacement
from autotune.spec.configuration import Configuration
from autotune.trial.asked import Asked
from autotune.worker.failures import InstanceError
from autotune.worker.knobs import knob_differences

_REFUSED = ("default", "local", "unknown")
"""Policies of a process whose `bind` the kernel did not permit; `unknown` where it forbids even to ask."""


def prove(asked: Asked, observed: Sequence[Observation]) -> None:
    """Check every instance.

    Raises:
        InstanceError: something differs; `placement`, or `unsupported` for the precision.
    """
    for instance, (place, observation) in enumerate(zip(asked.instances, observed, strict=True)):
        differences = [
            *placement_differences(place, observation),
            *engine_differences(asked.configuration, observation),
            *knob_differences(asked.configuration.knobs, observation.knobs),
        ]
        if differences:
            raise InstanceError(FailureKind.PLACEMENT, "; ".join(differences), instance=instance)
        precision = asked.configuration.precision
        if observation.precision != precision:
            reason = f"precision {precision} was asked, the engine runs {observation.precision}"
            raise InstanceError(FailureKind.UNSUPPORTED, reason, instance=instance)


def placement_differences(asked: InstancePlacement, observed: Observation) -> Iterator[str]:
    """What differs in masks and memory policy, a sentence each."""
    if asked.cpus:
        wanted = format_cpu_list(asked.cpus)
        if set(observed.cpus) != set(asked.cpus):
            yield f"the process runs on cpus {format_cpu_list(observed.cpus)}, not {wanted}"
        for thread in observed.threads:
            if not set(thread.cpus) <= set(asked.cpus):
                where = format_cpu_list(thread.cpus)
                yield f"thread {thread.name!r} runs on cpus {where}, not within {wanted}"
    if asked.memory_nodes and observed.memory_policy not in _REFUSED:
        is_bound = observed.memory_policy == "bind" and set(observed.memory_nodes) == set(asked.memory_nodes)
        if not is_bound:
            yield (
                f"memory policy is {observed.memory_policy} {format_cpu_list(observed.memory_nodes)}, "
                f"not bind {format_cpu_list(asked.memory_nodes)}"
            )


def engine_differences(configuration: Configuration, observed: Observation) -> Iterator[str]:
    """What differs in engine and thread count, a sentence each."""
    if observed.engine != configuration.backend:
        yield f"the engine is {observed.engine}, not {configuration.backend}"
    threads = configuration.threads_per_instance
    if threads and observed.engine_threads != threads:
        yield f"the engine uses {observed.engine_threads} threads, not {threads}"


def memory_binding(asked: Asked, observed: Sequence[Observation]) -> str:
    """`bind` (as asked), `none` (not asked of any) or `refused` (by the kernel, for at least one)."""
    policies = [
        observation.memory_policy
        for place, observation in zip(asked.instances, observed, strict=True)
        if place.memory_nodes
    ]
    if not policies:
        return "none"
    return "bind" if all(policy == "bind" for policy in policies) else "refused"
