"""`autotune series` with the fake backend, in real processes."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from autotune.cli import exits
from autotune.cli.main import app
from autotune.errors import StudyFileError
from autotune.testing.fake_model import SCHEMA
from autotune.testing.fake_trial import processes_of

WAIT_S = 120.0

RunCommand = Callable[..., tuple[int, str, str]]

SERIES = {
    "title": "Two precisions",
    "source": "a test",
    "rounds": 2,
    "study": {
        "model": "fake:model.json",
        "problem": {"batch_size": 1, "sequence_length": 1},
        "measure": {
            "warmup": "200ms",
            "block": "100ms",
            "blocks": 2,
            "trial_timeout": "20s",
            "disturbed": "keep",
        },
    },
    "configuration": {"engine": "fake", "cores": 1},
    "points": [
        {"name": "slow"},
        {"name": "fast", "configuration": {"precision": "int8-dynamic"}},
        {"name": "huge", "configuration": {"cores": 9999}},
    ],
    "claims": [{"claim": "int8 is faster", "check": "throughput(fast) / throughput(slow) >= 1.1"}],
    "beside": [{"claim": "not slower", "check": "median(fast) / median(slow) <= 1"}],
    "targets": [{"claim": "fast enough", "check": "median(fast) <= 1s"}],
}


@pytest.fixture
def folder(tmp_path: Path, own_cache: Path) -> Path:
    """The folder of studies, with a series in it."""
    inside = tmp_path / "studies" / "two"
    inside.mkdir(parents=True)
    model = {"schema": SCHEMA, "parallel_s_per_token": 0.04, "speed": {"fp32": 1.0, "int8-dynamic": 8.0}}
    (inside / "model.json").write_text(json.dumps(model))
    (inside / "series.yaml").write_text(json.dumps(SERIES))
    return inside.parent


def start(folder: Path, *arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "autotune", "series", *arguments],
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


@pytest.fixture
def run(run_command: RunCommand) -> RunCommand:
    """Runs `autotune series`: (folder, *arguments) → exit code, stdout, stderr."""
    return lambda folder, *arguments: run_command(folder, "series", *arguments)


@pytest.fixture
def document(run: RunCommand) -> Callable[..., Any]:
    """Runs `autotune series` with `--json`: (folder, *arguments) → the document."""

    def told(folder: Path, *arguments: str) -> Any:
        code, out, err = run(folder, *arguments, "--json")
        assert code == 0, err
        return json.loads(out)

    return told


def test_a_series_is_measured_told_and_written(run: RunCommand, folder: Path) -> None:
    code, out, err = run(folder, "run", "two")
    assert code == 0, err
    assert "[round 2] " in err
    assert "not measured: it needs 9999 cores" in out
    assert "  agrees: int8 is faster: " in out or "  cannot be told here: int8 is faster: " in out
    assert "asked beside it:" in out
    assert "written: two/result" in out
    assert sorted(path.name for path in (folder / "two" / "result").iterdir()) == [
        "README.md",
        "picture.svg",
        "result.json",
        "table.md",
    ]


def test_the_list_says_what_the_results_say(document: Callable[..., Any], folder: Path) -> None:
    (before,) = document(folder, "list", ".")
    assert (before["series"], before["points"], before["result"]) == ("two", 3, "none")
    found = document(folder, "run", "two", "--rounds", "3")
    assert [one["name"] for one in found["points"]] == ["slow", "fast", "huge"]
    assert found["points"][1]["ratio"]["low"] > 1
    assert found["claims"][0]["verdict"] == "agrees"
    assert found["beside"][0]["verdict"] == "agrees"
    assert found["targets"][0]["verdict"] == "agrees"
    (after,) = document(folder, "list", ".")
    assert after["result"] == "1 agree, 0 do not, 0 cannot be told"
    renamed = json.dumps(SERIES).replace('"fast"', '"quick"').replace("(fast)", "(quick)")
    (folder / "two" / "series.yaml").write_text(renamed)
    (of_others,) = document(folder, "list", ".")
    assert of_others["result"] == "of other points"


def test_a_dry_run_says_what_would_be_measured_and_measures_nothing(
    document: Callable[..., Any], run: RunCommand, folder: Path
) -> None:
    found = document(folder, "run", "two", "--dry-run")
    assert [one["unmeasured"] is None for one in found["points"]] == [True, True, False]
    assert found["estimate_s"] > 0
    code, out, _ = run(folder, "run", "two", "--dry-run", "--rounds", "5")
    assert code == 0
    assert "2 of 3 points in 5 rounds, in about " in out
    assert not (folder / "two" / "result").exists()


def test_the_result_goes_where_it_is_asked_for(document: Callable[..., Any], folder: Path) -> None:
    document(folder, "run", "two/series.yaml", "-o", "elsewhere/new", "--rounds", "1")
    assert (folder / "elsewhere" / "new" / "result.json").is_file()
    assert not (folder / "two" / "result").exists()


def test_ctrl_c_writes_what_there_is_and_leaves_no_process(folder: Path) -> None:
    process = start(folder, "run", "two", "--rounds", "50")
    assert process.stderr is not None
    assert any("[round 1]" in line for line in process.stderr)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=WAIT_S)
    assert process.returncode == exits.INTERRUPTED, err
    assert "unfinished: the same command goes on from here" in out
    assert "Traceback" not in err
    assert "Unfinished" in (folder / "two" / "result" / "README.md").read_text()
    assert processes_of(folder) == []


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("run", "nowhere"), "which holds series.yaml"),
        (("run", "."), "holds no series.yaml"),
        (("list", "nowhere"), "cannot be read"),
    ],
)
def test_what_is_not_there_is_named(
    folder: Path, monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...], said: str
) -> None:
    monkeypatch.chdir(folder)
    ended = CliRunner().invoke(app, ["series", *arguments])
    assert isinstance(ended.exception, StudyFileError)
    assert said in str(ended.exception)


def test_a_series_that_is_nearly_named_is_found_among_the_studies(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(folder.parent)
    ended = CliRunner().invoke(app, ["series", "run", "tow"])
    assert isinstance(ended.exception, StudyFileError)
    assert "did you mean studies/two?" in ended.exception.remedy


def test_an_empty_folder_has_no_series(tmp_path: Path) -> None:
    ended = CliRunner().invoke(app, ["series", "list", str(tmp_path)])
    assert ended.exit_code == 0
    assert "holds no series" in ended.stderr


def test_the_former_name_works_and_says_the_new_one(tmp_path: Path) -> None:
    ended = CliRunner().invoke(app, ["study", "list", str(tmp_path)])
    assert ended.exit_code == 0
    assert ended.stderr.startswith("`autotune study` is called `autotune series` now: ")
    assert "holds no series" in ended.stderr
    assert "autotune series" not in CliRunner().invoke(app, ["series", "list", str(tmp_path)]).stderr
    assert "│ study " not in CliRunner().invoke(app, ["--help"]).stdout
