"""The study file's values: `StudySpec` and its parts."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from autotune.spec.configuration import PlacementPolicy, Precision, Scenario

Auto = Literal["auto"]


class Part(BaseModel):
    """Base of every part of a study file: frozen, unknown keys refused, no coercion between types."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class Problem(Part):
    """The request to serve: `[batch_size, sequence_length]` token ids."""

    batch_size: Annotated[int, Field(ge=1, le=65_536)]
    sequence_length: Annotated[int, Field(ge=1, le=131_072)]


class Objective(Part):
    """What is optimised: throughput up, or one percentile of latency down."""

    kind: Literal["throughput", "latency"]
    percentile: Annotated[float, Field(gt=0, lt=100)] = 50.0


class LatencyLimit(Part):
    """The percentile of latency must not exceed `max_s`."""

    percentile: Annotated[float, Field(gt=0, lt=100)]
    max_s: Annotated[float, Field(gt=0)]


class Limits(Part):
    """What a plan must meet; None = no limit."""

    latency: LatencyLimit | None = None
    memory_bytes: Annotated[int, Field(gt=0)] | None = None


class Search(Part):
    """Bounds of the space; `auto` = everything legal on this machine."""

    backends: Auto | tuple[str, ...] = "auto"
    precisions: Auto | tuple[Precision, ...] = "auto"
    instances: Auto | tuple[int, ...] = "auto"
    threads: Auto | tuple[int, ...] = "auto"
    placements: Auto | tuple[PlacementPolicy, ...] = "auto"
    sockets: Auto | tuple[str, ...] = "auto"
    """Sets of package indices as kernel lists, such as `0` or `0-1`."""
    smt: tuple[bool, ...] = (False,)
    """Whether to use both SMT siblings of a core; both values to try both."""


class Measure(Part):
    """How long one configuration is measured."""

    warmup_s: Annotated[float, Field(gt=0, le=600)] = 5.0
    """Upper bound of the warm-up; it ends earlier when successive requests agree."""
    block_s: Annotated[float, Field(gt=0, le=600)] = 1.5
    """Shortest length of one measuring window."""
    blocks: Annotated[int, Field(ge=1, le=100)] = 3
    trial_timeout_s: Annotated[float, Field(gt=0, le=86_400)] = 180.0
    """A trial that takes longer, start to end, fails with `timeout`."""


class Budget(Part):
    """When the search ends, whichever comes first; None = no such bound."""

    trials: Annotated[int, Field(ge=1, le=100_000)] | None = 60
    minutes: Annotated[float, Field(gt=0, le=10_080)] | None = 30.0


class StudySpec(Part):
    """One study: the model, the problem, what is wanted, and where to look for it."""

    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")]
    model: str
    """`random:NAME`, `path:DIR`, `hf:ORG/NAME@REVISION` or `fake:FILE` (a closed-form double)."""
    problem: Problem
    objective: Objective = Objective(kind="throughput")
    scenario: Scenario = "offline"
    limits: Limits = Limits()
    search: Search = Search()
    measure: Measure = Measure()
    budget: Budget = Budget()
    seed: Annotated[int, Field(ge=0, le=2**31 - 1)] = 0
