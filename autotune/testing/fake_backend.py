"""A backend that computes nothing: its latency is a closed form and its faults are programmed.

It is a real backend, run in real processes, for tests and for simulated searches. What its model file says
is described in `autotune.testing.fake_model`. Neither numpy nor an engine is imported.
"""

from __future__ import annotations

import math
import os
import shutil
import signal
import sys
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, cast

from autotune.backends.onnxruntime.knobs import OPTIMIZATION, SPINNING
from autotune.backends.protocol import EngineReport
from autotune.errors import ModelError, UnsupportedError
from autotune.placement.assignment import Assignment, parse_assignment
from autotune.spec.configuration import Precision
from autotune.spec.knob import Knob
from autotune.spec.knobs import NO_KNOBS, Knobs
from autotune.spec.model_kind import MODEL_KINDS
from autotune.testing.fake_model import (
    FAKE_PRECISIONS,
    FakeModel,
    Fault,
    FaultPoint,
    parse_fake_model,
    read_fake_model,
    request_seconds,
)
from autotune.testing.noise import NoiseSource

if TYPE_CHECKING:
    import numpy as np

    from autotune.model.sources import ResolvedModel

__all__ = ["FakeBackend", "FakeModel", "parse_fake_model", "read_fake_model", "request_seconds"]

ARTIFACT_FILE = "fake_model.json"
"""The model file's copy in an artifact."""

OWN_KNOBS = (OPTIMIZATION, SPINNING)
"""Knobs of the engine itself: it plays ONNX Runtime's."""

FLOOD_BYTES = 100_000_000
"""What `flood` prints unless told otherwise."""

_PAGE_BYTES = 4096


class FakeBackend:
    """The `Backend` of models `fake:FILE`, and of no others."""

    name: ClassVar[str] = "fake"
    precisions: ClassVar[tuple[Precision, ...]] = FAKE_PRECISIONS
    packages: ClassVar[tuple[str, ...]] = ("autotune",)
    install_hint: ClassVar[str] = "it is a part of autotune"
    knobs: ClassVar[Mapping[Knob, tuple[Precision, ...]]] = dict.fromkeys(OWN_KNOBS, FAKE_PRECISIONS)

    def unsupported(self, precision: Precision, isa: frozenset[str], model_kind: str) -> str | None:  # noqa: ARG002
        """Refuse real models."""
        return None if MODEL_KINDS[model_kind].is_formula else "the fake backend runs fake models only"

    def environment(self, threads: int) -> Mapping[str, str]:  # noqa: ARG002
        """It reads no variables."""
        return {}

    def prepare(self, model: ResolvedModel, precision: Precision, directory: Path) -> None:
        """Check the model file and copy it.

        Raises:
            UnsupportedError: the model has no such precision.
            ModelError: the file is wrong.
        """
        if model.path is None:
            raise ModelError(f"{model.source!r} names no file", remedy="write fake:FILE.json")
        if precision not in read_fake_model(model.path).speed:
            raise UnsupportedError(f"the fake model {model.path} has no precision {precision!r}")
        shutil.copyfile(model.path, directory / ARTIFACT_FILE)

    def load(self, directory: Path, precision: Precision, threads: int) -> FakeSession:
        """Load in a worker: which instance this is of how many stands on its command line alone."""
        return self.load_with(directory, precision, threads, {})

    def load_with(self, directory: Path, precision: Precision, threads: int, knobs: Knobs) -> FakeSession:
        """See `TakesKnobs.load_with`; those of the process make it faster or slower too."""
        model = read_fake_model(directory / ARTIFACT_FILE)
        session = FakeSession(model, parse_assignment(sys.argv[1:]), precision, threads, knobs)
        time.sleep(model.load_s)
        session.strike("load")
        return session


@dataclass(frozen=True)
class FakeOutput:
    """Stands in for an array `(batch, 1)` of one value, so that workers need not load numpy."""

    shape: tuple[int, int]
    value: float

    def __getitem__(self, row: int) -> float:
        """The answer to one sequence."""
        return self.value

    def min(self) -> float:
        """The least of its values; NaN if there is one, as in numpy."""
        return self.value

    def max(self) -> float:
        """The greatest of its values; NaN if there is one, as in numpy."""
        return self.value


@dataclass
class Effects:
    """What faults have changed in a session so far."""

    value: float = 0.0
    extra_rows: int = 0
    slowness: float = 1.0
    extra_threads: int = 0
    precision: str = ""
    knobs: Knobs = field(default_factory=dict)
    ballast: list[bytearray] = field(default_factory=list)


