from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from autotune.errors import StudyFileError
from autotune.spec.load import parse_study
from autotune.spec.reading import read_document
from autotune.spec.schema import study_schema
from autotune.spec.study import StudySpec

REPOSITORY = Path(__file__).parents[2]
LEAST: dict[str, Any] = {
    "model": "random:bert-base",
    "problem": {"batch_size": 8, "sequence_length": 128},
}
VALIDATOR = Draft202012Validator(study_schema())


def loader_takes(data: Any) -> bool:
    try:
        parse_study(json.dumps(data), name="x")
    except StudyFileError:
        return False
    return True


def schema_takes(data: Any) -> bool:
    return VALIDATOR.is_valid(data)


def test_the_schema_is_one() -> None:
    Draft202012Validator.check_schema(study_schema())


def test_a_caller_may_change_the_schema_that_it_was_given() -> None:
    study_schema()["properties"].clear()
    assert study_schema()["properties"]


@pytest.mark.parametrize("path", sorted(REPOSITORY.glob("studies/*.yaml")), ids=lambda path: path.name)
def test_every_shipped_study_meets_the_schema(path: Path) -> None:
    VALIDATOR.validate(read_document(path.read_text(encoding="utf-8"), file=path.name).data)


VALID: list[dict[str, Any]] = [
    {},
    {"name": "a.b-c_d"},
    {"model": "hf:org/name@v1"},
    {"model": "path:a b/c"},
    {"model": "fake:m.json"},
    {"model": ["fake:m.json", "random:bert-base"]},
    {"model": "onnx:m.onnx", "inputs": {"words": "tokens", "seen": "ones", "segments": "zeros"}},
    {"inputs": {}},
    {"problem": {"batch_size": 8, "lengths": {"values": [16, 128], "weights": [5, 0.5]}}},
    {"problem": {"batch_size": 8, "lengths": {"lognormal": {"median": 24, "sigma": 0.5, "max": 128}}}},
    {"problem": {"batch_size": 8, "lengths": {"file": "a.txt"}, "max_length": 128}},
    {"problem": {"batch_size": 8, "texts": "a.txt", "include": "tokenization", "cache": {"size": 9}}},
    {"problem": {"batch_size": 8, "texts": "a.txt", "include": ["tokenization"]}},
    {"problem": {"batch_size": 8, "texts": {"path": "a.jsonl"}}},
    {"problem": {"batch_size": 8, "texts": {"path": "a.jsonl", "key": "q", "pair": 1, "format": "jsonl"}}},
    {"problem": {"batch_size": 8, "lengths": {"file": {"path": "a.csv", "key": "usage.tokens"}}}},
    {
        "problem": {"batch_size": 8, "lengths": {"values": [16, 128]}, "cache": {"hit_rate": 0.4}},
        "search": {"padding": ["max", "none"], "batching": "sorted"},
    },
    {"objective": "latency"},
    {"objective": {"latency": "p99.9"}},
    {"objective": {"latency": {"percentile": 99}}},
    {"price": {"per_core_hour": 0.1}},
    {"price": {"per_hour": 4.848, "cores": 48, "currency": "EUR"}},
    {"scenario": "single_stream"},
    {"scenario": "server", "limits": {"latency": {"p99": "50ms"}}},
    {"limits": None},
    {"limits": {"latency": {"p99": "50 ms"}, "memory": "4gib"}},
    {"limits": {"latency": {"percentile": 99.9, "max": "1min"}}},
    {"quality": {"texts": "a.txt", "sequences": 8, "cosine": 0.9, "max_difference": 0.2, "top1": 1}},
    {"quality": {"data": "a.jsonl", "metric": "spearman", "max_drop": 0.02}},
    {"quality": {"texts": {"path": "a.txt", "format": "text"}}},
    {"quality": {"data": {"path": "a.csv", "key": "body", "label": "stars"}, "metric": "f1"}},
    {"quality": None},
    {"search": {"backends": "pytorch", "precisions": ["fp32"], "instances": 3, "threads": "auto"}},
    {"search": {"placements": ["close", "per-l3"], "sockets": [0, "0-1", "2,3"], "smt": "auto"}},
    {"search": {"sockets": "0", "smt": [True, False]}},
    {"search": {"knobs": "none"}},
    {"search": {"knobs": {"spinning": [True, "off"], "streams": 3, "allocator": ["jemalloc", "/a/b.so"]}}},
    {"search": {"knobs": {"blocktime": [0, 20, "infinite"], "openmp": "libiomp5"}}},
    {"measure": {"warmup": "1s", "block": "250\u00b5s", "blocks": 1, "trial_timeout": "1h"}},
    {"budget": {"trials": "unlimited", "minutes": 0.5}},
    {"search": None, "measure": None, "budget": None},
    {"seed": 2**31 - 1},
    {"launch": {"command": ["uvicorn", "app:app", "--port", "{port}", 2, 1.5]}},
    {"launch": {"command": "uvicorn app:app --port {port}", "port": 65_535}},
    {"launch": {"command": ["run"], "environment": {"_A1": "{cpus}", "B": 3}, "directory": "/srv"}},
    {"launch": {}},
]

