"""What pages hold, for whom, and how large they are; no browser is needed for that."""

from __future__ import annotations

import gzip
import re
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import insert, select

from autotune.events import NAMES, SearchEnded, TrialBegan, to_json
from autotune.plan.document import Plan
from autotune.service.access import AccessRole
from autotune.service.context import Context
from autotune.store.job_records import JobFault, JobHolder, JobRequest
from autotune.store.records import StudyRecord
from autotune.store.rows import trial_row
from autotune.store.tables import studies, trials
from autotune.testing.plans import build_plan
from tests.service.pages.answers import MACHINE, asking
from tests.service.pages.long_studies import add_study

HOSTILE = "<script>document.title='taken'</script>\"'><img src=x onerror=alert(1)>"
HOLDER = JobHolder(MACHINE, "boot", 1, 1)


def ask_job(context: Context, study: str = "one", **others: Any) -> str:
    values: dict[str, Any] = {"format": 1}
    return context.queue.enqueue(JobRequest("tune", study, MACHINE, values, **others))[0].id


def save_plan_of(context: Context, plan: Plan, study: str) -> None:
    """Keep a plan as one of this study."""
    renamed = plan.study.model_copy(update={"name": study})
    context.store.save_plan(plan.model_copy(update={"study": renamed}))


def test_an_empty_store_says_what_to_do_next(tmp_path: Path) -> None:
    with asking(tmp_path) as (client, _):
        assert "Nothing has been tuned here yet" in client.get("/").text
        assert "there is none yet" in client.get("/fleet").text
        assert "A comparison takes two plans" in client.get("/compare").text


@pytest.mark.parametrize(
    "path", ["/", "/new", "/fleet", "/compare", "/machine", "/jobs/1", "/studies/a", "/plans/a"]
)
def test_who_shows_no_token_is_sent_to_sign_in_and_comes_back(path: str, tmp_path: Path) -> None:
    with asking(tmp_path, None) as (client, _):
        answer = client.get(path)
        assert answer.status_code == 303
        assert answer.headers["Location"] == f"/login?next={path.replace('/', '%2F')}"
        assert f'name="next" value="{path}"' in client.get(answer.headers["Location"]).text


@pytest.mark.parametrize(("role", "may"), [(AccessRole.ADMIN, True), (AccessRole.TUNE, False)])
def test_a_study_is_deleted_by_administrators_alone(role: AccessRole, may: bool, tmp_path: Path) -> None:
    with asking(tmp_path, role) as (client, context):
        add_study(context.store, "one", 3)
        assert ("Delete the study" in client.get("/studies/one").text) is may
        ask_job(context)
        assert client.post("/studies/one/delete").status_code == (409 if may else 403)
        assert context.store.studies() == ("one",)


@pytest.mark.parametrize("path", ["/cancel", "/resume", "/priority", "/delete"])
def test_who_may_read_sees_no_buttons_and_changes_nothing(path: str, tmp_path: Path) -> None:
    with asking(tmp_path, AccessRole.READ) as (client, context):
        job = ask_job(context)
        for page in ("/", f"/jobs/{job}"):
            assert 'action="/jobs/' not in client.get(page).text
            assert 'href="/new"' not in client.get(page).text
        assert client.get("/new").status_code == 403
        answer = client.post(f"/jobs/{job}{path}", data={"priority": "5"})
        assert answer.status_code == 403
        assert "You may not do this" in answer.text
        assert context.queue.job(job).state == "queued"


