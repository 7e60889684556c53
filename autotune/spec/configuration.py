"""A point of the search space: what one trial runs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal

PlacementPolicy = Literal["close", "spread", "per-node", "per-l3", "unpinned"]
POLICIES: tuple[PlacementPolicy, ...] = ("close", "spread", "per-node", "per-l3")
"""The policies that a study may search; `unpinned` is the baseline's alone."""

Precision = Literal["fp32", "bf16", "fp16", "int8-dynamic", "int8-static", "int8-weights", "int4-weights"]
PRECISIONS: tuple[Precision, ...] = (
    *("fp32", "bf16", "fp16"),
    *("int8-dynamic", "int8-static", "int8-weights", "int4-weights"),
)
"""Of weights and arithmetic. `int8-dynamic`: weights and, measured anew in every request, activations;
`int8-static`: activations too, at scales fixed by calibration; `…-weights`: of the weights alone."""

Scenario = Literal["offline", "single_stream", "server"]


@dataclass(frozen=True, order=True)
class Configuration:
    """What one trial runs; the fields are the named Optuna parameters.

    Attributes:
        instances: worker processes, at least 1.
        threads_per_instance: intra-op threads of each; 0 leaves the engine's default (the baseline only).
        placement: how instances get their cores; `unpinned` leaves them to the kernel (the baseline only).
        sockets: indices into `Machine.packages` that may be used, as a kernel list (`0`, `0-1`).
        smt: whether both SMT siblings of a core are used (False: one cpu per core).
        backend: name of the engine.
        precision: precision of its weights and arithmetic.
    """

    instances: int
    threads_per_instance: int
    placement: PlacementPolicy
    sockets: str
    smt: bool
    backend: str
    precision: Precision

    def parameters(self) -> dict[str, Any]:
        """The named parameters, as Optuna stores them."""
        return asdict(self)

    @classmethod
    def from_parameters(cls, parameters: Mapping[str, Any]) -> Configuration:
        """The inverse of `parameters`."""
        return cls(**parameters)

    def __str__(self) -> str:
        threads = self.threads_per_instance or "default"
        where = self.placement + ("+smt" if self.smt else "")
        engine = f"{self.backend} {self.precision}"
        return f"{self.instances} x {threads} threads, {where}, sockets {self.sockets}, {engine}"