INVALID: list[dict[str, Any]] = [
    {"name": ""},
    {"name": 3},
    {"name": None},
    {"model": "bert-base"},
    {"model": "random:gpt"},
    {"model": "path:"},
    {"model": "hf:a/b/c"},
    {"model": None},
    {"model": []},
    {"model": ["random:bert-base", "bert-base"]},
    {"model": ["random:bert-base", "random:bert-base"]},
    {"model": [f"fake:{number}.json" for number in range(33)]},
    {"model": ["random:bert-base", "fake:m.json"], "digests": ["5e", "5f"]},
    {"model": "onnx:m.onnx", "inputs": {"words": "ids"}},
    {"model": "onnx:m.onnx", "inputs": None},
    {"model": "onnx:m.onnx", "inputs": ["words"]},
    {"price": None},
    {"launch": None},
    {"launch": {"command": []}},
    {"launch": {"command": " "}},
    {"launch": {"command": [True]}},
    {"launch": {"command": None}},
    {"launch": {"command": ["run"], "port": 0}},
    {"launch": {"command": ["run"], "port": 65_536}},
    {"launch": {"command": ["run"], "environment": {"A-B": "x"}}},
    {"launch": {"command": ["run"], "environment": ["A=b"]}},
    {"launch": {"command": ["run"], "directory": "srv"}},
    {"launch": {"programme": "run"}},
    {"price": 0.1},
    {"price": {}},
    {"price": {"per_hour": 4.848}},
    {"price": {"cores": 48}},
    {"price": {"currency": "EUR"}},
    {"price": {"per_core_hour": 0}},
    {"price": {"per_core_hour": "0.1 USD"}},
    {"price": {"per_core_hour": 0.1, "cores": 48}},
    {"price": {"per_core_hour": 0.1, "currency": "euro"}},
    {"price": {"per_core": 0.1}},
    {"problem": None},
    {"problem": [8, 128]},
    {"problem": {"batch_size": 8}},
    {"problem": {"batch_size": True, "sequence_length": 8}},
    {"problem": {"batch_size": 0, "sequence_length": 8}},
    {"problem": {"batch_size": 8, "sequence_length": 8, "tokens": 1}},
    {"problem": {"batch_size": 8, "sequence_length": 8, "lengths": {"values": [8]}}},
    {"problem": {"batch_size": 8, "sequence_length": 8, "max_length": 8}},
    {"problem": {"batch_size": 8, "sequence_length": 8, "cache": {"hit_rate": 0.4}}},
    {"problem": {"batch_size": 8, "lengths": {}}},
    {"problem": {"batch_size": 8, "lengths": [16]}},
    {"problem": {"batch_size": 8, "lengths": {"values": [16], "file": "a.txt"}}},
    {"problem": {"batch_size": 8, "lengths": {"values": []}}},
    {"problem": {"batch_size": 8, "lengths": {"values": [0]}}},
    {"problem": {"batch_size": 8, "lengths": {"values": [8], "weights": [0]}}},
    {"problem": {"batch_size": 8, "lengths": {"weights": [1], "file": "a.txt"}}},
    {"problem": {"batch_size": 8, "lengths": {"lognormal": {"median": 24, "sigma": 0.5}}}},
    {"problem": {"batch_size": 8, "lengths": {"lognormal": {"median": 24, "sigma": -1, "max": 128}}}},
    {"problem": {"batch_size": 8, "lengths": {"values": [8]}, "include": "tokenization"}},
    {"problem": {"batch_size": 8, "texts": None}},
    {"problem": {"batch_size": 8, "texts": "a.txt", "include": []}},
    {"problem": {"batch_size": 8, "texts": "a.txt", "include": ["padding"]}},
    {"problem": {"batch_size": 8, "texts": "a.txt", "texts_digest": "00"}},
    {"problem": {"batch_size": 8, "texts": {}}},
    {"problem": {"batch_size": 8, "texts": {"key": "text"}}},
    {"problem": {"batch_size": 8, "texts": {"path": ""}}},
    {"problem": {"batch_size": 8, "texts": {"path": "a", "key": ""}}},
    {"problem": {"batch_size": 8, "texts": {"path": "a", "key": None}}},
    {"problem": {"batch_size": 8, "texts": {"path": "a", "key": -1}}},
    {"problem": {"batch_size": 8, "texts": {"path": "a", "key": ["text"]}}},
    {"problem": {"batch_size": 8, "texts": {"path": "a", "pair": "passage"}}},
    {"problem": {"batch_size": 8, "texts": {"path": "a", "format": "yaml"}}},
    {"problem": {"batch_size": 8, "texts": {"path": "a", "label": "stars"}}},
    {"problem": {"batch_size": 8, "lengths": {"file": {"path": "a", "pair": "b"}}}},
    {"problem": {"batch_size": 8, "lengths": {"file": {}}}},
    {"problem": {"batch_size": 8, "texts": "a.txt", "cache": {}}},
    {"problem": {"batch_size": 8, "texts": "a.txt", "cache": {"hit_rate": 1}}},
    {"problem": {"batch_size": 8, "texts": "a.txt", "cache": {"hit_rate": 0.4, "size": 9}}},
    {"search": {"padding": "longest"}},
    {"search": {"batching": ["sorted", "sorted"]}},
    {"objective": "speed"},
    {"objective": None},
    {"objective": {"latency": 99}},
    {"objective": {"latency": "p100"}},
    {"objective": {"latency": "p0.5"}},
    {"objective": {"latency": {"percentile": 0}}},
    {"objective": {"latency": {"percentile": 99, "max": "1s"}}},
    {"objective": {"latency": "p50", "throughput": 1}},
    {"scenario": "burst"},
    {"limits": []},
    {"limits": {"latency": {}}},
    {"limits": {"latency": None}},
    {"limits": {"latency": "50ms"}},
    {"limits": {"latency": {"p99": 50}}},
    {"limits": {"latency": {"p99": "50"}}},
    {"limits": {"latency": {"p99": "1s", "p50": "1s"}}},
    {"limits": {"latency": {"percentile": 99}}},
    {"limits": {"latency": {"percentile": 100, "max": "1s"}}},
    {"limits": {"memory": 4096}},
    {"limits": {"memory": "4G"}},
    {"quality": []},
    {"quality": {"cosine": "high"}},
    {"quality": {"cosine": None}},
    {"quality": {"max_difference": 0}},
    {"quality": {"texts": ""}},
    {"quality": {"data": "a.jsonl", "metric": "auc"}},
    {"quality": {"data": "a.jsonl"}},
    {"quality": {"data": {"path": "a.jsonl"}}},
    {"quality": {"metric": "f1"}},
    {"quality": {"max_drop": 0.02}},
    {"quality": {"texts": "a.txt", "texts_digest": "00"}},
    {"search": {"backends": []}},
    {"search": {"backends": ["auto"]}},
    {"search": {"backends": "Not A Name"}},
    {"search": {"precisions": ["fp8"]}},
    {"search": {"instances": 0}},
    {"search": {"instances": [1, 1]}},
    {"search": {"instances": ["auto"]}},
    {"search": {"instances": None}},
    {"search": {"threads": list(range(1, 1002))}},
    {"search": {"placements": "unpinned"}},
    {"search": {"sockets": [-1]}},
    {"search": {"sockets": "a"}},
    {"search": {"sockets": True}},
    {"search": {"smt": 1}},
    {"search": {"smt": []}},
    {"search": {"cpus": 1}},
    {"search": {"knobs": "off"}},
    {"search": {"knobs": False}},
    {"search": {"knobs": {}}},
    {"search": {"knobs": ["spinning"]}},
    {"search": {"knobs": {"spin": True}}},
    {"search": {"knobs": {"spinning": "maybe"}}},
    {"search": {"knobs": {"streams": 0}}},
    {"search": {"knobs": {"allocator": "b.so"}}},
    {"measure": {"warmup": 5}},
    {"measure": {"warmup_s": 5}},
    {"measure": {"blocks": 0}},
    {"measure": {"blocks": None}},
    {"budget": {"trials": None}},
    {"budget": {"trials": 1.5}},
    {"budget": {"minutes": 0}},
    {"budget": {"minutes": "30"}},
    {"seed": -1},
    {"seed": 2**31},
    {"sed": 1},
]

