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
    autotune(folder, "tune", "study.yaml")
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
    assert any("measured as a smaller machine" in warning for warning in plan.warnings)


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


def test_the_plan_knows_what_the_table_said(plan: Plan) -> None:
    assert plan.study.spec["price"] == {
        **{"per_hour": 0.808, "cores": 8, "currency": "USD", "type": "8-cores", "provider": "aws"},
        **{"table": "autotune's prices.yaml", "date": "2021-04-20"},
    }


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
