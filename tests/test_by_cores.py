"""A study of smaller machines (`search.cores`): real processes of the fake engine, each kept to its cores."""

from __future__ import annotations

import json
import os
import sys
from contextlib import redirect_stderr, redirect_stdout
from io import StringIO
from pathlib import Path
from typing import Any

import pytest

from autotune.cli.main import run
from autotune.machine.read import read_machine
from autotune.placement.smaller import smaller
from autotune.plan.document import Plan, parse_plan
from autotune.testing.fake_model import SCHEMA

pytestmark = pytest.mark.skipif(
    len(os.sched_getaffinity(0)) < 2 or len(read_machine().allowed_cores) < 2,
    reason="with one core there is no smaller machine",
)

MODEL = {
    "schema": SCHEMA,
    "serial_s": 0.015,
    "parallel_s_per_token": 2e-4,
    "thread_efficiency": 1.0,
    "speed": {"fp32": 0.5, "int8-dynamic": 1.0},
}
STUDY: dict[str, Any] = {
    "name": "sizes",
    "model": "fake:model.json",
    "problem": {"batch_size": 2, "sequence_length": 32},
    "objective": "cost",
    "price": {"type": "8-cores"},
    "search": {
        **{"placements": ["close"], "instances": [1], "threads": [1, 2], "knobs": "none"},
        **{"precisions": ["int8-dynamic"], "cores": [1, 2]},
    },
    "measure": {
        **{"warmup": "200ms", "block": "100ms", "blocks": 2, "max_blocks": 2},
        **{"disturbed": "keep", "trial_timeout": "60s"},
    },
    "confirm": {"finalists": 1, "rounds": 3},
    "budget": {"trials": 6, "minutes": 5.0},
}


def autotune(folder: Path, *arguments: str, status: int = 0) -> tuple[str, str]:
    """Run a command in a folder; gives what it wrote on stdout and stderr."""
    with pytest.MonkeyPatch.context() as patch, StringIO() as out, StringIO() as err:
        patch.chdir(folder)
        patch.delenv("AUTOTUNE_PRICES", raising=False)
        patch.setenv("AUTOTUNE_CACHE", str(folder / "cache"))
        patch.setattr(sys, "argv", ["autotune", *arguments])
        with redirect_stdout(out), redirect_stderr(err):
            found = run()
        assert found == status, err.getvalue()
        return out.getvalue(), err.getvalue()


def write(folder: Path, **study: Any) -> None:
    (folder / "model.json").write_text(json.dumps(MODEL))
    (folder / "study.yaml").write_text(json.dumps({**STUDY, **study}))


