"""Jobs over HTTP: asked for once, listed, changed and forgotten."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from autotune.documents.job import job_document
from autotune.queue.job_log import job_log
from autotune.service.access import AccessRole
from autotune.service.settings import ServiceSettings
from autotune.store.job_records import JobHolder
from tests.service.api.conftest import MACHINE, STUDY_TEXT, ServedStore, filled, serving, tune_body

Ask = Callable[..., Any]


def test_a_study_that_is_asked_for_waits_as_a_job(served: ServedStore, ask: Ask) -> None:
    job = ask("POST", "/jobs", 201, json=tune_body())
    assert (job["schema"], job["state"], job["study"]) == ("autotune.job/1", "queued", "asked")
    assert (job["machine"], job["asked_by"]) == (MACHINE, "tester")
    assert job == job_document(served.context.queue.job(job["id"]))
    assert ask("GET", f"/jobs/{job['id']}") == {**job, "standing": []}
    assert "there is no job 'zzz'" in ask("GET", "/jobs/zzz", 404)["detail"]


def test_the_study_of_a_job_has_every_value_and_downloads_nothing(ask: Ask) -> None:
    request = ask("POST", "/jobs", 201, json=tune_body())["request"]
    assert request["study"]["confirm"]["rounds"] == 12
    assert request["offline"] is True


def test_json_and_yaml_ask_for_the_same_study(ask: Ask) -> None:
    study = {"name": "asked", "model": "random:minilm-l6", "problem": {"batch_size": 1, "sequence_length": 8}}
    as_json = ask("POST", "/jobs", 201, json={"kind": "tune", "study": study})
    assert as_json["request"] == ask("POST", "/jobs", 201, json=tune_body())["request"]


def test_the_same_key_asks_for_the_same_job_however_often(served: ServedStore) -> None:
    answers = [
        served.client.post("/api/v1/jobs", json=tune_body(), headers={"Idempotency-Key": "deploy-42"})
        for _ in range(3)
    ]
    assert [answer.status_code for answer in answers] == [201, 200, 200]
    assert len({answer.json()["id"] for answer in answers}) == 1
    assert answers[0].headers["location"] == f"/api/v1/jobs/{answers[0].json()['id']}"
    assert len(served.context.queue.jobs()) == 1


def test_a_key_that_was_used_for_another_study_is_a_conflict(served: ServedStore) -> None:
    for name, status in (("one", 201), ("other", 409)):
        answer = served.client.post(
            "/api/v1/jobs", json=tune_body(name), headers={"Idempotency-Key": "deploy-42"}
        )
        assert answer.status_code == status
    assert "which is the job" in answer.json()["detail"]


@pytest.mark.parametrize("key", ["", "with blank", "x" * 129, "ümlaut".encode().decode("latin-1")])
def test_a_key_that_is_none_is_refused(served: ServedStore, key: str) -> None:
    answer = served.client.post(
        "/api/v1/jobs", json=tune_body(), headers=[(b"Idempotency-Key", key.encode("latin-1"))]
    )
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["path"] == "Idempotency-Key"


@pytest.mark.parametrize(
    ("body", "path"),
    [
        ({"kind": "tune"}, "study"),
        ({"kind": "tune", "study": {}, "study_yaml": "a: 1"}, "study"),
        ({"kind": "tune", "study_yaml": "model: random:minilm-l6\nproblem: {batch_size: 0}\n"}, "name"),
        ({"kind": "tune", "study": {"model": "random:minilm"}, "name": "x"}, "model"),
        ({"kind": "tune", "study": {"model": "path:/etc"}, "name": "x"}, "problem"),
        ({"kind": "tune", "study_yaml": "a: &b 1\n", "name": "x"}, "a"),
        (tune_body(priority=101), "priority"),
        (tune_body(store="sqlite:///x.db"), "store"),
        ({"kind": "verify", "plan": "../x"}, "plan"),
        ({"kind": "verify", "plan": "p", "webhook": "http://169.254.169.254/"}, "webhook"),
        ({"kind": "reboot"}, "body"),
    ],
)
def test_a_wrong_request_is_refused_with_its_place(ask: Ask, body: dict[str, Any], path: str) -> None:
    problem = ask("POST", "/jobs", 422, json=body)
    assert path in [fault["path"] for fault in problem["errors"]]
    assert ask("GET", "/jobs")["jobs"] == []


def test_a_wrong_study_text_is_told_with_its_lines(ask: Ask) -> None:
    text = "name: x\nmodel: random:minilm-l6\nproblem: {batch_size: 1, sequence_length: 0}\n"
    problem = ask("POST", "/jobs", 422, json={"kind": "tune", "study_yaml": text})
    assert [(fault["path"], fault["line"]) for fault in problem["errors"]] == [("problem.sequence_length", 3)]
    assert problem["remedy"].startswith("GET /api/v1/schema gives")


def test_a_plan_of_the_store_can_be_verified_and_compared(served: ServedStore, ask: Ask) -> None:
    filled(served.context)
    plan = "quickstart-7f3a9c"
    verify = ask("POST", "/jobs", 201, json={"kind": "verify", "plan": "quickstart", "minutes": 2})
    compare = ask("POST", "/jobs", 201, json={"kind": "compare", "a": "latest", "b": plan, "rounds": 3})
    assert (verify["study"], verify["request"]["plan"]) == ("quickstart", plan)
    assert (compare["request"]["a"], compare["request"]["b"]) == (plan, plan)
    assert ask("POST", "/jobs", 404, json={"kind": "verify", "plan": "nothing"})["type"].endswith(
        "not-stored"
    )


def test_jobs_are_listed_newest_first_by_pages_and_filters(ask: Ask) -> None:
    ids = [ask("POST", "/jobs", 201, json=tune_body(f"study-{number}"))["id"] for number in range(3)]
    ask("POST", f"/jobs/{ids[1]}/cancel")
    first = ask("GET", "/jobs?limit=2")
    rest = ask("GET", f"/jobs?limit=2&offset={first['next']}")
    assert [job["id"] for job in (*first["jobs"], *rest["jobs"])] == ids[::-1]
    assert rest["next"] is None
    listed = ask("GET", "/jobs?state=cancelled&state=failed&kind=tune&study=study-1")
    assert [job["id"] for job in listed["jobs"]] == [ids[1]]
    assert "request" not in first["jobs"][0]


def test_the_queue_shows_its_order(ask: Ask) -> None:
    low, high = (
        ask("POST", "/jobs", 201, json=tune_body(f"of-{priority}", priority=priority)) for priority in (0, 5)
    )
    assert [job["id"] for job in ask("GET", "/queue")["waiting"]] == [high["id"], low["id"]]
    assert ask("PATCH", f"/jobs/{low['id']}", json={"priority": 9})["priority"] == 9
    queue = ask("GET", "/queue")
    assert [job["id"] for job in queue["waiting"]] == [low["id"], high["id"]]
    assert (queue["running"], queue["counts"]["queued"]) == (None, 2)


def test_a_cancelled_job_can_be_resumed_and_deleted(served: ServedStore, ask: Ask) -> None:
    job = ask("POST", "/jobs", 201, json=tune_body())["id"]
    assert ask("POST", f"/jobs/{job}/cancel")["state"] == "cancelled"
    assert ask("POST", f"/jobs/{job}/cancel")["state"] == "cancelled"
    assert ask("PATCH", f"/jobs/{job}", 409, json={"priority": 1})["type"].endswith("job-conflict")
    assert ask("POST", f"/jobs/{job}/resume")["state"] == "queued"
    log = job_log(served.context.settings.state, job)
    log.parent.mkdir(parents=True)
    log.write_text("begins\n")
    ask("DELETE", f"/jobs/{job}", 204)
    assert not log.exists()
    for method, path in (("GET", ""), ("POST", "/cancel"), ("POST", "/resume"), ("DELETE", "")):
        assert ask(method, f"/jobs/{job}{path}", 404)["remedy"]


@pytest.mark.parametrize(
    ("role", "allowed"),
    [(None, 0), (AccessRole.READ, 1), (AccessRole.TUNE, 2), (AccessRole.ADMIN, 3)],
)
def test_each_role_may_do_what_it_says_and_no_more(
    settings: ServiceSettings, role: AccessRole | None, allowed: int
) -> None:
    with serving(settings, role) as served:
        statuses = [
            served.client.get("/api/v1/jobs").status_code,
            served.client.post("/api/v1/jobs", json=tune_body()).status_code,
            served.client.delete("/api/v1/jobs/0").status_code,
        ]
    refused = 401 if role is None else 403
    assert statuses == [200, 201, 404][:allowed] + [refused] * (3 - allowed)


@pytest.mark.parametrize(
    ("study", "path", "words"),
    [
        ("model: random:minilm-l6\nsearch: {backends: [nope]}\n", "search.backends", "not a known backend"),
        ("model: hf:org/name\n", "model", "the service may not download"),
        ("model: fake:broken.json\n", "model", "JSON"),
        ("model: onnx:empty.onnx\n", "model", "is empty"),
        ("model: path:bare\n", "model", "holds no model"),
    ],
)
def test_what_cannot_run_is_refused_before_it_waits(
    settings: ServiceSettings, tmp_path: Path, study: str, path: str, words: str
) -> None:
    models = tmp_path / "models"
    (models / "bare").mkdir(parents=True)
    (models / "broken.json").write_text("{")
    (models / "empty.onnx").touch()
    text = f"name: asked\nproblem: {{batch_size: 1, sequence_length: 8}}\n{study}"
    with serving(replace(settings, roots=(models,))) as served:
        for target, body in (
            ("/jobs", {"kind": "tune", "study_yaml": text}),
            ("/studies/validate", {"study_yaml": text, "outlook": False}),
        ):
            answer = served.client.post(f"/api/v1{target}", json=body)
            assert answer.status_code == 422, answer.text
            assert words in answer.json()["detail"]
            assert [fault["path"] for fault in answer.json()["errors"]] == [path]
        assert served.context.queue.jobs() == ()


def test_a_study_that_was_begun_with_other_values_is_refused_at_once(served: ServedStore, ask: Ask) -> None:
    filled(served.context)
    other = STUDY_TEXT.replace("batch_size: 1", "batch_size: 4")
    ask("POST", "/jobs", 201, json=tune_body("waits"))
    ask("POST", "/jobs", 201, json=tune_body("waits"))
    ask("POST", "/jobs", 201, json=tune_body("quickstart"))
    for name in ("quickstart", "waits"):
        problem = ask("POST", "/jobs", 409, json={"kind": "tune", "study_yaml": f"name: {name}\n{other}"})
        assert "batch_size: 1 -> 4" in problem["detail"]
        assert problem["remedy"] == "rename the study (its `name`), or restore what differs"


def test_a_study_without_a_name_is_told_its_other_faults_too(ask: Ask) -> None:
    study = {"model": "random:minilm-l6", "problem": {"batch_size": 1, "sequence_length": 8}, "nme": 3}
    problem = ask("POST", "/studies/validate", 422, json={"study": study})
    assert {fault["path"] for fault in problem["errors"]} == {"name", "nme"}


def test_a_webhooks_path_is_shown_to_administrators_alone(settings: ServiceSettings) -> None:
    secret = "https://hooks.example.org:8443/services/T0?token=abc"
    told = {AccessRole.ADMIN: secret, AccessRole.READ: "https://hooks.example.org:8443/***"}
    settings = replace(settings, webhook_hosts=("hooks.example.org:8443",))
    for role, webhook in told.items():
        with serving(settings, role) as served:
            if role == AccessRole.ADMIN:
                filled(served.context)
                body = {"kind": "verify", "plan": "latest", "webhook": secret}
                assert served.client.post("/api/v1/jobs", json=body).status_code == 201
                schedule = {"study": "quickstart", "every_s": 60, "webhook": secret}
                assert served.client.put("/api/v1/schedules/x", json=schedule).status_code == 201
            (job,) = served.context.queue.jobs()
            shown = served.client.get(f"/api/v1/jobs/{job.id}").json()
            assert shown["request"]["webhook"] == webhook
            (schedule,) = served.client.get("/api/v1/schedules").json()["schedules"]
            alone = served.client.get("/api/v1/schedules/x").json()
            assert schedule["webhook"] == alone["webhook"] == webhook


def test_a_resumed_job_begins_anew(served: ServedStore, ask: Ask) -> None:
    queue, holder = served.context.queue, JobHolder(MACHINE, "boot", 1, 1)
    job = ask("POST", "/jobs", 201, json=tune_body())["id"]
    first = queue.begin(MACHINE, holder)
    assert first is not None
    queue.end(job, holder, "failed")
    assert ask("POST", f"/jobs/{job}/resume")["started_s"] is None
    second = queue.begin(MACHINE, holder)
    assert second is not None
    assert first.started_s is not None
    assert second.started_s is not None
    assert second.started_s > first.started_s


@pytest.mark.parametrize("path", ["/api/v1/jobs", "/health/live", "/"])
def test_head_is_answered_where_get_is(served: ServedStore, path: str) -> None:
    head, whole = served.client.head(path), served.client.get(path)
    assert (head.status_code, head.content) == (200, b"")
    assert head.headers["content-type"] == whole.headers["content-type"]


@pytest.mark.parametrize("body", [b"\xff\xfe{", b"[" * 100_000])
def test_a_body_that_cannot_be_read_is_told_what_to_send(served: ServedStore, body: bytes) -> None:
    answer = served.client.post("/api/v1/jobs", content=body, headers={"Content-Type": "application/json"})
    assert answer.status_code == 400
    assert answer.json()["remedy"].startswith("send one JSON object")
