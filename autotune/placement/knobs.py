"""The environment by which a worker's process gets its knobs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from autotune.placement.preloads import PRELOADS, require_preload
from autotune.spec.knobs import KNOBS, Knobs

PRELOAD_VARIABLE: Final = "LD_PRELOAD"
"""Read by the dynamic linker. Source: ld.so(8)."""

VARIABLES: Mapping[str, str] = {
    "blocktime": "KMP_BLOCKTIME",
    "thp": "THP_MEM_ALLOC_ENABLE",
    "wait_policy": "OMP_WAIT_POLICY",
}
"""Variables that libiomp5, torch and libgomp read when they are loaded."""

_SPELLINGS: Mapping[str, str] = {"on": "1"}
"""Of values whose variables want another word."""


def knob_environment(knobs: Knobs) -> dict[str, str]:
    """The variables that a worker is started with; those of usual values are left out.

    Raises:
        UnsupportedError: a library is not on this host; with the command that installs it.
    """
    turned = {name: value for name, value in knobs.items() if value != KNOBS[name].usual}
    # The runtime first: where an allocator's library needs one itself, it is to find this one.
    asked = [name for name in sorted(PRELOADS, reverse=True) if name in turned]
    libraries = [str(require_preload(name, turned[name])) for name in asked]
    variables = {
        variable: _SPELLINGS.get(turned[name], turned[name])
        for name, variable in VARIABLES.items()
        if name in turned
    }
    return {**({PRELOAD_VARIABLE: ":".join(libraries)} if libraries else {}), **variables}
