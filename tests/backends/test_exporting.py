"""Ways of export are tried in order, and one counts only where its answers are the model's at every shape."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from autotune.backends.trying import going_on
from autotune.model.child import ChildResult

pytestmark = pytest.mark.engines


def go(folder: Path, *names: str) -> subprocess.CompletedProcess[str]:
    """Go made-up ways; see `exporting_child.py`."""
    child = Path(__file__).with_name("exporting_child.py")
    return subprocess.run(
        [sys.executable, "-P", str(child), str(folder), *names], capture_output=True, text=True, check=False
    )


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, Mapping[str, Any]]:
    """What came of made-up ways."""
    folder = tmp_path_factory.mktemp("exporting")
    ended = go(folder)
    assert ended.returncode == 0, ended.stderr[-2000:]
    cases: Mapping[str, Mapping[str, Any]] = json.loads((folder / "found.json").read_text())
    return cases


def test_the_first_way_that_follows_the_model_is_taken(found: Mapping[str, Mapping[str, Any]]) -> None:
    assert found["first"] == {
        "way": "nothing",
        "failed": {},
        "shapes": [],
        "files": ["export.json", "inputs.json", "made.json"],
        "asked": [[1, 1], [1, 17], [2, 12], [2, 16], [3, 9], [5, 24]],
    }


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


@pytest.mark.parametrize(
    ("case", "shape"),
    [
        ("window", "2 x 128"),
        ("window, several", "1 x 300"),
        ("window, many", "1 x 29"),
        ("window, unknown", "2 x 96"),
    ],
)
def test_a_way_that_is_wrong_at_long_requests_alone_is_not_taken(
    found: Mapping[str, Mapping[str, Any]], case: str, shape: str
) -> None:
    assert (found[case]["way"], found[case]["shapes"]) == ("nothing", [])
    assert found[case]["failed"]["window"].startswith(f"does not follow the model at {shape} tokens")


def test_of_the_studys_requests_the_longest_and_the_shortest_are_proved_with_few_sequences(
    found: Mapping[str, Mapping[str, Any]],
) -> None:
    small = found["first"]["asked"]
    assert [shape for shape in found["window, several"]["asked"] if shape not in small] == [[1, 300]]
    assert [shape for shape in found["window"]["asked"] if shape not in small] == [[2, 128]]
    assert [1, 200] in found["long, own"]["asked"]


def test_what_is_wrong_at_long_requests_may_be_right_for_the_studys_shapes_alone(
    found: Mapping[str, Mapping[str, Any]],
) -> None:
    alone = found["window, alone"]
    assert (alone["way"], alone["shapes"]) == ("free window", [[4, 128]])
    assert set(alone["failed"]) == {"window", "free window", "window, for the study's shapes alone"}


def test_nothing_is_made_for_many_shapes_alone(found: Mapping[str, Mapping[str, Any]]) -> None:
    refused = found["window, too many"]
    assert refused["error"] == "UnsupportedError"
    assert "alone" not in refused["words"]


def test_after_a_way_that_ends_the_process_the_next_one_is_tried(tmp_path: Path) -> None:
    codes: list[int] = []

    def run(timeout_s: float) -> ChildResult:
        ended = go(tmp_path, "process")
        codes.append(ended.returncode)
        return ChildResult(None, ended.returncode, ended.stderr, timed_out=False)

    assert going_on(run, tmp_path / "process", 600).returncode == 0
    assert codes == [-signal.SIGSEGV, 0]
    taken = json.loads((tmp_path / "found.json").read_text())["process"]
    assert taken["way"] == "nothing"
    assert taken["failed"] == {
        "fails": "no operator of this name",
        "process": "ends its process with SIGSEGV",
    }
    assert taken["files"] == ["export.json", "inputs.json", "made.json"]