def test_the_queue_is_shown_in_the_order_in_which_jobs_begin_and_can_be_reordered(tmp_path: Path) -> None:
    with asking(tmp_path) as (client, context):
        ids = [ask_job(context, name) for name in ("first", "second", "third")]
        assert _queued(client.get("/").text) == ["first", "second", "third"]
        answer = client.post(f"/jobs/{ids[2]}/priority", data={"priority": "7", "back": "/"})
        assert (answer.status_code, answer.headers["Location"]) == (303, "/")
        assert _queued(client.get("/").text) == ["third", "first", "second"]
        assert "2 jobs come before it." in client.get(f"/jobs/{ids[1]}").text
        wrong = client.post(f"/jobs/{ids[1]}/priority", data={"priority": "urgent"})
        assert wrong.status_code == 422
        assert "<title>Error: second" in wrong.text
        assert re.search('name="priority"[^>]*value="urgent" aria-invalid="true"', wrong.text)
        assert client.get(f"/jobs/{ids[1]}/priority").headers["Location"] == f"/jobs/{ids[1]}"


def _queued(page: str) -> list[str]:
    return re.findall(r'<td><a href="/jobs/[0-9a-f]+">Tune (\w+)</a>', page)


def test_a_study_that_is_refused_keeps_all_that_was_typed_and_leads_to_each_fault(tmp_path: Path) -> None:
    with asking(tmp_path) as (client, _):
        typed = {"study.name": "kept", "study.model": "random:minilm-l6", "study.objective": "cost"}
        answer = client.post("/new", data={**typed, "priority": "101"})
        assert answer.status_code == 422
        assert "<title>Error: New study" in answer.text
        refused = answer.text.partition('id="refused"')[2].partition("</div>")[0]
        assert {"study.problem.batch_size", "priority"} <= set(re.findall('href="#([^"]+)"', refused))
        for field in ("study.problem.batch_size", "priority"):
            assert re.search(f'id="{field}"[^>]* aria-invalid="true"', answer.text)
        assert 'value="kept"' in answer.text
        assert 'value="101"' in answer.text
        assert 'name="study.launch.command"' not in answer.text


def test_a_comparison_says_which_plans_it_is_of_and_what_it_found(tmp_path: Path) -> None:
    with asking(tmp_path) as (client, context):
        values = {"format": 1, "a": "first-1", "b": "second-2"}
        job, _ = context.queue.enqueue(JobRequest("compare", "one", MACHINE, values))
        context.queue.begin(MACHINE, HOLDER)
        found = {"verdict": "undecided", "ratio": {"estimate": 1.02, "low": 0.9, "high": 1.1}}
        context.queue.end(job.id, HOLDER, "done", result=found)
        page = client.get(f"/jobs/{job.id}").text
        assert 'A is <a href="/plans/first-1">' in page
        assert "not told apart: 1.02x" in client.get("/").text


def test_a_job_that_failed_says_why_and_can_go_on(tmp_path: Path) -> None:
    with asking(tmp_path) as (client, context):
        job = ask_job(context)
        context.queue.begin(MACHINE, HOLDER)
        context.queue.tell(job, HOLDER, to_json(SearchEnded("it was stopped", _progress())))
        fault = JobFault("ModelError", "the model is gone", "bring it back")
        context.queue.end(job, HOLDER, "failed", fault=fault)
        page = client.get(f"/jobs/{job}").text
        assert "the model is gone" in page
        assert "bring it back" in page
        assert "it was stopped: 2 trials" in page
        assert "data-stream" not in page
        client.post(f"/jobs/{job}/resume")
        assert context.queue.job(job).state == "queued"


def test_what_goes_on_is_shown_until_it_has_ended(tmp_path: Path) -> None:
    with asking(tmp_path) as (client, context):
        job = ask_job(context)
        context.queue.begin(MACHINE, HOLDER)
        context.queue.tell(job, HOLDER, to_json(TrialBegan(3, "2 x 4 threads", _progress())))
        part = client.get(f"/jobs/{job}/part").text
        assert "2 x 4 threads" in part
        assert "2 of at most 9 trials" in part
        page = client.get(f"/jobs/{job}").text
        assert f'data-stream="/api/v1/jobs/{job}/events?after=1"' in page
        assert all(f"{name} " in page for name in NAMES)


def _progress() -> Any:
    from autotune.events import Progress

    return Progress(2, 9, 1, 12.0, "12.0 samples/s", 1.5, 60.0)


