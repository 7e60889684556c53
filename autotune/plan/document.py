"""The plan as a versioned JSON document."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

from autotune.spec.configuration import PlacementPolicy, Precision, Scenario

SCHEMA: Literal["autotune.plan/1"] = "autotune.plan/1"


class Document(BaseModel):
    """Base of every part of the plan document: frozen, unknown keys refused."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class PlanConfiguration(Document):
    """The winner, in the words of `autotune.spec.configuration.Configuration`."""

    instances: int
    threads_per_instance: int
    placement: PlacementPolicy
    sockets: str
    smt: bool
    backend: str
    precision: Precision


class PlanInstance(Document):
    """One process to start; the fields of `autotune.placement.placement.Command`."""

    cpus: tuple[int, ...]
    memory_nodes: tuple[int, ...]
    argv: tuple[str, ...]
    env: dict[str, str]


class Estimate(Document):
    """Figures of one configuration, computed from its raw values.

    Attributes:
        throughput_sps: samples per second, summed over instances.
        latency_p50_s, latency_p90_s, latency_p95_s, latency_p99_s: None where the number of requests
            does not support the percentile.
        requests: how many latencies these are computed from.
        memory_bytes: proportional set size, summed over instances.
    """

    throughput_sps: float
    latency_p50_s: float | None
    latency_p90_s: float | None
    latency_p95_s: float | None
    latency_p99_s: float | None
    requests: int
    memory_bytes: int


class Plan(Document):
    """What to deploy, and the evidence for it.

    Attributes:
        objective: `throughput`, or `latency_pNN`.
        gain: of the objective over the baseline; more than 1 is better; None where the baseline failed.
        machine: what `autotune machine --json` prints, with the fingerprint.
        versions: of autotune, Python, kernel and every library that decides speed.
        model: source and digest. study: name, spec and limits.
        trial: number of the winning trial. created_s: Unix time.
    """

    schema_: Literal["autotune.plan/1"]
    id: str
    created_s: float
    objective: str
    scenario: Scenario
    configuration: PlanConfiguration
    instances: tuple[PlanInstance, ...]
    estimate: Estimate
    baseline: Estimate | None
    gain: float | None
    machine: dict[str, Any]
    versions: dict[str, str]
    model: dict[str, Any]
    study: dict[str, Any]
    trial: int
    warnings: tuple[str, ...] = ()
