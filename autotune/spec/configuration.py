"""A point of the search space: what one trial runs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal, NamedTuple

from autotune.spec.knobs import preparing

PlacementPolicy = Literal["close", "spread", "per-node", "per-l3", "unpinned"]
POLICIES: tuple[PlacementPolicy, ...] = ("close", "spread", "per-node", "per-l3")
"""The policies that a study may search; `unpinned` is of the baseline and the
engines' defaults alone."""

Precision = Literal["fp32", "bf16", "fp16", "int8-dynamic", "int8-static", "int8-weights", "int4-weights"]
PRECISIONS: tuple[Precision, ...] = (
    *("fp32", "bf16", "fp16"),
    *("int8-dynamic", "int8-static", "int8-weights", "int4-weights"),
)
"""Of weights and arithmetic. `int8-dynamic`: weights and, measured anew in every request, activations;
`int8-static`: activations too, at scales fixed by calibration; `…-weights`: of the weights alone."""

Padding = Literal["", "max", "bucket", "none"]
"""Up to where sequences of different lengths are filled: the longest of all requests, the next of a few
lengths, or the longest of their own batch; empty where all have one length."""
PADDINGS: tuple[Padding, ...] = ("max", "bucket", "none")

Batching = Literal["", "arrival", "sorted", "tokens"]
"""Which sequences share a request: those that come one after the other, those of like length, or as many of
like length as a budget of tokens holds; empty where all have one length."""
BATCHINGS: tuple[Batching, ...] = ("arrival", "sorted", "tokens")


class Prepared(NamedTuple):
    """What is prepared once, for all configurations that run it.

    Attributes:
        model: as in `Configuration`.
        knobs: those of the configuration's that are turned in preparation.
    """

    model: str
    backend: str
    precision: Precision
    knobs: str = ""

    def __str__(self) -> str:
        engine = " ".join(filter(None, (self.backend, self.precision, self.knobs)))
        return f"{engine} of {self.model}" if self.model else engine


@dataclass(frozen=True, order=True)
class Configuration:
    """What one trial runs; the fields are the named Optuna parameters.

    Attributes:
        instances: worker processes, at least 1.
        threads_per_instance: intra-op threads of each; 0 leaves the engine's default (the baseline only).
        placement: how instances get their cores; `unpinned` leaves them to the kernel (the
            baseline and engines' defaults).
        sockets: indices into `Machine.packages` that may be used, as a kernel list (`0`, `0-1`).
        smt: whether both SMT siblings of a core are used (False: one cpu per core).
        backend: name of the engine.
        precision: precision of its weights and arithmetic.
        model: source of the variant, of a study that has several; else empty.
        padding, batching: what becomes of sequences of different lengths; else empty.
        knobs: settings of the process and the engine that differ from what is usual, as
            `autotune.spec.knobs` writes them: `allocator=jemalloc spinning=off`; empty = none.
        cores: of the smaller machine that it runs on, which is a part of this one, and pays for as a whole;
            0 = this machine, of which it pays for the cores that it takes.
    """

    instances: int
    threads_per_instance: int
    placement: PlacementPolicy
    sockets: str
    smt: bool
    backend: str
    precision: Precision
    model: str = ""
    padding: Padding = ""
    batching: Batching = ""
    knobs: str = ""
    cores: int = 0

    @property
    def prepared(self) -> Prepared:
        """What is prepared for it."""
        return Prepared(self.model, self.backend, self.precision, preparing(self.knobs))

    @property
    def is_plain(self) -> bool:
        """Whether it has no knobs but those that are turned in preparation.

        Then what fails in preparing it, or in its answers, fails for all that run what is prepared for it.
        """
        return self.knobs == preparing(self.knobs)

    @property
    def engine_in_words(self) -> str:
        """Engine, precision and, of several, the model."""
        return str(self.prepared._replace(knobs=""))

    def parameters(self) -> dict[str, Any]:
        """The named parameters, as Optuna stores them."""
        return asdict(self)

    @classmethod
    def from_parameters(cls, parameters: Mapping[str, Any]) -> Configuration:
        """The inverse of `parameters`; those that older versions did not know may be missing."""
        return cls(**parameters)

    def __str__(self) -> str:
        threads = self.threads_per_instance or "default"
        where = self.placement + ("+smt" if self.smt else "")
        engine = f"{self.backend} {self.precision}"
        more = (self.model, self.padding and f"padding {self.padding}", self.batching, self.knobs)
        part = f"on {self.cores} core{'' if self.cores == 1 else 's'}" if self.cores else ""
        shape = f"{self.instances} x {threads} threads"
        parts = (shape, where, f"sockets {self.sockets}", part, engine, *more)
        return ", ".join(part for part in parts if part)
