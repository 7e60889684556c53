"""What people do with the pages, in a real browser, on a real service that runs real studies."""

from __future__ import annotations

import json
import re
import subprocess
import tarfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.service.pages.site import PLAIN, SCREENSHOTS, STUDY, Visitor, plan_of, visiting
from tests.service.serving import Served

pytestmark = pytest.mark.slow

BRIEF = {**STUDY, "search": {**STUDY["search"], "precisions": ["int8-dynamic"]}, "confirm": {"finalists": 1}}


def _shoot(page: Any, name: str) -> None:
    if SCREENSHOTS:
        page.screenshot(path=str(Path(SCREENSHOTS) / f"{name}.png"), full_page=True)


def test_a_study_is_begun_in_the_form_watched_to_its_end_and_its_export_runs(
    visitor: Visitor, tmp_path: Path
) -> None:
    page = visitor.page
    visitor.visit("/")
    page.get_by_role("link", name="New study").first.click()
    _fill_form(page, "from-the-form")
    page.locator("#check .good").wait_for()
    page.get_by_role("button", name="Begin the study").click()
    page.get_by_role("heading", name="from-the-form", exact=True).wait_for()
    page.locator(".charts").first.wait_for()
    _shoot(page, "job-running")
    page.locator(".state.done").wait_for()  # the script shows it: nobody loads the page again
    _shoot(page, "job-done")
    assert page.locator(".log li").count() > 5
    page.get_by_role("link", name=re.compile("^from-the-form-[0-9a-f]{6}$")).first.click()
    page.get_by_role("link", name="numactl").click()
    with page.expect_download() as downloading:
        page.get_by_role("link", name="Download all").click()
    archive = tmp_path / downloading.value.suggested_filename
    downloading.value.save_as(archive)
    with tarfile.open(archive) as packed:
        packed.extractall(tmp_path, filter="data")
    launch = next(tmp_path.glob("*/launch.sh"))
    ran = subprocess.run(
        [launch, "--seconds", "1", "--json"], capture_output=True, text=True, timeout=120, check=False
    )
    assert ran.returncode == 0, ran.stderr
    assert json.loads(ran.stdout)


def _fill_form(page: Any, name: str) -> None:
    page.get_by_label("name", exact=False).first.fill(name)
    page.get_by_label("model", exact=False).first.fill("fake:model.json")
    page.locator("[name='study.problem.batch_size']").fill("2")
    page.locator("[name='study.problem.sequence_length']").fill("32")
    page.locator("[name='study.budget.minutes']").fill("2")
    page.get_by_text("Further sections").click()
    for field, value in {
        "search.placements": "close",
        "search.instances": "[1, 2]",
        "search.threads": "1",
        "search.precisions": "int8-dynamic",
        "measure.warmup": "100ms",
        "measure.block": "50ms",
        "measure.blocks": "2",
        "measure.max_blocks": "2",
        "confirm.finalists": "1",
        "confirm.rounds": "3",
    }.items():
        page.locator(f"[name='study.{field}']").fill(value)


def test_the_form_says_what_the_command_line_says_while_one_types(visitor: Visitor) -> None:
    page = visitor.page
    visitor.visit("/new")
    page.locator("[name='study.problem.batch_size']").fill("many")
    wrong = page.locator("[id='study.problem.batch_size-wrong']")
    wrong.get_by_text("many is not allowed: write a whole number from 1 to 65536").wait_for()
    assert page.locator("[name='study.problem.batch_size']").get_attribute("aria-invalid") == "true"
    assert "batch_size: many" in page.locator("#check pre").inner_text()
    _shoot(page, "new-wrong")
    page.locator("[name='study.problem.batch_size']").fill("4")
    page.locator("#check .good").wait_for()
    assert wrong.inner_text() == ""
    assert page.locator("[aria-invalid]").count() == 0
    page.locator("[name='study.model']").fill("path:/etc")
    page.locator("#check .faults").wait_for()
    assert "/etc" in page.locator("#check .faults").inner_text()


def test_the_fleet_is_counted_while_one_types(visitor: Visitor) -> None:
    page = visitor.page
    visitor.visit("/fleet")
    before = page.locator("#figures .headline").inner_text()
    page.get_by_label("Rate at the peak").fill("100000/s")
    page.wait_for_function(
        "before => document.querySelector('#figures .headline').innerText !== before", arg=before
    )
    assert "100000 requests/s" in page.locator("#figures .headline").inner_text()
    page.get_by_label("Rate at the peak").fill("lots")
    page.locator("#figures .notice.bad").wait_for()
    assert page.get_by_label("Rate at the peak").get_attribute("aria-invalid") == "true"
    assert "rate=lots" in page.url


