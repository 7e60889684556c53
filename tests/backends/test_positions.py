"""Every architecture is said to take as many tokens as it really takes, and no more."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from autotune.backends.torch.engine import OFFLINE_AND_QUIET

pytestmark = pytest.mark.engines

WITHOUT_TABLE = {"deberta-v3", "modernbert", "nomic", "esm with angles", "xlnet", "funnel"}


@pytest.fixture(scope="module")
def observed(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, Mapping[str, Any]]:
    folder = tmp_path_factory.mktemp("positions")
    ended = subprocess.run(
        [sys.executable, "-P", str(Path(__file__).with_name("positions_child.py")), str(folder)],
        env={**os.environ, **OFFLINE_AND_QUIET},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr[-2000:]
    found: Mapping[str, Mapping[str, Any]] = json.loads((folder / "found.json").read_text())
    return found


def test_each_runs_at_its_bound_and_not_one_above(observed: Mapping[str, Mapping[str, Any]]) -> None:
    assert {name for name, found in observed.items() if found["bound"] is None} == WITHOUT_TABLE
    assert {name: found["at"] for name, found in observed.items() if found["at"]} == {}
    bounded = {name: found for name, found in observed.items() if found["bound"] is not None}
    assert [name for name, found in bounded.items() if not found["above"]] == []


def test_the_configuration_alone_says_the_same(observed: Mapping[str, Mapping[str, Any]]) -> None:
    said = {name: found["by_configuration"] for name, found in observed.items()}
    assert said == {name: found["bound"] for name, found in observed.items()}


def test_texts_are_cut_to_what_the_model_was_made_for(observed: Mapping[str, Mapping[str, Any]]) -> None:
    assert observed["deberta-v3"]["trained"] == 66
    assert observed["xlnet"]["trained"] is None
    assert all(found["trained"] == found["bound"] for found in observed.values() if found["bound"])
