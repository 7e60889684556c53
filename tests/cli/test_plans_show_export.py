from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from autotune.cli.exits import EXIT_CODES
from autotune.errors import ExportError, PlanError, StoreError
from autotune.plan.document import format_plan, parse_plan, plan_values
from autotune.store.records import StudyRecord
from autotune.store.store import open_store
from autotune.testing.plans import build_plan

FIRST = build_plan(id="quickstart-aaa111", created_s=1_790_000_000.0)
LAST = build_plan(id="quickstart-bbb222", created_s=1_790_000_100.0, gain=None, baseline=None)


def autotune(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "autotune", *arguments],
        cwd=folder,
        env={**os.environ, "TZ": "UTC", "COLUMNS": "80", "TERM": "dumb"},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A working folder whose default store holds two plans."""
    folder = tmp_path_factory.mktemp("plans")
    with open_store(f"sqlite:///{folder}/autotune.db") as store:
        store.create_study(StudyRecord("quickstart", 0.0, {}, {}, {}, "d", "m"))
        store.create_study(StudyRecord("unfinished", 0.0, {}, {}, {}, "d", "m"))
        store.save_plan(FIRST)
        store.save_plan(LAST)
    return folder


def test_plans_lists_what_the_store_holds_newest_first(folder: Path) -> None:
    ended = autotune(folder, "plans")
    assert ended.returncode == 0, ended.stderr
    heading, last, first = ended.stdout.splitlines()
    assert " ".join(heading.split()) == "id study objective configuration score gain vs default created"
    assert last.startswith("quickstart-bbb222")
    assert " unknown " in last
    assert first.startswith("quickstart-aaa111")
    assert first.split()[-6:] == ["30.0", "samples/s", "3.00x", "1.24x", "2026-09-21", "14:13"]
    assert "2 x 1 threads, close" in first


def test_plans_prints_json(folder: Path) -> None:
    listed = json.loads(autotune(folder, "plans", "--json").stdout)
    assert [plan["id"] for plan in listed] == [LAST.id, FIRST.id]
    assert listed[1]["configuration"] == FIRST.configuration.parameters()
    assert (listed[0]["gain"], listed[1]["gain"]) == (None, 3.0)
    assert listed[1]["default_ratio"] == 1.24


def test_plans_of_older_documents_know_no_default(tmp_path: Path) -> None:
    asked = build_plan(id="quickstart-old111").confirmation.model_copy(update={"default": None})
    with open_store(f"sqlite:///{tmp_path}/autotune.db") as store:
        store.create_study(StudyRecord("quickstart", 0.0, {}, {}, {}, "d", "m"))
        store.save_plan(build_plan(id="quickstart-old111", confirmation=asked))
    (listed,) = json.loads(autotune(tmp_path, "plans", "--json").stdout)
    assert listed["default_ratio"] is None
    assert autotune(tmp_path, "plans").stdout.split()[-3] == "unknown"


def test_plans_of_a_study_without_any_are_an_empty_list(folder: Path) -> None:
    ended = autotune(folder, "plans", "--study", "unfinished")
    assert (ended.returncode, ended.stdout) == (0, "")
    assert "no plans yet" in ended.stderr
    assert json.loads(autotune(folder, "plans", "--study", "unfinished", "--json").stdout) == []


@pytest.mark.parametrize("command", [["plans"], ["show"], ["export", "--to", "json"]])
def test_a_store_that_is_not_there_is_not_made(tmp_path: Path, command: list[str]) -> None:
    ended = autotune(tmp_path, *command)
    assert ended.returncode == EXIT_CODES[StoreError]
    assert "there is no store at 'autotune.db'" in ended.stderr
    assert "autotune tune" in ended.stderr
    assert "Traceback" not in ended.stderr
    assert not list(tmp_path.iterdir())


def test_show_means_the_latest_unless_told(folder: Path) -> None:
    shown = autotune(folder, "show").stdout
    assert shown.startswith("plan quickstart-bbb222\n")
    assert autotune(folder, "show", "latest").stdout == shown
    assert autotune(folder, "show", "quickstart-a").stdout.startswith("plan quickstart-aaa111\n")
    assert max(map(len, shown.splitlines())) <= 80


def test_show_prints_the_document(folder: Path) -> None:
    shown = autotune(folder, "show", "latest", "--json").stdout
    assert json.loads(shown) == plan_values(LAST)
    assert parse_plan(shown) == LAST


def test_an_unknown_plan_names_the_near_one(folder: Path) -> None:
    ended = autotune(folder, "show", "quikstart-aaa111")
    assert ended.returncode == EXIT_CODES[StoreError]
    assert "did you mean quickstart-aaa111" in ended.stderr


def test_reading_leaves_the_store_as_it_is(folder: Path) -> None:
    before = (folder / "autotune.db").read_bytes()
    for command in (["plans"], ["show"], ["export", "--to", "json"]):
        assert autotune(folder, *command).returncode == 0
    assert (folder / "autotune.db").read_bytes() == before


def test_export_writes_the_files_of_a_target(folder: Path, tmp_path: Path) -> None:
    ended = autotune(folder, "export", "latest", "--to", "numactl", "-o", f"{tmp_path}/launch/")
    assert ended.returncode == 0, ended.stderr
    script = tmp_path / "launch" / "launch.sh"
    assert ended.stdout == f"{script}\n{tmp_path}/launch/plan.json\n"
    assert (tmp_path / "launch" / "plan.json").read_text() == format_plan(LAST)
    assert os.access(script, os.X_OK)
    assert LAST.id in script.read_text()


def test_export_prints_a_single_file_on_stdout(folder: Path, tmp_path: Path) -> None:
    printed = autotune(folder, "export", "--to", "numactl").stdout
    autotune(folder, "export", "--to", "numactl", "-o", str(tmp_path))
    assert printed == (tmp_path / "launch.sh").read_text()
    assert autotune(folder, "export", "--to", "json", "-o", "-").stdout == format_plan(LAST)


def test_export_cannot_print_the_file_and_its_path_at_once(tmp_path: Path) -> None:
    ended = autotune(tmp_path, "export", "--to", "nothing-known", "--json")
    assert (ended.returncode, ended.stdout) == (2, "")
    assert "give -o DIR" in ended.stderr


def test_an_exported_document_can_be_shown_and_exported_again(folder: Path, tmp_path: Path) -> None:
    written = json.loads(autotune(folder, "export", "--to", "json", "-o", str(tmp_path), "--json").stdout)
    assert written == [str(tmp_path / "plan.json")]
    assert autotune(tmp_path, "show", "plan.json").stdout == autotune(folder, "show").stdout
    again = autotune(tmp_path, "export", "./plan.json", "--to", "numactl")
    assert again.stdout == autotune(folder, "export", "--to", "numactl").stdout


def test_export_replaces_somebody_elses_file_only_when_forced(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "launch.sh").write_text("mine")
    arguments = ["export", "--to", "numactl", "-o", str(tmp_path)]
    refused = autotune(folder, *arguments)
    assert refused.returncode == EXIT_CODES[ExportError]
    assert "--force" in refused.stderr
    assert (tmp_path / "launch.sh").read_text() == "mine"
    assert autotune(folder, *arguments, "--force").returncode == 0
    assert (tmp_path / "launch.sh").read_text().startswith("#!")


SERVER = ("--command", "uvicorn app:app --port {port} --plan {plan}")


def test_export_starts_the_server_that_is_named(folder: Path, tmp_path: Path) -> None:
    ended = autotune(folder, "export", "--to", "numactl", "-o", str(tmp_path), *SERVER, "--port", "9000")
    assert ended.returncode == 0, ended.stderr
    text = (tmp_path / "launch.sh").read_text()
    assert f"uvicorn app:app --port 9001 --plan {tmp_path}/plan.json" in text
    assert "AUTOTUNE_INSTANCE=1" in text


def test_export_takes_options_of_the_target(folder: Path, tmp_path: Path) -> None:
    settings = ("--set", "plan=/srv/plan.json", "--set", "reader=systemd")
    ended = autotune(folder, "export", "--to", "env", "-o", str(tmp_path), *SERVER, *settings)
    assert ended.returncode == 0, ended.stderr
    assert 'AUTOTUNE_PLAN="/srv/plan.json"' in (tmp_path / "instance-0.env").read_text()
    assert "env: Pin each process yourself" in ended.stderr


def test_a_targets_options_and_what_it_keeps_are_listed(folder: Path) -> None:
    listed = autotune(folder, "export", "--to", "numactl", "--help-options").stdout
    assert "grace_s  10" in listed
    assert "cpus              exact" in listed
    document = json.loads(autotune(folder, "export", "--to", "env", "--help-options", "--json").stdout)
    assert [option["name"] for option in document["options"]] == ["plan", "reader"]
    assert document["keeps"]["cpus"] == "lost"


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["--to", "numactl", "--command", "run {prot}"], EXIT_CODES[ExportError], "did you mean {port}?"),
        (["--to", "numactl", "--command", "run"], EXIT_CODES[ExportError], "is the same for all 2 instances"),
        (["--to", "numactl", *SERVER], EXIT_CODES[ExportError], "plan.json is written nowhere"),
        (
            ["--to", "numactl", "--command", "run {port}", "--port", "65535"],
            EXIT_CODES[ExportError],
            "out of",
        ),
        (["--to", "numactl", "--port", "80"], 2, "give its command, too"),
        (["--to", "numactl", "--workers", *SERVER], 2, "leave --command and --port out"),
        (["--to", "json", *SERVER], 2, "json starts no server"),
        (["--to", "env", "--workers"], EXIT_CODES[ExportError], "env starts no workers"),
        (["--to", "env", "--set", "readr=docker"], EXIT_CODES[ExportError], "did you mean reader?"),
        (
            ["--to", "env", "--set", "reader=bash"],
            EXIT_CODES[ExportError],
            "reader='bash' is not any or docker",
        ),
        (
            ["--to", "env", *SERVER, "--set", "plan=rel.json"],
            EXIT_CODES[ExportError],
            "is not the absolute path",
        ),
        (["--to", "env", "--set", "reader"], EXIT_CODES[ExportError], "write --set NAME=VALUE"),
        (["--to", "env", "--set", "plan=/a", "--set", "plan=/b"], EXIT_CODES[ExportError], "is there twice"),
    ],
)
def test_what_cannot_be_exported_is_told_and_nothing_is_written(
    folder: Path, tmp_path: Path, arguments: list[str], code: int, message: str
) -> None:
    ended = autotune(folder, "export", *arguments)
    assert (ended.returncode, ended.stdout) == (code, "")
    assert message in " ".join(ended.stderr.replace("│", " ").split())
    assert not list(tmp_path.iterdir())


def test_an_unknown_target_names_the_known_ones(folder: Path) -> None:
    ended = autotune(folder, "export", "--to", "mainframe")
    assert ended.returncode == EXIT_CODES[ExportError]
    assert "json, kubernetes, nginx, numactl" in ended.stderr
    assert "did you mean kubernetes?" in autotune(folder, "export", "--to", "kubernets").stderr


@pytest.mark.parametrize(("content", "words"), [(None, "cannot be read"), ("{}", "has no `schema`")])
def test_a_file_that_is_no_plan_is_refused(tmp_path: Path, content: str | None, words: str) -> None:
    if content is not None:
        (tmp_path / "x.json").write_text(content)
    ended = autotune(tmp_path, "show", "x.json")
    assert ended.returncode == EXIT_CODES[PlanError]
    assert words in ended.stderr


@pytest.mark.parametrize("command", ["plans", "show", "export"])
def test_every_option_is_in_the_help(folder: Path, command: str) -> None:
    shown = autotune(folder, command, "--help").stdout
    assert "--store" in shown
    assert "--json" in shown