def test_a_theme_is_chosen_and_kept(visitor: Visitor) -> None:
    page = visitor.page
    visitor.visit("/")
    light = page.evaluate("getComputedStyle(document.body).backgroundColor")
    with page.expect_response("**/theme"):
        page.get_by_role("button", name="dark").click()
    page.locator("html[data-theme='dark']").wait_for(state="attached")
    visitor.visit("/machine")
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") != light
    assert page.get_by_role("button", name="dark").get_attribute("aria-pressed") == "true"
    page.get_by_role("button", name="system").click()
    page.locator("html:not([data-theme])").wait_for(state="attached")
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == light


def test_the_keyboard_alone_is_enough(visitor: Visitor) -> None:
    """From the first key to a job that is cancelled: no mouse, and every stop shows where it is."""
    page = visitor.page
    visitor.visit("/")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent") == "Skip to content"
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "main"
    _tab_to(page, "a[href='/new']")
    page.keyboard.press("Enter")
    page.get_by_role("heading", name="New study").wait_for()
    _tab_to(page, "[name='study.name']")
    page.keyboard.press("Control+a")
    page.keyboard.type("by-keyboard")
    _tab_to(page, "[name='study.model']")
    page.keyboard.press("Control+a")
    page.keyboard.type("fake:model.json")
    _tab_to(page, "button[name='begin']")
    page.keyboard.press("Enter")
    page.get_by_role("heading", name="by-keyboard", exact=True).wait_for()
    _tab_to(page, "form[action$='/cancel'] button")
    page.keyboard.press("Enter")
    page.locator(".state.cancelled").wait_for()


def test_the_focus_stays_on_its_button_when_the_page_follows_an_event(
    visitor: Visitor, jobs: Mapping[str, str]
) -> None:
    page = visitor.page
    event = {"content_type": "text/event-stream", "body": "retry: 100\nevent: queue\ndata: {}\n\n"}
    page.route("**/events?*", lambda route: route.fulfill(**event))
    visitor.visit(f"/jobs/{jobs['job-waiting']}")
    page.get_by_role("button", name="Cancel").focus()
    for _ in range(2):
        page.evaluate("document.querySelector('#live .now').dataset.old = 'yes'")
        page.wait_for_function("() => document.querySelector('#live .now').dataset.old === undefined")
        assert page.evaluate("document.activeElement.textContent") == "Cancel"
    page.unroute("**/events?*")
    page.route("**/events?*", lambda route: route.abort())
    page.get_by_text("The service does not answer").wait_for()
    visitor.complaints[:] = [words for words in visitor.complaints if "ERR_FAILED" not in words]


def _tab_to(page: Any, selector: str) -> None:
    """Press Tab until this has the focus; every stop on the way must be seen."""
    for _ in range(150):
        page.keyboard.press("Tab")
        if page.evaluate("wanted => document.activeElement.matches(wanted)", selector):
            break
        assert page.evaluate("document.activeElement !== document.body"), f"no way by Tab to {selector}"
    assert page.evaluate("wanted => document.activeElement.matches(wanted)", selector)
    assert page.evaluate("getComputedStyle(document.activeElement).outlineStyle") != "none"


def test_without_the_script_everything_can_be_done(served: Served, browser: Any, folder: Path) -> None:
    with visiting(served, browser, java_script_enabled=False) as visitor:
        page = visitor.page
        visitor.visit("/new?as_text=true")
        page.get_by_label("Study file").fill("model: fake:model.json\nproblem: {batch_size: 2}\n")
        page.get_by_role("button", name="Begin the study").click()
        told = page.locator("#refused .faults").inner_text()
        assert "name (line 1): missing" in told
        assert "sequence_length" in told
        study = json.dumps({**BRIEF, "name": "without-script"})
        page.get_by_label("Study file").fill(study)
        page.get_by_role("button", name="See what it would try").click()
        assert "space:" in page.locator(".ahead").inner_text()
        page.get_by_role("button", name="Begin the study").click()
        page.get_by_role("heading", name="without-script", exact=True).wait_for()
        page.get_by_role("button", name="Cancel").click()
        for _ in range(300):
            if page.locator(".state.cancelled").count():
                break
            page.wait_for_timeout(100)
            page.get_by_role("link", name="Load this page again").click()
        page.locator("summary", has_text="Delete").click()
        page.get_by_role("button", name="Delete the job").click()
        page.get_by_role("heading", name="Studies and queue").wait_for()
        assert page.get_by_role("link", name="Tune without-script").count() == 0
        visitor.visit(f"/fleet?plan={plan_of(folder, PLAIN)}")
        page.get_by_label("Rate at the peak").fill("5000/s")
        page.get_by_role("button", name="Count the machines").click()
        assert "5000 requests/s" in page.locator("#figures .headline").inner_text()
        assert [words for words in visitor.complaints if "status of 422" not in words] == []
