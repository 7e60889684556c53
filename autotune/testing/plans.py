"""Built plans and measurements, for tests of stores, exporters and pages."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from autotune.machine.cpus import format_cpu_list
from autotune.measurement.measurement import Block, InstanceBlock, Measurement, Observation, ThreadMask
from autotune.placement.assignment import Assignment
from autotune.placement.placement import Command, WorkerProgram
from autotune.plan.document import Plan, PlanInstance, PlanStudy
from autotune.plan.evidence import (
    Confirmation,
    Default,
    Estimate,
    LatencyPercentile,
    Range,
    RunnerUp,
    Spent,
    Unprepared,
)
from autotune.spec.configuration import Configuration
from autotune.testing.observations import build_observation

PROGRAM = "/opt/autotune/bin/python"


DEFAULT = Configuration(
    instances=1,
    threads_per_instance=0,
    placement="unpinned",
    sockets="0",
    smt=False,
    backend="fake",
    precision="fp32",
)
"""The fake engine as its documentation would start it."""


def build_commands(
    instances: int = 2,
    *,
    program: str = PROGRAM,
    pinned: bool = True,
    threads: int = 1,
    memory_nodes: tuple[int, ...] = (0,),
) -> tuple[Command, ...]:
    """Build commands of neighbouring instances, `threads` cpus each, bound to nodes; or of unpinned ones."""
    return tuple(
        Command(
            program=WorkerProgram(program, build_assignment(index, instances, threads=threads)),
            environment={"PATH": "/usr/bin:/bin", "OMP_NUM_THREADS": str(threads)},
            cpus=tuple(range(index * threads, (index + 1) * threads)) if pinned else (),
            memory_nodes=memory_nodes if pinned else (),
        )
        for index in range(instances)
    )


def build_assignment(instance: int = 0, instances: int = 1, **changes: Any) -> Assignment:
    """What one of several workers is asked; `changes` replace fields."""
    fields: dict[str, Any] = {
        "backend": "fake",
        "precision": "fp32",
        "artifact": Path("/cache/artifacts/5e5e5e"),
        "batch_size": 8,
        "threads": 1,
        "seed": 0,
        "warmup_s": 5.0,
        "instance": instance,
        "instances": instances,
        "sequence_length": 128,
    }
    return Assignment(**(fields | changes))


def build_plan(commands: Sequence[Command] | None = None, **changes: Any) -> Plan:
    """A whole plan that starts these commands; `changes` replace fields of the document."""
    started = build_commands() if commands is None else tuple(commands)
    pinned = any(command.cpus for command in started)
    configuration = Configuration(
        instances=len(started),
        threads_per_instance=len(started[0].cpus),
        placement="close" if pinned else "unpinned",
        sockets="0",
        smt=False,
        backend="fake",
        precision="fp32",
    )
    fields: dict[str, Any] = {
        "id": "quickstart-7f3a9c",
        "created_s": 1_790_000_000.0,
        "objective": "throughput",
        "scenario": "offline",
        "configuration": configuration,
        "instances": tuple(PlanInstance.of(command) for command in started),
        "estimate": build_estimate(30.0),
        "baseline": build_estimate(10.0),
        "gain": 3.0,
        "gain_range": Range(low=2.8, high=3.2),
        "confirmation": build_confirmation(configuration),
        "machine": _machine(started),
        "versions": {"autotune": "0.1.0", "python": "3.11.9"},
        "model": {"source": "fake:model.json", "digest": "5e" * 32, "artifact": None},
        "study": PlanStudy(name="quickstart", spec=dict(_SPEC)),
        "trial": 7,
    }
    return Plan(**(fields | changes))


_SPEC: Mapping[str, Any] = {
    "problem": {"batch_size": 8, "sequence_length": 128},
    "measure": {"disturbed": "correct"},
    "budget": {"minutes": 5.0},
}


def build_estimate(throughput_sps: float) -> Estimate:
    """Figures of a hundred requests; the highest percentiles are not supported."""
    values = {50.0: 8 / throughput_sps, 90.0: 9 / throughput_sps, 95.0: None, 99.0: None}
    needed = {50.0: 11, 90.0: 64, 95.0: 130, 99.0: 662}
    return Estimate(
        objective_value=throughput_sps,
        objective_range=Range(low=throughput_sps * 0.98, high=throughput_sps * 1.02),
        throughput_sps=throughput_sps,
        latencies=tuple(
            LatencyPercentile(
                percentile=percentile,
                value_s=value,
                upper_s=None if value is None else 1.1 * value,
                needed=needed[percentile],
            )
            for percentile, value in values.items()
        ),
        requests=100,
        runs=3,
        memory_bytes=300 * 2**20,
    )


def build_confirmation(configuration: Configuration) -> Confirmation:
    """Three rounds that the configuration won; one rival is tied with it, one likely worse, one worse."""
    return Confirmation(
        verdict="better",
        probability=1.0,
        default=build_default(),
        spent=Spent(
            looking_s=12.0, preparing_s=48.0, loading_s=21.0, warming_s=14.0, measuring_s=39.0, waiting_s=6.0
        ),
        unprepared=(Unprepared(backend="openvino", precision="int8-static", seconds=55.0),),
        rounds=3,
        search_value=30.9,
        optimism=0.03,
        twin_ratio=1.004,
        twin_range=Range(low=0.98, high=1.03),
        spread=0.012,
        rivals=_rivals(configuration),
        blocks=45,
        dropped_blocks=2,
        quietness="The machine was quiet: 2 of 47 blocks were disturbed and not counted.",
        correction="Blocks of one launch vary by 1.2 % after correction for the host's conditions.",
    )


def _rivals(configuration: Configuration) -> tuple[RunnerUp, ...]:
    return (
        RunnerUp(
            configuration=replace(configuration, placement="spread"),
            trial=3,
            standing="tied",
            ratio=0.99,
            ratio_range=Range(low=0.97, high=1.01),
            cores=2,
            memory_bytes=320 * 2**20,
            probability=0.71,
            more_rounds=4,
        ),
        RunnerUp(
            configuration=replace(configuration, threads_per_instance=5),
            trial=4,
            standing="likely",
            ratio=0.94,
            ratio_range=Range(low=0.88, high=1.01),
            cores=2,
            memory_bytes=320 * 2**20,
            probability=0.93,
            more_rounds=2,
        ),
        RunnerUp(
            configuration=replace(configuration, threads_per_instance=7),
            trial=5,
            standing="worse",
            ratio=0.8,
            ratio_range=Range(low=0.77, high=0.83),
            cores=2,
            memory_bytes=320 * 2**20,
            probability=1.0,
        ),
    )


def build_default(**changes: Any) -> Default:
    """The best of what people start today, which the plan beats; `changes` replace fields."""
    fields: dict[str, Any] = {
        "configuration": replace(DEFAULT, precision="int8-dynamic"),
        "trial": 1,
        "ratio": 1.24,
        "ratio_range": Range(low=1.18, high=1.31),
        "probability": 1.0,
        "said": "shown",
        "objective_value": 24.2,
    }
    return Default(**(fields | changes))


def build_measurement(
    *, instances: int = 1, requests: int = 10, request_s: float = 0.1, samples_per_request: int = 8
) -> Measurement:
    """One block in which every instance answers its requests back to back, all equally long."""
    starts = tuple(100.0 + index * request_s for index in range(requests))
    part = InstanceBlock(samples_per_request, starts, tuple(start + request_s for start in starts))
    return Measurement(
        scenario="offline",
        blocks=(Block(100.0, (part,) * instances),),
        observations=tuple(_observation(index) for index in range(instances)),
        memory_binding="bind",
        wall_s=requests * request_s + 2.0,
        measuring_s=requests * request_s,
        warmup_s=1.0,
    )


def _observation(cpu: int) -> Observation:
    return build_observation(
        pid=1000 + cpu,
        cpus=(cpu,),
        threads=(ThreadMask("main", (cpu,)),),
        memory_policy="bind",
        memory_nodes=(0,),
        memory_bytes=100 * 2**20,
        peak_memory_bytes=150 * 2**20,
        load_s=0.1,
        warmup_s=0.5,
    )


def _machine(commands: Sequence[Command]) -> dict[str, Any]:
    allowed = format_cpu_list(cpu for command in commands for cpu in command.cpus) or "0"
    fingerprint = hashlib.sha256(allowed.encode()).hexdigest()[:16]
    return {"model_name": "Built CPU", "allowed": allowed, "fingerprint": fingerprint}
