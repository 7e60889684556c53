"""Knobs of OpenMP runtimes, for every engine whose threads one of them keeps."""

from __future__ import annotations

import ctypes
import os
import platform
from collections.abc import Sequence
from typing import Final

from autotune.backends.openmp.runtime import GNU, INTEL, runtime_file, runtime_of
from autotune.backends.torch.engine import torch_folder
from autotune.machine.mapped import MappedFile
from autotune.spec.knob import Here, Knob, Preload

_ENDLESS: Final = 2**31 - 1
"""What `kmp_get_blocktime` gives for an infinite one. Source: LLVM, kmp.h, KMP_MAX_BLOCKTIME."""

_POLICY_VARIABLE: Final = "OMP_WAIT_POLICY"


def _openmp_in_force(mapped: Sequence[MappedFile]) -> str:
    return runtime_of(runtime_file(mapped))


def _blocktime_in_force(mapped: Sequence[MappedFile]) -> str:
    file = runtime_file(mapped)
    if runtime_of(file) != INTEL:
        return ""
    milliseconds = ctypes.CDLL(file).kmp_get_blocktime()
    return "infinite" if milliseconds == _ENDLESS else str(milliseconds)


def _wait_policy_in_force(mapped: Sequence[MappedFile]) -> str:
    """The runtime does not say what it has read; the variable was there before it was loaded."""
    if runtime_of(runtime_file(mapped)) != GNU:
        return ""
    return os.environ.get(_POLICY_VARIABLE, WAIT_POLICY.usual).lower()


def _refuse_other_runtime(_: str, here: Here) -> str:
    """Say why torch cannot have Intel's runtime here; empty if it can."""
    if platform.machine() != "x86_64":
        return f"{INTEL} is for x86-64"
    folder = torch_folder()
    if folder is None or not list((folder / "lib").glob(f"{GNU}*")):
        return f"this torch brings no {GNU} that {INTEL} could take the place of"
    if here.find(OPENMP.name, INTEL):
        return ""
    return f"{OPENMP.missing(INTEL)}: {OPENMP.install(INTEL)}"


OPENMP: Final = Knob(
    "openmp",
    (GNU, INTEL),
    "which OpenMP runtime keeps torch's threads",
    waits=True,
    preloads=(Preload(INTEL, (f"{INTEL}.so",), INTEL, "pip install intel-openmp", "intel-openmp"),),
    refusal=_refuse_other_runtime,
    in_force=_openmp_in_force,
)

BLOCKTIME: Final = Knob(
    "blocktime",
    ("200", "0", "1", "infinite"),
    f"for how many milliseconds an idle thread of {INTEL} stays awake",
    most=1_000_000,
    waits=True,
    needs=(OPENMP.name, INTEL),
    variable="KMP_BLOCKTIME",
    refusal=_refuse_other_runtime,
    in_force=_blocktime_in_force,
)
"""The usual block time is the runtime's own.

Source: LLVM, openmp/runtime/src/kmp.h, KMP_DEFAULT_BLOCKTIME.
"""

WAIT_POLICY: Final = Knob(
    "wait_policy",
    ("default", "active", "passive"),
    f"how long idle threads of {GNU} stay awake",
    waits=True,
    needs=(OPENMP.name, GNU),
    variable=_POLICY_VARIABLE,
    in_force=_wait_policy_in_force,
)
