"""The machine, schedules, metrics and dry runs over HTTP."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from autotune.bench.here import machine_here
from autotune.documents.schedule import schedule_document
from autotune.errors import StoreError
from autotune.events import WaitingEnded, to_json
from autotune.machine.document import machine_document
from autotune.service.settings import ServiceSettings
from autotune.spec.schema import study_schema
from autotune.store.job_records import JobHolder
from autotune.store.records import ConfirmationRecord
from autotune.store.schedules import ScheduleBook
from autotune.testing.store_contract import MEASURED
from tests.service.api.conftest import MACHINE, STUDY_TEXT, ServedStore, filled, serving, tune_body

Ask = Callable[..., Any]
HOLDER = JobHolder(MACHINE, "boot", 1, 1)


def test_the_machine_and_the_schema_are_the_command_lines(ask: Ask) -> None:
    assert ask("GET", "/machine") == machine_document(machine_here())
    assert ask("GET", "/schema") == study_schema()


def test_engines_are_listed(ask: Ask) -> None:
    engines = ask("GET", "/engines")
    assert "fake" in [engine["name"] for engine in engines["engines"]]


def test_models_are_those_below_the_operators_folders(settings: ServiceSettings, tmp_path: Path) -> None:
    root = tmp_path / "models"
    for name in (
        "encoder/config.json",
        "encoder/inner/config.json",
        "deep/a/b/c/d/e/config.json",
        "g/m.onnx",
    ):
        (root / name).parent.mkdir(parents=True)
        (root / name).write_text("{}")
    (root / "notes").mkdir()
    with serving(replace(settings, roots=(root,))) as served:
        models = served.client.get("/api/v1/models").json()
    found = [model for model in models["models"] if not model.startswith("random:")]
    assert found == [f"path:{root}/encoder", f"onnx:{root}/g/m.onnx"]
    assert models["complete"] is True
    assert {kind["name"]: kind["allowed"] for kind in models["kinds"]}["path"] is True


def test_without_folders_no_files_may_be_named(ask: Ask) -> None:
    allowed = {kind["name"]: kind["allowed"] for kind in ask("GET", "/models")["kinds"]}
    assert (allowed["random"], allowed["path"], allowed["onnx"]) == (True, False, False)


def test_a_dry_run_says_what_the_command_line_does(ask: Ask) -> None:
    found = ask("POST", "/studies/validate", json={"study_yaml": STUDY_TEXT, "name": "dry"})
    assert (found["name"], found["skipped"]) == ("dry", None)
    assert found["outlook"]["schema"] == "autotune.outlook/1"
    assert found["lines"][0].startswith("study dry: throughput of random:minilm-l6")
    assert found["spec"]["confirm"]["rounds"] == 12
    assert ask("GET", "/jobs")["jobs"] == []


def test_a_study_can_be_checked_alone(ask: Ask) -> None:
    body = {"study_yaml": STUDY_TEXT, "name": "dry", "outlook": False}
    assert ask("POST", "/studies/validate", json=body)["outlook"] is None
    body["study_yaml"] = STUDY_TEXT.replace("1,", "0,")
    (fault,) = ask("POST", "/studies/validate", 422, json=body)["errors"]
    assert (fault["path"], fault["line"]) == ("problem.batch_size", 2)


def test_a_dry_run_meets_what_a_run_would(ask: Ask) -> None:
    text = f"{STUDY_TEXT}search: {{backends: [nothing]}}\n"
    problem = ask("POST", "/studies/validate", 422, json={"study_yaml": text, "name": "dry"})
    assert [fault["path"] for fault in problem["errors"]] == ["search.backends"]
    assert "nothing" in problem["detail"]


def test_no_space_is_laid_out_while_a_job_measures_beside_the_service(served: ServedStore, ask: Ask) -> None:
    ask("POST", "/jobs", 201, json=tune_body())
    served.context.queue.begin(MACHINE, HOLDER)
    found = ask("POST", "/studies/validate", json={"study_yaml": STUDY_TEXT, "name": "dry"})
    assert found["outlook"] is None
    assert "a job measures" in found["skipped"]
    assert ask("GET", "/doctor", 503)["type"] == "urn:autotune:problem:busy"


def test_an_examination_is_the_command_lines_document(ask: Ask) -> None:
    found = ask("GET", "/doctor")
    assert found["schema"] == "autotune.doctor/1"
    assert {finding["area"] for finding in found["findings"]} >= {"store", "clock", "engines"}


def test_a_schedule_is_made_changed_and_forgotten(served: ServedStore, ask: Ask) -> None:
    body = {"study": "quickstart", "every_s": 3600, "on_change": True}
    assert ask("PUT", "/schedules/nightly", 404, json=body)["type"] == "urn:autotune:problem:not-stored"
    filled(served.context)
    made = ask("PUT", "/schedules/nightly", 201, json=body)
    assert (made["machine"], made["asked_by"], made["webhook"]) == (MACHINE, "tester", None)
    assert made == schedule_document(ScheduleBook(served.context.store).schedule("nightly"))
    changed = ask("PUT", "/schedules/nightly", json={**body, "every_s": 7200})
    assert ask("GET", "/schedules/nightly") == changed == ask("GET", "/schedules")["schedules"][0]
    ask("DELETE", "/schedules/nightly", 204)
    for method in ("GET", "DELETE"):
        ask(method, "/schedules/nightly", 404)


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"study": "quickstart"}, 409),
        ({"study": "quickstart", "every_s": 1}, 422),
        ({"study": "../x", "every_s": 3600}, 422),
        ({"study": "quickstart", "every_s": 3600, "webhook": "http://169.254.169.254/"}, 422),
    ],
)
def test_a_wrong_schedule_is_refused(
    served: ServedStore, ask: Ask, body: dict[str, Any], status: int
) -> None:
    filled(served.context)
    assert ask("PUT", "/schedules/nightly", status, json=body)["remedy"]
    assert ask("GET", "/schedules")["schedules"] == []


def metrics(served: ServedStore) -> dict[str, float]:
    """Every sample by its name and labels."""
    answer = served.client.get("/metrics")
    assert answer.status_code == 200
    families = text_string_to_metric_families(answer.text)
    samples = [sample for family in families for sample in family.samples]
    return {" ".join([sample.name, *labels_of(sample)]): sample.value for sample in samples}


def labels_of(sample: Any) -> list[str]:
    return [f"{name}={value}" for name, value in sorted(sample.labels.items())]


def test_metrics_tell_of_trials_scores_and_jobs(served: ServedStore, ask: Ask) -> None:
    filled(served.context)
    job = ask("POST", "/jobs", 201, json=tune_body())["id"]
    served.context.queue.begin(MACHINE, HOLDER)
    served.context.queue.tell(job, HOLDER, to_json(WaitingEnded(2.5)))
    served.context.queue.end(job, HOLDER, "done")
    ask("POST", "/jobs", 201, json=tune_body("second"))
    found = metrics(served)
    assert found["autotune_trials state=measured study=quickstart"] == 2
    assert found["autotune_trials state=crash study=quickstart"] == 1
    assert found["autotune_best_score objective=throughput study=quickstart"] == 320.0
    assert found["autotune_best_gain study=quickstart"] == 2.0
    assert (found["autotune_jobs state=queued"], found["autotune_jobs state=done"]) == (1, 1)
    assert found["autotune_job_duration_seconds_count kind=tune state=done"] == 1
    assert (found["autotune_lock_waits_total"], found["autotune_lock_wait_seconds_total"]) == (1, 2.5)
    assert found["autotune_trial_seconds_total study=quickstart"] == pytest.approx(3 * 7.625)


def test_metrics_count_what_was_measured_since_the_service_began(served: ServedStore) -> None:
    filled(served.context)
    served.context.store.record_confirmation(
        ConfirmationRecord(
            study="quickstart",
            series=1,
            round=1,
            position=0,
            contender="trial 0",
            trial=0,
            configuration=MEASURED.configuration,
            started_s=1.0,
            ended_s=2.0,
            result=MEASURED.result,
            score=158.0,
            violations={},
        )
    )
    for _ in range(2):
        found = metrics(served)
        assert found["autotune_blocks_total fate=kept"] == 3
        assert found["autotune_measuring_seconds_total"] == pytest.approx(3.0)
    with serving(served.context.settings) as later:
        assert metrics(later)["autotune_blocks_total fate=kept"] == 0


def test_metrics_count_requests_by_route_and_never_by_path(served: ServedStore, ask: Ask) -> None:
    for path in ("/jobs/0", "/jobs/1", "/nothing", "/nobody"):
        ask("GET", path, 404)
    found = metrics(served)
    assert found["autotune_http_requests_total method=GET route=/api/v1/jobs/{job_id} status=404"] == 2
    assert found["autotune_http_requests_total method=GET route=none status=404"] == 2
    assert found["autotune_http_request_duration_seconds_count route=/api/v1/jobs/{job_id}"] == 2
    assert found["process_resident_memory_bytes"] > 0


def test_a_service_is_ready_while_its_store_answers(served: ServedStore, tmp_path: Path) -> None:
    assert served.client.get("/health/live").json() == {"status": "live"}
    assert served.client.get("/health/ready").json() == {"status": "ready"}
    (tmp_path / "store.db").write_bytes(b"no database at all" * 100)
    unready = served.client.get("/health/ready")
    assert (unready.status_code, unready.json()["type"]) == (503, "urn:autotune:problem:not-ready")
    assert served.client.get("/health/live").status_code == 200
    assert served.client.get("/api/v1/jobs").status_code == 503
    with pytest.raises(StoreError):
        served.context.queue.counts()
