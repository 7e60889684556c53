"""The environment by which a worker's process gets its knobs."""

from __future__ import annotations

from typing import Final

from autotune.placement.preloads import require_preload
from autotune.spec.allocator import ALLOCATOR
from autotune.spec.knobs import Knobs
from autotune.spec.known_knobs import known_knobs

PRELOAD_VARIABLE: Final = "LD_PRELOAD"
"""Read by the dynamic linker. Source: ld.so(8)."""


def knob_environment(knobs: Knobs) -> dict[str, str]:
    """Give the variables that a worker is started with; those of usual values are left out.

    Raises:
        UnsupportedError: a library is not on this host; with the command that installs it.
    """
    known = known_knobs() if knobs else {}
    turned = {name: value for name, value in sorted(knobs.items()) if value != known[name].usual}
    preloading = [name for name, value in turned.items() if known[name].asks_for_library(value)]
    # The allocator last: where its library needs one of the others itself, it is to find that one.
    preloading.sort(key=lambda name: name == ALLOCATOR.name)
    libraries = [str(require_preload(name, turned[name])) for name in preloading]
    variables = {
        known[name].variable: known[name].spellings.get(value, value)
        for name, value in turned.items()
        if known[name].variable
    }
    return {**({PRELOAD_VARIABLE: ":".join(libraries)} if libraries else {}), **variables}
