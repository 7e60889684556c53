"""`autotune fleet`, `choose` and `import` on stores whose plans have built curves."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from autotune.cli.exits import EXIT_CODES
from autotune.cli.main import app
from autotune.errors import ExportError, FleetError, PlanError, StoreError, StudyFileError
from autotune.plan.document import format_plan
from autotune.store.imports import import_all
from autotune.store.records import StudyRecord
from autotune.store.store import open_store, read_store
from autotune.testing.curves import build_curve, lognormal_services_s
from autotune.testing.plans import build_plan

SERVICES = lognormal_services_s(0.010, 0.3)
STUDY = {
    "name": "quickstart",
    "spec": {
        "problem": {"batch_size": 8, "sequence_length": 128},
        "price": {"per_hour": 0.808, "cores": 8, "currency": "USD"},
    },
}
PLAN = build_plan(
    machine={"model_name": "Built CPU", "allowed": "0-1", "fingerprint": "abc", "cores": ["0", "1"]},
    study=STUDY,
    curve=build_curve(SERVICES, 2),
)
FOREIGN = build_plan(
    id="quickstart-0f0f0f",
    machine={"model_name": "Other CPU", "allowed": "0-1", "fingerprint": "def", "cores": ["0", "1"]},
    study=STUDY,
    curve=build_curve(lognormal_services_s(0.005, 0.3), 2),
)
ASKED = ("--rate", "1000", "--p99", "50ms")


@pytest.fixture
def store(tmp_path: Path) -> str:
    url = f"sqlite:///{tmp_path}/autotune.db"
    with open_store(url) as opened:
        opened.create_study(StudyRecord("quickstart", 0.0, {}, {}, {}, "d", "m"))
        opened.save_plan(PLAN)
    return url


def run(command: str, store: str, *arguments: str) -> Result:
    return CliRunner().invoke(app, [command, "--store", store, *arguments])


def document(command: str, store: str, *arguments: str) -> dict[str, Any]:
    ended = run(command, store, *arguments, "--json")
    assert ended.exit_code == 0, ended.output
    found: dict[str, Any] = json.loads(ended.stdout)
    return found


def test_a_fleet_is_told_with_machines_cost_losses_and_a_replay(store: str) -> None:
    ended = run("fleet", store, *ASKED, "--zones", "3")
    assert ended.exit_code == 0, ended.output
    first, *lines = ended.stdout.splitlines()
    assert first.startswith(("9 machines, ", "10 machines, ", "11 machines, "))
    text = "\n".join(lines)
    for words in ("bears", "per month", "a machine lost", "a zone lost", "a replay of the service times"):
        assert words.lower() in text.lower()
    assert "0.202 USD an hour" in text


def test_a_fleets_document_is_versioned_and_whole(store: str) -> None:
    found = document("fleet", store, *ASKED, "--headroom", "0", "--spare", "0")
    assert found["schema"] == "autotune.fleet/1"
    assert (found["plan"], found["basis"]) == (PLAN.id, "swept")
    assert found["machines"] == found["needed"] == found["bare"]
    machine = found["machine"]
    assert found["machines"] == -(-1000 // machine["rate_per_s"])
    assert found["cost"]["per_hour"] == pytest.approx(0.202 * found["machines"])
    assert found["check"]["replayed_s"] == pytest.approx(found["check"]["expected_s"], rel=0.15)
    assert [loss["what"] for loss in found["losses"]] == ["machine"]


def test_a_price_that_is_given_comes_before_the_studys(store: str) -> None:
    found = document("fleet", store, *ASKED, "--price", "4.848EUR", "--no-replay")
    assert found["cost"]["currency"] == "EUR"
    assert found["cost"]["per_hour"] == pytest.approx(4.848 * found["machines"])
    assert found["check"] is None


TABLE = """\
prices:
  - {provider: acme, type: big, region: east, cores: 48, per_hour: 9.6, currency: EUR, source: a letter,
     date: 2026-01-31}
  - {provider: acme, type: big, region: west, cores: 48, per_hour: 4.8, currency: EUR, source: a letter,
     date: 2026-01-31}
  - {provider: acme, type: tiny, cores: 1, per_hour: 0.2, currency: EUR, source: a letter, date: 2026-01-31}
