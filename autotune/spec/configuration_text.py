"""Configurations as people type them: `2x4,close,onnxruntime,int8-dynamic`."""

from __future__ import annotations

import re

from autotune.spec.configuration import POLICIES, PRECISIONS, Configuration, PlacementPolicy, Precision

FORM = "INSTANCESxTHREADS,PLACEMENT,ENGINE,PRECISION[,SOCKETS][,smt]"
EXAMPLE = "2x4,close,onnxruntime,int8-dynamic,0-1"

_COUNTS = re.compile(r"([1-9][0-9]{0,4})x([1-9][0-9]{0,4})")
_SMT = "smt"


def parse_configuration(text: str, *, sockets: str) -> Configuration:
    """Read a configuration in the form of `FORM`.

    Args:
        sockets: those that are meant where the text names none.

    Raises:
        ValueError: it has another form, or no such placement or precision; says what would be right.
    """
    words = [word.strip() for word in text.split(",")]
    counts = _COUNTS.fullmatch(words[0])
    if counts is None or len(words) < 4 or not all(words):
        raise ValueError(f"{text!r} is not a configuration: write {FORM}, such as {EXAMPLE}")
    _, placement, backend, precision, *rest = words
    return Configuration(
        instances=int(counts[1]),
        threads_per_instance=int(counts[2]),
        placement=_policy(placement),
        sockets=",".join(word for word in rest if word != _SMT) or sockets,
        smt=_SMT in rest,
        backend=backend,
        precision=_precision(precision),
    )


def _policy(word: str) -> PlacementPolicy:
    for policy in POLICIES:
        if word == policy:
            return policy
    raise ValueError(f"{word!r} is not a placement: write {', '.join(POLICIES)}")


def _precision(word: str) -> Precision:
    for precision in PRECISIONS:
        if word == precision:
            return precision
    raise ValueError(f"{word!r} is not a precision: write {', '.join(PRECISIONS)}")
