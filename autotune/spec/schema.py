"""The JSON Schema of a study file as users write it, shorthands included; for editors and for messages.

Bounds and most descriptions come from `autotune.spec.study`; what is written here is how the file's form
differs from those values. What a schema cannot say (bounds of durations, fields that contradict each other)
the loader checks.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from autotune.spec.aim import KINDS
from autotune.spec.knob_search import knob_search_schema
from autotune.spec.launch import launch_schema
from autotune.spec.model_kind import MODEL_KINDS
from autotune.spec.model_source import FORMS
from autotune.spec.models import MAX_SOURCE, MAX_VARIANTS
from autotune.spec.named_file import KEYS, MAX_KEY
from autotune.spec.part import MAX_CHOICES, MAX_COUNT
from autotune.spec.price import FORMS as PRICES
from autotune.spec.study import StudySpec
from autotune.units import DURATION_PATTERN, SIZE_PATTERN, format_duration

Schema = dict[str, Any]

DIALECT = "https://json-schema.org/draft/2020-12/schema"
PERCENTILE_PATTERN = r"^p[1-9][0-9]?(\.[0-9]{1,2})?$"
"""`p50`, `p99.9`: every percentile that `autotune.spec.study.Percentile` admits, to two decimals."""
UNLIMITED = "unlimited"
DURATIONS: Mapping[str, str] = {
    "warmup": "warmup_s",
    "block": "block_s",
    "trial_timeout": "trial_timeout_s",
}
"""Keys of `measure` that are durations with a unit, and the values' names inside."""

PATH = "a file's path, which starts at the study file's folder"

_MAY_BE_EMPTY = ("limits", "quality", "search", "measure", "confirm", "budget")
"""Sections that may stand with nothing below them, as when all of it is commented out."""


def study_schema() -> Schema:
    """The schema as a new dictionary, without references, that a caller may change."""
    plain = _plain(StudySpec.model_json_schema())
    sections: Mapping[str, Schema] = plain["properties"]
    properties = {
        **sections,
        "name": _name(sections["name"]),
        "model": _model(sections["model"]),
        "inputs": _inputs(sections["inputs"]),
        "head": _given(sections["head"]),
        "problem": _problem(sections["problem"]),
        "objective": _objective(sections["objective"]),
        "price": _price(sections["price"]),
        "limits": _limits(sections["limits"]),
        "quality": _quality(sections["quality"]),
        "search": _search(sections["search"]),
        "measure": _measure(sections["measure"]),
        "confirm": dict(sections["confirm"]),
        "budget": _budget(sections["budget"]),
        "launch": _launch(sections["launch"]),
    }
    for name in _MAY_BE_EMPTY:
        properties[name]["type"] = ["object", "null"]
        del properties[name]["default"]  # in the values' words, not the file's
    return {
        "$schema": DIALECT,
        "title": "autotune study",
        "description": plain["description"],
        "type": "object",
        "additionalProperties": False,
        "required": ["model", "problem"],
        "properties": properties,
    }


def _name(value: Schema) -> Schema:
    allowed = "1 to 64 letters, digits, `.`, `_` and `-`, the first a letter or digit"
    return value | {"title": allowed, "description": f"{value['description']} By default the file's name."}


def _model(value: Schema) -> Schema:
    pattern = "|".join(f"{kind.name}:{kind.pattern}" for kind in MODEL_KINDS.values())
    source = {
        "title": FORMS,
        "type": "string",
        "pattern": f"^({pattern})$",
        "maxLength": MAX_SOURCE,
        "examples": ["random:distilbert-base"],
    }
    several = {"type": "array", "items": source, "minItems": 1, "maxItems": MAX_VARIANTS, "uniqueItems": True}
    return {
        "title": f"{FORMS}; or a list of up to {MAX_VARIANTS} of these",
        "description": value["description"],
        "anyOf": [source, several],
    }


def _inputs(value: Schema) -> Schema:
    kinds = value["additionalProperties"]
    return {
        "title": f"a mapping from names of inputs to one of {', '.join(kinds['enum'])}",
        "description": value["description"],
        "type": "object",
        "patternProperties": {"": kinds},
        "maxProperties": value["maxProperties"],
    }


def _problem(value: Schema) -> Schema:
    written = _written(value)
    # The usual ones are told first.
    properties = {name: written[name] for name in ("batch_size", "sequence_length")} | written
    lengths, cache = properties["lengths"], properties["cache"]
    for inside in (lengths, cache):
        inside["properties"] = _written(inside)
        inside["minProperties"] = 1
    cache["maxProperties"] = 1
    named = {"values": "lengths", "weights": "numbers above 0, one for each value"}
    for name, what in named.items():
        inside = lengths["properties"][name]
        inside["title"] = f"a list of {inside['minItems']} to {inside['maxItems']} {what}"
    properties["include"] = _one_or_several(properties["include"])
    properties["texts"] = _named_file(properties["texts"])
    lengths["properties"]["file"] = _named_file(lengths["properties"]["file"])
    own = {"required": ["sequence_length"], "not": _any_of("max_length", "cache", "include")}
    lengths["oneOf"] = [{"required": [name]} for name in ("values", "lognormal", "file")]
    lengths["dependentRequired"] = {"weights": ["values"]}
    others = ({"required": ["lengths"], "not": _any_of("include")}, {"required": ["texts"]})
    return value | {"properties": properties, "oneOf": [own, *others]}


