"""Turns a study file's shorthands into the values of `StudySpec`: `{p99: 50ms}`, `4GiB`, `instances: 4`.

Only forms are handled here, and numbers that are written in vain: only the file tells which are written.
`StudySpec` checks the values, and `Expansion.places` leads from its names back to what stands in the file.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, TypeVar

from autotune.spec.aim import KINDS
from autotune.spec.allowed import known_keys, not_allowed, unknown_key
from autotune.spec.named_file import KEYS
from autotune.spec.reading import Document
from autotune.spec.refusal import Place, Refusal
from autotune.spec.schema import DURATIONS, PERCENTILE_PATTERN, UNLIMITED
from autotune.spec.shell_syntax import NO_SHELL, shell_syntax
from autotune.spec.study import Measure
from autotune.units import parse_bytes, parse_duration_s

T = TypeVar("T")

RawValues = dict[str, Any]

_UNTOLD = object()
"""In the place of a value that is refused, and whose key must not look as if it had not been written."""


@dataclass
class Expansion:
    """A study file in the names of `StudySpec`.

    Attributes:
        values: for `StudySpec.model_validate`; without what was refused.
        places: where a value comes from in the file, if not from the place of the same name.
    """

    document: Document
    values: RawValues = field(default_factory=dict)
    places: dict[Place, Place] = field(default_factory=dict)
    refusals: list[Refusal] = field(default_factory=list)

    def refuse(self, place: Place, fault: str | None = None) -> None:
        """Note a fault; by default that the value is not one of those allowed at its place."""
        if fault is None:
            fault = not_allowed(self.document.written[place].text, place)
        self.refusals.append(Refusal(place, self.document.line(place), fault))

    def written_place(self, place: Place) -> Place:
        """The place in the file of a value of `StudySpec`."""
        return self.places.get(place, place)


def expand(document: Document, name: str) -> Expansion:
    """Expand every shorthand; `name` is the study's if the file gives none."""
    expansion = Expansion(document, {"name": name})
    for key, value in _known(expansion, (), document.data).items():
        _SECTIONS.get(key, _as_it_is)(expansion, (key,), value)
    return expansion


def _as_it_is(expansion: Expansion, place: Place, value: Any) -> None:
    expansion.values[str(place[-1])] = value


def _problem(expansion: Expansion, place: Place, value: Any) -> None:
    problem = _given(expansion, place, value) if isinstance(value, dict) else value
    expansion.values["problem"] = problem
    if not isinstance(problem, dict):
        return
    for key in ("lengths", "cache"):
        if key in problem:
            problem[key] = _given(expansion, (*place, key), problem[key])
    if "lognormal" in problem.get("lengths", ()):
        inner = (*place, "lengths", "lognormal")
        problem["lengths"]["lognormal"] = _given(expansion, inner, problem["lengths"]["lognormal"])
    if "file" in problem.get("lengths", ()):
        inner = (*place, "lengths", "file")
        problem["lengths"]["file"] = _named_file(expansion, inner, problem["lengths"]["file"])
    if "texts" in problem:
        problem["texts"] = _named_file(expansion, (*place, "texts"), problem["texts"])
    if "include" in problem:
        problem["include"] = _choices(expansion, (*place, "include"), problem["include"])
        if not problem["include"]:
            expansion.refuse((*place, "include"))
    problem |= {key: _UNTOLD for key in ("lengths", "texts") if key in value and value[key] is None}


def _named_file(expansion: Expansion, place: Place, value: Any) -> Any:
    """A path alone, or a mapping of it and of what to read; places of lists may be written as numbers."""
    if isinstance(value, str):
        expansion.places[*place, "path"] = place
        return {"path": value}
    if not isinstance(value, dict):
        return value
    given = _given(expansion, place, value)
    return {key: str(entry) if key in KEYS and _is_index(entry) else entry for key, entry in given.items()}


def _is_index(value: Any) -> bool:
    return type(value) is int and value >= 0


def _objective(expansion: Expansion, place: Place, value: Any) -> None:
    if value in KINDS:
        expansion.values["objective"] = {"kind": value}
    elif not isinstance(value, dict) or list(value) != ["latency"]:
        expansion.refuse(place)
    else:
        percentile = _percentile(expansion, (*place, "latency"), value["latency"])
        expansion.values["objective"] = {"kind": "latency", "percentile": percentile}


