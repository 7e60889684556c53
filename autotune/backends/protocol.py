"""What an engine must offer to be searched: the `Backend` and `Session` protocols.

A backend's module is imported by the parent, so it imports its engine inside functions only. `prepare`
runs in a child process, once per artifact; `load` and `run` run in the pinned workers.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Protocol, runtime_checkable

from autotune.spec.configuration import Precision
from autotune.spec.knob import Knob
from autotune.spec.knobs import Knobs

if TYPE_CHECKING:
    import numpy as np

    from autotune.model.sources import ResolvedModel


Shape = tuple[int, int]
"""Of a request: `(batch, tokens)`."""

MOST_ALONE = 8
"""Shapes of request that something is made for alone: each of them is tried with the model itself."""


@dataclass(frozen=True)
class EngineReport:
    """What a loaded engine says of itself, read back and not assumed.

    Attributes:
        precision: the real precision of the weights that dominate the arithmetic.
        threads: intra-op threads in use.
        knobs: values of those of the engine's knobs that it can tell, by name.
    """

    engine: str
    version: str
    precision: str
    threads: int
    knobs: Mapping[str, str] = field(default_factory=dict)


class Session(Protocol):
    """One loaded model in one worker process."""

    def run(self, inputs: Mapping[str, np.ndarray[Any, Any]]) -> np.ndarray[Any, Any]:
        """Run one batch; the answer is the model's first output, first axis = batch.

        Args:
            inputs: arrays `(batch, tokens)` by name, as `autotune.model.inputs` makes them: int64, but for
                ONNX files that take int32.
        """
        ...

    def report(self) -> EngineReport:
        """Say what really runs."""
        ...

    def close(self) -> None:
        """Release the engine's threads and memory."""
        ...


class Backend(Protocol):
    """One engine. Stateless; constructed without arguments; importing its module imports no engine."""

    name: ClassVar[str]
    """As written in study files: `pytorch`, `onnxruntime`."""
    precisions: ClassVar[tuple[Precision, ...]]
    """Every precision it can have anywhere."""
    packages: ClassVar[tuple[str, ...]]
    """Distributions whose versions decide its speed; recorded with every artifact, study and plan."""
    install_hint: ClassVar[str]
    """The command that installs it."""

    def unsupported(self, precision: Precision, isa: frozenset[str], model_kind: str) -> str | None:
        """Say why this precision (for a model source of this kind) is no use on this ISA; None if it is.

        Args:
            isa: flags as in `Machine.isa`.
            model_kind: the source's prefix, a key of `autotune.spec.model_kind.MODEL_KINDS`, which says what
                can be done with such models.
        """
        ...

    def environment(self, threads: int) -> Mapping[str, str]:
        """Variables that the engine must see from its start; `threads` 0 = the engine's default."""
        ...

    def prepare(self, model: ResolvedModel, precision: Precision, directory: Path) -> None:
        """Write everything that `load` needs into the empty `directory`. Runs in a child process.

        What describes the inputs (`inputs.json`) is added by the caller.

        Args:
            model: its `path` is a transformers folder at fp32 (`config.json`, `model.safetensors`)
                whatever the source's kind; of an `onnx` one, its file, with its weights beside it; of a fake
                one, its file.

        Raises:
            UnsupportedError: this engine cannot take this architecture or precision; in its own words.
        """
        ...

    def load(self, directory: Path, precision: Precision, threads: int) -> Session:
        """Load a prepared artifact with `threads` intra-op threads (0 = the engine's default)."""
        ...


@dataclass(frozen=True)
class Derivation:
    """What a precision is made from.

    Attributes:
        base: the finished artifact of the precision that this one is made from.
        isa: flags as in `Machine.isa`.
        calibration: a folder for `autotune.model.calibration.read_requests`; None where the precision is not
            among the `calibrated`.
    """

    base: Path
    precision: Precision
    isa: frozenset[str]
    calibration: Path | None = None


@runtime_checkable
class DerivesPrecisions(Protocol):
    """A backend that makes some precisions from its own artifact of another, to export only once."""

    derived: ClassVar[Mapping[Precision, Precision]]
    """From a precision to the one that it is made from; `prepare` is not asked for these."""

    calibrated: ClassVar[frozenset[Precision]]
    """Those of the derived ones whose scales come from the answers to calibration requests."""

    def derive(self, derivation: Derivation, directory: Path) -> None:
        """Write everything that `load` needs into the empty `directory`. Runs in a child process.

        Raises:
            UnsupportedError: this engine cannot take this precision; in its own words.
        """
        ...


@runtime_checkable
class Documented(Protocol):
    """A backend that says how people start its engine: a backend that does not, at fp32."""

    documented: ClassVar[tuple[Precision, ...]]
    """The precisions that the engine's own documentation starts encoders at on a cpu: one process, the
    engine's own thread count. They are measured beside what autotune finds."""


