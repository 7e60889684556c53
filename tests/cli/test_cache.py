"""`autotune cache` lists and prunes what has been prepared."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

PREPARE = """
import sys
from pathlib import Path
from autotune.preparation.preparing import prepare_artifact
from autotune.model.artifacts.cache import ArtifactCache
from autotune.model.sources import resolve_model

for precision in ("fp32", "int8-dynamic"):
    model = resolve_model("fake:model.json", base=Path(sys.argv[1]), seed=0, offline=True)
    prepare_artifact(model, "fake", precision, frozenset(), ArtifactCache(), timeout_s=60)
"""

Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """Runs `autotune cache` on an empty cache of its own."""
    environment = {**os.environ, "AUTOTUNE_CACHE": str(tmp_path / "cache"), "COLUMNS": "200"}

    def run_python(*arguments: str) -> subprocess.CompletedProcess[str]:
        words = [sys.executable, "-P", *arguments]
        return subprocess.run(words, env=environment, capture_output=True, text=True, check=False)

    def run_cache(*arguments: str, prepare: bool = False) -> subprocess.CompletedProcess[str]:
        if prepare:
            run_python("-c", PREPARE, str(tmp_path)).check_returncode()
        return run_python("-m", "autotune", "cache", *arguments)

    speed = {"schema": "autotune.fake/1", "speed": {"fp32": 1.0, "int8-dynamic": 2.0}}
    (tmp_path / "model.json").write_text(json.dumps(speed))
    return run_cache


def listed(run: Run) -> Sequence[dict[str, Any]]:
    entries = json.loads(run("list", "--json").stdout)
    assert isinstance(entries, list)
    return entries


def test_an_empty_cache_lists_nothing(run: Run) -> None:
    assert listed(run) == []
    shown = run("list")
    assert shown.stdout == ""
    assert "0 prepared models, 0 B" in shown.stderr


def test_the_list_names_model_backend_and_precision(run: Run) -> None:
    shown = run("list", prepare=True)
    assert shown.returncode == 0
    lines = shown.stdout.splitlines()
    assert [line.split()[1:4] for line in lines[1:]] == [
        ["fake:model.json", "fake", "fp32"],
        ["fake:model.json", "fake", "int8-dynamic"],
    ]
    assert "2 prepared models" in shown.stderr
    assert [entry["manifest"]["precision"] for entry in listed(run)] == ["fp32", "int8-dynamic"]


def test_a_dry_run_deletes_nothing(run: Run) -> None:
    shown = run("prune", "--all", "--dry-run", prepare=True)
    assert "2 prepared models would be deleted" in shown.stderr
    assert len(listed(run)) == 2


def test_pruning_all_empties_the_cache(run: Run) -> None:
    shown = run("prune", "--all", "--json", prepare=True)
    assert len(json.loads(shown.stdout)) == 2
    assert "2 of 2 prepared models deleted" in shown.stderr
    assert listed(run) == []


def test_pruning_by_size_deletes_the_least_recently_used(run: Run) -> None:
    one = json.loads(run("list", "--json", prepare=True).stdout)[1]
    shown = run("prune", "--keep-size", f"{one['size_bytes']} B")
    assert "1 of 2 prepared models deleted" in shown.stderr
    assert [entry["key"] for entry in listed(run)] == [one["key"]]


def test_pruning_by_age_keeps_what_has_been_used_lately(run: Run) -> None:
    assert "0 of 2 prepared models deleted" in run("prune", "--older-than", "1.5h", prepare=True).stderr
    assert len(listed(run)) == 2


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ((), "say what to delete"),
        (("--older-than", "30"), "'30' is not a number with a unit"),
        (("--keep-size", "3 parsecs"), "'3 parsecs' is not a number with a unit"),
    ],
)
def test_a_prune_that_says_nothing_clear_deletes_nothing(
    run: Run, arguments: tuple[str, ...], words: str
) -> None:
    shown = run("prune", *arguments)
    assert shown.returncode == 2
    assert words in shown.stderr
