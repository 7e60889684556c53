"""Where the baseline misses a limit nothing has a gain: no command prints a ratio to it."""

from __future__ import annotations

import json
import os
import re
import sys
from contextlib import redirect_stderr, redirect_stdout
from io import StringIO
from pathlib import Path
from typing import Any

import pytest

from autotune.cli.main import run
from autotune.plan.document import parse_plan
from autotune.testing.fake_model import SCHEMA

pytestmark = pytest.mark.skipif(
    len(os.sched_getaffinity(0)) < 2, reason="a search over one cpu has nothing to choose"
)

RATIO = re.compile(r"\b[0-9]+(\.[0-9]+)?x\b| times as ")


class Folder:
    """A folder with a study whose baseline takes 24 ms for a request, and everything else at int8 5 ms."""

    def __init__(self, path: Path, **study: Any) -> None:
        self.path = path
        model = {
            "schema": SCHEMA,
            "serial_s": 0.002,
            "parallel_s_per_token": 3.4375e-4,
            "speed": {"fp32": 1.0, "int8-dynamic": 8.0},
        }
        values = {
            "name": "limited",
            "model": "fake:model.json",
            "problem": {"batch_size": 2, "sequence_length": 32},
            "search": {
                **{"placements": ["close"], "instances": [1], "threads": [1], "knobs": "none"},
                **{"precisions": ["int8-dynamic"]},
            },
            "measure": {
                **{"warmup": "200ms", "block": "50ms", "blocks": 2, "max_blocks": 2},
                **{"disturbed": "keep", "trial_timeout": "60s"},
            },
            "confirm": {"finalists": 1, "rounds": 3},
            "budget": {"trials": 5, "minutes": 5.0},
        }
        (path / "model.json").write_text(json.dumps(model))
        (path / "study.yaml").write_text(json.dumps(values | study))

    def autotune(self, *arguments: str, status: int = 0) -> tuple[str, str]:
        """Run a command in this folder; gives what it wrote on stdout and stderr."""
        with pytest.MonkeyPatch.context() as patch, StringIO() as out, StringIO() as err:
            patch.chdir(self.path)
            patch.setenv("AUTOTUNE_CACHE", str(self.path / "cache"))
            patch.setattr(sys, "argv", ["autotune", *arguments])
            with redirect_stdout(out), redirect_stderr(err):
                found = run()
            assert found == status, err.getvalue()
            return out.getvalue(), err.getvalue()


@pytest.fixture(scope="module")
def tuned(tmp_path_factory: pytest.TempPathFactory) -> tuple[Folder, str, str]:
    """A study under a limit of 15 ms, which the baseline misses; what `tune` wrote."""
    folder = Folder(tmp_path_factory.mktemp("limited"), limits={"latency": {"p50": "15ms"}})
    return folder, *folder.autotune("tune", "study.yaml")


def in_line(text: str) -> str:
    return " ".join(text.split())


def test_tune_prints_no_ratio_and_says_by_how_much_the_baseline_misses(
    tuned: tuple[Folder, str, str],
) -> None:
    _, out, err = tuned
    assert not RATIO.search(out)
    assert not RATIO.search(err)
    assert re.search(r"baseline: .* latency limit missed by [0-9]+%; no best yet", err)
    assert re.search(
        r"gain: none, as the baseline misses the limit of 15.0 ms on p50 latency by [0-9.]+%", out
    )
    assert re.search(
        r"gain over the baseline: none: the baseline misses a limit: its p50 latency is not shown to be "
        r"within 15.0 ms: with 95 % confidence it is at most [0-9.]+ ms, [0-9.]+% more",
        out,
    )
    assert "There was no baseline to beat: the baseline misses a limit" in in_line(out)


def test_the_documents_ratios_are_null(tuned: tuple[Folder, str, str]) -> None:
    folder, *_ = tuned
    document, _ = folder.autotune("show", "--json")
    plan = parse_plan(document)
    assert json.loads(document)["gain"] is None
    assert (plan.gain, plan.gain_range, plan.confirmation.verdict) == (None, None, "unopposed")
    assert plan.baseline is not None
    assert plan.no_gain
    listed, _ = folder.autotune("plans", "--json")
    assert json.loads(listed)[0]["gain"] is None


@pytest.mark.parametrize("command", ["show", "plans", "report -o -"])
def test_no_command_shows_a_ratio(tuned: tuple[Folder, str, str], command: str) -> None:
    folder, *_ = tuned
    out, _ = folder.autotune(*command.split())
    words = in_line(re.sub(r"<style>.*?</style>|<svg.*?</svg>|<[^>]*>", " ", out, flags=re.DOTALL))
    assert not RATIO.search(words)
    if command != "plans":
        assert "the baseline misses a limit" in words.replace("The", "the")


def test_a_baseline_within_the_limits_has_its_gain_as_ever(tmp_path: Path) -> None:
    folder = Folder(tmp_path, limits={"latency": {"p50": "10s"}})
    out, err = folder.autotune("tune", "study.yaml")
    assert RATIO.search(out)
    assert RATIO.search(err)
