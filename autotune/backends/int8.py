"""What cpus do with products of int8, whatever engine multiplies."""

from __future__ import annotations

from typing import Final

EXACT_INT8_FLAGS: Final = frozenset({"avx512_vnni", "avx_vnni", "amx_int8", "asimddp", "i8mm"})
"""Flags of cpus that add int8 products without saturating on the way.

Source: ONNX Runtime, "Quantize ONNX models", When and why do I need to try U8U8: x86-64 cpus without VNNI
saturate 16-bit sums, against which weights are reduced to 7 bits.
"""
