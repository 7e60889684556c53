"""A study goes on only where the engines that it was begun with are there; fake ones, in real processes."""

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
    """Runs fake models under another name, where it finds a compiler."""
    name = "compiling"

    def unsupported(self, precision, isa, model_kind):
        return None if os.environ["COMPILER"] else "no compiler is found"
'''
STUDY: Mapping[str, Any] = {
    "name": "small",
    "model": "fake:model.json",
    "problem": {"batch_size": 1, "sequence_length": 1},
    "search": {"backends": ["fake", "compiling"], "precisions": ["fp32"], "knobs": "none"},
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
        ("", "g++", "backend compiling: not there then"),
        ("g++", "", "backend compiling: no longer there"),
    ],
    ids=["come", "gone"],
)
def test_a_study_whose_engine_has_come_or_gone_is_refused_and_goes_on_with_those_of_then(
    tune: Tune, then: str, now: str, said: str
) -> None:
    assert tune(then, trials=1).returncode == 0
    refused = tune(now, trials=2)
    assert refused.returncode == exits.EXIT_CODES[ResumeError], refused.stderr
    assert f"study 'small' was begun with something else: {said}" in refused.stderr
    assert "--name NEW" in refused.stderr
    assert tune(then, trials=2).returncode == 0
