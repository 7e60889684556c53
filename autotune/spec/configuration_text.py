"""Configurations as people type them: `2x4,close,onnxruntime,int8-dynamic`."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TypeVar

from autotune.spec.configuration import (
    BATCHINGS,
    PADDINGS,
    POLICIES,
    PRECISIONS,
    Batching,
    Configuration,
    Padding,
)
from autotune.spec.knob import CHOICES
from autotune.spec.knobs import format_knobs, parse_knobs
from autotune.spec.known_knobs import find_knob

FORM = "INSTANCESxTHREADS,PLACEMENT,ENGINE,PRECISION[,SOCKETS][,smt][,NAME=VALUE...]"
EXAMPLE = "2x4,close,onnxruntime,int8-dynamic,0-1,spinning=off"

_COUNTS = re.compile(r"([1-9][0-9]{0,4})x([1-9][0-9]{0,4})")
_SMT = "smt"

T = TypeVar("T", bound=str)


def parse_configuration(text: str, *, usual: Configuration, models: Sequence[str]) -> Configuration:
    """Read a configuration in the form of `FORM`.

    Args:
        usual: has the sockets, the model, the padding and the batching that are meant where the text names
            none; those that are empty are no choice of the study.
        models: that the text may name: those of the study.

    Raises:
        ValueError: it has another form, or a value that is not known here; says what would be right.
    """
    words = [word.strip() for word in text.split(",")]
    named = _choices(words)
    plain = [word for word in words if "=" not in word]
    counts = _COUNTS.fullmatch(plain[0]) if plain else None
    if counts is None or len(plain) < 4 or not all(plain):
        raise ValueError(f"{text!r} is not a configuration: write {FORM}, such as {EXAMPLE}")
    _, placement, backend, precision, *rest = plain
    if bare := next((knob for word in rest if (knob := find_knob(word)) is not None), None):
        raise ValueError(f"{bare.name!r} has no value: write {bare.name}={bare.values[1]}")
    return replace(
        usual,
        instances=int(counts[1]),
        threads_per_instance=int(counts[2]),
        placement=_one_of(placement, "placement", POLICIES),
        sockets=",".join(word for word in rest if word != _SMT) or usual.sockets,
        smt=_SMT in rest,
        backend=backend,
        precision=_one_of(precision, "precision", PRECISIONS),
        model=_model(named, usual, models),
        padding=_padding(named, usual),
        batching=_batching(named, usual),
        knobs=_knobs(words),
        cores=_cores(named, usual),
    )


def _named(word: str) -> tuple[str, str]:
    name, _, value = word.partition("=")
    return name, value


def _choices(words: Sequence[str]) -> dict[str, str]:
    """The values of `CHOICES` that are given, each once."""
    named: dict[str, str] = {}
    for name, value in (_named(word) for word in words if "=" in word):
        if name in named:
            raise ValueError(f"{name} is there twice: give each once")
        if name in CHOICES:
            named[name] = value
    return named


def _one_of(word: str, what: str, known: Sequence[T]) -> T:
    for one in known:
        if word == one:
            return one
    raise ValueError(f"{word!r} is not a {what}: write {', '.join(known)}")


def _model(named: Mapping[str, str], usual: Configuration, models: Sequence[str]) -> str:
    """One of several; a single one may be named, and is no choice."""
    if "model" not in named:
        return usual.model
    source = _one_of(named["model"], "model of this study", models)
    return source if usual.model else ""


def _padding(named: Mapping[str, str], usual: Configuration) -> Padding:
    if "padding" not in named:
        return usual.padding
    _refuse_without_choice("padding", usual.padding)
    return _one_of(named["padding"], "padding", PADDINGS)


def _batching(named: Mapping[str, str], usual: Configuration) -> Batching:
    if "batching" not in named:
        return usual.batching
    _refuse_without_choice("batching", usual.batching)
    return _one_of(named["batching"], "batching", BATCHINGS)


def _cores(named: Mapping[str, str], usual: Configuration) -> int:
    """How many cores the smaller machine has; 0 = this machine."""
    if "cores" not in named:
        return usual.cores
    if not re.fullmatch(r"[1-9][0-9]{0,4}", named["cores"]):
        raise ValueError(f"{named['cores']!r} is no number of cores: write a whole number from 1, such as 4")
    return int(named["cores"])


def _refuse_without_choice(name: str, usual: str) -> None:
    if not usual:
        raise ValueError(f"{name} is no choice here: every sequence of this study has one length")


def _knobs(words: Sequence[str]) -> str:
    knobs = [word for word in words if "=" in word and _named(word)[0] not in CHOICES]
    return format_knobs(parse_knobs(" ".join(knobs)))