def test_events_of_a_later_version_are_passed_over(tmp_path: Path) -> None:
    with asking(tmp_path) as (client, context):
        job = ask_job(context)
        context.queue.begin(MACHINE, HOLDER)
        context.queue.tell(job, HOLDER, '{"schema": "autotune.event/9", "event": "unheard_of"}')
        assert client.get(f"/jobs/{job}").status_code == 200


def test_hostile_texts_come_through_as_texts(tmp_path: Path) -> None:
    """Of whoever asks, of a study's name, a model's source, an error, an event, an address and a form."""
    with asking(tmp_path, name=HOSTILE) as (client, context):
        job = ask_job(context, HOSTILE[:64], asked_by=HOSTILE[:64])
        context.queue.begin(MACHINE, HOLDER)
        context.queue.tell(job, HOLDER, to_json(SearchEnded(HOSTILE, _progress())))
        context.queue.end(job, HOLDER, "failed", fault=JobFault("ModelError", HOSTILE, HOSTILE))
        add_study(context.store, "long", 3, model_source=HOSTILE, reason=HOSTILE)
        plan = build_plan(
            warnings=(HOSTILE,), model={"source": HOSTILE, "digest": "5e" * 32, "artifact": None}
        )
        context.store.save_plan(
            plan.model_copy(update={"study": plan.study.model_copy(update={"name": "long"})})
        )
        pages = [
            client.get("/"),
            client.get(f"/jobs/{job}"),
            client.get("/studies/long?order=failed"),
            client.get(f"/plans/{plan.id}"),
            client.get("/compare", params={"a": plan.id, "b": HOSTILE}),
            client.get("/fleet", params={"plan": plan.id, "rate": HOSTILE, "latency": HOSTILE}),
            client.get(f"/studies/{HOSTILE.replace('/', '')}"),
            client.get("/login", params={"next": HOSTILE}),
            client.post("/new", data={"study.name": HOSTILE, "study.model": HOSTILE}),
            client.post("/new", data={"text": f"model: {HOSTILE}"}),
        ]
        for page in pages:
            assert "<script>document" not in page.text
            assert "<img" not in page.text
        assert sum("&lt;script&gt;document" in page.text for page in pages) >= 9


def test_targets_say_what_stands_between_them_and_a_plan(tmp_path: Path) -> None:
    with asking(tmp_path) as (client, context):
        add_study(context.store, "long", 3)
        plan = build_plan()
        save_plan_of(context, plan, "long")
        page = client.get(f"/plans/{plan.id}").text
        assert "asks for image and your server’s command" in page
        assert page.count('class="barred"') >= 1
        answer = client.get(f"/plans/{plan.id}/export/kubernetes/part").text
        assert 'href="#set.image"' in answer
        assert "takes no commands over HTTP" in answer
        assert "notice bad" not in answer
        wrong = client.get(f"/plans/{plan.id}/export/numactl?set.port=no&set.grace_s=-1").text
        assert "--set" not in wrong
        assert re.search('name="set.grace_s"[^>]* aria-invalid="true"', wrong)


def test_a_plan_that_got_worse_is_marked_in_the_list_and_on_its_page(tmp_path: Path) -> None:
    with asking(tmp_path) as (client, context):
        add_study(context.store, "long", 3)
        plan = build_plan()
        save_plan_of(context, plan, "long")
        assert "got worse" not in client.get("/").text + client.get(f"/plans/{plan.id}").text
        request = JobRequest("verify", "long", MACHINE, {"format": 1, "plan": plan.id})
        job, _ = context.queue.enqueue(request)
        context.queue.begin(MACHINE, HOLDER)
        context.queue.end(job.id, HOLDER, "done", plan=plan.id, result={"verdict": "worse"})
        assert "got worse" in client.get("/").text
        page = client.get(f"/plans/{plan.id}").text
        assert "It got worse than it states" in page
        assert f'href="/jobs/{job.id}"' in page


