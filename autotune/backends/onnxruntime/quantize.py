"""Quantises ONNX models with ONNX Runtime's own tools. Runs in a child process."""

from __future__ import annotations

import logging
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from autotune.backends.int8 import EXACT_INT8_FLAGS
from autotune.backends.onnx.graph import MODEL_FILE, copy_model, save_model
from autotune.backends.onnx.opset import raise_opset
from autotune.backends.protocol import Derivation
from autotune.backends.words import first_line
from autotune.errors import AutotuneError, UnsupportedError
from autotune.model.calibration import read_requests
from autotune.spec.configuration import Precision

ARM_FLAGS = frozenset({"asimd", "asimddp", "i8mm"})
"""One of these says that a cpu is an Arm one; its kernels multiply signed by signed.

Source: ONNX Runtime, `quantize_static`, Choosing parameters for CPU inference: unsigned activations on
x86-64, signed ones on Arm.
"""

LEAST_OPSET: Mapping[Precision, int] = {"int8-dynamic": 11, "int8-static": 13}
"""Of the file: the first with DynamicQuantizeLinear, and the first with a scale for every column.

Source: ONNX, Operators.md.
"""

BLOCK_SIZE = 32
"""Weights that share one scale where only weights are quantised."""
ACCURACY_LEVEL = 4
"""The kernel may round activations to int8, block by block, which is what makes it fast.

Source: ONNX Runtime, ContribOperators.md, MatMulNBits. Measured on an AMD EPYC with AVX-512 VNNI, one thread,
1024 x 768 by 768 x 3072: int4 46 ms instead of 101 ms, int8 58 ms instead of 139 ms (fp32: 141 ms), while the
relative error grows from 0.0807 to 0.0809 and from 0.0047 to 0.0072.
"""
_WEIGHT_BITS: Mapping[Precision, int] = {"int8-weights": 8, "int4-weights": 4}


def quantize_model(derivation: Derivation, directory: Path) -> None:
    """Write the model of `derivation.base`, quantised, into the empty `directory`.

    Raises:
        UnsupportedError: ONNX Runtime cannot quantise this model; in its words.
    """
    import onnx

    precision = derivation.precision
    logging.getLogger().setLevel(logging.ERROR)
    with TemporaryDirectory(dir=directory) as folder, _temporary_files_in(Path(folder)):
        # The tools write what they infer beside the model, and an artifact is not to be written into.
        copy_model(derivation.base, Path(folder))
        original, target = Path(folder) / MODEL_FILE, Path(folder) / "quantized.onnx"
        raise_opset(original, LEAST_OPSET.get(precision, 1), derivation.base)
        try:
            _QUANTIZERS[precision](original, target, derivation)
            save_model(onnx.load(target), directory)
        except (AutotuneError, MemoryError, OSError):
            raise
        except Exception as error:  # onnx's and onnxruntime's have no root in common
            raise UnsupportedError(
                f"onnxruntime cannot quantise this model: {first_line(error)}",
                remedy=f"leave {precision} out of search.precisions",
            ) from error


@contextmanager
def _temporary_files_in(folder: Path) -> Iterator[None]:
    """Have the tools put their copies of the model here, where they go with the artifact if we are killed."""
    before = tempfile.tempdir
    tempfile.tempdir = str(folder)
    try:
        yield
    finally:
        tempfile.tempdir = before


def _quantize_dynamically(original: Path, target: Path, derivation: Derivation) -> None:
    """Quantise weights, each column with a scale of its own; activations are quantised in every request.

    One scale for a whole matrix costs accuracy and is no faster. Measured of all-MiniLM-L6-v2, least cosine
    of 12 sequences: 0.92 with one scale, 0.98 with one for each column; reduced to 7 bits 0.73 and 0.98.
    """
    from onnx import TensorProto
    from onnxruntime.quantization import QuantType, quantize_dynamic

    quantize_dynamic(
        original,
        target,
        weight_type=QuantType.QInt8,
        per_channel=True,
        reduce_range=_reduces_range(derivation.isa),
        use_external_data_format=True,
        # Of what comes after operators whose results' types cannot be inferred: fused attention.
        extra_options={"DefaultTensorType": TensorProto.FLOAT},
    )


def _quantize_statically(original: Path, target: Path, derivation: Derivation) -> None:
    """Quantise the multiplications by weights; their results, and everything between them, stay at fp32.

    Weights have a scale of their own for every column.
    """
    import onnx
    from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static

    assert derivation.calibration is not None
    requests = iter(read_requests(derivation.calibration))

    class Requests(CalibrationDataReader):  # type: ignore[misc]
        def get_next(self) -> Mapping[str, Any] | None:
            return next(requests, None)

    separated, names = _separate(onnx.load(original))
    onnx.save_model(separated, original, save_as_external_data=True, location="separated.data")
    is_arm = bool(derivation.isa & ARM_FLAGS)
    kinds = ["MatMul", "Gemm"]
    quantize_static(
        original,
        target,
        Requests(),
        quant_format=QuantFormat.QDQ,
        op_types_to_quantize=kinds,
        per_channel=True,
        reduce_range=_reduces_range(derivation.isa),
        activation_type=QuantType.QInt8 if is_arm else QuantType.QUInt8,
        weight_type=QuantType.QInt8,
        nodes_to_quantize=names,
        use_external_data_format=True,
        extra_options={"OpTypesToExcludeOutputQuantization": kinds},
    )


def _separate(model: Any) -> tuple[Any, list[str]]:
    """Give every activation that is multiplied by weights a name of its own, and list those multiplications.

    What the quantiser does to a tensor it does for all that read it; the residual connections, which read
    the same ones, are to stay exact. ONNX Runtime removes these copies when it loads the model.
    """
    import onnx

    weights = {weight.name for weight in model.graph.initializer}
    nodes: list[Any] = []
    multiplications: list[str] = []
    copies: dict[str, str] = {}
    for node in model.graph.node:
        if node.op_type in ("MatMul", "Gemm") and node.input[1] in weights and node.input[0] not in weights:
            multiplications.append(node.name)
            activation = node.input[0]
            if activation not in copies:
                copies[activation] = f"{activation}/multiplied"
                nodes.append(onnx.helper.make_node("Identity", [activation], [copies[activation]]))
            node.input[0] = copies[activation]
        nodes.append(node)
    if not multiplications:
        raise ValueError("it multiplies nothing by constant weights")
    del model.graph.node[:]
    model.graph.node.extend(nodes)
    return model, multiplications


def _quantize_weights(original: Path, target: Path, derivation: Derivation) -> None:
    """Quantise weights in blocks along the sums; embeddings, and weights of a `Gemm`, stay at fp32."""
    import onnx
    from onnxruntime.quantization.matmul_nbits_quantizer import MatMulNBitsQuantizer

    quantizer = MatMulNBitsQuantizer(
        onnx.load(original),
        bits=_WEIGHT_BITS[derivation.precision],
        block_size=BLOCK_SIZE,
        is_symmetric=False,
        accuracy_level=ACCURACY_LEVEL,
        op_types_to_quantize=("MatMul",),
    )
    quantizer.process()
    quantizer.model.save_model_to_file(str(target), use_external_data_format=True)


def _reduces_range(isa: frozenset[str]) -> bool:
    return not isa & EXACT_INT8_FLAGS


_QUANTIZERS: Mapping[Precision, Callable[[Path, Path, Derivation], None]] = {
    "int8-dynamic": _quantize_dynamically,
    "int8-static": _quantize_statically,
    "int8-weights": _quantize_weights,
    "int4-weights": _quantize_weights,
}
