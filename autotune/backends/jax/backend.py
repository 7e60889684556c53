"""XLA on the cpu through JAX: the PyTorch model by way of torchax, compiled ahead for the shapes to come."""

# The protocol hands every engine more than each needs.
# ruff: noqa: ARG002

from __future__ import annotations

import gc
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from autotune.backends.jax.program import (
    TORCHAX,
    compile_program,
    export_program,
    link_program,
    precision_of,
    read_code,
    read_weights,
    write_code,
)
from autotune.backends.protocol import EngineReport, Session, Shape, StatedTimes
from autotune.backends.torch.engine import refuse_model
from autotune.spec.configuration import Precision

if TYPE_CHECKING:
    import numpy as np

    from autotune.model.sources import ResolvedModel

POOL_VARIABLE = "PJRT_NPROC"
"""Threads of the pool that XLA computes on, read when its client is made; else as many as the process may
use cpus. Source: openxla, xla/pjrt/utils.cc, DefaultThreadPoolSize."""

POOL_THREAD = "tf_XLAEigen"
"""What the kernel calls a thread of that pool. Source: openxla, xla/pjrt/cpu/cpu_client.cc."""


class JaxBackend:
    """Programs of the transformers model in StableHLO, with code for fixed shapes beside them."""

    name: ClassVar[str] = "jax"
    precisions: ClassVar[tuple[Precision, ...]] = ("fp32",)
    packages: ClassVar[tuple[str, ...]] = ("jax", "jaxlib", "torchax", "torch", "transformers")
    loads_with: ClassVar[tuple[str, ...]] = ("jax", "jaxlib")
    install_hint: ClassVar[str] = f"pip install jax '{TORCHAX}' torch transformers"
    compiles_natively: ClassVar[bool] = True
    times: ClassVar[StatedTimes] = StatedTimes(trial_s=8.0, built_on="pytorch")

    def unsupported(self, precision: Precision, isa: frozenset[str], model_kind: str) -> str | None:
        """See `Backend.unsupported`."""
        if precision not in self.precisions:
            return f"jax has no {precision} here"
        return refuse_model(self.name, model_kind)

    def environment(self, threads: int) -> Mapping[str, str]:
        """See `Backend.environment`; NumPy's pool would only lie idle beside the engine's."""
        alone = {"JAX_PLATFORMS": "cpu", "OPENBLAS_NUM_THREADS": "1"}
        return {**alone, POOL_VARIABLE: str(threads)} if threads else alone

    def prepare(self, model: ResolvedModel, precision: Precision, directory: Path) -> None:
        """See `Backend.prepare`; has code for the shapes that every artifact is compared on."""
        from autotune.backends.reference import reference_requests

        assert model.path is not None
        export_program(model.path, directory)
        compared = [next(iter(request.values())).shape for request in reference_requests(model.path)]
        for batch, tokens in compared:
            write_code(directory, (batch, tokens), compile_program(directory, (batch, tokens)))

    def compile_shapes(self, base: Path, shapes: tuple[Shape, ...], directory: Path) -> None:
        """See `CompilesShapes.compile_shapes`."""
        link_program(base, directory)
        for shape in shapes:
            write_code(directory, shape, compile_program(directory, shape))

    def load(self, directory: Path, precision: Precision, threads: int) -> Session:
        """See `Backend.load`; `threads` is XLA's already, from the environment."""
        jax = _import_jax()
        # Otherwise a request is handed to another thread, and this one waits for it.
        jax.config.update("jax_cpu_enable_async_dispatch", False)
        return JaxSession(directory)


class JaxSession:
    """A program, its weights, and code for each shape that it has met; see `Session`."""

    def __init__(self, directory: Path) -> None:
        import numpy

        from autotune.model.inputs import read_inputs

        self._numpy = numpy
        self._directory = directory
        self._names = tuple(read_inputs(directory).arrays)
        self._weights = read_weights(directory)
        self._code: dict[Shape, Any] = {}

    def run(self, inputs: Mapping[str, np.ndarray[Any, Any]]) -> np.ndarray[Any, Any]:
        """See `Session.run`; the first request of a shape that there is no code for compiles it."""
        arrays = tuple(inputs[name].astype(self._numpy.int32) for name in self._names)
        batch, tokens = arrays[0].shape
        code = self._code_for((batch, tokens))
        answer: np.ndarray[Any, Any] = self._numpy.asarray(code(self._weights, arrays))
        return answer

    def _code_for(self, shape: Shape) -> Any:
        if shape not in self._code:
            ready = read_code(self._directory, shape, len(self._weights), len(self._names))
            self._code[shape] = ready or compile_program(self._directory, shape)
        return self._code[shape]

    def report(self) -> EngineReport:
        """See `Session.report`; the precision stands in the code of the last shape that was met."""
        import jax

        return EngineReport(
            engine="jax",
            version=jax.__version__,
            precision=precision_of(list(self._code.values())[-1]) if self._code else "unknown",
            threads=_count_pool(),
        )

    def close(self) -> None:
        """See `Session.close`; the thread pool stays until the process ends."""
        self._code = {}
        self._weights = []


def _import_jax() -> Any:
    """Import JAX quickly: the garbage collector only gets in the way of imports.

    Source: measured, in 0.7 s instead of 0.9 s.
    """
    gc.disable()
    try:
        import jax
    finally:
        gc.freeze()
        gc.enable()
    return jax


def _count_pool() -> int:
    names = (task / "comm" for task in Path("/proc/self/task").iterdir())
    return sum(name.read_text().strip() == POOL_THREAD for name in names)