@pytest.fixture(scope="module")
def tuned(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which a study of one and of two cores was tuned."""
    folder = tmp_path_factory.mktemp("sizes")
    write(folder)
    out, _ = autotune(folder, "tune", "study.yaml")
    (folder / "told").write_text(out)
    return folder


@pytest.fixture(scope="module")
def plan(tuned: Path) -> Plan:
    return parse_plan(autotune(tuned, "show", "--json")[0])


def test_the_plan_is_of_the_machine_that_serves_most_for_the_money(plan: Plan) -> None:
    assert plan.configuration.cores == 1
    cpus = {cpu for instance in plan.instances for cpu in instance.cpus}
    assert cpus <= smaller(read_machine(), 1).allowed
    assert plan.estimate.charge is not None
    assert plan.estimate.charge.cores == 1
    assert any("as a smaller machine of the same kind" in warning for warning in plan.warnings)


def test_every_smaller_machine_has_its_best_confirmed_with_an_interval(plan: Plan) -> None:
    assert [of.cores for of in plan.confirmation.by_cores] == [1, 2]
    for of in plan.confirmation.by_cores:
        assert of.confirmed
        assert of.configuration is not None
        assert of.configuration.cores == of.cores
        assert of.estimate is not None
        assert of.estimate.charge is not None
        assert of.estimate.charge.cores == of.cores
        between = of.estimate.charge.per_million_range
        assert between is not None
        assert between.low <= of.estimate.charge.per_million <= between.high
        expected = 0.808 / 8 * of.cores / 3_600 * 1e6 / of.estimate.throughput_sps
        assert of.estimate.charge.per_million == pytest.approx(expected)


def test_tune_ends_with_what_each_machine_costs(tuned: Path) -> None:
    told = (tuned / "told").read_text()
    _, _, table = told.partition("what it costs on each smaller machine\n")
    assert [row.split("  ")[0] for row in table.splitlines()[1:5]] == [
        "plan",
        "baseline",
        "1 core",
        "2 cores",
    ]
    assert "prices.yaml, 2021-04-20" in table
    assert "on 1 core, fake int8-dynamic" in told


def test_the_plan_knows_what_the_table_said(plan: Plan) -> None:
    assert plan.study.spec["price"] == {
        **{"per_hour": 0.808, "cores": 8, "currency": "USD", "type": "8-cores", "provider": "aws"},
        **{"table": "autotune's prices.yaml", "date": "2021-04-20"},
    }


def test_the_table_of_costs_has_plan_baseline_and_every_machine(tuned: Path, plan: Plan) -> None:
    out, _ = autotune(tuned, "cost", "--rate", "100/s")
    title, columns, *rows = out.splitlines()
    assert title == f"cost of {plan.id}"
    assert "a month at 100 requests/s" in columns
    assert [row.split("  ")[0] for row in rows[:4]] == ["plan", "baseline", "1 core", "2 cores"]
    assert all("USD" in row and "used" in row for row in rows[:4])
    assert "Price: 0.101 USD a core hour (aws 8-cores in autotune's prices.yaml, 2021-04-20)." in out


def test_the_document_of_costs_is_that_of_the_plan(tuned: Path, plan: Plan) -> None:
    document = json.loads(autotune(tuned, "cost", plan.id, "--rate", "6000/min", "--json")[0])
    assert document["schema"] == "autotune.cost/1"
    assert document["requests_per_s"] == 100
    first, baseline, *machines = document["bills"]
    assert plan.estimate.charge is not None
    assert first["per_million_samples"]["estimate"] == pytest.approx(plan.estimate.charge.per_million)
    assert first["per_request"]["estimate"] == pytest.approx(2e-6 * plan.estimate.charge.per_million)
    assert first["per_million_samples"]["low"] < first["per_million_samples"]["high"]
    assert first["month"]["cost"]["estimate"] == pytest.approx(
        first["month"]["machines"]["estimate"] * first["per_hour"] * 730
    )
    assert baseline["name"] == "baseline"
    assert [machine["cores"] for machine in machines] == [1, 2]


def test_another_machine_types_price_can_be_asked_for(tuned: Path) -> None:
    table = tuned / "mine.yaml"
    table.write_text(
        "prices: [{provider: acme, type: mine, cores: 2, per_hour: 1, currency: EUR, source: a letter, "
        "date: 2026-01-31}]"
    )
    out, _ = autotune(tuned, "cost", "--type", "mine", "--prices", "mine.yaml")
    assert "Price: 0.500 EUR a core hour (acme mine in mine.yaml, 2026-01-31)." in out
    assert "only where its cores are of the same kind" in out


@pytest.mark.parametrize(
    ("arguments", "status", "told"),
    [
        (("--rate", "0/s"), 2, "a rate of 0/s is none to serve"),
        (("--rate", "1e12"), 2, "at most 1e9/s"),
        (("--rate", "fast"), 2, "'fast' is not a rate"),
        (("--type", "mine2", "--prices", "mine2.yaml"), 4, "mine2.yaml does not exist"),
        (("--type", "48-core"), 4, "did you mean 48-cores?"),
        (("--region", "east"), 2, "belongs to a machine type"),
    ],
)
def test_what_cannot_be_told_ends_with_the_value_and_a_remedy(
    tuned: Path, arguments: tuple[str, ...], status: int, told: str
) -> None:
    out, err = autotune(tuned, "cost", *arguments, status=status)
    assert out == ""
    assert told in " ".join(err.replace("│", " ").split())


def test_show_and_report_have_the_table(tuned: Path) -> None:
    assert "2 cores" in autotune(tuned, "show")[0].partition("\ncost\n")[2].partition("\n\n")[0]
    autotune(tuned, "report", "-o", "report.html", "--force")
    page = (tuned / "report.html").read_text()
    assert "Cost of plan, baseline and smaller machines" in page
    assert "prices.yaml, 2021-04-20" in page


def test_the_same_price_from_elsewhere_is_the_same_study(tuned: Path) -> None:
    write(tuned, price={"per_hour": 0.808, "cores": 8})
    autotune(tuned, "tune", "study.yaml")
    write(tuned)


def test_other_core_counts_are_another_study(tuned: Path) -> None:
    write(tuned, search={**STUDY["search"], "cores": [2]})
    _, err = autotune(tuned, "tune", "study.yaml", status=10)
    write(tuned)
    assert "search.cores" in err


def test_more_cores_than_there_are_end_before_anything_is_measured(tmp_path: Path) -> None:
    write(tmp_path, search={**STUDY["search"], "cores": [1, 60_000]})
    _, err = autotune(tmp_path, "tune", "study.yaml", status=4)
    assert "search.cores[1]: 60000 cores are more than the" in err
    assert not (tmp_path / "autotune.db").exists()


def test_an_unknown_machine_type_ends_before_anything_is_measured(tmp_path: Path) -> None:
    write(tmp_path, price={"type": "8-core"})
    _, err = autotune(tmp_path, "tune", "study.yaml", status=4)
    assert "price.type: autotune's prices.yaml has no machine type '8-core'" in err
    assert "did you mean 8-cores?" in err
    assert not (tmp_path / "autotune.db").exists()
