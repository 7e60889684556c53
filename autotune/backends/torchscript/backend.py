"""TorchScript: the transformers model traced and frozen in preparation; workers load the graph alone."""

# The protocol hands every engine more than each needs.
# ruff: noqa: ARG002

from __future__ import annotations

import sys
import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from autotune.backends import exporting
from autotune.backends.exporting import EAGER, LEAST_COSINE, LEAST_COSINE_OF_ROUNDED, Tracing, Way, Ways
from autotune.backends.protocol import EngineReport, Session, Shape
from autotune.backends.torch.engine import (
    TORCH_DTYPES,
    prevailing_precision,
    quantize_linears,
    refuse_model,
    refuse_precision,
    thread_variables,
    torch_folder,
    torch_knobs,
    torch_knobs_in_force,
    turn_torch_knobs,
)
from autotune.backends.torch.positional import example_inputs, positional_model
from autotune.model.inputs import read_inputs
from autotune.spec.configuration import Precision
from autotune.spec.knobs import Knobs

if TYPE_CHECKING:
    import numpy as np

    from autotune.model.sources import ResolvedModel

MODEL_FILE = "model.torchscript.pt"

LAST_PYTHON = (3, 13)
"""Source: torch/jit/_script.py: TorchScript "is not supported in Python 3.14+ and may break"."""

_MULTIPLICATIONS = frozenset(
    (
        *("aten::linear", "aten::matmul", "aten::mm", "aten::addmm", "aten::bmm", "aten::einsum"),
        *("aten::_convolution", "aten::conv1d", "aten::conv2d", "quantized::linear_dynamic"),
    )
)


class TorchScriptBackend:
    """Traced and frozen transformers models; int8 by `torch.ao.quantization.quantize_dynamic` before tracing.

    `torch.jit.optimize_for_inference` is left out: what it makes is bound to the process and cannot be saved.
    """

    name: ClassVar[str] = "torchscript"
    precisions: ClassVar[tuple[Precision, ...]] = ("fp32", "bf16", "int8-dynamic")
    packages: ClassVar[tuple[str, ...]] = ("torch", "transformers", "safetensors")
    install_hint: ClassVar[str] = "pip install torch transformers safetensors"
    knobs: ClassVar[Mapping[str, tuple[Precision, ...]]] = torch_knobs(precisions, eager=True)

    def unsupported(self, precision: Precision, isa: frozenset[str], model_kind: str) -> str | None:
        """See `Backend.unsupported`."""
        return (
            refuse_model(self.name, model_kind)
            or refuse_precision(self.name, precision, isa)
            or refuse_tracing(sys.version_info[:2], torch_folder())
        )

    def environment(self, threads: int) -> Mapping[str, str]:
        """See `Backend.environment`."""
        return thread_variables(threads)

    def prepare(self, model: ResolvedModel, precision: Precision, directory: Path) -> None:
        """See `Backend.prepare`."""
        self.prepare_for(model, precision, (), directory)

    def prepare_for(
        self, model: ResolvedModel, precision: Precision, shapes: Sequence[Shape], directory: Path
    ) -> None:
        """See `ExportsForShapes.prepare_for`."""
        assert model.path is not None
        module = positional_model(model.path, TORCH_DTYPES[precision])
        if precision == "int8-dynamic":
            quantize_linears(module)
        trace = partial(_trace, model.path)
        ways = Ways(
            self.name,
            (Way("torch.jit.trace", trace), Way("torch.jit.trace", trace, EAGER)),
            lambda made: self.load(made, precision, threads=1),
            LEAST_COSINE if precision == "fp32" else LEAST_COSINE_OF_ROUNDED,
        )
        exporting.export_model(ways, module, model.path, directory, shapes)

    def load(self, directory: Path, precision: Precision, threads: int) -> Session:
        """See `Backend.load`."""
        return self.load_with(directory, precision, threads, {})

    def load_with(self, directory: Path, precision: Precision, threads: int, knobs: Knobs) -> Session:
        """See `TakesKnobs.load_with`; weights are read, not mapped, into memory first touched here."""
        import torch

        if threads:
            torch.set_num_threads(threads)
        turn_torch_knobs(knobs)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            module = torch.jit.load(str(directory / MODEL_FILE), map_location="cpu")
        return TorchScriptSession(module, tuple(read_inputs(directory).arrays))


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
            precision=prevailing_precision(_multiplied_weights(self._module)),
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


def _trace(source: Path, module: Any, tracing: Tracing, folder: Path) -> None:
    """Write the module as a frozen graph."""
    import torch

    with torch.no_grad(), warnings.catch_warnings():
        # Tracing warns of every size that it might fix, and announces its end; its result is checked.
        warnings.simplefilter("ignore")
        traced = torch.jit.trace(module, example_inputs(source, tracing.shape), check_trace=False)
        torch.jit.save(torch.jit.freeze(traced), str(folder / MODEL_FILE))


def _multiplied_weights(module: Any) -> Iterator[tuple[Any, int]]:
    """dtype and size of every constant matrix of a frozen graph that is multiplied by."""
    for node in module.inlined_graph.nodes():
        if node.kind() in _MULTIPLICATIONS:
            constants = (_constant(value, module) for value in _unlisted(node.inputs()))
            matrices = (constant for constant in constants if getattr(constant, "ndim", 0) >= 2)
            yield from ((matrix.dtype, matrix.numel()) for matrix in matrices)


def _unlisted(values: Iterable[Any]) -> Iterator[Any]:
    """The values, and of lists of them, which einsum takes, those in the list."""
    for value in values:
        if value.node().kind() == "prim::ListConstruct":
            yield from value.node().inputs()
        else:
            yield value


def _constant(value: Any, module: Any) -> Any:
    """What a value of the graph is before anything runs: a constant, an attribute, or one transposed."""
    import torch

    node = value.node()
    match node.kind():
        case "prim::Constant":
            found = value.toIValue()
        case "prim::GetAttr":
            found = getattr(_constant(node.inputsAt(0), module), node.s("name"))
        case "prim::Param":
            found = module if value.debugName().startswith("self") else None
        case "aten::t" | "aten::transpose":
            found = _constant(node.inputsAt(0), module)
        case _:
            found = None
    packed = isinstance(found, torch.ScriptObject)
    return torch.ops.quantized.linear_unpack(found)[0] if packed else found