@pytest.mark.parametrize("path", ["/nothing", "/studies/none", "/plans/none", "/jobs/none", "/static/none"])
def test_what_is_not_there_is_said_on_a_page(path: str, tmp_path: Path) -> None:
    with asking(tmp_path) as (client, _):
        answer = client.get(path)
        assert answer.status_code == 404
        assert answer.headers["Content-Type"].startswith("text/html")
        assert "<h1>This is not here</h1>" in answer.text


def test_programs_that_ask_for_what_is_not_there_get_a_problem_document(tmp_path: Path) -> None:
    with asking(tmp_path) as (client, _):
        answer = client.get("/nothing", headers={"Accept": "application/json"})
        assert answer.headers["Content-Type"] == "application/problem+json"
        answer = client.get("/api/v1/nothing")
        assert answer.headers["Content-Type"] == "application/problem+json"


def test_a_theme_is_kept_in_a_cookie_and_leads_back_nowhere_else(tmp_path: Path) -> None:
    with asking(tmp_path) as (client, _):
        answer = client.post("/theme", data={"theme": "dark", "back": "/machine"})
        assert answer.headers["Location"] == "/machine"
        assert "HttpOnly" in answer.headers["Set-Cookie"]
        assert '<html lang="en" data-theme="dark">' in client.get("/").text
        for away in ("//evil.example", "https://evil.example", "\\evil.example"):
            assert client.post("/theme", data={"theme": "dark", "back": away}).headers["Location"] == "/"


def test_pages_of_long_studies_stay_small(tmp_path: Path) -> None:
    with asking(tmp_path) as (client, context):
        add_study(context.store, "long", 1_000)
        with context.store.transaction() as connection:
            assert len(connection.execute(select(trials.c.id)).all()) == 1_000
        page = client.get("/studies/long").text
        assert len(gzip.compress(page.encode())) < 20_000
        assert page.count("<tr") <= 25
        assert 100 < page.count('class="point') < 300
        numbers = re.findall(r'<th scope="row">(\d+)', client.get("/studies/long?trials=2&order=newest").text)
        assert numbers == [str(number) for number in range(979, 959, -1)]
        assert "961 to 980 of 1000" in client.get("/studies/long?trials=49").text
        assert "981 to 1000 of 1000" in client.get("/studies/long?trials=999").text


def test_no_page_has_a_script_or_a_style_of_its_own(tmp_path: Path) -> None:
    with asking(tmp_path) as (client, context):
        add_study(context.store, "long", 30)
        plan = build_plan()
        context.store.save_plan(
            plan.model_copy(update={"study": plan.study.model_copy(update={"name": "long"})})
        )
        for path in (
            "/",
            "/new",
            "/studies/long",
            f"/plans/{plan.id}",
            "/fleet",
            "/compare",
            "/machine",
            "/login",
        ):
            page = client.get(path).text
            assert (
                re.findall(r"<script(?! src=\"/static/pages\.js\?v=[0-9a-f]{12}\" defer></script>)", page)
                == []
            )
            assert re.findall(r"<style|\sstyle=|\son[a-z]+=", page) == []


def test_studies_that_cannot_be_read_any_more_are_said_to_be_so(tmp_path: Path) -> None:
    with asking(tmp_path) as (client, context):
        context.store.create_study(
            StudyRecord("odd", 1.0, {"problem": 7}, {}, {}, "5e" * 32, "fake:model.json")
        )
        answer = client.get("/studies/odd")
        assert answer.status_code == 503
        assert "cannot be read" in answer.text


def test_the_rows_of_these_tests_are_those_of_the_store(tmp_path: Path) -> None:
    """What `add_study` writes is read back whole."""
    with asking(tmp_path) as (_, context):
        add_study(context.store, "long", 3)
        records = context.store.trials("long")
        with context.store.transaction() as connection:
            study = connection.scalar(select(studies.c.id))
            connection.execute(trials.delete())
            connection.execute(insert(trials), [trial_row(record, study or 0) for record in records])
        assert context.store.trials("long") == records
