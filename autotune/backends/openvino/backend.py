"""OpenVINO on its CPU plugin, from fp32 to four-bit weights."""

# The protocol hands every engine more than each needs.
# ruff: noqa: ARG002

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from autotune.backends.openvino.knobs import in_force, read_knobs
from autotune.backends.openvino.runtime import (
    MODEL_FILE,
    WEIGHTS_FILE,
    compile_model,
    precision_of,
    stated_properties,
)
from autotune.backends.protocol import Derivation, EngineReport, Session, Shape
from autotune.errors import UnsupportedError
from autotune.spec.configuration import Precision
from autotune.spec.knob import Knob
from autotune.spec.knobs import Knobs
from autotune.spec.model_kind import MODEL_KINDS

if TYPE_CHECKING:
    import numpy as np

    from autotune.model.sources import ResolvedModel

NEEDED_FLAGS: Mapping[Precision, frozenset[str]] = {
    "bf16": frozenset({"avx512_bf16", "amx_bf16"}),
    "fp16": frozenset({"avx512_fp16", "amx_fp16", "asimdhp"}),
    "int8-dynamic": frozenset({"avx512_vnni", "avx_vnni"}),
}
"""Flags of cpus of which one is needed for a precision to be real.

Source: OpenVINO, intel_cpu, precision_support.cpp, which takes bf16 on any AVX-512, where oneDNN emulates it;
dnnl_fullyconnected_primitive.cpp, useDynamicQuantizationImpl.
"""


class OpenVinoBackend:
    """Models converted to OpenVINO's own format once, with free batch size and sequence length."""

    name: ClassVar[str] = "openvino"
    precisions: ClassVar[tuple[Precision, ...]] = (
        *("fp32", "bf16", "fp16"),
        *("int8-dynamic", "int8-static", "int8-weights", "int4-weights"),
    )
    documented: ClassVar[tuple[Precision, ...]] = ("fp32", "bf16")  # its own choice, by the cpu
    packages: ClassVar[tuple[str, ...]] = ("openvino", "nncf", "torch", "transformers")
    loads_with: ClassVar[tuple[str, ...]] = ("openvino",)
    install_hint: ClassVar[str] = "pip install openvino nncf"
    derived: ClassVar[Mapping[Precision, Precision]] = {
        **{"bf16": "fp32", "fp16": "fp32", "int8-static": "fp32"},
        **{"int8-weights": "fp32", "int4-weights": "fp32", "int8-dynamic": "int8-weights"},
    }
    calibrated: ClassVar[frozenset[Precision]] = frozenset({"int8-static"})
    knobs: ClassVar[Mapping[Knob, tuple[Precision, ...]]] = read_knobs(precisions)

    def unsupported(self, precision: Precision, isa: frozenset[str], model_kind: str) -> str | None:
        """See `Backend.unsupported`."""
        if MODEL_KINDS[model_kind].is_formula:
            return "openvino runs real models; a fake one runs in the fake backend"
        if precision not in self.precisions:
            return f"openvino has no {precision}"
        needed = NEEDED_FLAGS.get(precision)
        if needed is not None and not isa & needed:
            return f"openvino's {precision} is of no use on this cpu (none of {', '.join(sorted(needed))})"
        return None

    def environment(self, threads: int) -> Mapping[str, str]:
        """See `Backend.environment`; NumPy's pool would only lie idle beside the engine's."""
        return {"OPENBLAS_NUM_THREADS": "1"}

    def prepare(self, model: ResolvedModel, precision: Precision, directory: Path) -> None:
        """See `Backend.prepare`."""
        from autotune.backends.openvino.export import convert_onnx

        assert model.path is not None
        if model.path.is_file():
            convert_onnx(model.path, directory)
        else:
            self.prepare_for(model, precision, (), directory)

    def prepare_for(
        self, model: ResolvedModel, precision: Precision, shapes: Sequence[Shape], directory: Path
    ) -> None:
        """See `ExportsForShapes.prepare_for`."""
        from autotune.backends.openvino.export import export_model

        assert model.path is not None
        export_model(model.path, directory, shapes, lambda made: self.load(made, "fp32", threads=1))

    def derive(self, derivation: Derivation, directory: Path) -> None:
        """See `DerivesPrecisions.derive`; what only loading decides shares its base's weights on disk."""
        from autotune.backends.openvino.compress import compress_model, quantizes_activations

        if derivation.precision in ("bf16", "fp16", "int8-dynamic"):
            for name in (MODEL_FILE, WEIGHTS_FILE):
                os.link(derivation.base / name, directory / name)
        else:
            compress_model(derivation, directory)
        if derivation.precision == "int8-dynamic" and not quantizes_activations(derivation.base):
            raise UnsupportedError(
                "openvino does not quantise this model's activations at run time on this cpu",
                remedy="leave int8-dynamic out of search.precisions; int8-weights is the same without",
            )

    def load(self, directory: Path, precision: Precision, threads: int) -> Session:
        """See `Backend.load`."""
        return self.load_with(directory, precision, threads, {})

    def load_with(self, directory: Path, precision: Precision, threads: int, knobs: Knobs) -> Session:
        """See `TakesKnobs.load_with`."""
        return OpenVinoSession(compile_model(directory, precision, threads, knobs))

    def session_options(self, precision: Precision, threads: int, knobs: Knobs) -> Any:
        """See `MakesOptions.session_options`; gives the properties that `Core.compile_model` takes."""
        return stated_properties(precision, threads, knobs)


class OpenVinoSession:
    """One compiled model and a request for each of its streams; see `Session`."""

    def __init__(self, compiled: Any) -> None:
        self._compiled = compiled
        self._requests = [
            compiled.create_infer_request() for _ in range(compiled.get_property("NUM_STREAMS"))
        ]

    def run(self, inputs: Mapping[str, np.ndarray[Any, Any]]) -> np.ndarray[Any, Any]:
        """See `Session.run`; inputs are read where they lie, the answer is copied out of the engine."""
        if len(self._requests) > 1:
            return self._run_parts(inputs)
        output: np.ndarray[Any, Any] = self._requests[0].infer(dict(inputs), share_inputs=True)[0]
        return output

    def _run_parts(self, inputs: Mapping[str, np.ndarray[Any, Any]]) -> np.ndarray[Any, Any]:
        """Split the batch over the streams, which run at once."""
        import numpy

        batch = len(next(iter(inputs.values())))
        used = self._requests[:batch]
        split = {name: numpy.array_split(array, len(used)) for name, array in inputs.items()}
        for index, request in enumerate(used):
            part = {name: arrays[index] for name, arrays in split.items()}
            request.start_async(part, share_inputs=True)
        for request in used:
            request.wait()
        return numpy.concatenate([request.get_output_tensor(0).data for request in used])

    def report(self) -> EngineReport:
        """See `Session.report`; the precision is that of the graph that really runs."""
        import openvino

        return EngineReport(
            engine="openvino",
            version=openvino.__version__,
            precision=precision_of(self._compiled),
            threads=self._compiled.get_property("INFERENCE_NUM_THREADS"),
            knobs=in_force(self._compiled),
        )

    def close(self) -> None:
        """See `Session.close`."""
        self._requests = []
        self._compiled = None
