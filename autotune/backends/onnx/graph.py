"""An ONNX model in an artifact: its two files, and the precision that ONNX Runtime's own graph of it has."""

from __future__ import annotations

import math
import shutil
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

MODEL_FILE = "model.onnx"
DATA_FILE = "model.onnx.data"
PRECISION_KEY = "autotune.precision"
"""Metadata of the model, which the session shows: the precision found in its optimised graph."""

FUSION_KEY = "autotune.fusion"
"""Metadata of the model: whether that graph has fused attention, `on` or `off`."""

ATTENTIONS = frozenset({"Attention", "MultiHeadAttention", "QAttention"})
"""Operators that are a whole attention; all of them of ONNX Runtime's own, com.microsoft."""

DYNAMIC_MULTIPLICATIONS = frozenset(
    (
        *("MatMulInteger", "DynamicQuantizeMatMul", "DynamicQuantizeLSTM"),
        *("ConvInteger", "ConvIntegerToFloat"),
    )
)
"""Operators that ONNX Runtime makes of dynamic quantisation alone."""

INTEGER_MULTIPLICATIONS = frozenset(
    (
        *("MatMulIntegerToFloat", "QLinearMatMul", "QGemm", "QAttention"),
        *("QLinearConv", "QLinearConvTranspose"),
        *DYNAMIC_MULTIPLICATIONS,
    )
)

MULTIPLICATIONS = frozenset(
    (
        *("MatMul", "Gemm", "FusedMatMul", "FusedGemm", "Attention", "MultiHeadAttention", "Einsum"),
        *("Conv", "FusedConv", "NhwcFusedConv", "ConvTranspose", "LSTM", "GRU", "RNN"),
        *INTEGER_MULTIPLICATIONS,
    )
)
"""Operators that multiply by a weight; `MatMulNBits` does, too, and has its own layout of them."""


def save_model(model: Any, directory: Path) -> str:
    """Write the model with its weights beside it, and into it what its graph really is.

    Returns:
        The precision that ONNX Runtime runs it at.
    """
    import onnx

    onnx.save_model(
        model, directory / MODEL_FILE, save_as_external_data=True, location=DATA_FILE, size_threshold=1024
    )
    graph = _optimised(directory / MODEL_FILE)
    precision = precision_of(graph)
    fusion = "on" if has_fused_attention(graph) else "off"
    _state(directory, {PRECISION_KEY: precision, FUSION_KEY: fusion})
    return precision


def copy_model(base: Path, directory: Path) -> None:
    """Copy the model of another artifact into `directory`; onnx refuses weights in files that are linked."""
    shutil.copyfile(base / MODEL_FILE, directory / MODEL_FILE)
    if (base / DATA_FILE).exists():
        shutil.copyfile(base / DATA_FILE, directory / DATA_FILE)


def state_precision(directory: Path, precision: str) -> None:
    """Write another precision into the metadata of the model in `directory`."""
    _state(directory, {PRECISION_KEY: precision})


def _state(directory: Path, facts: Mapping[str, str]) -> None:
    """Put these beside the metadata that the model in `directory` has."""
    import onnx

    saved = onnx.load(directory / MODEL_FILE, load_external_data=False)
    kept = {one.key: one.value for one in saved.metadata_props}
    onnx.helper.set_model_props(saved, {**kept, **facts})
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


def has_fused_attention(model: Any) -> bool:
    """Whether the graph has an attention, of one layer at least, that is one operator."""
    return any(node.op_type in ATTENTIONS and node.domain == "com.microsoft" for node in model.graph.node)


def precision_of(model: Any) -> str:
    """The precision of most of the weights that the graph multiplies by; `unknown` if there are none.

    Args:
        model: as ONNX Runtime optimised it, with or without the contents of its weights.
    """
    weights = {weight.name: weight for weight in model.graph.initializer}
    producers = {name: node for node in model.graph.node for name in node.output}
    sizes: Counter[str] = Counter()
    for node in model.graph.node:
        for name, size in _multiplied(node, weights, producers):
            sizes[name] += size
    return max(sizes, key=lambda name: sizes[name], default="unknown")


def _multiplied(node: Any, weights: dict[str, Any], producers: dict[str, Any]) -> Iterator[tuple[str, int]]:
    """Precision and number of the weights that a node multiplies by."""
    if node.op_type == "MatMulNBits":
        layout = {attribute.name: attribute.i for attribute in node.attribute}
        yield f"int{layout.get('bits', 4)}-weights", layout["K"] * layout["N"]
    elif node.op_type in MULTIPLICATIONS:
        for name in node.input:
            weight = weights.get(_packed(name, producers))
            if weight is not None and len(weight.dims) >= 2:
                yield _precision(node, weight, producers), math.prod(weight.dims)


def _packed(name: str, producers: dict[str, Any]) -> str:
    """The name of what a tensor is unpacked from; its own where it is not."""
    source = producers.get(name)
    if source is None or source.op_type != "DequantizeLinear":
        return name
    return str(source.input[0])


def _precision(node: Any, weight: Any, producers: dict[str, Any]) -> str:
    """The precision of one multiplication by this weight."""
    from onnx import TensorProto

    floats = {TensorProto.FLOAT: "fp32", TensorProto.FLOAT16: "fp16", TensorProto.BFLOAT16: "bf16"}
    bits = {TensorProto.INT8: 8, TensorProto.UINT8: 8, TensorProto.INT4: 4, TensorProto.UINT4: 4}
    if weight.data_type in floats:
        return floats[weight.data_type]
    if weight.data_type not in bits:
        return "unknown"
    if node.op_type not in INTEGER_MULTIPLICATIONS:
        return f"int{bits[weight.data_type]}-weights"
    sources = {producers[name].op_type for name in node.input if name in producers}
    is_dynamic = node.op_type in DYNAMIC_MULTIPLICATIONS or "DynamicQuantizeLinear" in sources
    return "int8-dynamic" if is_dynamic else "int8-static"
