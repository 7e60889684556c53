"""Commands that speak to a service, against one that answers what a test says."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from autotune.cli import exits
from autotune.documents.study import trial_document
from autotune.events import Event, Progress, SpaceSurveyed, Summary, TrialBegan, TrialEnded
from autotune.plan.document import PlanStudy, plan_values
from autotune.spec.study import StudySpec
from autotune.store.records import TrialSummary
from autotune.testing.plans import build_plan
from autotune.testing.store_contract import CONFIGURATION
from tests.client.scripted_service import DROP, Answer, document, problem, serving, stream
from tests.conftest import RunCommand

PROGRESS = Progress(1, 9)
TOLD: tuple[tuple[int, Event], ...] = (
    (1, SpaceSurveyed(("jax: not installed",))),
    (2, TrialBegan(0, "1 x 2 threads", PROGRESS)),
    (3, TrialEnded(0, "baseline", "1 x 2 threads", Summary("10.0 samples/s", 10.0), PROGRESS)),
)
SPEC = StudySpec.model_validate(
    {"name": "mine", "model": "fake:model.json", "problem": {"batch_size": 8, "sequence_length": 16}}
)
PLAN = build_plan(study=PlanStudy(name="mine", spec=SPEC.model_dump(mode="json")))


SUMMARY = TrialSummary("mine", 0, CONFIGURATION, True, 1.0, 2.0, None, 10.0, {})


@pytest.fixture(autouse=True)
def _no_token(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AUTOTUNE_TOKEN", "AUTOTUNE_URL", "AUTOTUNE_CA"):
        monkeypatch.delenv(name, raising=False)


def job(state: str = "queued", **values: Any) -> dict[str, Any]:
    usual = {
        "id": "0badcafe",
        "kind": "tune",
        "study": "mine",
        "state": state,
        "priority": 0,
        "asked_by": "ci",
    }
    times = {"asked_s": 1_790_000_000.0, "started_s": None, "ended_s": None}
    return {**usual, **times, "plan": None, "fault": None, "result": None, **values}


TRIALS = document(
    study="mine",
    trials=[
        trial_document(SUMMARY),
        trial_document(
            replace(SUMMARY, number=7, baseline=False, failure="wrong_output", score=None), "far off"
        ),
    ],
    next=None,
)


def plan_answer() -> Answer:
    return document(200, **plan_values(PLAN))


@pytest.fixture
def study_file(tmp_path: Path) -> Path:
    file = tmp_path / "mine.yaml"
    file.write_text("model: random:bert-base\nproblem: {batch_size: 1, sequence_length: 8}\n")
    return file


def test_submit_prints_the_jobs_id_and_how_to_watch_it(
    run_command: RunCommand, tmp_path: Path, study_file: Path
) -> None:
    with serving(document(201, **job())) as service:
        asked = ("submit", study_file.name, "--url", service.url, "--key", "k", "--priority", "2")
        code, out, err = run_command(tmp_path, *asked)
    assert (code, out) == (0, "0badcafe\n")
    assert f"autotune watch 0badcafe --url {service.url}" in err
    assert service.asked[0].headers["Idempotency-Key"] == "k"
    assert service.asked[0].body["priority"] == 2


def test_submit_ends_with_the_code_that_tune_has_for_the_same_fault(
    run_command: RunCommand, tmp_path: Path, study_file: Path
) -> None:
    with serving(problem(422, "study-file", "mine.yaml:1: no such engine", "name another")) as service:
        code, out, err = run_command(tmp_path, "submit", study_file.name, "--url", service.url)
    assert (code, out) == (4, "")
    assert err == "error: mine.yaml:1: no such engine\n  name another\n"


def test_watching_prints_what_tune_prints_and_the_plan(
    run_command: RunCommand, tmp_path: Path, study_file: Path
) -> None:
    done = document(**job("done", plan=PLAN.id))
    answers = (
        document(201, **job()),
        document(**job()),
        DROP,
        stream(*TOLD, end="done"),
        done,
        plan_answer(),
        TRIALS,
    )
    with serving(*answers) as service:
        asked = ("submit", study_file.name, "--watch", "-o", "plan.json", "--url", service.url)
        code, out, err = run_command(tmp_path, *asked)
    assert code == 0
    assert err.splitlines()[1:] == [
        "not searched: jax: not installed",
        "[1/9] baseline: 1 x 2 threads: 10.0 samples/s; no best yet",
        *(f"warning: {warning}" for warning in PLAN.warnings),
    ]
    assert "best configurations of the search" in out
    assert f"trial 7, {CONFIGURATION}: far off" in out
    assert f"plan {PLAN.id}: {PLAN.configuration}" in out
    assert "autotune export ./plan.json" in out
    code, shown, err = run_command(tmp_path, "show", "./plan.json", "--json")
    assert (code, json.loads(shown)) == (0, plan_values(PLAN)), err


def test_watch_prints_the_plans_document_and_nothing_else_on_stdout(
    run_command: RunCommand, tmp_path: Path
) -> None:
    done = document(**job("done", plan=PLAN.id))
    with serving(document(**job("running")), stream(*TOLD, end="done"), done, plan_answer()) as service:
        code, out, _ = run_command(tmp_path, "watch", "0badcafe", "--json", "--url", service.url)
    assert (code, json.loads(out)) == (0, plan_values(PLAN))


@pytest.mark.parametrize(
    ("ended", "code"),
    [
        ({"state": "failed", "fault": {"kind": "NoPlanError", "problem": "none", "remedy": "r"}}, 11),
        ({"state": "failed", "fault": {"kind": "ValueError", "problem": "none", "remedy": ""}}, exits.BUG),
        ({"state": "failed", "fault": {"kind": "Sequence", "problem": "none", "remedy": ""}}, exits.BUG),
        ({"state": "cancelled"}, exits.INTERRUPTED),
        ({"state": "done", "kind": "verify", "result": {"verdict": "holds", "plan": "p"}}, 0),
        ({"state": "done", "kind": "verify", "result": {"verdict": "worse", "plan": "p"}}, exits.WORSE),
        ({"state": "done", "kind": "verify", "result": {"verdict": "stale", "plan": "p"}}, exits.STALE),
        ({"state": "done", "kind": "compare", "result": {"verdict": "a", "a": "x", "b": "y"}}, 0),
        (
            {"state": "done", "kind": "compare", "result": {"verdict": "undecided", "a": "x", "b": "y"}},
            exits.UNDECIDED,
        ),
    ],
)
def test_watch_ends_with_the_code_of_the_jobs_own_command(
    run_command: RunCommand, tmp_path: Path, ended: dict[str, Any], code: int
) -> None:
    document_ = document(**job(**ended))
    with serving(document_, stream(end="done"), document_) as service:
        assert run_command(tmp_path, "watch", "0badcafe", "--url", service.url)[0] == code


def test_a_file_for_the_plan_is_refused_where_nobody_waits_for_one(
    run_command: RunCommand, tmp_path: Path, study_file: Path
) -> None:
    code, _, err = run_command(tmp_path, "submit", study_file.name, "-o", "plan.json")
    assert code == 2
    assert "--watch" in err


def test_status_lists_jobs_and_says_how_one_stands(run_command: RunCommand, tmp_path: Path) -> None:
    fault = {"kind": "ModelError", "problem": "no model", "remedy": "name another"}
    failed = job("failed", id="f", fault=fault)
    with serving(
        document(jobs=[job(), failed]), document(jobs=[]), document(jobs=[]), document(**failed)
    ) as service:
        code, out, _ = run_command(tmp_path, "status", "--study", "mine", "--url", service.url)
        assert code == 0
        assert [line.split()[:4] for line in out.splitlines()[1:]] == [
            ["0badcafe", "tune", "mine", "queued"],
            ["f", "tune", "mine", "failed"],
        ]
        code, out, err = run_command(tmp_path, "status", "--url", service.url)
        assert (code, out) == (0, "")
        assert "there are no jobs" in err
        assert (
            "of the study nope" in run_command(tmp_path, "status", "--study", "nope", "--url", service.url)[2]
        )
        code, out, _ = run_command(tmp_path, "status", "f", "--url", service.url)
        assert out.splitlines()[0] == "job f: tune of mine, failed"
        assert out.splitlines()[-2:] == ["no model", "name another"]


def test_status_says_what_a_job_waits_for_how_far_it_is_and_what_it_found(
    run_command: RunCommand, tmp_path: Path
) -> None:
    queue = document(running=job("running", id="r"), waiting=[job(id="w"), job()])
    far = document(**job("running", standing=["[3/9] 2 x 1 threads: 12.0 samples/s"]))
    found = document(
        **job("done", kind="verify", result={"verdict": "stale", "plan": "p", "notes": ["new cpu"]})
    )
    with serving(document(**job()), queue, far, found) as service:
        asked = ("status", "0badcafe", "--url", service.url)
        lines = [run_command(tmp_path, *asked)[1].splitlines()[2:] for _ in range(3)]
    assert lines == [
        ["it waits for 1 other job; r of mine runs"],
        ["[3/9] 2 x 1 threads: 12.0 samples/s"],
        ["stale: plan p", "new cpu"],
    ]


def test_a_dry_run_that_could_not_look_ahead_says_why(
    run_command: RunCommand, tmp_path: Path, study_file: Path
) -> None:
    with serving(document(name="mine", lines=[], outlook=None, skipped="a job measures")) as service:
        code, out, _ = run_command(tmp_path, "submit", study_file.name, "--dry-run", "--url", service.url)
    assert (code, out) == (0, "the study is right; what it would try is not known: a job measures\n")


@pytest.mark.parametrize(
    ("words", "code", "told"),
    [
        (("submit", "mine.yaml", "--key", "\xe4 b"), 18, "1 to 128 printable letters"),
        (("submit", "mine.yaml", "--key", 129 * "k"), 18, "1 to 128 printable letters"),
        (("submit", "mine.yaml", "--priority", "1000"), 2, "less than or equal to 100"),
        (("submit", "mine.yaml", "--watch", "-o", "gone/plan.json"), 14, "there is no gone"),
        (("watch", "0badcafe", "-o", "."), 14, "is a folder"),
    ],
)
def test_what_cannot_work_is_refused_before_anything_is_sent(
    run_command: RunCommand, tmp_path: Path, study_file: Path, words: tuple[str, ...], code: int, told: str
) -> None:
    with serving(document(**job())) as service:
        ended, out, err = run_command(tmp_path, *words, "--url", service.url)
        assert service.asked == []
    assert (ended, out) == (code, "")
    assert told in err


@pytest.mark.parametrize("command", ["cancel", "resume"])
def test_a_job_is_cancelled_and_resumed(run_command: RunCommand, tmp_path: Path, command: str) -> None:
    with serving(document(**job("running", stop_asked=True))) as service:
        code, out, _ = run_command(tmp_path, command, "0badcafe", "--url", service.url)
        assert (code, service.asked[0].path) == (0, f"/api/v1/jobs/0badcafe/{command}")
        assert "is just being stopped" in out
        code, out, _ = run_command(tmp_path, command, "0badcafe", "--json", "--url", service.url)
        assert json.loads(out) == job("running", stop_asked=True)


def test_the_token_is_read_from_a_file_that_is_named(run_command: RunCommand, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("of-the-file\n")
    with serving(document(jobs=[])) as service:
        run_command(tmp_path, "status", "--token-file", "secret", "--url", service.url)
        assert service.asked[0].headers["Authorization"] == "Bearer of-the-file"
        code, _, err = run_command(tmp_path, "status", "--token-file", "gone", "--url", service.url)
        assert code == 18
        assert "'gone' cannot be read" in err


def test_a_service_that_is_not_there_ends_with_its_own_code(run_command: RunCommand, tmp_path: Path) -> None:
    code, out, err = run_command(tmp_path, "status", "--url", "http://127.0.0.1:9")
    assert (code, out) == (18, "")
    assert "autotune serve" in err


def test_ctrl_c_ends_the_watching_and_says_that_the_job_goes_on() -> None:
    with serving(document(**job("running")), stream(*TOLD, is_held=True)) as service:
        command = [sys.executable, "-m", "autotune", "watch", "0badcafe", "--url", service.url]
        with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as watching:
            assert watching.stderr is not None
            assert "not searched" in watching.stderr.readline()
            watching.send_signal(signal.SIGINT)
            err = watching.stderr.read()
        assert watching.returncode == exits.INTERRUPTED
        assert f"the job 0badcafe goes on; to end it: autotune cancel 0badcafe --url {service.url}" in err
        assert [asked.method for asked in service.asked] == ["GET", "GET"]