def _written(value: Schema) -> Schema:
    """The properties that a file may hold, which are left out rather than null."""
    return {name: _given(schema) for name, schema in value["properties"].items()}


def _named_file(value: Schema) -> Schema:
    """A path, or a mapping of it and of what to read of the file."""
    properties = _written(value)
    path = properties["path"] | {"title": PATH}
    key = {"title": "a key or a path of keys, such as text or body.text", "type": ["string", "integer"]}
    bounds = {"minLength": 1, "maxLength": MAX_KEY, "minimum": 0}
    keys = {
        name: key | bounds | {"description": inside["description"]}
        for name, inside in properties.items()
        if name in KEYS
    }
    inside = _object({**properties, "path": path, **keys})
    together = {"pair": ["key"]} if "pair" in properties else {}
    return {
        "title": f"{PATH}, or {{path: FILE, key: NAME}} to say what to read of it",
        "description": value["description"],
        "anyOf": [path, inside | {"required": ["path"], "dependentRequired": together}],
    }


def _any_of(*keys: str) -> Schema:
    return {"anyOf": [{"required": [key]} for key in keys]}


def _one_or_several(value: Schema) -> Schema:
    """One of a few words, or a list of them; in place of the list alone."""
    several = {"type": "array", "items": value["items"], "minItems": 1, "maxItems": value["maxItems"]}
    return {"description": value["description"], "anyOf": [value["items"], several]}


def _objective(value: Schema) -> Schema:
    percentile = {**value["properties"]["percentile"]}
    del percentile["default"], percentile["description"]
    chosen = {
        "title": "a percentile such as p99, or {percentile: 99}",
        "anyOf": [{"type": "string", "pattern": PERCENTILE_PATTERN}, _object({"percentile": percentile})],
    }
    return {
        "title": "throughput, latency (its p50), a percentile of latency such as {latency: p99}, or cost",
        "description": value["description"],
        "anyOf": [{"enum": list(KINDS)}, _object({"latency": chosen})],
    }


def _price(value: Schema) -> Schema:
    forms = (
        {"required": ["per_core_hour"], "not": _any_of("per_hour", "cores", "type")},
        {"required": ["per_hour"]},
        {"required": ["type"], "not": _any_of("per_hour", "cores")},
    )
    stated = _given(value)
    named = {
        "per_core_hour": "an amount above 0",
        "per_hour": "an amount above 0",
        "currency": "a code of three capital letters, such as USD",
        "type": "a machine type of a table of prices, such as c5.12xlarge",
        "provider": "a provider's name, as the table of prices has it",
        "region": "a region, as the table of prices has it",
        "table": PATH,
        "date": "a day, such as 2021-04-20",
    }
    properties = _written(stated)
    for name, what in named.items():
        properties[name]["title"] = what
    del properties["currency"]["default"]  # of a price that says something
    return stated | {
        "title": f"what cores cost: {PRICES}",
        "properties": properties,
        "oneOf": list(forms),
        "dependentRequired": {
            "per_hour": ["cores"],
            **{name: ["type"] for name in ("provider", "region", "table", "date")},
        },
    }


def _limits(value: Schema) -> Schema:
    latency, size = _present(value["properties"]["latency"]), _present(value["properties"]["memory_bytes"])
    longest = _duration(latency["properties"]["max_s"], "50ms")
    latency_forms = [
        _object({})
        | {"patternProperties": {PERCENTILE_PATTERN: longest}, "minProperties": 1, "maxProperties": 1},
        _object({"percentile": latency["properties"]["percentile"], "max": longest}),
    ]
    memory = {
        "title": f"a size with its unit, such as 4GiB or 512MB, at most {size['maximum'] // 2**40} TiB",
        "description": "Memory of all instances together.",
        "type": "string",
        "pattern": SIZE_PATTERN,
    }
    return value | {
        "description": "What a plan must meet.",
        "properties": {
            "latency": {
                "title": "one percentile and its bound, such as {p99: 50ms} or {percentile: 99, max: 50ms}",
                "description": "Longest latency of one percentile of requests.",
                "anyOf": latency_forms,
            },
            "memory": memory,
        },
    }


