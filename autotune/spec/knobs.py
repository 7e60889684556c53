"""Knobs: settings of a worker's process and of its engine, beside cpus and threads, and how they are written.

A configuration holds them as one text, `allocator=jemalloc spinning=off`: names ascending, and only what
differs from the usual. Whether a knob can be turned on a machine is said by `autotune.search.knobs`.
"""

from __future__ import annotations

import re
from collections.abc import Container, Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import product
from types import MappingProxyType

Knobs = Mapping[str, str]
"""Values by name; what is missing has its usual value."""

NO_KNOBS: Knobs = MappingProxyType({})


@dataclass(frozen=True)
class Knob:
    """One setting.

    Attributes:
        name: as written.
        values: those that are tried unless a study says otherwise, the usual one first.
        what: what it sets, as a part of a sentence.
        most: whole numbers from 1 up to this one may be listed too; 0 = none.
        has_paths: a library's absolute path may be listed too.
    """

    name: str
    values: tuple[str, ...]
    what: str
    most: int = 0
    has_paths: bool = False

    @property
    def usual(self) -> str:
        """The value that is not written."""
        return self.values[0]

    def takes(self, value: str) -> bool:
        """Whether a configuration may have this value."""
        if value in self.values:
            return True
        if self.has_paths and re.fullmatch(PATH, value):
            return True
        return re.fullmatch(r"[1-9][0-9]{0,8}", value) is not None and int(value) <= self.most

    @property
    def choices(self) -> str:
        """What a study may list, in words."""
        number = (f"a whole number up to {self.most}",) if self.most else ()
        path = ("a library's absolute path",) if self.has_paths else ()
        return ", ".join((*self.values, *number, *path))


PATH = r"/[^\s=:,]{1,400}"
"""An absolute path that needs no quotes in a list of variables, libraries or words."""

KNOBS: Mapping[str, Knob] = {
    knob.name: knob
    for knob in (
        Knob(
            "allocator",
            ("glibc", "jemalloc", "tcmalloc", "mimalloc"),
            "which library gives out memory",
            has_paths=True,
        ),
        Knob(
            "blocktime",
            ("200", "0", "1", "infinite"),
            "for how many milliseconds an idle thread of libiomp5 stays awake",
            most=1_000_000,
        ),
        Knob("fusion", ("off", "on"), "whether ONNX Runtime's attention is one operator, fused ahead"),
        Knob(
            "matmul_precision",
            ("highest", "high", "medium"),
            "how exactly torch multiplies fp32 matrices inside",
        ),
        Knob("openmp", ("libgomp", "libiomp5"), "which OpenMP runtime keeps torch's threads"),
        Knob(
            "optimization", ("all", "extended", "basic", "disabled"), "how far ONNX Runtime rewrites a graph"
        ),
        Knob("pinning", ("off", "on"), "whether OpenVINO binds each of its threads to one cpu"),
        Knob("spinning", ("on", "off"), "whether idle threads of ONNX Runtime stay awake"),
        Knob(
            "streams", ("1", "2", "4"), "into how many parts OpenVINO splits a batch, run at once", most=1_000
        ),
        Knob("thp", ("off", "on"), "whether torch asks for huge pages (THP_MEM_ALLOC_ENABLE)"),
        Knob("wait_policy", ("default", "active", "passive"), "how long idle threads of libgomp stay awake"),
    )
}
"""Every knob by name, ascending. libiomp5's usual block time is its own.

Source: LLVM, openmp/runtime/src/kmp.h, KMP_DEFAULT_BLOCKTIME.
"""

PREPARING = frozenset({"fusion"})
"""Knobs that are turned in preparation: with them, another artifact is made."""

ANSWERING = frozenset({"matmul_precision", *PREPARING})
"""Knobs that change what is answered, and not only how fast: answers with them are compared anew."""

_NEEDED: Mapping[str, str] = {"blocktime": "libiomp5", "wait_policy": "libgomp"}
"""The OpenMP runtime that reads a knob."""


def format_knobs(knobs: Knobs) -> str:
    """Write knobs as one text: names ascending, usual values left out."""
    turned = (f"{name}={value}" for name, value in sorted(knobs.items()) if value != KNOBS[name].usual)
    return " ".join(turned)


def parse_knobs(text: str) -> dict[str, str]:
    """The inverse of `format_knobs`; any order will do.

    Raises:
        ValueError: it has another form, or no such knob or value; says what would be right.
    """
    knobs: dict[str, str] = {}
    for word in text.split():
        name, equals, value = word.partition("=")
        if not equals:
            raise ValueError(f"{word!r} is not a knob: write NAME=VALUE, such as spinning=off")
        if fault := knob_fault(name, value):
            raise ValueError(fault)
        if name in knobs:
            raise ValueError(f"{name} is there twice: name each knob once")
        knobs[name] = value
    if fault := legal_fault(knobs):
        raise ValueError(fault)
    return knobs


def knob_fault(name: str, value: str) -> str:
    """What is wrong with a knob or its value; empty if nothing is."""
    if name not in KNOBS:
        return _unknown(name)
    if not KNOBS[name].takes(value):
        return f"{value!r} is not a value of {name}: write {KNOBS[name].choices}"
    return ""


def _unknown(name: str) -> str:
    import difflib

    near = difflib.get_close_matches(name, KNOBS, n=1)
    hint = f" (did you mean {near[0]}?)" if near else ""
    return f"{name!r} is not a knob{hint}: known are {', '.join(KNOBS)}"


def legal_fault(knobs: Knobs) -> str:
    """Why these values cannot stand together; empty if they can."""
    runtime = knobs.get("openmp", KNOBS["openmp"].usual)
    for name, needed in _NEEDED.items():
        value = knobs.get(name, KNOBS[name].usual)
        if value != KNOBS[name].usual and runtime != needed:
            return f"{name}={value} is read by {needed}, not by {runtime}: write openmp={needed} too"
    return ""


def answering(text: str) -> str:
    """The part of a text that changes what is answered."""
    return _only(ANSWERING, text)


def preparing(text: str) -> str:
    """The part of a text that changes what is prepared."""
    return _only(PREPARING, text)


def _only(names: Container[str], text: str) -> str:
    return format_knobs({name: value for name, value in parse_knobs(text).items() if name in names})


def knob_texts(choices: Mapping[str, Iterable[str]]) -> Iterator[str]:
    """Every text that can be written with these values of each knob, the usual ones included."""
    names = list(choices)
    values = [dict.fromkeys((KNOBS[name].usual, *choices[name])) for name in names]
    for chosen in product(*values):
        knobs = dict(zip(names, chosen, strict=True))
        if not legal_fault(knobs):
            yield format_knobs(knobs)