BEYOND_THE_SCHEMA: list[dict[str, Any]] = [
    {"scenario": "server"},
    {"scenario": "server", "objective": "latency", "limits": {"latency": {"p99": "50ms"}}},
    {"problem": {"batch_size": 8, "sequence_length": 1024}},
    {"problem": {"batch_size": 8, "lengths": {"values": [8, 1024]}}},
    {"problem": {"batch_size": 8, "lengths": {"values": [8], "weights": [1, 2]}}},
    {"problem": {"batch_size": 8, "lengths": {"lognormal": {"median": 24, "sigma": 0.5, "max": 8}}}},
    {"problem": {"batch_size": 8, "lengths": {"values": [8]}, "cache": {"size": 9}}},
    {"problem": {"batch_size": 8, "texts": {"path": "a", "format": "text", "key": "text"}}},
    {"search": {"padding": ["none"]}},
    {"inputs": {"words": "tokens"}},
    {"objective": "latency", "search": {"instances": [16]}},
    {"limits": {"latency": {"p99": "2h"}}},
    {"limits": {"memory": "0GiB"}},
    {"measure": {"warmup": "0s"}},
    {"measure": {"trial_timeout": "1s"}},
    {"measure": {"blocks": 3, "max_blocks": 2}},
    {"search": {"sockets": [0, "0"]}},
    {"search": {"sockets": ["1-0"]}},
    {"search": {"knobs": {"blocktime": 0}}},
    {"search": {"knobs": {"spinning": [True, "on"]}}},
]