def _percentile(expansion: Expansion, place: Place, value: Any) -> Any:
    """The number of `p99` or `{percentile: 99}`; of anything else a stand-in, once it is refused."""
    if isinstance(value, str) and (number := _percentile_number(value)) is not None:
        return number
    if isinstance(value, dict) and list(value) == ["percentile"]:
        expansion.places["objective", "percentile"] = (*place, "percentile")
        return value["percentile"]
    expansion.refuse(place)
    return 50.0


def _percentile_number(text: str) -> float | None:
    return float(text[1:]) if re.fullmatch(PERCENTILE_PATTERN, text) else None


def _price(expansion: Expansion, place: Place, value: Any) -> None:
    expansion.values["price"] = _given(expansion, place, value)


def _launch(expansion: Expansion, place: Place, value: Any) -> None:
    """Take a command that is one text apart as a shell does; numbers are the words that stand there."""
    if value is None:
        expansion.refuse(place)
        return
    given = _given(expansion, place, value)
    if "command" in given:
        given["command"] = _command(expansion, (*place, "command"), given["command"])
    if isinstance(given.get("environment"), dict):
        inside = (*place, "environment")
        given["environment"] = {
            name: _word(expansion, (*inside, name), entry) for name, entry in given["environment"].items()
        }
    expansion.values["launch"] = {key: entry for key, entry in given.items() if entry is not _UNTOLD}


def _command(expansion: Expansion, place: Place, value: Any) -> Any:
    if isinstance(value, list):
        return [_word(expansion, (*place, index), word) for index, word in enumerate(value)]
    if not isinstance(value, str):
        return value
    try:
        words = shlex.split(value)
    except ValueError as error:
        expansion.refuse(
            place, f"{value!r:.80} is no command: {str(error).lower()}; close it, or write a list"
        )
        return _UNTOLD
    if wanted := shell_syntax(value):
        expansion.refuse(place, f"{value!r:.80} has {wanted!r:.40}, which wants a shell, and {NO_SHELL}")
        return _UNTOLD
    expansion.places |= {(*place, index): place for index in range(len(words))}
    return words


def _word(expansion: Expansion, place: Place, value: Any) -> Any:
    """A number as it is written; anything else as it is."""
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return expansion.document.written[place].text if is_number else value


def _limits(expansion: Expansion, place: Place, value: Any) -> None:
    given = _known(expansion, place, value)
    limits: RawValues = {}
    if "memory" in given:
        expansion.places[*place, "memory_bytes"] = (*place, "memory")
        limits["memory_bytes"] = _quantity(expansion, (*place, "memory"), given["memory"], parse_bytes)
    if "latency" in given:
        limits["latency"] = _latency_limit(expansion, (*place, "latency"), given["latency"])
    expansion.values["limits"] = limits


def _latency_limit(expansion: Expansion, place: Place, value: Any) -> RawValues | None:
    """Percentile and bound in seconds; None once it is refused."""
    keys = list(value) if isinstance(value, dict) else []
    if set(keys) == {"percentile", "max"}:
        percentile, bound = value["percentile"], "max"
    elif len(keys) == 1 and (number := _percentile_number(keys[0])) is not None:
        percentile, bound = number, keys[0]
    else:
        expansion.refuse(place)
        return None
    max_s = _quantity(expansion, (*place, bound), value[bound], parse_duration_s)
    expansion.places[*place, "max_s"] = (*place, bound)
    return None if max_s is None else {"percentile": percentile, "max_s": max_s}


def _quantity(expansion: Expansion, place: Place, value: Any, parse: Callable[[str], T]) -> T | None:
    """A number with its unit; None once it is refused."""
    try:
        return parse(value if isinstance(value, str) else "")
    except ValueError:
        expansion.refuse(place)
        return None


def _quality(expansion: Expansion, place: Place, value: Any) -> None:
    given = _given(expansion, place, value)
    for key in ("texts", "data"):
        if key in given:
            given[key] = _named_file(expansion, (*place, key), given[key])
    expansion.values["quality"] = given
    if "max_drop" in given and "data" not in value:
        fault = (
            f"{given['max_drop']} bounds the drop of a metric, and there is none: name labelled texts, as in "
            "`data: labelled.jsonl` and `metric: f1`, or leave it out"
        )
        expansion.refuse((*place, "max_drop"), fault)


