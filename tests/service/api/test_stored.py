"""Studies, plans, exports, costs and fleets over HTTP: the command line's documents, and its refusals."""

from __future__ import annotations

import io
import json
import tarfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from autotune.documents.cost import cost_document
from autotune.documents.fleet import choice_document, fleet_document
from autotune.exporters.registry import exporter_names
from autotune.fleet.answers import answer_choice, answer_fleet
from autotune.fleet.price import AskedPrice, parse_price
from autotune.fleet.workload import LatencyTarget, Workload
from autotune.plan.costs import costs_of
from autotune.plan.document import Plan, plan_values
from autotune.service.settings import ServiceSettings
from autotune.spec.machine_price import MachinePrice
from autotune.store.job_records import JobRequest
from autotune.testing.queue_contract import HOLDER
from autotune.testing.store_contract import STUDY
from tests.conftest import RunCommand
from tests.service.api.conftest import MACHINE, ServedStore, filled, serving

Ask = Callable[..., Any]
PLAN = "quickstart-7f3a9c"
PRICES = [
    {
        "provider": "mine",
        "type": "box",
        "cores": 4,
        "per_hour": 0.4,
        "currency": "EUR",
        "source": "https://prices.example/",
        "date": "2026-01-02",
    }
]


@pytest.fixture
def served(settings: ServiceSettings) -> Iterator[ServedStore]:
    with serving(settings) as running:
        filled(running.context)
        yield running


@pytest.fixture
def plan(served: ServedStore) -> Plan:
    return served.context.store.plan(PLAN)


def test_studies_are_listed_by_pages(ask: Ask) -> None:
    listed = ask("GET", "/studies")
    assert (listed["count"], listed["next"]) == (1, None)
    (study,) = listed["studies"]
    assert (study["name"], study["trials"], study["failed"], study["newest_plan"]) == (
        *("quickstart", 3, 1),
        PLAN,
    )
    assert ask("GET", "/studies?offset=1")["studies"] == []


def test_a_study_is_shown_with_its_best_trial(ask: Ask) -> None:
    study = ask("GET", "/studies/quickstart")
    assert study["states"] == {"measured": 2, "crash": 1}
    assert study["best"] == {"number": 2, "score": 320.0, "gain": 2.0}
    assert (study["plans"], study["trials"]) == ([PLAN], 3)


def test_trials_come_by_pages_with_the_reasons_of_failures(ask: Ask) -> None:
    first = ask("GET", "/studies/quickstart/trials?limit=2")
    rest = ask("GET", f"/studies/quickstart/trials?limit=2&after={first['next']}")
    assert [trial["number"] for trial in (*first["trials"], *rest["trials"])] == [0, 1, 2]
    failed = first["trials"][1]
    assert (failed["state"], failed["reason"]) == ("crash", "ended with exit status 70")
    assert (first["trials"][0]["reason"], rest["next"]) == (None, None)


@pytest.mark.parametrize(
    "path",
    ["/studies/quickstrat", "/studies/quickstrat/trials", "/plans?study=quickstrat", "/plans/quickstrat"],
)
def test_what_is_not_there_is_told_with_the_nearest_name(ask: Ask, path: str) -> None:
    problem = ask("GET", path, 404)
    assert problem["type"] == "urn:autotune:problem:not-stored"
    assert "did you mean quickstart" in problem["remedy"]


def test_a_plan_is_shown_as_the_command_line_does(ask: Ask, plan: Plan) -> None:
    for ref in (PLAN, "quickstart", "latest", PLAN[:12]):
        assert ask("GET", f"/plans/{ref}") == plan_values(plan)
    (line,) = ask("GET", "/plans")["plans"]
    assert (line["id"], line["study"], line["gain"]) == (PLAN, "quickstart", 3.0)


def test_a_plan_that_got_worse_is_marked_by_its_newest_verification(served: ServedStore, ask: Ask) -> None:
    queue = served.context.queue
    assert ask("GET", "/plans")["plans"][0]["verification"] is None
    for verdict in ("holds", "worse"):
        queue.enqueue(JobRequest("verify", STUDY.name, MACHINE, {"format": 1, "plan": PLAN}))
        job = queue.begin(MACHINE, HOLDER)
        assert job is not None
        queue.end(job.id, HOLDER, "done", plan=PLAN, result={"verdict": verdict})
    verification = ask("GET", "/plans")["plans"][0]["verification"]
    newest, _ = queue.jobs(plan=PLAN)
    assert (verification["verdict"], verification["job"]) == ("worse", newest.id)


