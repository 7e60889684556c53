"""Which knobs a backend reads: at which precisions, of which models, and which of them in preparation."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from autotune.backends.protocol import Backend, PreparesKnobs, TakesKnobs
from autotune.backends.registry import backends
from autotune.spec.configuration import Precision
from autotune.spec.knob import Knob
from autotune.spec.known_knobs import OF_EVERY_PROCESS, known_knobs


def knobs_read(backend: Backend, kinds: frozenset[str] | None = None) -> Mapping[str, tuple[Precision, ...]]:
    """Give the precisions at which a backend reads a knob, by its name.

    Args:
        kinds: of model sources, of which one at least is to have what is turned in preparation; None = any.
    """
    own: Mapping[Knob, tuple[Precision, ...]] = backend.knobs if isinstance(backend, TakesKnobs) else {}
    able = backend.kinds_with_knobs if isinstance(backend, PreparesKnobs) else frozenset()
    is_turned = bool(able if kinds is None else able & kinds)
    readable = {knob.name: precisions for knob, precisions in own.items() if is_turned or not knob.prepares}
    return {**{knob.name: backend.precisions for knob in OF_EVERY_PROCESS}, **readable}


def turned_in_preparation(
    backend: Backend, kinds: frozenset[str] | None = None
) -> Iterator[tuple[Precision, str]]:
    """Give precisions and knobs of all that a backend can prepare beside the usual, one knob turned in each.

    Args:
        kinds: as for `knobs_read`.
    """
    for name, precisions in knobs_read(backend, kinds).items():
        knob = known_knobs()[name]
        for value in knob.values[1:] if knob.prepares else ():
            yield from ((precision, f"{name}={value}") for precision in precisions)


def readers(name: str) -> str:
    """Name every backend that reads a knob, in words; with the precisions, unless these are all."""
    reading = {
        backend.name: (knobs_read(backend).get(name, ()), backend.precisions)
        for backend in backends().values()
    }
    return ", ".join(
        engine if set(precisions) == set(every) else f"{engine} ({', '.join(precisions)})"
        for engine, (precisions, every) in reading.items()
        if precisions
    )