@pytest.mark.parametrize("changes", VALID, ids=str)
def test_schema_and_loader_take_what_is_right(changes: dict[str, Any]) -> None:
    VALIDATOR.validate(LEAST | changes)
    parse_study(json.dumps(LEAST | changes), name="x")


@pytest.mark.parametrize("changes", INVALID, ids=lambda changes: str(changes)[:60])
def test_schema_and_loader_refuse_what_is_wrong(changes: dict[str, Any]) -> None:
    assert not schema_takes(LEAST | changes)
    assert not loader_takes(LEAST | changes)


@pytest.mark.parametrize("changes", BEYOND_THE_SCHEMA, ids=str)
def test_the_loader_refuses_what_a_schema_cannot_express(changes: dict[str, Any]) -> None:
    assert schema_takes(LEAST | changes)
    assert not loader_takes(LEAST | changes)


def test_schema_and_loader_ask_for_the_same_keys() -> None:
    for key in LEAST:
        rest = {other: value for other, value in LEAST.items() if other != key}
        assert not schema_takes(rest)
        assert not loader_takes(rest)


FRAGMENTS = [changes for changes in (*VALID, *INVALID) if changes]


@given(st.lists(st.sampled_from(FRAGMENTS), max_size=4))
def test_whatever_the_schema_refuses_the_loader_refuses(fragments: list[dict[str, Any]]) -> None:
    data = dict(LEAST)
    for changes in fragments:
        data |= changes
    assert schema_takes(data) or not loader_takes(data)


def objects(schema: Any, path: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    if isinstance(schema, dict):
        if "properties" in schema:
            yield path, schema
        for key, inner in schema.items():
            yield from objects(inner, f"{path}/{key}")
    elif isinstance(schema, list):
        for index, inner in enumerate(schema):
            yield from objects(inner, f"{path}/{index}")


def test_every_mapping_of_the_schema_refuses_unknown_keys() -> None:
    assert [path for path, schema in objects(study_schema()) if schema["additionalProperties"]] == []


def test_every_key_of_a_study_has_a_description() -> None:
    sections = study_schema()["properties"]
    undescribed = [name for name, section in sections.items() if not section.get("description")]
    for name in ("problem", "price", "limits", "quality", "search", "measure", "confirm", "budget", "launch"):
        keys = sections[name]["properties"].items()
        undescribed += [f"{name}.{key}" for key, schema in keys if not schema.get("description")]
    assert undescribed == []


def test_the_schema_knows_every_section_of_a_study() -> None:
    assert set(study_schema()["properties"]) == set(StudySpec.model_fields)


def defaults(section: dict[str, Any]) -> dict[str, Any]:
    return {
        key: schema["default"] for key, schema in section.get("properties", {}).items() if "default" in schema
    }


def test_the_defaults_in_the_schema_are_those_of_the_loader() -> None:
    sections = study_schema()["properties"]
    written = {name: defaults(section) for name, section in sections.items() if defaults(section)}
    assert set(written) == {"quality", "search", "measure", "confirm", "budget", "launch"}
    least = LEAST | {"launch": {}}
    assert parse_study(json.dumps(least | written), name="x") == parse_study(json.dumps(least), name="x")


def test_the_command_prints_the_schema() -> None:
    command = [sys.executable, "-m", "autotune", "schema"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert json.loads(done.stdout) == study_schema()
    assert done.stderr == ""
