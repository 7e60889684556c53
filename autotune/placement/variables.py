"""Variables of the environment that decide threads. Servers import this, so it loads no pydantic."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

PASSED_ON: Final = (
    *("PATH", "HOME", "TMPDIR", "LD_LIBRARY_PATH", "VIRTUAL_ENV", "PYTHONPATH"),
    *("LANG", "LC_ALL", "LC_CTYPE", "XDG_CACHE_HOME"),
)
"""Variables of the caller that workers see: where programs, libraries and the home are, and the encoding.

Everything else stays behind; above all the caller's OMP_*, KMP_* and GOMP_* variables, which change masks
and thread counts.
"""

SINGLE_THREADED: Final[Mapping[str, str]] = {"OPENBLAS_NUM_THREADS": "1"}
"""NumPy's own pool, which no engine computes with, would hold a thread for every cpu."""

COUNTS: Final = (
    "OMP_NUM_THREADS",  # GNU, Intel and LLVM OpenMP: torch, CTranslate2, oneDNN
    "MKL_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",  # NumPy, SciPy
    "BLIS_NUM_THREADS",
    "NUMEXPR_NUM_THREADS",
    "ORT_INTRA_OP_NUM_THREADS",  # ONNX Runtime 1.28 and newer, in sessions that are given no count
    "TF_NUM_INTRAOP_THREADS",  # TensorFlow
)
"""Variables by which libraries are told how many threads to compute with."""

ALONE: Final[Mapping[str, str]] = {"ORT_INTER_OP_NUM_THREADS": "1", "TF_NUM_INTEROP_THREADS": "1"}
"""Pools beside those, which would hold as many threads again."""

AFFINITY: Final = (
    *("OMP_PLACES", "OMP_PROC_BIND", "GOMP_CPU_AFFINITY"),
    *("KMP_AFFINITY", "KMP_HW_SUBSET", "KMP_PLACE_THREADS"),
    *("OMP_DYNAMIC", "MKL_DYNAMIC", "OMP_THREAD_LIMIT", "KMP_DEVICE_THREAD_LIMIT", "MKL_DOMAIN_NUM_THREADS"),
    *("OMP_WAIT_POLICY", "GOMP_SPINCOUNT", "KMP_BLOCKTIME", "KMP_LIBRARY"),
)
"""Variables of the caller that shrink masks, change numbers of threads, or how they wait.

Workers are measured without them. Source: GNU libgomp's and Intel's OpenMP manuals, oneMKL's developer guide.
"""

WORKERS_OWN: Final = ("HF_HUB_OFFLINE", "HF_HUB_DISABLE_TELEMETRY", "TRANSFORMERS_VERBOSITY")
"""What keeps a worker from the network, and quiet: no matter of speed, and a server's own to decide."""


def server_variables(threads: int, environment: Mapping[str, str]) -> dict[str, str]:
    """Give what is set for a server in the place of a worker.

    That is what stacks read of how many threads to have, and over it what the worker itself was measured
    with: the engine's variables and the process's knobs. Where the plan leaves threads to the engine, so does
    this.

    Args:
        threads: of the worker; 0 = the engine's default.
        environment: the whole one of the worker.
    """
    counts = {**dict.fromkeys(COUNTS, str(threads)), **ALONE, **tokenization_environment(threads)}
    return {**(counts if threads else {}), **measured_variables(environment)}


def measured_variables(environment: Mapping[str, str]) -> dict[str, str]:
    """Give what a plan sets in a worker for its speed: not what the caller passes on, nor idle pools."""
    return {
        name: value
        for name, value in environment.items()
        if name not in (*PASSED_ON, *WORKERS_OWN) and SINGLE_THREADED.get(name) != value
    }


def unset_for_server(environment: Mapping[str, str]) -> tuple[str, ...]:
    """Name the variables of the caller that a server with this environment must not see."""
    return tuple(sorted({*AFFINITY, *COUNTS} - environment.keys()))


def tokenization_environment(threads: int) -> dict[str, str]:
    """Keep a tokenizer to the threads of its instance, which compute nothing meanwhile.

    Args:
        threads: 0 = the library's default.

    Source: the library tokenizers, utils/parallelism.rs; rayon, which it runs on.
    """
    if threads == 0:
        return {}
    return {
        "TOKENIZERS_PARALLELISM": "false" if threads == 1 else "true",
        "RAYON_NUM_THREADS": str(threads),
    }
