"""`autotune curve` with the fake backend, in real processes."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner

from autotune.cli import exits
from autotune.cli.main import app
from autotune.errors import ExportError, PlanError
from autotune.plan.document import format_plan, parse_plan
from autotune.store.records import StudyRecord
from autotune.store.store import open_store, read_store
from autotune.testing.fake_plans import FakeStudy
from autotune.testing.fake_trial import processes_of
from autotune.testing.plans import build_plan

RunCommand = Callable[..., tuple[int, str, str]]

SERVICE_S = 0.02
"""Of a request of the fake study's plan, by its model's closed form."""


def test_a_plans_own_processes_are_put_under_load_and_its_curve_is_kept(
    run_command: RunCommand, own_study: FakeStudy
) -> None:
    plan, url = own_study.plan(2.0), f"sqlite:///{own_study.folder}/autotune.db"
    with open_store(url) as store:
        store.create_study(StudyRecord("fake", 0.0, {}, {}, {}, "d", "m"))
        store.save_plan(plan)
    code, out, err = run_command(own_study.folder, "curve", "fake", "--rates", "15,90", "--seconds", "4")
    assert code == 0, err
    assert out.startswith(f"curve of plan {plan.id}")
    assert "[1/2] 15.0 requests/s: " in err
    with read_store(url) as store:
        kept = store.plan(plan.id)
    assert kept.model_copy(update={"curve": None}) == plan
    assert kept.curve is not None
    low, high = kept.curve.points
    assert (low.rate_per_s, high.rate_per_s) == (15.0, 90.0)
    assert min(low.services_s()) >= 0.95 * SERVICE_S
    assert high.answered_per_s is not None
    assert high.answered_per_s < 1.05 / SERVICE_S
    assert high.utilisation is not None
    assert low.utilisation is not None
    assert low.utilisation < high.utilisation
    assert processes_of(own_study.folder) == []


def test_a_plan_file_with_its_curve_is_written_and_a_document_printed(
    run_command: RunCommand, own_study: FakeStudy
) -> None:
    plan = own_study.plan(2.0)
    path = own_study.folder / "plan.json"
    path.write_text(format_plan(plan))
    arguments = (
        "curve",
        "./plan.json",
        "--rates",
        "1200/min",
        "--seconds",
        "0.5",
        "-o",
        "plan.json",
        "--json",
    )
    code, out, err = run_command(own_study.folder, *arguments)
    assert code == 0, err
    found = json.loads(out)
    assert (found["schema"], found["plan"], found["failures"]) == ("autotune.curve/1", plan.id, [])
    written = parse_plan(path.read_bytes())
    assert written.curve is not None
    assert found["curve"] == written.curve.model_dump(mode="json")


def test_a_plan_of_another_machine_is_stale_and_nothing_is_started(
    run_command: RunCommand, own_study: FakeStudy
) -> None:
    plan = own_study.plan(2.0)
    elsewhere = plan.model_copy(update={"machine": {**plan.machine, "allowed": "0-191"}})
    (own_study.folder / "plan.json").write_text(format_plan(elsewhere))
    code, out, _ = run_command(own_study.folder, "curve", "./plan.json", "-o", "other.json")
    assert code == exits.STALE
    assert out.startswith("stale: ")
    assert "the set of allowed cpus differs" in out
    assert not (own_study.folder / "other.json").exists()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--rates", "0"), "a rate of 0 is none to serve"),
        (("--rates", "1e12"), "a rate of 1e12 is none to serve"),
        (("--rates", "50,1/day"), "1/day is 1.15741e-05 requests per second, which cannot be sent"),
        (("--rates", "many"), "'many' is not a rate"),
        (("--rates", "50,,100"), "'' is not a rate"),
        (("--seconds", "0"), "0 seconds"),
    ],
)
def test_rates_that_cannot_be_sent_are_a_wrong_command_line(arguments: tuple[str, ...], words: str) -> None:
    ended = CliRunner().invoke(app, ["curve", "./none.json", *arguments])
    assert ended.exit_code == 2
    assert words in " ".join(ended.stderr.replace("│", " ").split())


def test_a_plan_whose_requests_are_split_is_refused(tmp_path: Path) -> None:
    (tmp_path / "plan.json").write_text(format_plan(build_plan(scenario="single_stream")))
    ended = CliRunner().invoke(app, ["curve", str(tmp_path / "plan.json")])
    assert isinstance(ended.exception, PlanError)


def test_another_file_is_not_replaced(tmp_path: Path) -> None:
    (tmp_path / "plan.json").write_text(format_plan(build_plan()))
    (tmp_path / "notes.txt").write_text("mine")
    ended = CliRunner().invoke(app, ["curve", str(tmp_path / "plan.json"), "-o", str(tmp_path / "notes.txt")])
    assert isinstance(ended.exception, ExportError)
    assert (tmp_path / "notes.txt").read_text() == "mine"
