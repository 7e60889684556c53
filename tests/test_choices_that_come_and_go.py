"""A study goes on only where it can choose among what it was begun with."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from autotune.cli import exits
from autotune.errors import ResumeError
from autotune.testing.fake_model import SCHEMA

COMPILING = '''
import os
from autotune.testing.fake_backend import FakeBackend

class Backend(FakeBackend):
    """Runs fake models under another name, at int8 where it finds a compiler."""
    name = "compiling"
    precisions = ("fp32", "int8-dynamic")

    def unsupported(self, precision, isa, model_kind):
        return None if precision == "fp32" or os.environ["COMPILER"] else "no compiler is found"
'''
STUDY: Mapping[str, Any] = {
    "name": "small",
    "model": "fake:model.json",
    "problem": {"batch_size": 1, "sequence_length": 1},
    "search": {"backends": ["compiling"], "knobs": "none"},
    "measure": {"warmup": "100ms", "block": "50ms", "blocks": 1, "max_blocks": 1, "disturbed": "keep"},
    "confirm": {"finalists": 1, "rounds": 3},
}

Tune = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def tune(tmp_path: Path, own_cache: Path, install_backend: Callable[[str, str, str], Path]) -> Tune:
    """Runs the study with or without a compiler."""
    plugins = install_backend("compiling", "compiling", COMPILING)
    (tmp_path / "model.json").write_text(json.dumps({"schema": SCHEMA, "serial_s": 0.001}))
    (tmp_path / "study.yaml").write_text(json.dumps(STUDY))
    path = os.pathsep.join(filter(None, (str(plugins), os.environ.get("PYTHONPATH"))))

    def tune(compiler: str, *, trials: int) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "autotune", "tune", "study.yaml", "--trials", str(trials)],
            cwd=tmp_path,
            env={**os.environ, "PYTHONPATH": path, "COMPILER": compiler},
            capture_output=True,
            text=True,
            check=False,
        )

    return tune


@pytest.mark.parametrize(
    ("then", "now", "said"),
    [
        ("", "g++", "precision int8-dynamic: not there then"),
        ("g++", "", "precision int8-dynamic: no longer there"),
    ],
    ids=["come", "gone"],
)
def test_a_study_that_can_choose_more_or_less_than_then_is_refused_with_what_differs(
    tune: Tune, then: str, now: str, said: str
) -> None:
    begun = tune(then, trials=1)
    assert begun.returncode == 0, begun.stderr
    refused = tune(now, trials=2)
    assert refused.returncode == exits.EXIT_CODES[ResumeError], refused.stderr
    assert f"study 'small' was begun with something else: {said}" in refused.stderr
    assert "--name NEW" in refused.stderr
