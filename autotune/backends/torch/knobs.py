"""Knobs that torch or its OpenMP runtime read, for every engine that computes with torch."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from autotune.backends.openmp.knobs import BLOCKTIME, OPENMP, WAIT_POLICY
from autotune.backends.torch.engine import BF16_FLAGS, torch_folder
from autotune.machine.mapped import MappedFile
from autotune.spec.configuration import Precision
from autotune.spec.knob import Here, Knob
from autotune.spec.knobs import Knobs

HUGE_PAGES = Path("/sys/kernel/mm/transparent_hugepage/enabled")

TF32_FLAG: Final = "amx_fp16"
"""Source: PyTorch, aten/src/ATen/native/mkldnn/Utils.h, mkldnn_tf32_device_check."""

_LIBRARY: Final = "libc10.so"
"""The library of torch's that reads the variable below. Source: c10/core/impl/alloc_cpu.cpp."""

_HUGE_PAGE_VARIABLE: Final = "THP_MEM_ALLOC_ENABLE"


def _refuse_huge_pages(_: str, __: Here) -> str:
    folder = torch_folder()
    library = None if folder is None else folder / "lib" / _LIBRARY
    if library is None or not library.is_file() or _HUGE_PAGE_VARIABLE.encode() not in library.read_bytes():
        return f"this torch does not read {_HUGE_PAGE_VARIABLE}"
    try:
        granted = HUGE_PAGES.read_text()
    except OSError:
        return "this kernel has no huge pages"
    return f"huge pages are switched off: echo madvise > {HUGE_PAGES}" if "[never]" in granted else ""


def _huge_pages_in_force(mapped: Sequence[MappedFile]) -> str:
    if not any(file.name == _LIBRARY for file in mapped):
        return ""
    return "on" if os.environ.get(_HUGE_PAGE_VARIABLE) == "1" else "off"


def _refuse_exactness(value: str, here: Here) -> str:
    if value == "high":
        return "" if TF32_FLAG in here.isa else f"this cpu does not multiply tf32 (no {TF32_FLAG})"
    flags = ", ".join(sorted(BF16_FLAGS))
    return "" if here.isa & BF16_FLAGS else f"this cpu does not multiply bf16 (none of {flags})"


THP: Final = Knob(
    "thp",
    ("off", "on"),
    f"whether torch asks for huge pages ({_HUGE_PAGE_VARIABLE})",
    variable=_HUGE_PAGE_VARIABLE,
    spellings={"on": "1"},
    refusal=_refuse_huge_pages,
    in_force=_huge_pages_in_force,
)

MATMUL_PRECISION: Final = Knob(
    "matmul_precision",
    ("highest", "high", "medium"),
    "how exactly torch multiplies fp32 matrices inside",
    answers=True,
    refusal=_refuse_exactness,
)


def torch_knobs(precisions: tuple[Precision, ...], *, eager: bool) -> Mapping[Knob, tuple[Precision, ...]]:
    """Give the knobs that torch or its OpenMP runtime read, for `TakesKnobs`.

    Args:
        eager: whether torch's own operators do the work. They ask how exactly to multiply, at fp32; and they
            follow the OpenMP runtime that the process has, where a library of compiled code asks its own.
    """
    read = dict.fromkeys((THP, WAIT_POLICY), precisions)
    if not eager:
        return read
    return {**read, BLOCKTIME: precisions, OPENMP: precisions, MATMUL_PRECISION: ("fp32",)}


def turn_torch_knobs(knobs: Knobs) -> None:
    """Set those that torch is told of; it reads the others from the environment."""
    import torch

    if value := knobs.get(MATMUL_PRECISION.name):
        torch.set_float32_matmul_precision(value)


def set_torch_threads(threads: int, knobs: Knobs) -> None:
    """Tell torch of this process how many threads to use, 0 = as many as it likes, and of its own knobs."""
    import torch

    if threads:
        torch.set_num_threads(threads)
    turn_torch_knobs(knobs)


def torch_knobs_in_force() -> Mapping[str, str]:
    """Read them back."""
    import torch

    return {MATMUL_PRECISION.name: torch.get_float32_matmul_precision()}