def test_every_target_can_be_looked_at(ask: Ask) -> None:
    targets = ask("GET", "/targets")["targets"]
    assert [target["name"] for target in targets] == list(exporter_names())
    assert {option["name"] for target in targets for option in target["options"]} >= {"plan", "user"}


def test_a_download_has_the_bytes_that_the_command_line_prints(
    served: ServedStore, run_command: RunCommand, tmp_path: Path
) -> None:
    answer = served.client.get(f"/api/v1/plans/{PLAN}/export?to=numactl&download=true")
    code, printed, _ = run_command(
        tmp_path, "export", PLAN, "--to", "numactl", "--store", f"sqlite:///{tmp_path}/store.db"
    )
    assert code == 0
    assert answer.text == printed
    assert 'filename="launch.sh"' in answer.headers["content-disposition"]


def test_an_archive_has_the_files_that_the_command_line_writes(
    served: ServedStore, run_command: RunCommand, tmp_path: Path
) -> None:
    url = f"/api/v1/plans/{PLAN}/export?to=compose&download=true&archive=true&command=./serve+%7Bport%7D"
    assert served.client.get(url).status_code == 403
    url = f"/api/v1/plans/{PLAN}/export?to=env&download=true&set=plan=/srv/plan.json"
    answers = [served.client.get(url) for _ in range(2)]
    assert answers[0].headers["content-type"] == "application/gzip"
    assert answers[0].content == answers[1].content
    arguments = ["--to", "env", "--set", "plan=/srv/plan.json", "-o", str(tmp_path / "out")]
    code, _, complaint = run_command(
        tmp_path, "export", PLAN, *arguments, "--store", f"sqlite:///{tmp_path}/store.db"
    )
    assert code == 0, complaint
    with tarfile.open(fileobj=io.BytesIO(answers[0].content)) as tar:
        packed = {
            member.name.partition("/")[2]: (file.read(), member.mode)
            for member in tar
            if (file := tar.extractfile(member)) is not None
        }
    written = {
        str(path.relative_to(tmp_path / "out")): path
        for path in (tmp_path / "out").rglob("*")
        if path.is_file() and path.name != ".autotune-export.json"
    }
    assert packed.keys() == written.keys()
    for name, path in written.items():
        assert packed[name][0] == path.read_bytes()
        assert bool(packed[name][1] & 0o100) == bool(path.stat().st_mode & 0o100)


def test_a_preview_has_every_file_and_says_what_is_lost(ask: Ask) -> None:
    preview = ask("GET", f"/plans/{PLAN}/export?to=numactl")
    files = {file["path"]: file for file in preview["files"]}
    assert files["launch.sh"]["executable"] is True
    assert files["launch.sh"]["text"].startswith("#!")
    assert files["plan.json"]["size_bytes"] == len(files["plan.json"]["text"].encode())


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ("to=numactl2", "is no target"),
        ("to=systemd", "starts your server"),
        ("to=env&colour=red", "no option 'colour'"),
        ("to=env&set=plan", "no setting"),
        ("to=env&set=plan=/a&plan=/b", "there twice"),
        ("to=env&plan=relative", "absolute path"),
        ("to=numactl&port=0", "port"),
        ("", "to"),
    ],
)
def test_a_wrong_export_is_refused_with_the_command_lines_words(ask: Ask, query: str, words: str) -> None:
    problem = ask("GET", f"/plans/{PLAN}/export?{query}", 422)
    assert words in problem["detail"]


def test_a_servers_command_is_taken_only_where_the_operator_allows(settings: ServiceSettings) -> None:
    url = f"/api/v1/plans/{PLAN}/export?to=systemd&command=/srv/serve+%7Bport%7D"
    for commands, status in ((False, 403), (True, 200)):
        with serving(replace(settings, commands=commands)) as served:
            if not commands:
                filled(served.context)
            assert served.client.get(url).status_code == status


def test_a_cost_is_the_command_lines_document(ask: Ask, plan: Plan) -> None:
    price = MachinePrice("EUR", 0.4, 4, "mine box", "the table sent", "2026-01-02")
    answer = ask("POST", f"/plans/{PLAN}/cost", json={"rate": "6000/min", "type": "box", "prices": PRICES})
    assert answer == json.loads(json.dumps(cost_document(costs_of(plan, price), 100.0)))


