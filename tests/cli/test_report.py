"""`autotune report` as a command: what it writes, where, and what it refuses."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from autotune.cli.exits import EXIT_CODES
from autotune.cli.main import run
from autotune.errors import ExportError, PlanError, StoreError
from autotune.plan.document import format_plan
from autotune.store.records import ConfirmationRecord, StudyRecord, TrialRecord
from autotune.store.store import open_store
from autotune.testing.plans import build_measurement, build_plan

PLAN = build_plan(created_s=1_790_000_100.0)
WRONG_USE = 2


@dataclass(frozen=True)
class Ended:
    """What a command gave."""

    returncode: int
    stdout: str
    stderr: str


Autotune = Callable[..., Ended]


@pytest.fixture
def autotune(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Autotune:
    """Runs the command line within this process, in a folder of the test's own."""
    monkeypatch.chdir(tmp_path)

    def ended(*arguments: str) -> Ended:
        monkeypatch.setattr(sys, "argv", ["autotune", *arguments])
        capsys.readouterr()
        code = run()
        return Ended(code, *capsys.readouterr())

    return ended


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A store with one confirmed plan."""
    url = f"sqlite:///{tmp_path_factory.mktemp('store')}/autotune.db"
    began_s, ended_s, measured = 1_790_000_000.0, 1_790_000_009.0, build_measurement()
    trial = TrialRecord("quickstart", 7, PLAN.configuration, False, began_s, ended_s, measured, 30.0)
    confirmed = ConfirmationRecord(
        *("quickstart", 1, 1, 0, "trial 7", 7, PLAN.configuration, began_s, ended_s, measured, 29.0)
    )
    with open_store(url) as opened:
        opened.create_study(StudyRecord("quickstart", 0.0, {}, {}, {}, "d", "m"))
        opened.record_trial(trial)
        opened.record_confirmation(confirmed)
        opened.save_plan(PLAN)
    return url


def test_a_plan_of_the_store_becomes_one_page(tmp_path: Path, store: str) -> None:
    database = Path(store.removeprefix("sqlite:///"))
    before = database.read_bytes()
    program = [sys.executable, "-W", "error", "-m", "autotune", "report", "--store", store]
    ended = subprocess.run(program, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "report.html\n", "")
    text = (tmp_path / "report.html").read_text()
    assert PLAN.id in text
    assert 'id="figure-history"' in text
    assert 'id="figure-confirmation"' in text
    assert [path.name for path in tmp_path.iterdir()] == ["report.html"]
    assert database.read_bytes() == before


def test_the_page_goes_to_stdout_when_asked(autotune: Autotune, tmp_path: Path, store: str) -> None:
    ended = autotune("report", "quickstart", "-o", "-", "--store", store)
    assert ended.stdout.startswith("<!DOCTYPE html>")
    assert ended.stdout.endswith("</html>\n")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("form", "magic"), [("png", b"\x89PNG"), ("svg", b"<?xml")])
def test_the_figures_become_files(
    autotune: Autotune, tmp_path: Path, store: str, form: str, magic: bytes
) -> None:
    arguments = ("report", "--store", store, "--figures", "figures", "--format", form, "--json")
    ended = autotune(*arguments)
    page, *figures = json.loads(ended.stdout)
    assert page == "report.html"
    assert {Path(figure).name for figure in figures} == {
        f"{PLAN.id}-{name}.{form}"
        for name in ("latency", "finalists", "confirmation", "history", "spent", "scaling", "disturbances")
    }
    assert all((tmp_path / figure).read_bytes().startswith(magic) for figure in figures)
    assert autotune(*arguments).stdout == ended.stdout


def test_a_plan_file_without_its_store_gives_what_it_carries(autotune: Autotune, tmp_path: Path) -> None:
    (tmp_path / "plan.json").write_text(format_plan(PLAN))
    ended = autotune("report", "plan.json", "-o", "mine.html")
    assert (ended.returncode, ended.stdout) == (0, "mine.html\n")
    assert "what the plan file carries" in ended.stderr
    text = (tmp_path / "mine.html").read_text()
    assert "serves 3.00 times" in text
    assert 'id="figure-history"' not in text
    assert {path.name for path in tmp_path.iterdir()} == {"plan.json", "mine.html"}


def test_a_plan_file_whose_store_is_there_is_shown_with_its_trials(
    autotune: Autotune, tmp_path: Path, store: str
) -> None:
    (tmp_path / "plan.json").write_text(format_plan(PLAN))
    ended = autotune("report", "./plan.json", "-o", "-", "--store", store)
    assert ended.stderr == ""
    assert 'id="figure-history"' in ended.stdout


def test_another_plan_of_the_same_name_is_not_mixed_with_the_stored_trials(
    autotune: Autotune, tmp_path: Path, store: str
) -> None:
    (tmp_path / "plan.json").write_text(format_plan(PLAN.model_copy(update={"trial": 8})))
    ended = autotune("report", "plan.json", "-o", "-", "--store", store)
    assert "another plan" in ended.stderr
    assert 'id="figure-history"' not in ended.stdout


def test_a_file_of_other_origin_is_replaced_only_when_forced(
    autotune: Autotune, tmp_path: Path, store: str
) -> None:
    (tmp_path / "report.html").write_text("mine")
    refused = autotune("report", "--store", store)
    assert refused.returncode == EXIT_CODES[ExportError]
    assert "--force" in refused.stderr
    assert (tmp_path / "report.html").read_text() == "mine"
    assert autotune("report", "--store", store, "--force").returncode == 0
    assert autotune("report", "--store", store).returncode == 0


def test_a_figure_of_other_origin_is_refused_before_anything_is_written(
    autotune: Autotune, tmp_path: Path, store: str
) -> None:
    taken = tmp_path / "figures" / f"{PLAN.id}-latency.svg"
    taken.parent.mkdir()
    taken.write_text("<svg>mine</svg>")
    refused = autotune("report", "--store", store, "--figures", "figures")
    assert refused.returncode == EXIT_CODES[ExportError]
    assert "--force" in refused.stderr
    assert taken.read_text() == "<svg>mine</svg>"
    assert not (tmp_path / "report.html").exists()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["-o", "nowhere/report.html"], "there is no folder 'nowhere'"),
        (["-o", "."], "is a folder"),
        (["-o", "/dev/null"], "no regular file"),
        (["--figures", "nowhere/figures"], "there is no folder"),
    ],
)
def test_a_path_that_cannot_be_written_is_refused_before_the_store_is_read(
    autotune: Autotune, tmp_path: Path, arguments: list[str], words: str
) -> None:
    ended = autotune("report", *arguments)
    assert ended.returncode == EXIT_CODES[ExportError]
    assert words in ended.stderr
    assert "Traceback" not in ended.stderr
    assert list(tmp_path.iterdir()) == []


def test_a_page_on_stdout_leaves_no_room_for_json(autotune: Autotune, tmp_path: Path) -> None:
    ended = autotune("report", "-o", "-", "--json")
    assert ended.returncode == WRONG_USE
    assert "--json" in re.sub(r"\s+", " ", ended.stderr)


@pytest.mark.parametrize(
    ("ref", "error", "words"),
    [("latest", StoreError, "there is no store"), ("x.json", PlanError, "cannot be read")],
)
def test_what_is_not_there_cannot_be_reported(
    autotune: Autotune, tmp_path: Path, ref: str, error: type[StoreError | PlanError], words: str
) -> None:
    ended = autotune("report", ref)
    assert ended.returncode == EXIT_CODES[error]
    assert words in ended.stderr
    assert list(tmp_path.iterdir()) == []
