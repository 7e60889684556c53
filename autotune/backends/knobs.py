"""Which knobs a backend reads: at which precisions, of which models, and which of them in preparation."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

from autotune.backends.protocol import Backend, PreparesKnobs, TakesKnobs
from autotune.backends.registry import backends
from autotune.spec.configuration import Precision
from autotune.spec.knobs import KNOBS, PREPARING

EVERYWHERE: Final = "allocator"
"""The knob that every process reads."""


def knobs_read(backend: Backend, kinds: frozenset[str] | None = None) -> Mapping[str, tuple[Precision, ...]]:
    """The precisions at which a backend reads a knob, by its name.

    Args:
        kinds: of model sources, of which one at least is to have what is turned in preparation; None = any.
    """
    own = backend.knobs if isinstance(backend, TakesKnobs) else {}
    able = backend.kinds_with_knobs if isinstance(backend, PreparesKnobs) else frozenset()
    is_turned = bool(able if kinds is None else able & kinds)
    readable = {name: own[name] for name in own if is_turned or name not in PREPARING}
    return {EVERYWHERE: backend.precisions, **readable}


def turned_in_preparation(
    backend: Backend, kinds: frozenset[str] | None = None
) -> Iterator[tuple[Precision, str]]:
    """Precisions and knobs of all that a backend can prepare beside what is usual, one knob turned in each.

    Args:
        kinds: as for `knobs_read`.
    """
    for name, precisions in knobs_read(backend, kinds).items():
        for value in KNOBS[name].values[1:] if name in PREPARING else ():
            yield from ((precision, f"{name}={value}") for precision in precisions)


def readers(name: str) -> str:
    """Every registered backend that reads a knob, in words; with the precisions, unless these are all."""
    found = {
        backend.name: (knobs_read(backend).get(name, ()), backend.precisions)
        for backend in backends().values()
    }
    return ", ".join(
        engine if set(precisions) == set(every) else f"{engine} ({', '.join(precisions)})"
        for engine, (precisions, every) in found.items()
        if precisions
    )
