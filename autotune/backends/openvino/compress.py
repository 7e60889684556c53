"""Quantises and compresses OpenVINO models through NNCF. Runs in a child process."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from autotune.backends.int8 import EXACT_INT8_FLAGS
from autotune.backends.openvino.export import engine_refuses
from autotune.backends.openvino.runtime import (
    MODEL_FILE,
    compile_model,
    core,
    import_openvino,
    write_compiled,
)
from autotune.backends.protocol import Derivation
from autotune.backends.reference import reference_requests
from autotune.model.calibration import read_requests
from autotune.model.inputs import read_inputs
from autotune.spec.configuration import Precision

GROUP = 32
"""Weights of a row that share a scale at four bits, where the row is a multiple of it."""

SINGLES = 4
"""Calibration requests of a single token."""


def compress_model(derivation: Derivation, directory: Path) -> None:
    """Write the base at `int8-static`, `int8-weights` or `int4-weights`.

    Raises:
        UnsupportedError: nncf cannot quantise this model; in its words.
    """
    openvino = import_openvino()
    import nncf

    nncf.set_log_level(logging.ERROR)
    model = core().read_model(derivation.base / MODEL_FILE)
    precision = derivation.precision
    with engine_refuses("nncf cannot quantise this model", f"leave {precision} out of search.precisions"):
        compressed = _COMPRESSIONS[precision](model, derivation)
    if precision != "int8-static":
        openvino.save_model(compressed, directory / MODEL_FILE, compress_to_fp16=False)
        return
    with TemporaryDirectory(dir=directory) as folder:
        openvino.save_model(compressed, Path(folder) / MODEL_FILE, compress_to_fp16=False)
        write_compiled(Path(folder), precision, directory)


def quantizes_activations(directory: Path) -> bool:
    """Whether the CPU plugin really quantises activations at run time: it shows in the answers alone."""
    request = reference_requests(directory)[-1]
    as_floats, as_integers = (
        compile_model(directory, precision, threads=1)(request)[0]
        for precision in ("int8-weights", "int8-dynamic")
    )
    return bool((as_floats != as_integers).any())


def _quantize(model: Any, derivation: Derivation) -> Any:
    """Weights and activations, the latter at scales that cover all that calibration requests showed.

    Source: measured, least cosine of all-MiniLM-L6-v2 0.993 with the extremes, 0.990 with their means.
    """
    import nncf
    from nncf.quantization.range_estimator import RangeEstimatorParametersSet

    requests = _calibration_requests(derivation)
    exact = bool(derivation.isa & EXACT_INT8_FLAGS)
    return nncf.quantize(
        model,
        nncf.Dataset(requests),
        model_type=nncf.ModelType.TRANSFORMER,
        target_device=nncf.TargetDevice.CPU,
        subset_size=len(requests),
        advanced_parameters=nncf.AdvancedQuantizationParameters(
            overflow_fix=nncf.OverflowFix.DISABLE if exact else nncf.OverflowFix.ENABLE,
            activations_range_estimator_params=RangeEstimatorParametersSet.MINMAX,
        ),
    )


def _calibration_requests(derivation: Derivation) -> list[dict[str, Any]]:
    """Those given, and single tokens: one that attends to itself alone has activations like no other."""
    assert derivation.calibration is not None
    requests = read_requests(derivation.calibration)
    if read_inputs(derivation.base).sequence_length is not None:
        return requests
    return [*requests, *({name: array[:, :1] for name, array in one.items()} for one in requests[:SINGLES])]


def _to_eight_bits(model: Any, _: Derivation) -> Any:
    import nncf

    return nncf.compress_weights(model, mode=nncf.CompressWeightsMode.INT8_ASYM)


def _to_four_bits(model: Any, _: Derivation) -> Any:
    """All weights but those that four bits harm most, which have eight: embeddings, and the last layer."""
    import nncf

    fallback = nncf.GroupSizeFallbackMode.ADJUST
    return nncf.compress_weights(
        model,
        mode=nncf.CompressWeightsMode.INT4_ASYM,
        ratio=1.0,
        group_size=GROUP,
        advanced_parameters=nncf.AdvancedCompressionParameters(group_size_fallback_mode=fallback),
    )


_COMPRESSIONS: Mapping[Precision, Callable[[Any, Derivation], Any]] = {
    "int8-static": _quantize,
    "int8-weights": _to_eight_bits,
    "int4-weights": _to_four_bits,
}
