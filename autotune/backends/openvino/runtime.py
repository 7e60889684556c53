"""Loads OpenVINO models, and reads back what the CPU plugin makes of them."""

from __future__ import annotations

import math
import sys
from collections import Counter
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

from autotune.backends.openvino.knobs import properties
from autotune.spec.configuration import Precision
from autotune.spec.knobs import NO_KNOBS, Knobs

MODEL_FILE = "model.xml"
WEIGHTS_FILE = "model.bin"
COMPILED_FILE = "model.blob"
"""In the place of both, for a worker to load in a third of the time."""

DYNAMIC_GROUP = 32
"""Activations that share a scale where they are quantised at run time. Source: the CPU plugin's default."""

_FLOAT_HINTS: Mapping[Precision, str] = {"bf16": "bf16", "fp16": "f16"}
_FLOAT_NAMES = {"f32": "fp32", "bf16": "bf16", "f16": "fp16"}
_INT8 = frozenset({"i8", "u8"})
_INT4 = frozenset({"i4", "u4"})
_REARRANGEMENTS = frozenset({"Convert", "Reorder", "Reshape", "Transpose"})
_MULTIPLICATIONS = frozenset(
    (
        *("FullyConnected", "MatMul", "Convolution", "Deconvolution"),
        *("RNNCell", "RNNSeq"),
    )
)
"""Nodes that multiply by weights; those of recurrences are all of their kinds. Source: OpenVINO, intel_cpu,
cpu_types.cpp."""


def import_openvino() -> Any:
    """Import the engine without its telemetry, which otherwise reports the import over the network."""
    sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]
    import openvino

    return openvino


@cache
def core() -> Any:
    """Give the one `Core` of this process, which lives as long as the process does.

    The CPU plugin of each Core has the main thread take signals on a stack of its own. Of two Cores that end
    in the order in which they began, the second puts back the first one's stack, whose memory is freed by
    then: the next signal that Python handles ends the process by a segmentation fault.
    Source: seen with OpenVINO 2026.4; tests/backends/test_openvino.py shows it.
    """
    return import_openvino().Core()


def compile_model(directory: Path, precision: Precision, threads: int, knobs: Knobs = NO_KNOBS) -> Any:
    """Load an artifact on the CPU plugin, ready to run; as one stream of requests, unless a knob says more.

    The weights that are multiplied by are packed into memory of this process, hence under its memory policy;
    the file stays mapped beneath, for the embeddings, and is shared by all processes that load it.

    Args:
        threads: intra-op threads; 0 = the engine's default.
    """
    chosen = stated_properties(precision, threads, knobs)
    if (directory / COMPILED_FILE).exists():
        return _import_compiled(directory / COMPILED_FILE, chosen)
    return core().compile_model(directory / MODEL_FILE, "CPU", chosen)


def write_compiled(source: Path, precision: Precision, directory: Path) -> None:
    """Write a model that takes long to compile as the plugin has compiled it; the threads stay open.

    Args:
        source: a folder with the model.
    """
    compiled = compile_model(source, precision, threads=1)
    (directory / COMPILED_FILE).write_bytes(compiled.export_model().getvalue())


def _import_compiled(file: Path, chosen: dict[str, Any]) -> Any:
    import numpy as np

    openvino = import_openvino()
    mapped = np.memmap(file, dtype=np.uint8, mode="c")
    tensor = openvino.Tensor(mapped, shared_memory=True)
    compiled = core().import_model(tensor, "CPU", chosen)
    # The engine reads from the mapping, and does not keep it.
    compiled.mapped = mapped
    return compiled


def stated_properties(precision: Precision, threads: int, knobs: Knobs) -> dict[str, Any]:
    """Say outright what would otherwise follow from the cpu.

    The process has its mask from outside, and the plugin's own pinning starts from the first core in every
    process. Left alone, it computes in bf16 where it can, and quantises activations of compressed weights.
    """
    chosen: dict[str, Any] = {
        **properties(knobs),
        "ENABLE_HYPER_THREADING": True,
        "INFERENCE_PRECISION_HINT": _FLOAT_HINTS.get(precision, "f32"),
        "DYNAMIC_QUANTIZATION_GROUP_SIZE": DYNAMIC_GROUP if precision == "int8-dynamic" else 0,
    }
    return {**chosen, "INFERENCE_NUM_THREADS": threads} if threads else chosen


def precision_of(compiled: Any) -> str:
    """The precision of most of the weights that the executed graph multiplies by (embeddings are looked up).

    The graph shows the types of weights and of activations, but not whether activations are quantised on the
    way into a multiplication: that is a setting, which `quantizes_activations` puts to the test.
    """
    dynamic = compiled.get_property("DYNAMIC_QUANTIZATION_GROUP_SIZE") > 0
    sizes: Counter[str] = Counter()
    for node, weights in _multiplications(compiled.get_runtime_model()):
        sizes[_precision_of_node(node, weights, dynamic)] += math.prod(weights.get_output_shape(0))
    return max(sizes, key=lambda name: sizes[name], default="unknown")


def _multiplications(graph: Any) -> Iterator[tuple[Any, Any]]:
    """Every multiplication by constant weights, with their node; biases have one dimension."""
    for node in graph.get_ordered_ops():
        if _fact(node, "layerType") in _MULTIPLICATIONS:
            for value in node.input_values()[1:]:
                weights = value.get_node()
                while _fact(weights, "layerType") in _REARRANGEMENTS:
                    weights = weights.input_value(0).get_node()
                shape = weights.get_output_partial_shape(0)
                if _fact(weights, "layerType") == "Const" and shape.is_static and len(shape) > 1:
                    yield node, weights


def _precision_of_node(node: Any, weights: Any, dynamic: bool) -> str:
    kind = weights.get_output_element_type(0).get_type_name()
    if kind in _INT4:
        return "int4-weights"
    if kind in _INT8:
        quantized = node.get_input_element_type(0).get_type_name() in _INT8
        return "int8-static" if quantized else "int8-dynamic" if dynamic else "int8-weights"
    # Float weights are kept as they came, and reordered into the precision that they are multiplied at.
    computed = _fact(node, "runtimePrecision")
    return _FLOAT_NAMES.get(computed, computed)


def _fact(node: Any, name: str) -> str:
    """What the plugin says of a node of its executed graph. Source: OpenVINO, exec_model_info.hpp."""
    return str(node.get_rt_info()[name].astype(str))
