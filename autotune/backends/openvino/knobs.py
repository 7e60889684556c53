"""Knobs of OpenVINO's CPU plugin: what they are called, its properties, and how it tells them back."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from autotune.spec.configuration import Precision
from autotune.spec.knob import Knob
from autotune.spec.knobs import Knobs

PINNING: Final = Knob("pinning", ("off", "on"), "whether OpenVINO binds each of its threads to one cpu")
STREAMS: Final = Knob(
    "streams",
    ("1", "2", "4"),
    "into how many parts OpenVINO splits a batch, run at once",
    most=1_000,
    splits=True,
)


def read_knobs(precisions: tuple[Precision, ...]) -> Mapping[Knob, tuple[Precision, ...]]:
    """Give the precisions at which each can matter, of those that the engine has."""
    return dict.fromkeys((PINNING, STREAMS), precisions)


def properties(knobs: Knobs) -> dict[str, Any]:
    """Give the properties that a model is compiled with."""
    return {
        "NUM_STREAMS": int(knobs.get(STREAMS.name, STREAMS.usual)),
        "ENABLE_CPU_PINNING": knobs.get(PINNING.name, PINNING.usual) == "on",
    }


def in_force(compiled: Any) -> dict[str, str]:
    """Read back from what the plugin made of the properties."""
    return {
        PINNING.name: "on" if compiled.get_property("ENABLE_CPU_PINNING") else "off",
        STREAMS.name: str(compiled.get_property("NUM_STREAMS")),
    }
