"""torch.compile's Inductor, ahead of time: compiled in preparation; workers load a shared library."""

# The protocol hands every engine more than each needs.
# ruff: noqa: ARG002

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from autotune.backends.inductor.compiler import refuse_compiling
from autotune.backends.inductor.library import InductorLibrary
from autotune.backends.protocol import EngineReport, Session, Shape, StatedTimes
from autotune.backends.torch.engine import (
    prevailing_precision,
    refuse_model,
    refuse_precision,
)
from autotune.backends.torch.knobs import torch_knobs
from autotune.backends.torch.prepared import LoadMade, PreparedByTorch
from autotune.spec.configuration import Precision
from autotune.spec.knob import Knob
from autotune.spec.knobs import Knobs

if TYPE_CHECKING:
    import numpy as np


class InductorBackend(PreparedByTorch):
    """Transformers models as `torch.export` and AOTInductor make them, with free batch size and length."""

    name: ClassVar[str] = "inductor"
    precisions: ClassVar[tuple[Precision, ...]] = ("fp32", "bf16")
    packages: ClassVar[tuple[str, ...]] = ("torch", "transformers", "safetensors")
    loads_with: ClassVar[tuple[str, ...]] = ("torch",)
    install_hint: ClassVar[str] = "pip install torch transformers safetensors"
    compiles_natively: ClassVar[bool] = True
    knobs: ClassVar[Mapping[Knob, tuple[Precision, ...]]] = torch_knobs(precisions, eager=False)
    times: ClassVar[StatedTimes] = StatedTimes({"fp32": 23.0, "bf16": 20.0}, trial_s=7.0, built_on="pytorch")

    def unsupported(self, precision: Precision, isa: frozenset[str], model_kind: str) -> str | None:
        """See `Backend.unsupported`."""
        return (
            refuse_model(self.name, model_kind)
            or (f"{self.name} has no {precision}" if precision not in self.precisions else None)
            or refuse_precision(self.name, precision, isa)
            or refuse_compiling()
        )

    def make(
        self, folder: Path, precision: Precision, shapes: Sequence[Shape], directory: Path, load: LoadMade
    ) -> None:
        """See `PreparedByTorch.make`."""
        from autotune.backends.inductor.compile import compile_model

        compile_model(folder, precision, shapes, directory, load)

    def load(self, directory: Path, precision: Precision, threads: int) -> Session:
        """See `Backend.load`."""
        from autotune.model.inputs import read_inputs

        return InductorSession(InductorLibrary(directory, threads), tuple(read_inputs(directory).arrays))

    def load_with(self, directory: Path, precision: Precision, threads: int, knobs: Knobs) -> Session:
        """See `TakesKnobs.load_with`; all of them are the process's."""
        return self.load(directory, precision, threads)


class InductorSession:
    """One compiled model; see `Session`."""

    def __init__(self, library: InductorLibrary, names: tuple[str, ...]) -> None:
        import torch

        self._torch = torch
        self._library: InductorLibrary | None = library
        self._names = names

    def run(self, inputs: Mapping[str, np.ndarray[Any, Any]]) -> np.ndarray[Any, Any]:
        """See `Session.run`."""
        torch = self._torch
        assert self._library is not None
        with torch.inference_mode():
            output = self._library(*(torch.from_numpy(inputs[name]) for name in self._names))
            answer: np.ndarray[Any, Any] = output.numpy()
        return answer

    def report(self) -> EngineReport:
        """See `Session.report`; the precision is that of the library's weights as loaded."""
        assert self._library is not None
        return EngineReport(
            engine="inductor",
            version=self._torch.__version__,
            precision=prevailing_precision(self._library.weights()),
            threads=self._library.threads,
        )

    def close(self) -> None:
        """See `Session.close`; the thread pool stays until the process ends."""
        self._library = None