def _quality(value: Schema) -> Schema:
    properties = _written(value)
    for name in ("texts", "data"):
        properties[name] = _named_file(properties[name])
    del properties["max_drop"]["default"]  # nothing without data
    together = {"data": ["metric"], "metric": ["data"], "max_drop": ["data"]}
    return value | {"properties": properties, "dependentRequired": together}


def _given(value: Schema) -> Schema:
    """A value that is left out rather than null."""
    described = {"description": value["description"]}
    return _present(value) | described if "anyOf" in value else value


def _search(value: Schema) -> Schema:
    inside = dict(value["properties"])
    knobs = knob_search_schema(inside.pop("knobs"))
    properties = {name: _choices(choices) for name, choices in inside.items()} | {"knobs": knobs}
    socket = {
        "title": 'a socket\'s number, or several as text such as "0-1"',
        "anyOf": [{"type": "integer", "minimum": 0}, {"type": "string", "pattern": r"^[0-9]+([-,][0-9]+)*$"}],
    }
    properties["backends"] = _one_or_list(
        properties["backends"], {"title": "a backend's name"} | _backend(value)
    )
    properties["sockets"] = _one_or_list(properties["sockets"], socket)
    properties["cores"] = _one_or_list(
        properties["cores"],
        {
            "title": "a number of cores from 1, or all",
            "anyOf": [{"type": "integer", "minimum": 1, "maximum": MAX_COUNT}, {"const": "all"}],
        },
    )
    properties["smt"] = _one_or_list(value["properties"]["smt"], {"type": "boolean"}) | {"default": False}
    return value | {"properties": properties}


def _backend(search: Schema) -> Schema:
    return {**_items(search["properties"]["backends"]), "not": {"const": "auto"}}


def _choices(choices: Schema) -> Schema:
    return choices if "items" in choices else _one_or_list(choices, _items(choices))


def _items(choices: Schema) -> Schema:
    """Of the list among a value's forms."""
    (items,) = (form["items"] for form in choices["oneOf"] if "items" in form)
    return dict(items)


def _one_or_list(value: Schema, item: Schema) -> Schema:
    """`auto`, one value, or a list of several; in place of the pydantic forms of `value`."""
    several = {
        "type": "array",
        "items": item,
        "minItems": 1,
        "maxItems": MAX_CHOICES,
        "uniqueItems": True,
    }
    return {
        "description": value["description"],
        "default": value["default"],
        "anyOf": [{"const": "auto"}, item, several],
    }


def _measure(value: Schema) -> Schema:
    inside = value["properties"]
    shown = {name: written for written, name in DURATIONS.items()}
    properties = {
        shown.get(name, name): _duration(schema, "1.5s") if name in shown else schema
        for name, schema in inside.items()
    }
    return value | {"properties": properties}


def _duration(seconds: Schema, example: str) -> Schema:
    """A duration as text, in place of a number of seconds."""
    longest = format_duration(seconds["maximum"]).replace(" ", "")
    default = {"default": f"{seconds['default']:g}s"} if "default" in seconds else {}
    described = {"description": seconds["description"]} if "description" in seconds else {}
    return {
        "title": f"a duration with its unit, such as {example}, at most {longest}",
        "type": "string",
        "pattern": DURATION_PATTERN,
        **described,
        **default,
    }


def _budget(value: Schema) -> Schema:
    properties = {
        name: {
            "description": schema["description"],
            "default": schema["default"],
            "anyOf": [_present(schema), {"const": UNLIMITED}],
        }
        for name, schema in value["properties"].items()
    }
    return value | {
        "description": "When the study ends, whichever comes first.",
        "properties": properties,
    }


def _launch(value: Schema) -> Schema:
    stated = _given(value)
    return launch_schema(stated, _written(stated))


def _object(properties: Schema) -> Schema:
    """A mapping with exactly these keys."""
    return {
        "type": "object",
        "additionalProperties": False,
        "required": list(properties),
        "properties": properties,
    }


def _present(optional: Schema) -> Schema:
    """The form of an optional value that is not null."""
    (form,) = (form for form in optional["anyOf"] if form.get("type") != "null")
    return dict(form)


def _plain(schema: Schema) -> Schema:
    """Pydantic's schema without references and without its titles, which repeat the keys."""
    definitions = schema.get("$defs", {})

    def plain(value: Any) -> Any:
        if isinstance(value, list):
            return [plain(element) for element in value]
        if not isinstance(value, dict):
            return value
        if "$ref" in value:
            target = definitions[value["$ref"].rpartition("/")[2]]
            return plain({**target, **{key: kept for key, kept in value.items() if key != "$ref"}})
        return {key: plain(kept) for key, kept in _untitled(value)}

    inlined: Schema = plain({key: value for key, value in schema.items() if key != "$defs"})
    return inlined


def _untitled(schema: Schema) -> Iterator[tuple[str, Any]]:
    return ((key, value) for key, value in schema.items() if not (key == "title" and isinstance(value, str)))