def _search(expansion: Expansion, place: Place, value: Any) -> None:
    search: RawValues = {}
    for key, choices in _known(expansion, place, value).items():
        if key == "smt" and choices == "auto":
            search[key] = [False, True]
        elif choices == "auto":
            search[key] = choices
        elif key == "knobs":
            search[key] = _knobs(expansion, (*place, key), choices)
        else:
            search[key] = _choices(expansion, (*place, key), choices)
    expansion.values["search"] = search


def _choices(expansion: Expansion, place: Place, value: Any) -> list[Any]:
    """A list of choices; a single one stands for a list of one."""
    if not isinstance(value, list):
        expansion.places[*place, 0] = place
        value = [value]
    return [_socket_text(choice) for choice in value] if place[-1] == "sockets" else value


def _knobs(expansion: Expansion, place: Place, value: Any) -> Any:
    """A word, or lists of texts by knob; a stand-in, once it is refused."""
    if isinstance(value, str):
        return value
    if not isinstance(value, dict):
        expansion.refuse(place)
        return "auto"
    listed = {name: _choices(expansion, (*place, name), entry) for name, entry in value.items()}
    return {name: [_knob_text(choice) for choice in choices] for name, choices in listed.items()}


def _knob_text(choice: Any) -> Any:
    """YAML's booleans are on and off, its whole numbers are texts."""
    if isinstance(choice, bool):
        return "on" if choice else "off"
    return str(choice) if isinstance(choice, int) else choice


def _socket_text(choice: Any) -> Any:
    return str(choice) if isinstance(choice, int) and not isinstance(choice, bool) else choice


def _measure(expansion: Expansion, place: Place, value: Any) -> None:
    given = _given(expansion, place, value)
    measure = {key: entry for key, entry in given.items() if key not in DURATIONS}
    _refuse_fewer_than_least(expansion, place, measure)
    for key, name in DURATIONS.items():
        expansion.places[*place, name] = (*place, key)
        if key in given:
            measure[name] = _quantity(expansion, (*place, key), given[key], parse_duration_s)
    expansion.values["measure"] = {name: entry for name, entry in measure.items() if entry is not None}


def _refuse_fewer_than_least(expansion: Expansion, place: Place, measure: RawValues) -> None:
    most, least = measure.get("max_blocks"), measure.get("blocks", Measure().blocks)
    if type(most) is type(least) is int and 0 < most < least:
        fault = (
            f"{most} windows at most are fewer than the {least} that `blocks` has at least: raise it, or "
            f"write `blocks: {most}`"
        )
        expansion.refuse((*place, "max_blocks"), fault)


def _confirm(expansion: Expansion, place: Place, value: Any) -> None:
    expansion.values["confirm"] = _known(expansion, place, value)


def _budget(expansion: Expansion, place: Place, value: Any) -> None:
    budget: RawValues = {}
    for key, bound in _known(expansion, place, value).items():
        if bound is None:
            expansion.refuse((*place, key))
        else:
            budget[key] = None if bound == UNLIMITED else bound
    expansion.values["budget"] = budget


_SECTIONS: dict[str, Callable[[Expansion, Place, Any], None]] = {
    "problem": _problem,
    "objective": _objective,
    "price": _price,
    "limits": _limits,
    "quality": _quality,
    "search": _search,
    "measure": _measure,
    "confirm": _confirm,
    "budget": _budget,
    "launch": _launch,
}


def _given(expansion: Expansion, place: Place, value: Any) -> RawValues:
    """The entries of a section that exist and have a value; those without one are refused."""
    known = _known(expansion, place, value)
    for key in (key for key, entry in known.items() if entry is None):
        expansion.refuse((*place, key))
    return {key: entry for key, entry in known.items() if entry is not None}


def _known(expansion: Expansion, place: Place, value: Any) -> RawValues:
    """The entries of a section that exist; an empty section has none, other keys are refused."""
    if value is None:
        return {}
    if not isinstance(value, dict):
        expansion.refuse(place)
        return {}
    known = known_keys(place)
    for key in value:
        if key not in known:
            expansion.refuse((*place, key), unknown_key(place, key))
    return {key: entry for key, entry in value.items() if key in known}
