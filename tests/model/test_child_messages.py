"""What the children that read ONNX files and ask the hub are asked, and answer, arrives as it was sent."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from autotune.model.hub.messages import (
    Fetched,
    FetchSnapshot,
    fetch_from_json,
    fetch_to_json,
    fetched_from_json,
    fetched_to_json,
)
from autotune.model.onnx.messages import (
    GraphContents,
    GraphValue,
    ReadGraph,
    contents_from_json,
    contents_to_json,
    read_graph_from_json,
    read_graph_to_json,
)


def sent(document: dict[str, Any]) -> dict[str, Any]:
    arrived: dict[str, Any] = json.loads(json.dumps(document))
    return arrived


@pytest.mark.parametrize("because", ["", "--offline was given"])
def test_the_hub_is_asked_for_a_revision(because: str) -> None:
    request = FetchSnapshot("org/name", "main", because)
    assert fetch_from_json(sent(fetch_to_json(request))) == request
    answer = Fetched(Path("/hub/snapshots/1"))
    assert fetched_from_json(sent(fetched_to_json(answer))) == answer


@pytest.mark.parametrize("infers", [False, True])
def test_a_graph_is_asked_for_by_its_file(infers: bool) -> None:
    request = ReadGraph(Path("/m/model.onnx"), infers)
    assert read_graph_from_json(sent(read_graph_to_json(request))) == request


def test_what_a_graph_holds_arrives_as_it_was_read() -> None:
    ids = GraphValue("input_ids", "INT64", (None, 128))
    contents = GraphContents(
        inputs=(ids,),
        outputs=(GraphValue("hidden", "FLOAT", (None, None, 64)), GraphValue("other", "no tensor", None)),
        external={"weights.bin": 4096},
        vocabularies={"input_ids": 1000},
        positions=(512, 2),
        weights={"FLOAT": 12},
    )
    assert contents_from_json(sent(contents_to_json(contents))) == contents
    empty = GraphContents((), (), {}, {}, None, {})
    assert contents_from_json(sent(contents_to_json(empty))) == empty