@dataclass(frozen=True)
class StatedTimes:
    """What is expected of an engine where nothing was seen of it on this machine.

    Attributes:
        preparing_s: seconds of preparing by precision, without what it is made from, imports done, for a
            model of DistilBERT's size.
        trial_s: seconds of a trial: imports, warm-up and blocks.
        built_on: the engine that this one compiles from, where it is too slow to be looked at: at least about
            as fast as that one is; empty = none.

    Source of those that autotune's engines state: DistilBERT on a two-cpu guest on AMD Zen 4
    (studies/benchmarks/preparation.py, worker_start.py). Another machine may take half or three times as
    long.
    """

    preparing_s: Mapping[Precision, float] = field(default_factory=dict)
    trial_s: float = 6.0
    built_on: str = ""


@runtime_checkable
class StatesTimes(Protocol):
    """A backend that says what it takes."""

    times: ClassVar[StatedTimes]


@runtime_checkable
class TakesKnobs(Protocol):
    """A backend with settings of its own, or whose libraries read the process's."""

    knobs: ClassVar[Mapping[Knob, tuple[Precision, ...]]]
    """The precisions at which each of its knobs can matter; `allocator` matters to every engine.

    A knob that several engines read is one declaration, which they share. No two knobs have one name.
    """

    def load_with(self, directory: Path, precision: Precision, threads: int, knobs: Knobs) -> Session:
        """Load as `load` does, with these settings; those that belong to the process are in force already.

        `Session.report` reads back what is in force.
        """
        ...


@runtime_checkable
class LoadsWith(Protocol):
    """A backend whose artifacts are loaded with fewer distributions than they are made with."""

    loads_with: ClassVar[tuple[str, ...]]
    """Those of its `packages` that a process needs which only serves."""


@runtime_checkable
class MakesOptions(Protocol):
    """A backend whose engine is told of threads and knobs when a session of its own is made."""

    def session_options(self, precision: Precision, threads: int, knobs: Knobs) -> Any:
        """Give what the engine takes beside the model, as `load_with` gives it; `threads` 0 = its default."""
        ...


@runtime_checkable
class SetsThreads(Protocol):
    """A backend whose engine is told of threads and knobs once, for the whole process."""

    def set_threads(self, threads: int, knobs: Knobs) -> None:
        """Tell it, as `load_with` does; `threads` 0 = the engine's default."""
        ...


@runtime_checkable
class PreparesKnobs(Protocol):
    """A backend some of whose knobs are turned in preparation (`Knob.prepares`).

    What is derived from an artifact that was made with them, at another precision, has them too; its sessions
    report them like those that are turned when it is loaded.
    """

    kinds_with_knobs: ClassVar[frozenset[str]]
    """The kinds of model sources with which these can be turned, as `Backend.unsupported` is told them."""

    def prepare_with(self, model: ResolvedModel, precision: Precision, knobs: Knobs, directory: Path) -> None:
        """Write what `Backend.prepare` does, with these knobs turned; at least one is.

        Raises:
            UnsupportedError: they cannot be turned for this architecture; in the engine's words.
        """
        ...


@runtime_checkable
class CompilesShapes(Protocol):
    """A backend whose code is for one shape of request each: compiled once, so that workers only load it.

    Its sessions answer other shapes too, after compiling for them.
    """

    def compile_shapes(self, base: Path, shapes: tuple[Shape, ...], directory: Path) -> None:
        """Write the artifact `base` and code for these shapes into the empty `directory`.

        Runs in a child process. What describes the inputs (`inputs.json`) is added by the caller.

        Args:
            base: the finished artifact of the same precision, for no shapes in particular.
        """
        ...


@runtime_checkable
class ExportsForShapes(Protocol):
    """A backend that may find a way of export for some shapes of request where it finds none for all."""

    def prepare_for(
        self, model: ResolvedModel, precision: Precision, shapes: Sequence[Shape], directory: Path
    ) -> None:
        """Write what `Backend.prepare` does for a transformers folder, or what holds for these shapes alone.

        Which of them it is stands in the `autotune.model.exported.Export` that is written beside it.

        Args:
            shapes: of the requests to come; where they are more than `MOST_ALONE`, nothing may be made that
                holds for them alone.

        Raises:
            UnsupportedError: as from `Backend.prepare`.
        """
        ...


@runtime_checkable
class CompilesNatively(Protocol):
    """A backend whose artifacts hold machine code for everything that this cpu can do.

    They are found again only on a cpu with the same flags: on another they might crash.
    """

    compiles_natively: ClassVar[bool]
    """True."""
