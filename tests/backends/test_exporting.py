"""Ways of export are tried in order, and one counts only where its answers are the model's at every shape."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.engines


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, Mapping[str, Any]]:
    """What came of made-up ways; see `exporting_child.py`."""
    folder = tmp_path_factory.mktemp("exporting")
    child = Path(__file__).with_name("exporting_child.py")
    ended = subprocess.run(
        [sys.executable, "-P", str(child), str(folder)], capture_output=True, text=True, check=False
    )
    assert ended.returncode == 0, ended.stderr[-2000:]
    cases: Mapping[str, Mapping[str, Any]] = json.loads((folder / "found.json").read_text())
    return cases


def test_the_first_way_that_follows_the_model_is_taken(found: Mapping[str, Mapping[str, Any]]) -> None:
    files = ["export.json", "inputs.json", "made.json"]
    assert found["first"] == {"way": "nothing", "failed": {}, "shapes": [], "files": files}


def test_what_was_tried_before_is_said_with_why_it_was_not_taken(
    found: Mapping[str, Mapping[str, Any]],
) -> None:
    assert found["third"]["way"] == "nothing"
    assert found["third"]["failed"] == {
        "fails": "no operator of this name",
        "batch": "does not follow the model at 1 x 1 tokens: a batch of 2 was expected",
    }


@pytest.mark.parametrize("fixed", ["tokens", "mask"])
def test_a_way_that_fixes_something_in_silence_is_not_taken(
    found: Mapping[str, Mapping[str, Any]], fixed: str
) -> None:
    assert found[fixed]["way"] == "nothing"
    assert "it answers with a cosine of 0." in found[fixed]["failed"][fixed]


def test_where_no_way_follows_the_model_each_is_named_with_its_reason(
    found: Mapping[str, Mapping[str, Any]],
) -> None:
    refused = found["none"]
    assert (refused["error"], refused["left"]) == ("UnsupportedError", [])
    assert (
        "made cannot export this architecture: by fails: no operator of this name; by batch: does not"
        in (refused["words"])
    )
    assert "leave made out of search.backends" in refused["words"]


def test_what_follows_the_model_at_the_studys_shapes_alone_holds_for_them_alone(
    found: Mapping[str, Mapping[str, Any]],
) -> None:
    assert (found["alone"]["way"], found["alone"]["shapes"]) == ("batch", [[4, 12]])
    assert "fails, for the study's shapes alone" in found["alone"]["failed"]
    assert (found["alone, fixed"]["way"], found["alone, fixed"]["shapes"]) == ("free axes", [[4, 12]])
    several = found["alone, several"]
    assert (several["way"], several["shapes"]) == ("tokens", [[4, 12], [3, 12]])


def test_a_model_that_takes_long_requests_alone_is_compared_on_those(
    found: Mapping[str, Mapping[str, Any]],
) -> None:
    assert found["long"]["way"] == "nothing"
    assert found["long, batch"]["error"] == "UnsupportedError"


def test_want_of_memory_says_nothing_of_a_way(found: Mapping[str, Mapping[str, Any]]) -> None:
    assert found["memory"]["error"] == "MemoryError"