class FakeSession:
    """A loaded fake model; its requests take what the closed form and the noise say."""

    def __init__(
        self,
        model: FakeModel,
        assignment: Assignment,
        precision: Precision,
        threads: int,
        knobs: Knobs = NO_KNOBS,
    ) -> None:
        self._model = model
        self._assignment = assignment
        self._threads = threads or model.default_threads
        own = {knob.name: knobs.get(knob.name, knob.usual) for knob in OWN_KNOBS}
        self._effects = Effects(precision=precision, knobs=own, ballast=[_touched(model.memory_bytes)])
        self._precision, self._knobs = precision, knobs
        self._noise = NoiseSource(model.noise, assignment.seed, launch=os.getpid())
        self._next: FaultPoint | None = "warmup"

    def run(self, inputs: Mapping[str, np.ndarray[Any, Any]]) -> np.ndarray[Any, Any]:
        """Take the closed form's time for this request, as the noise of this moment stretches it."""
        if self._next is not None:
            self.strike(self._next)
            self._next = None
        take = _burn if self._model.timing == "busy" else time.sleep
        batch, tokens = self._shape(inputs)
        seconds = request_seconds(
            self._model,
            batch,
            tokens,
            self._threads,
            self._assignment.instances,
            self._precision,
            self._knobs,
        )
        take(seconds * self._effects.slowness * self._noise.factor(time.monotonic()))
        rows = batch + self._effects.extra_rows
        return cast("np.ndarray[Any, Any]", FakeOutput((rows, 1), self._effects.value))

    def _shape(self, inputs: Mapping[str, np.ndarray[Any, Any]]) -> tuple[int, int]:
        """`(batch, tokens)` of a request; without arrays, of the one that the worker was started for."""
        for array in inputs.values():
            batch, tokens = array.shape
            return batch, tokens
        return self._assignment.batch_size, self._assignment.sequence_length

    def report(self) -> EngineReport:
        """Say what was asked, unless a fault says otherwise; what comes after is measuring."""
        self._next = "measure"
        threads = self._threads + self._effects.extra_threads
        return EngineReport("fake", "1", self._effects.precision, threads, self._effects.knobs)

    def close(self) -> None:
        """Drop the memory."""
        self._effects.ballast.clear()

    def strike(self, point: FaultPoint) -> None:
        """Let every fault of this point happen that is meant for this worker."""
        for fault in self._model.faults:
            if fault.at == point and _is_meant(fault, self._assignment):
                _FAULTS[fault.fault](fault, self._effects)


def _is_meant(fault: Fault, assignment: Assignment) -> bool:
    if fault.instance is not None and fault.instance != assignment.instance:
        return False
    if fault.marker and not Path(fault.marker).exists():
        return False
    return all(getattr(assignment, name) == wanted for name, wanted in fault.when.items())


def _burn(cpu_s: float) -> None:
    """Use this much CPU time on this thread: on a shared cpu it takes longer, as real work does."""
    end_s = time.thread_time() + cpu_s
    while time.thread_time() < end_s:
        pass


def _touched(size_bytes: int) -> bytearray:
    """Allocate memory and write to every page, so that it is really there."""
    memory = bytearray(size_bytes)
    memory[::_PAGE_BYTES] = b"\1" * len(range(0, size_bytes, _PAGE_BYTES))
    return memory


def _crash(fault: Fault, effects: Effects) -> None:  # noqa: ARG001
    sys.stderr.write("fake engine: \x1b[31mcannot go on\x1b[0m\n")
    sys.stderr.flush()
    os._exit(70)


def _abort(fault: Fault, effects: Effects) -> None:  # noqa: ARG001
    os.abort()


def _exit_without_result(fault: Fault, effects: Effects) -> None:  # noqa: ARG001
    os._exit(0)


def _hang(fault: Fault, effects: Effects) -> None:  # noqa: ARG001
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    while True:
        signal.pause()


def _flood(fault: Fault, effects: Effects) -> None:  # noqa: ARG001
    line = b"x" * 99 + b"\n"
    for _ in range(int(fault.amount or FLOOD_BYTES) // (len(line) * 1000)):
        os.write(1, line * 1000)


def _allocate(fault: Fault, effects: Effects) -> None:
    effects.ballast.append(_touched(int(fault.amount or 0)))


def _memory_error(fault: Fault, effects: Effects) -> None:  # noqa: ARG001
    raise MemoryError


def _unsupported(fault: Fault, effects: Effects) -> None:  # noqa: ARG001
    raise UnsupportedError("the fake engine does not know the operator Fancy")


def _nan(fault: Fault, effects: Effects) -> None:  # noqa: ARG001
    effects.value = math.nan


def _wrong_batch(fault: Fault, effects: Effects) -> None:  # noqa: ARG001
    effects.extra_rows = 1


def _slow(fault: Fault, effects: Effects) -> None:
    effects.slowness *= fault.amount or 1.0


def _wrong_threads(fault: Fault, effects: Effects) -> None:  # noqa: ARG001
    effects.extra_threads = 1


def _wrong_precision(fault: Fault, effects: Effects) -> None:  # noqa: ARG001
    effects.precision = "bf16" if effects.precision == "fp32" else "fp32"


def _wrong_knobs(fault: Fault, effects: Effects) -> None:  # noqa: ARG001
    effects.knobs = {knob.name: knob.usual for knob in OWN_KNOBS}


def _wrong_affinity(fault: Fault, effects: Effects) -> None:  # noqa: ARG001
    """Start a thread and let it run everywhere, as an engine with a pinning of its own does."""
    moved = threading.Event()

    def stray() -> None:
        os.sched_setaffinity(0, range(os.cpu_count() or 1))
        moved.set()
        threading.Event().wait()

    threading.Thread(target=stray, name="stray", daemon=True).start()
    moved.wait()


_FAULTS: Mapping[str, Callable[[Fault, Effects], None]] = {
    "crash": _crash,
    "abort": _abort,
    "exit_without_result": _exit_without_result,
    "hang_ignoring_sigterm": _hang,
    "flood": _flood,
    "allocate_bytes": _allocate,
    "memory_error": _memory_error,
    "unsupported": _unsupported,
    "nan": _nan,
    "wrong_batch": _wrong_batch,
    "slow": _slow,
    "wrong_affinity": _wrong_affinity,
    "wrong_threads": _wrong_threads,
    "wrong_precision": _wrong_precision,
    "wrong_knobs": _wrong_knobs,
}
