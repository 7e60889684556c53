"""Makes ONNX models: exported from the transformers model, and quantised. Runs in a child process."""

from __future__ import annotations

import logging
import math
import warnings
from collections import Counter
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from autotune.backends.transformers_model import load_model
from autotune.errors import UnsupportedError
from autotune.model.inputs import make_inputs

MODEL_FILE = "model.onnx"
DATA_FILE = "model.onnx.data"
PRECISION_KEY = "autotune.precision"
"""Metadata of the model, which the session shows: the precision found in its optimised graph."""

MULTIPLICATIONS = frozenset(
    (
        *("MatMul", "Gemm", "FusedMatMul", "FusedGemm", "Attention", "MultiHeadAttention"),
        *("MatMulInteger", "MatMulIntegerToFloat", "DynamicQuantizeMatMul", "QLinearMatMul", "QAttention"),
        *("MatMulNBits", "MatMulBnb4", "MatMulFpQ4"),
    )
)

EXACT_INT8_FLAGS = frozenset({"avx512_vnni", "avx_vnni", "amx_int8", "asimddp", "i8mm"})
"""Flags of cpus that add int8 products without saturating on the way.

Source: ONNX Runtime, "Quantize ONNX models", When and why do I need to try U8U8: x86-64 cpus without VNNI
saturate 16-bit sums, against which weights are reduced to 7 bits.
"""


def export_model(source: Path, directory: Path) -> None:
    """Export a prepared transformers folder to ONNX at fp32, batch size and sequence length left free.

    Raises:
        UnsupportedError: torch cannot export this architecture; in its words.
    """
    import onnx

    with TemporaryDirectory(dir=directory) as exported:
        _export(source, Path(exported) / MODEL_FILE)
        graph = onnx.load(Path(exported) / MODEL_FILE)
    # quantize_dynamic infers shapes itself, and fails where the exporter's differ.
    del graph.graph.value_info[:]
    _save(graph, directory)


def quantize_model(base: Path, directory: Path, isa: frozenset[str]) -> None:
    """Quantise the weights of an exported model to int8; activations follow at run time.

    Raises:
        UnsupportedError: ONNX Runtime cannot quantise this model; in its words.
    """
    import onnx
    from onnxruntime.quantization import QuantType, quantize_dynamic

    logging.getLogger().setLevel(logging.ERROR)
    with TemporaryDirectory(dir=directory) as quantized:
        target = Path(quantized) / MODEL_FILE
        try:
            quantize_dynamic(
                base / MODEL_FILE,
                target,
                weight_type=QuantType.QInt8,
                reduce_range=not isa & EXACT_INT8_FLAGS,
                use_external_data_format=True,
            )
        except (ValueError, RuntimeError, NotImplementedError) as error:
            raise UnsupportedError(
                f"onnxruntime cannot quantise this model: {error}", remedy="leave int8-dynamic out"
            ) from error
        graph = onnx.load(target)
    _save(graph, directory)


def _export(source: Path, target: Path) -> None:
    """Write the exporter's own model."""
    import torch

    model = load_model(source, "float32")
    example = make_inputs(source, batch_size=2, sequence_length=8, seed=0)
    free = {0: torch.export.Dim.DYNAMIC, 1: torch.export.Dim.DYNAMIC}
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            program = torch.onnx.export(
                _first_output(model, tuple(example)),
                tuple(torch.from_numpy(array) for array in example.values()),
                dynamo=True,
                dynamic_shapes=((free,) * len(example),),
                input_names=list(example),
                output_names=["output"],
                verbose=False,
            )
        program.save(target, external_data=True)
    except (torch.onnx.OnnxExporterError, RuntimeError, TypeError, ValueError) as error:
        raise UnsupportedError(
            f"torch cannot export this architecture to ONNX: {_reason(error)}",
            remedy="leave onnxruntime out of search.backends",
        ) from error


def _first_output(model: Any, names: tuple[str, ...]) -> Any:
    """The model as a module from arrays in the order of `names` to its first output alone."""
    import torch

    class FirstOutput(torch.nn.Module):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.model = model

        def forward(self, *arrays: Any) -> Any:
            return self.model(**dict(zip(names, arrays, strict=True)))[0]

    return FirstOutput().eval()


def _reason(error: BaseException) -> str:
    """The first cause's own words; the exporter wraps them in advice on how to report it."""
    while error.__cause__ is not None:
        error = error.__cause__
    return next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)


def _save(model: Any, directory: Path) -> None:
    """Write the model with its weights beside it, and into it the precision that it really runs at."""
    import onnx

    onnx.save_model(
        model, directory / MODEL_FILE, save_as_external_data=True, location=DATA_FILE, size_threshold=1024
    )
    saved = onnx.load(directory / MODEL_FILE, load_external_data=False)
    onnx.helper.set_model_props(saved, {PRECISION_KEY: _precision_of(_optimised(directory / MODEL_FILE))})
    onnx.save(saved, directory / MODEL_FILE)


def _optimised(file: Path) -> Any:
    """The graph that ONNX Runtime makes of the model when it loads it."""
    import onnx
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 3
    options.add_session_config_entry("session.optimized_model_external_initializers_file_name", DATA_FILE)
    with TemporaryDirectory(dir=file.parent) as folder:
        options.optimized_model_filepath = str(Path(folder) / MODEL_FILE)
        onnxruntime.InferenceSession(file, options, providers=["CPUExecutionProvider"])
        return onnx.load(Path(folder) / MODEL_FILE, load_external_data=False)


def _precision_of(model: Any) -> str:
    """The precision of most of the weights that the graph multiplies by."""
    from onnx import TensorProto

    names = {
        TensorProto.FLOAT: "fp32",
        TensorProto.FLOAT16: "fp16",
        TensorProto.BFLOAT16: "bf16",
        TensorProto.INT8: "int8-dynamic",
        TensorProto.UINT8: "int8-dynamic",
    }
    weights = {weight.name: weight for weight in model.graph.initializer}
    sizes: Counter[str] = Counter()
    for node in model.graph.node:
        for weight in (weights[name] for name in node.input if name in weights):
            if node.op_type in MULTIPLICATIONS and len(weight.dims) >= 2:
                sizes[names.get(weight.data_type, "unknown")] += math.prod(weight.dims)
    return max(sizes, key=lambda name: sizes[name], default="unknown")
