"""TorchScript: the transformers model traced and frozen in preparation; workers load the graph alone."""

# The protocol hands every engine more than each needs.
# ruff: noqa: ARG002

from __future__ import annotations

import sys
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from autotune.backends.protocol import EngineReport, Session, Shape, StatedTimes
from autotune.backends.torch.engine import (
    prevailing_precision,
    refuse_model,
    refuse_precision,
    torch_folder,
)
from autotune.backends.torch.knobs import set_torch_threads, torch_knobs, torch_knobs_in_force
from autotune.backends.torch.prepared import LoadMade, PreparedByTorch
from autotune.backends.torchscript.graph import MODEL_FILE, multiplied_weights
from autotune.spec.configuration import Precision
from autotune.spec.knob import Knob
from autotune.spec.knobs import Knobs

if TYPE_CHECKING:
    import numpy as np

LAST_PYTHON = (3, 13)
"""Source: torch/jit/_script.py: TorchScript "is not supported in Python 3.14+ and may break"."""


class TorchScriptBackend(PreparedByTorch):
    """Traced and frozen transformers models; int8 by `torch.ao.quantization.quantize_dynamic` before tracing.

    `torch.jit.optimize_for_inference` is left out: what it makes is bound to the process and cannot be saved.
    """

    name: ClassVar[str] = "torchscript"
    precisions: ClassVar[tuple[Precision, ...]] = ("fp32", "bf16", "int8-dynamic")
    packages: ClassVar[tuple[str, ...]] = ("torch", "transformers", "safetensors")
    loads_with: ClassVar[tuple[str, ...]] = ("torch",)
    install_hint: ClassVar[str] = "pip install torch transformers safetensors"
    knobs: ClassVar[Mapping[Knob, tuple[Precision, ...]]] = torch_knobs(precisions, eager=True)
    times: ClassVar[StatedTimes] = StatedTimes(
        {"fp32": 1.4, "bf16": 1.0, "int8-dynamic": 1.4}, trial_s=7.0, built_on="pytorch"
    )

    def unsupported(self, precision: Precision, isa: frozenset[str], model_kind: str) -> str | None:
        """See `Backend.unsupported`."""
        return (
            refuse_model(self.name, model_kind)
            or refuse_precision(self.name, precision, isa)
            or refuse_tracing(sys.version_info[:2], torch_folder())
        )

    def make(
        self, folder: Path, precision: Precision, shapes: Sequence[Shape], directory: Path, load: LoadMade
    ) -> None:
        """See `PreparedByTorch.make`."""
        from autotune.backends.torchscript.tracing import trace_model

        trace_model(folder, precision, shapes, directory, load)

    def load(self, directory: Path, precision: Precision, threads: int) -> Session:
        """See `Backend.load`."""
        return self.load_with(directory, precision, threads, {})

    def load_with(self, directory: Path, precision: Precision, threads: int, knobs: Knobs) -> Session:
        """See `TakesKnobs.load_with`; weights are read, not mapped, into memory first touched here."""
        import torch

        from autotune.model.inputs import read_inputs

        self.set_threads(threads, knobs)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            module = torch.jit.load(str(directory / MODEL_FILE), map_location="cpu")
        return TorchScriptSession(module, tuple(read_inputs(directory).arrays))

    def set_threads(self, threads: int, knobs: Knobs) -> None:
        """See `SetsThreads.set_threads`."""
        set_torch_threads(threads, knobs)


class TorchScriptSession:
    """One frozen graph; see `Session`."""

    def __init__(self, module: Any, names: tuple[str, ...]) -> None:
        import torch

        self._torch = torch
        self._module = module
        self._names = names

    def run(self, inputs: Mapping[str, np.ndarray[Any, Any]]) -> np.ndarray[Any, Any]:
        """See `Session.run`."""
        torch = self._torch
        with torch.inference_mode():
            output = self._module(*(torch.from_numpy(inputs[name]) for name in self._names))
            answer: np.ndarray[Any, Any] = output.numpy()
        return answer

    def report(self) -> EngineReport:
        """See `Session.report`; the precision is of the constants that the loaded graph multiplies by."""
        return EngineReport(
            engine="torchscript",
            version=self._torch.__version__,
            precision=prevailing_precision(multiplied_weights(self._module)),
            threads=self._torch.get_num_threads(),
            knobs=torch_knobs_in_force(),
        )

    def close(self) -> None:
        """See `Session.close`; the thread pool stays until the process ends."""
        self._module = None


def refuse_tracing(python: tuple[int, ...], torch_folder: Path | None) -> str | None:
    """Why there is no TorchScript; None if there is.

    Args:
        python: version of the interpreter.
        torch_folder: where torch is installed, None if it is not: which is for others to say.
    """
    if python > LAST_PYTHON:
        return f"torch has no TorchScript on Python {'.'.join(map(str, python))}"
    if torch_folder is not None and not (torch_folder / "jit" / "_trace.py").exists():
        return "this torch has no TorchScript (torch.jit.trace) any more"
    return None
