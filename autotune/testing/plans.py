"""Built plans and measurements, for tests of stores, exporters and pages."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any

from autotune.machine.cpus import format_cpu_list
from autotune.placement.placement import Command
from autotune.plan.document import Estimate, Plan, PlanInstance
from autotune.spec.configuration import Configuration
from autotune.trial.measurement import Block, InstanceBlock, Measurement, Observation, ThreadMask

PROGRAM = "/opt/autotune/bin/python"


def build_commands(
    instances: int = 2, *, program: str = PROGRAM, pinned: bool = True, threads: int = 1
) -> tuple[Command, ...]:
    """Commands of neighbouring instances on node 0, `threads` cpus each; or of unpinned ones."""
    return tuple(
        Command(
            argv=(program, "-P", "-m", "autotune.trial.worker", "--instance", str(index)),
            environment={"PATH": "/usr/bin:/bin", "OMP_NUM_THREADS": str(threads)},
            cpus=tuple(range(index * threads, (index + 1) * threads)) if pinned else (),
            memory_nodes=(0,) if pinned else (),
        )
        for index in range(instances)
    )


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
        "machine": _machine(started),
        "versions": {"autotune": "0.1.0", "python": "3.11.9"},
        "model": {"source": "fake:model.json", "digest": "5e" * 32, "artifact": None},
        "study": {"name": "quickstart", "spec": {"problem": {"batch_size": 8, "sequence_length": 128}}},
        "trial": 7,
    }
    return Plan(**(fields | changes))


def build_estimate(throughput_sps: float) -> Estimate:
    """Figures of a hundred requests; the slowest percentiles are not supported."""
    return Estimate(
        objective_value=throughput_sps,
        throughput_sps=throughput_sps,
        latency_p50_s=8 / throughput_sps,
        latency_p90_s=9 / throughput_sps,
        latency_p95_s=None,
        latency_p99_s=None,
        requests=100,
        memory_bytes=300 * 2**20,
    )


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
    return Observation(
        pid=1000 + cpu,
        cpus=(cpu,),
        threads=(ThreadMask("main", (cpu,)),),
        memory_policy="bind",
        memory_nodes=(0,),
        engine="fake",
        engine_version="1",
        precision="fp32",
        engine_threads=1,
        memory_bytes=100 * 2**20,
        peak_memory_bytes=150 * 2**20,
        load_s=0.1,
        warmup_s=0.5,
    )


def _machine(commands: Sequence[Command]) -> dict[str, Any]:
    allowed = format_cpu_list(cpu for command in commands for cpu in command.cpus) or "0"
    fingerprint = hashlib.sha256(allowed.encode()).hexdigest()[:16]
    return {"model_name": "Built CPU", "allowed": allowed, "fingerprint": fingerprint}
