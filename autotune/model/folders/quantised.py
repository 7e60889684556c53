"""Refuses checkpoints that are quantised already: their weights are for one method's own kernels alone."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from autotune.errors import ModelError
from autotune.model.folders.safetensors_file import StoredTensor

SECTIONS = ("quantization_config", "compression_config")
"""Of a configuration that describe how its weights are quantised. Source: transformers; llm-compressor."""
BITS = ("bits", "w_bit", "nbits", "weight_bits")
FLOATS = ("F64", "F32", "F16", "BF16")
"""Element types that transformers loads at fp32, as safetensors names them."""
SCALED = ("weight", "qweight", "weight_packed")
"""Last parts of the names of tensors that hold a layer's weights, quantised or not."""


def refuse_quantised(directory: Path, config: Mapping[str, Any]) -> None:
    """Refuse a checkpoint whose configuration says that it is quantised, by whatever method.

    Raises:
        ModelError: it does.
    """
    for described in _sections(config):
        raise _refusal(directory, _method(described), config)


def refuse_quantised_weights(directory: Path, tensors: Mapping[str, StoredTensor]) -> None:
    """Refuse weights that are not floating-point numbers, whatever the configuration says.

    Raises:
        ModelError: there are some.
    """
    for name, tensor in sorted(tensors.items()):
        if tensor.dtype not in FLOATS and name.rpartition(".")[2] in SCALED and "." in name:
            raise _refusal(directory, f"{name} is at {tensor.dtype}", {})


def _sections(config: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """What describes a quantisation, of the configuration or of a part of it."""
    for key, value in config.items():
        if key in SECTIONS and value:
            yield value if isinstance(value, dict) else {}
        elif isinstance(value, dict):
            yield from _sections(value)


def _method(described: Mapping[str, Any]) -> str:
    """The method by name, with the bits of a weight where they are told."""
    old = described.get("load_in_8bit") or described.get("load_in_4bit")
    name = str(described.get("quant_method") or ("bitsandbytes" if old else "a method that it does not name"))
    bits = next((described[key] for key in BITS if isinstance(described.get(key), int)), None)
    if described.get("load_in_8bit"):
        bits = 8
    elif described.get("load_in_4bit"):
        bits = 4
    return name if bits is None else f"{name}, {bits} bits"


def _refusal(directory: Path, how: str, config: Mapping[str, Any]) -> ModelError:
    origin = config.get("_name_or_path")
    named = f" (config.json speaks of {origin})" if isinstance(origin, str) and origin else ""
    return ModelError(
        f"{directory} is a quantised checkpoint ({how}), which runs with that method's own kernels alone",
        remedy=f"name the checkpoint at fp32, fp16 or bf16 that it was made from{named}: autotune quantises"
        " it itself",
    )
