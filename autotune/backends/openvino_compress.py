"""Quantises and compresses OpenVINO models through NNCF. Runs in a child process."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

from autotune.backends.onnx_quantize import EXACT_INT8_FLAGS
from autotune.backends.openvino_export import engine_refuses
from autotune.backends.openvino_runtime import MODEL_FILE, compile_model, import_openvino
from autotune.backends.protocol import Derivation
from autotune.backends.reference import reference_requests
from autotune.model.calibration import read_requests

GROUP = 32
"""Weights of a row that share a scale at four bits, where the row is a multiple of it."""


def compress_model(derivation: Derivation, directory: Path) -> None:
    """Write the base at `int8-static`, `int8-weights` or `int4-weights`.

    Raises:
        UnsupportedError: nncf cannot quantise this model; in its words.
    """
    openvino = import_openvino()
    import nncf

    nncf.set_log_level(logging.ERROR)
    model = openvino.Core().read_model(derivation.base / MODEL_FILE)
    with engine_refuses("nncf cannot quantise this model", f"leave {derivation.precision} out"):
        if derivation.precision == "int8-static":
            model = _quantize(model, derivation)
        elif derivation.precision == "int8-weights":
            model = nncf.compress_weights(model, mode=nncf.CompressWeightsMode.INT8_ASYM)
        else:
            model = _to_four_bits(model)
    openvino.save_model(model, directory / MODEL_FILE, compress_to_fp16=False)


def quantizes_activations(directory: Path) -> bool:
    """Whether the CPU plugin really quantises activations at run time: it shows in the answers alone."""
    request = reference_requests(directory)[-1]
    as_floats, as_integers = (
        compile_model(directory, precision, threads=1)(request)[0]
        for precision in ("int8-weights", "int8-dynamic")
    )
    return bool((as_floats != as_integers).any())


def _quantize(model: Any, derivation: Derivation) -> Any:
    """Weights and activations, the latter at scales from the calibration requests."""
    import nncf

    assert derivation.calibration is not None
    requests = read_requests(derivation.calibration)
    exact = bool(derivation.isa & EXACT_INT8_FLAGS)
    fix = nncf.OverflowFix.DISABLE if exact else nncf.OverflowFix.ENABLE
    return nncf.quantize(
        model,
        nncf.Dataset(requests),
        model_type=nncf.ModelType.TRANSFORMER,
        target_device=nncf.TargetDevice.CPU,
        subset_size=len(requests),
        advanced_parameters=nncf.AdvancedQuantizationParameters(overflow_fix=fix),
    )


def _to_four_bits(model: Any) -> Any:
    """All weights but those that four bits harm most, which have eight: embeddings, and the last layer."""
    import nncf

    adjusted = nncf.AdvancedCompressionParameters(group_size_fallback_mode=nncf.GroupSizeFallbackMode.ADJUST)
    return nncf.compress_weights(
        model,
        mode=nncf.CompressWeightsMode.INT4_SYM,
        ratio=1.0,
        group_size=GROUP,
        advanced_parameters=adjusted,
    )
