"""What `autotune engines` and `autotune tune --dry-run` say of knobs, in processes of their own."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from autotune.placement.preloads import find_preload
from autotune.spec.allocator import ALLOCATOR
from autotune.spec.known_knobs import known_knobs
from autotune.testing.fake_model import SCHEMA

SEARCH: dict[str, object] = {"threads": [1], "instances": [1]}
STUDY: dict[str, object] = {
    "model": "fake:model.json",
    "problem": {"batch_size": 2, "sequence_length": 16},
    "search": SEARCH,
}


def run(*arguments: str, cwd: Path | None = None) -> tuple[int, str, str]:
    ended = subprocess.run(
        [sys.executable, "-m", "autotune", *arguments], cwd=cwd, capture_output=True, text=True, check=False
    )
    return ended.returncode, ended.stdout, ended.stderr


def dry_run(folder: Path, *options: str, **changes: object) -> str:
    (folder / "model.json").write_text(json.dumps({"schema": SCHEMA, "serial_s": 0.001}))
    (folder / "study.yaml").write_text(json.dumps({**STUDY, **changes}))
    status, out, err = run("tune", "study.yaml", "--dry-run", *options, cwd=folder)
    assert status == 0, err
    return out


def test_every_knob_is_listed_with_its_values_and_engines() -> None:
    status, out, err = run("engines", "--json")
    assert status == 0, err
    knobs = {one["name"]: one for one in json.loads(out)["knobs"]}
    assert list(knobs) == list(known_knobs())
    assert knobs["spinning"]["values"] == ["on", "off"]
    assert "onnxruntime" in knobs["spinning"]["engines"]
    assert all(one["values"][0] == known_knobs()[name].usual for name, one in knobs.items())


def test_a_missing_library_is_told_with_the_command_that_installs_it() -> None:
    status, out, err = run("engines")
    assert status == 0, err
    for preload in ALLOCATOR.preloads:
        is_told = f"{preload.names[0]}) is not on this host: {preload.install}" in out
        assert is_told is (find_preload("allocator", preload.value) is None)


def test_a_dry_run_says_which_knobs_would_be_turned(tmp_path: Path) -> None:
    out = dry_run(tmp_path, search={**SEARCH, "knobs": {"spinning": False, "optimization": "basic"}})
    assert "second stage: knobs of the 3 leading placements, one at a time and then together" in out
    assert "knobs of fake fp32" in out
    assert "optimization all, basic; spinning on, off" in out


def test_a_dry_run_lists_knobs_for_machines_by_engine(tmp_path: Path) -> None:
    search = {**SEARCH, "knobs": {"spinning": False}}
    document = json.loads(dry_run(tmp_path, "--json", search=search))
    assert document["knobs"]["fake fp32"] == {"spinning": ["on", "off"]}


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"budget": {"minutes": 3}}, "the budget is too small for one"),
        ({"search": {"knobs": "none"}}, "the study says so"),
    ],
)
def test_a_dry_run_says_why_there_is_no_second_stage(
    tmp_path: Path, changes: dict[str, object], reason: str
) -> None:
    assert f"second stage: none ({reason}" in dry_run(tmp_path, **changes)


def test_auto_turns_knobs_where_the_budget_is_the_usual_one(tmp_path: Path) -> None:
    assert "optimization all, extended, basic, disabled" in dry_run(tmp_path)