"""


@pytest.fixture
def table(tmp_path: Path) -> str:
    path = tmp_path / "mine.yaml"
    path.write_text(TABLE)
    return str(path)


@pytest.mark.parametrize("command", ["fleet", "choose"])
def test_a_type_of_a_table_gives_the_price_of_the_cores_that_a_plan_takes(
    store: str, table: str, command: str
) -> None:
    asked = (*ASKED, "--type", "big", "--region", "west", "--prices", table)
    found = document(command, store, *asked)
    fleet = found if command == "fleet" else found["offers"][0]["fleet"]
    assert fleet["cost"]["currency"] == "EUR"
    assert fleet["cost"]["per_hour"] == pytest.approx(0.2 * fleet["machines"])
    assert fleet["cost"]["machine"]["table"] == table
    shown = run(command, store, *asked).stdout
    assert f"acme big west in {table}, 2026-01-31" in shown


@pytest.mark.parametrize("command", ["fleet", "choose"])
@pytest.mark.parametrize(
    ("asked", "words"),
    [
        (("--type", "big"), "has 2 prices of 'big'"),
        (("--type", "bigger"), "has no machine type 'bigger'"),
        (("--type", "big", "--region", "north"), "has no price of 'big north'"),
    ],
)
def test_a_type_that_the_table_does_not_tell_is_refused_with_what_there_is(
    store: str, table: str, command: str, asked: tuple[str, ...], words: str
) -> None:
    error = failing(command, store, *ASKED, *asked, "--prices", table)
    assert isinstance(error, StudyFileError)
    assert words in error.problem
    assert error.remedy


@pytest.mark.parametrize("command", ["fleet", "choose"])
def test_a_type_with_fewer_cores_than_the_plan_takes_is_refused(store: str, table: str, command: str) -> None:
    error = failing(command, store, *ASKED, "--type", "tiny", "--prices", table)
    assert isinstance(error, FleetError)
    assert "it takes 2 cores, and acme tiny has 1" in error.problem


@pytest.mark.parametrize("command", ["fleet", "choose"])
@pytest.mark.parametrize(
    ("asked", "words"),
    [
        (("--region", "west"), "belongs to a machine type"),
        (("--prices", "mine.yaml"), "belongs to a machine type"),
        (("--price", "1USD", "--type", "8-cores"), "give one of them"),
    ],
)
def test_options_of_prices_that_do_not_belong_together_are_refused(
    store: str, command: str, asked: tuple[str, ...], words: str
) -> None:
    ended = run(command, store, *ASKED, *asked)
    assert ended.exit_code == 2, ended.output
    assert words in " ".join(ended.stderr.replace("│", " ").split())


@pytest.mark.parametrize("command", ["fleet", "choose"])
def test_figures_have_the_interval_of_the_plans_speed(store: str, command: str) -> None:
    found = document(command, store, *ASKED)
    fleet = found if command == "fleet" else found["offers"][0]["fleet"]
    interval = found["interval"]
    assert interval["speed"]["low"] < 1 < interval["speed"]["high"]
    assert interval["fast"]["machines"] <= fleet["machines"] <= interval["slow"]["machines"]
    assert interval["fast"]["rate_per_s"] > fleet["machine"]["rate_per_s"] > interval["slow"]["rate_per_s"]
    assert interval["slow"]["cost"]["per_month"] >= fleet["cost"]["per_month"]
    shown = run(command, store, *ASKED).stdout
    machines = f"{interval['fast']['machines']} to {interval['slow']['machines']}"
    assert machines in shown


def test_without_a_price_there_are_machines_and_how_to_give_one(tmp_path: Path) -> None:
    plain = build_plan(curve=PLAN.curve)
    path = tmp_path / "plan.json"
    path.write_text(format_plan(plain))
    ended = run("fleet", "sqlite:///none.db", str(path), *ASKED, "--no-replay")
    assert ended.exit_code == 0, ended.output
    assert "No price is known" in ended.stdout
    assert "--price" in ended.stdout


@pytest.mark.parametrize("command", ["fleet", "choose"])
@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--rate", "0", "--p99", "20ms"), "a rate of 0 is none to serve"),
        (("--rate", "1e12", "--p99", "20ms"), "a rate of 1e12 is none to serve"),
        (("--rate", "nan", "--p99", "20ms"), "'nan' is not a rate"),
        (("--rate", "10"), "no limit of latency is given"),
        (("--rate", "10", "--p99", "20ms", "--p50", "5ms"), "2 limits of latency"),
        (("--rate", "10", "--p99", "20"), "'20' is not a duration"),
        (("--rate", "10", "--p99", "0ms"), "give one"),
        (("--rate", "10", "--p99", "20ms", "--headroom", "1"), "headroom of 1"),
        (("--rate", "10", "--p99", "20ms", "--headroom", "much"), "'much' is not a share"),
        (("--rate", "10", "--p99", "20ms", "--zones", "0"), "0 zones"),
        (("--rate", "10", "--p99", "20ms", "--price", "3 dollars"), "such as 0.808USD"),
    ],
)
def test_a_wrong_command_line_is_refused_before_anything_is_read(
    command: str, arguments: tuple[str, ...], words: str
) -> None:
    ended = run(command, "sqlite:///nowhere/none.db", *arguments)
    assert ended.exit_code == 2, ended.output
    assert words in " ".join(ended.stderr.replace("│", " ").split())


@pytest.mark.parametrize("budget", ["0", "much", "-5", "500 euros", "1e99", "nan"])
def test_a_budget_that_is_no_money_is_refused_before_anything_is_read(budget: str) -> None:
    ended = run("choose", "sqlite:///nowhere/none.db", *ASKED, "--budget", budget)
    assert ended.exit_code == 2, ended.output
    said = " ".join(ended.stderr.replace("│", " ").split())
    assert f"'{budget}' is not an amount of money a month, such as 5000 or 5000USD" in said


def test_a_budget_may_name_its_currency(store: str) -> None:
    found = document("choose", store, *ASKED, "--budget", "1e6USD")
    assert found == document("choose", store, *ASKED, "--budget", "1000000 USD")
    assert found["budget_per_month"] == 1e6
    error = failing("choose", store, *ASKED, "--budget", "500EUR")
    assert isinstance(error, FleetError)
    assert "another currency" in error.problem


def test_a_rate_is_written_with_or_without_its_unit(store: str) -> None:
    said = [
        run("fleet", store, "--rate", rate, "--p99", "50ms", "--no-replay").stdout
        for rate in ("20", "20/s", "1200 / min", "1728e3/day")
    ]
    assert "machine" in said[0]
    assert said[1:] == said[:1] * 3


def failing(command: str, store: str, *arguments: str) -> Exception:
    ended = run(command, store, *arguments)
    assert ended.stdout == ""
    assert isinstance(ended.exception, Exception)
    return ended.exception


def test_a_limit_that_is_not_met_is_an_error_of_its_own(store: str) -> None:
    error = failing("fleet", store, "--rate", "10", "--p99", "5ms")
    assert isinstance(error, FleetError)
    assert "no number of machines keeps to p99 within 5.00 ms" in error.problem
    assert EXIT_CODES[FleetError] == 17
    assert isinstance(failing("choose", store, "--rate", "10", "--p99", "5ms"), FleetError)


def test_a_plan_that_does_not_say_what_it_bears_asks_for_a_curve(tmp_path: Path) -> None:
    path = tmp_path / "plan.json"
    path.write_text(format_plan(build_plan()))
    error = failing("fleet", "sqlite:///none.db", str(path), *ASKED)
    assert isinstance(error, FleetError)
    assert "autotune curve" in error.remedy


def test_an_imported_plan_is_chosen_where_it_is_cheaper(store: str, tmp_path: Path) -> None:
    path = tmp_path / "other.json"
    path.write_text(format_plan(FOREIGN))
    ended = run("import", store, str(path))
    assert ended.exit_code == 0, ended.output
    assert ended.stdout.startswith(f"{FOREIGN.id} from {path}: Other CPU")
    found = document("choose", store, *ASKED)
    assert found["schema"] == "autotune.choice/1"
    assert (found["chosen"], found["ranked_by"]) == (FOREIGN.id, "cost")
    assert [offer["plan"] for offer in found["offers"]] == [FOREIGN.id, PLAN.id]
    shown = run("choose", store, *ASKED)
    assert shown.stdout.startswith(f"{FOREIGN.id}: ")
    assert "it costs" in shown.stdout
    plans = run("plans", store)
    assert "imported from" in plans.stdout
    assert str(path) in plans.stdout


def test_a_choice_is_drawn_as_a_picture(store: str, tmp_path: Path) -> None:
    with open_store(store) as opened:
        import_all(opened, [(FOREIGN, "other.json")])
    figure, page = tmp_path / "choice.svg", tmp_path / "choice.html"
    ended = run("choose", store, *ASKED, "--figure", str(figure), "-o", str(page))
    assert ended.exit_code == 0, ended.output
    assert ended.stdout.splitlines()[0] in page.read_text()
    assert "<svg" in page.read_text()
    assert "<script" not in page.read_text()
    text = "".join(ET.parse(figure).getroot().itertext())
    assert f"{FOREIGN.id} (chosen)" in text
    assert "USD for a billion requests" in text
    (tmp_path / "mine.svg").write_text("<svg/>")
    refused = failing("choose", store, *ASKED, "--figure", str(tmp_path / "mine.svg"))
    assert isinstance(refused, ExportError)


def test_all_plans_of_another_store_are_imported_or_none(store: str, tmp_path: Path) -> None:
    other = f"sqlite:///{tmp_path}/other.db"
    with open_store(other) as opened:
        opened.create_study(StudyRecord("quickstart", 0.0, {}, {}, {}, "d", "m"))
        opened.save_plan(FOREIGN)
    assert run("import", store, str(tmp_path / "other.db")).exit_code == 0
    listed = json.loads(run("import", store, other, "--json").stdout)
    assert listed == [{"plan": FOREIGN.id, "from": other, "new": False}]
    with read_store(store) as opened:
        assert opened.origin(FOREIGN.id) == str(tmp_path / "other.db")


@pytest.mark.parametrize(
    ("content", "kind"), [(None, PlanError), ("{}", PlanError), ('{"schema": "autotune.plan/99"}', PlanError)]
)
def test_what_is_no_plan_is_not_imported_and_no_store_is_made(
    tmp_path: Path, content: str | None, kind: type[Exception]
) -> None:
    path = tmp_path / "plan.json"
    if content is not None:
        path.write_text(content)
    assert isinstance(failing("import", f"sqlite:///{tmp_path}/new.db", str(path)), kind)
    assert not (tmp_path / "new.db").exists()


def test_a_broken_plan_among_several_is_named_by_its_file_and_place(tmp_path: Path) -> None:
    good, broken, cut = (tmp_path / name for name in ("good.json", "broken.json", "cut.json"))
    good.write_text(format_plan(FOREIGN))
    values = json.loads(format_plan(FOREIGN))
    values["estimate"]["histogram"] = "garbage"
    broken.write_text(json.dumps(values))
    cut.write_text(format_plan(FOREIGN)[:2_000])
    for path, words in ((broken, "estimate.histogram: 'garbage' is no HdrHistogram"), (cut, "not a JSON")):
        error = failing("import", f"sqlite:///{tmp_path}/new.db", str(good), str(path))
        assert isinstance(error, PlanError)
        assert str(path) in error.problem
        assert words in error.problem
    assert not (tmp_path / "new.db").exists()
    for command in ("fleet", "show"):
        asked = [str(broken), *(ASKED if command == "fleet" else ())]
        assert isinstance(CliRunner().invoke(app, [command, *asked]).exception, PlanError)


def test_page_and_picture_are_never_one_file(store: str, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path)
    for figure in (tmp_path / "x.html", tmp_path / "link" / "x.html"):
        error = failing("choose", store, *ASKED, "-o", str(tmp_path / "x.html"), "--figure", str(figure))
        assert isinstance(error, ExportError)
        assert "named for two things" in error.problem
    assert not (tmp_path / "x.html").exists()


def test_a_path_of_a_choice_that_cannot_be_written_names_the_options_of_choose(store: str) -> None:
    error = failing("choose", store, *ASKED, "-o", "/nowhere/x.html")
    assert isinstance(error, ExportError)
    assert error.remedy == "make it, or give another path (-o for the page, --figure for the picture)"


def test_the_replays_sentence_names_the_tables_latency(tmp_path: Path) -> None:
    path = tmp_path / "plan.json"
    path.write_text(format_plan(PLAN.model_copy(update={"curve": build_curve(SERVICES, 2, excess=1.3)})))
    lines = run("fleet", f"sqlite:///{tmp_path}/none.db", str(path), *ASKED).stdout.splitlines()
    (told,) = (line.split(maxsplit=1)[1] for line in lines if line.startswith("p99"))
    (sentence,) = (line for line in lines if line.startswith("A replay"))
    assert f"and {told} once corrected by what was measured" in sentence


def test_a_changed_plan_of_the_same_id_is_refused(store: str, tmp_path: Path) -> None:
    path = tmp_path / "plan.json"
    path.write_text(format_plan(PLAN.model_copy(update={"trial": 8})))
    error = failing("import", store, str(path))
    assert isinstance(error, StoreError)
    assert "already holds another plan" in error.problem
