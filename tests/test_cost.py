"""A study for cost: the plan is what serves most for the money, not what serves most; real processes."""

from __future__ import annotations

import json
import os
import re
import sys
from contextlib import redirect_stderr, redirect_stdout
from io import StringIO
from pathlib import Path
from typing import Any

import pytest

from autotune.cli.main import run
from autotune.machine.read import read_machine
from autotune.plan.document import Plan, parse_plan
from autotune.testing.fake_model import SCHEMA

pytestmark = pytest.mark.skipif(
    len(os.sched_getaffinity(0)) < 2 or len(read_machine().allowed_cores) < 2,
    reason="with one core there is nothing to leave to others",
)

MODEL = {
    "schema": SCHEMA,
    "serial_s": 0.015,
    "parallel_s_per_token": 2e-4,
    "thread_efficiency": 1.0,
    "speed": {"fp32": 0.5, "int8-dynamic": 1.0},
}
"""At int8 one thread takes 27.8 ms for a request and two take 21.4 ms: twice the cores serve 1.3 times as
much."""
PRICE = {"per_hour": 4.848, "cores": 48}
STUDY: dict[str, Any] = {
    "name": "cheap",
    "model": "fake:model.json",
    "problem": {"batch_size": 2, "sequence_length": 32},
    "objective": "cost",
    "price": PRICE,
    "search": {
        **{"placements": ["close"], "instances": [1], "threads": [1, 2], "knobs": "none"},
        **{"precisions": ["int8-dynamic"]},
    },
    "measure": {
        **{"warmup": "200ms", "block": "100ms", "blocks": 2, "max_blocks": 2},
        **{"disturbed": "keep", "trial_timeout": "60s"},
    },
    "confirm": {"finalists": 2, "rounds": 3},
    "budget": {"trials": 6, "minutes": 5.0},
}


class Folder:
    """A folder with a study of its own."""

    def __init__(self, path: Path) -> None:
        self.path = path
        (path / "model.json").write_text(json.dumps(MODEL))
        self.write()

    def write(self, **study: Any) -> None:
        """Write the study with these values in the place of the usual ones."""
        (self.path / "study.yaml").write_text(json.dumps({**STUDY, **study}))

    def autotune(self, *arguments: str, status: int = 0) -> tuple[str, str]:
        """Run a command in this folder; gives what it wrote on stdout and stderr."""
        with pytest.MonkeyPatch.context() as patch, StringIO() as out, StringIO() as err:
            patch.chdir(self.path)
            patch.setenv("AUTOTUNE_CACHE", str(self.path / "cache"))
            patch.setattr(sys, "argv", ["autotune", *arguments])
            with redirect_stdout(out), redirect_stderr(err):
                found = run()
            assert found == status, err.getvalue()
            return out.getvalue(), err.getvalue()


@pytest.fixture(scope="module")
def tuned(tmp_path_factory: pytest.TempPathFactory) -> tuple[Folder, str, str]:
    """What `tune` wrote of a study for cost."""
    folder = Folder(tmp_path_factory.mktemp("cost"))
    return folder, *folder.autotune("tune", "study.yaml")


@pytest.fixture(scope="module")
def plan(tuned: tuple[Folder, str, str]) -> Plan:
    out, _ = tuned[0].autotune("show", "--json")
    return parse_plan(out)


def test_the_plan_takes_the_core_that_serves_most_for_the_money(plan: Plan) -> None:
    assert plan.objective == "cost_USD"
    assert (plan.configuration.instances, plan.configuration.threads_per_instance) == (1, 1)
    estimate, charge = plan.estimate, plan.estimate.charge
    assert charge is not None
    assert (charge.cores, charge.currency) == (1, "USD")
    assert charge.per_million == pytest.approx(estimate.objective_value)
    assert estimate.objective_value == pytest.approx(4.848 / 48 / 3600 * 1e6 / estimate.throughput_sps)


def test_what_is_not_pinned_pays_for_all_that_it_may_run_on(plan: Plan) -> None:
    assert plan.baseline is not None
    assert plan.baseline.charge is not None
    assert plan.baseline.charge.cores == min(len(read_machine().allowed_cores), read_machine().thread_budget)
    assert plan.gain is not None
    assert plan.gain > 2


def test_progress_and_tables_speak_of_money(tuned: tuple[Folder, str, str]) -> None:
    folder, out, err = tuned
    assert re.search(r"; best [0-9.]+ USD per million \([0-9.]+x\)", err)
    assert re.search(r"[0-9.]+ USD per million +[0-9.]+x", out)
    assert "samples/s" not in out + err
    shown, _ = folder.autotune("show")
    assert "cost_USD" in shown
    assert "USD per million, 1 core " in shown
    listed, _ = folder.autotune("plans")
    assert "USD per million" in listed
    folder.autotune("report", "-o", "report.html", "--force")
    report = (folder.path / "report.html").read_text()
    assert "times as much for the money as the baseline" in report
    assert "cost, USD per million (lower is better)" in report


def test_a_plan_is_verified_and_compared_by_what_it_costs(tuned: tuple[Folder, str, str]) -> None:
    folder, *_ = tuned
    out, _ = folder.autotune("compare", "--study", "study.yaml", "baseline", "1x1,close,fake,int8-dynamic")
    assert out.splitlines()[2].startswith("B is cheaper")
    assert "USD per million" in out.splitlines()[0]
    verified, _ = folder.autotune("verify", "--tolerance", "30%", "--json")
    document = json.loads(verified)
    assert document["objective"] == "cost_USD"
    assert document["now"]["plan"]["estimate"] == pytest.approx(document["then"]["plan"], rel=0.3)


def test_another_price_is_another_study(tuned: tuple[Folder, str, str]) -> None:
    folder, *_ = tuned
    folder.write(price={"per_core_hour": 0.2})
    _, err = folder.autotune("tune", "study.yaml", status=10)
    folder.write()
    assert "price.per_core_hour: none -> 0.2" in err


def test_without_a_price_nothing_is_begun(tmp_path: Path) -> None:
    folder = Folder(tmp_path)
    folder.write(price={})
    _, err = folder.autotune("tune", "study.yaml", status=4)
    assert "missing: what cores cost; write {per_core_hour: 0.1}" in err
    (tmp_path / "study.yaml").write_text(
        json.dumps({key: value for key, value in STUDY.items() if key != "price"})
    )
    _, err = folder.autotune("tune", "study.yaml", status=4)
    assert "objective cost needs to know what cores cost" in err
    assert not (tmp_path / "autotune.db").exists()