def test_a_fleet_is_the_command_lines_document(ask: Ask, plan: Plan) -> None:
    asked = AskedPrice(parse_price("0.808USD"))
    workload = Workload(1000.0, LatencyTarget(99.0, 0.5), headroom=0.2, spare=2, zones=2)
    body = {
        **{"plan": PLAN, "rate": "1000/s", "p99": "500ms", "price": "0.808USD"},
        **{"headroom": "20%", "spare": 2, "zones": 2, "replay": False},
    }
    expected = fleet_document(answer_fleet(plan, workload, asked, replay=False))
    assert ask("POST", "/fleet", json=body) == json.loads(json.dumps(expected))


def test_a_choice_is_the_command_lines_document(ask: Ask, plan: Plan) -> None:
    asked = AskedPrice(parse_price("0.808USD"))
    workload = Workload(1000.0, LatencyTarget(95.0, 0.5))
    answer = ask("POST", "/choose", json={"rate": 1000, "p95": 0.5, "price": "0.808USD"})
    expected = choice_document(answer_choice([plan], workload, None, asked))
    assert answer == json.loads(json.dumps(expected))


@pytest.mark.parametrize(
    ("path", "body", "place"),
    [
        (f"/plans/{PLAN}/cost", {"rate": "much"}, "rate"),
        (f"/plans/{PLAN}/cost", {"region": "x"}, "region"),
        (f"/plans/{PLAN}/cost", {"type": "box", "prices": [{"type": "box"}]}, "prices[0].provider"),
        (f"/plans/{PLAN}/cost", {"type": "box", "prices": "/etc/passwd"}, "prices"),
        ("/fleet", {"rate": 1000}, "p99"),
        ("/fleet", {"rate": 1000, "p99": "20ms", "p50": "1ms"}, "p99"),
        ("/fleet", {"rate": 1000, "p99": "20"}, "p99"),
        ("/fleet", {"rate": 1000, "p99": "20ms", "headroom": "lots"}, "headroom"),
        ("/fleet", {"rate": 1000, "p99": "20ms", "price": "free"}, "price"),
        ("/fleet", {"rate": 1e-9, "p99": "20ms"}, ""),
        ("/choose", {"rate": 1000, "p99": "20ms", "budget": "little"}, "budget"),
    ],
)
def test_a_wrong_question_is_refused_with_its_place(
    ask: Ask, path: str, body: dict[str, Any], place: str
) -> None:
    problem = ask("POST", path, 422, json=body)
    assert place in [fault["path"] for fault in problem["errors"]]
    assert problem["remedy"]


def test_a_price_that_nobody_states_is_a_refusal_with_a_remedy(ask: Ask) -> None:
    problem = ask("POST", f"/plans/{PLAN}/cost", 422, json={})
    assert problem["type"] == "urn:autotune:problem:plan"
    assert "made without a price" in problem["detail"]


def test_a_rate_that_no_machine_bears_in_time_is_a_refusal(ask: Ask) -> None:
    problem = ask("POST", "/fleet", 422, json={"rate": 1000, "p99": 0.001})
    assert problem["type"] == "urn:autotune:problem:fleet"


def test_a_study_is_deleted_with_its_plans_once_nothing_of_it_waits(served: ServedStore, ask: Ask) -> None:
    job = served.context.queue.enqueue(JobRequest("verify", STUDY.name, MACHINE, {}))[0]
    assert ask("DELETE", f"/studies/{STUDY.name}", 409)["type"] == "urn:autotune:problem:job-conflict"
    served.context.queue.begin(MACHINE, HOLDER)
    assert ask("DELETE", f"/studies/{STUDY.name}", 503)["remedy"] == "ask again once it has ended"
    served.context.queue.end(job.id, HOLDER, "failed")
    ask("DELETE", f"/studies/{STUDY.name}", 204)
    assert ask("GET", "/plans")["plans"] == ask("GET", "/studies")["studies"] == []
    assert ask("DELETE", f"/studies/{STUDY.name}", 404)["remedy"]


def test_an_archive_needs_no_second_parameter(served: ServedStore) -> None:
    answer = served.client.get(f"/api/v1/plans/{PLAN}/export?to=numactl&archive=true")
    assert answer.headers["content-type"] == "application/gzip"
