"""The first study, asked for the cheapest plan on one and two cores: real engines, a plan and a table."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from autotune.machine.read import read_machine

pytestmark = [pytest.mark.engines, pytest.mark.slow, pytest.mark.quiet, pytest.mark.timeout(1_200)]

QUICKSTART = Path(__file__).parents[1] / "studies" / "quickstart.yaml"


def autotune(folder: Path, *arguments: str) -> str:
    """Run a command in a folder; gives what it wrote on stdout."""
    ended = subprocess.run(
        [sys.executable, "-m", "autotune", *arguments],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr
    return ended.stdout


@pytest.mark.skipif(len(read_machine().allowed_cores) < 2, reason="with one core there is no smaller machine")
def test_the_first_study_for_cost_ends_with_a_plan_and_a_table_of_both_machines(tmp_path: Path) -> None:
    study = yaml.safe_load(QUICKSTART.read_text())
    study["objective"], study["price"] = "cost", {"type": "8-cores"}
    study["search"] |= {"cores": [1, 2], "backends": ["onnxruntime"], "precisions": ["int8-dynamic"]}
    study["budget"] = {"minutes": 2.5}
    (tmp_path / "quickstart.yaml").write_text(yaml.safe_dump(study))
    autotune(tmp_path, "tune", "quickstart.yaml")
    plan = json.loads(autotune(tmp_path, "show", "--json"))
    assert plan["objective"] == "cost_USD"
    assert [of["cores"] for of in plan["confirmation"]["by_cores"]] == [1, 2]
    document = json.loads(autotune(tmp_path, "cost", "--rate", "20/s", "--json"))
    bills = {bill["name"]: bill for bill in document["bills"]}
    assert list(bills) == ["plan", "baseline", "1 core", "2 cores"]
    assert document["missing"] == []
    assert {name: bill["cores"] for name, bill in bills.items() if "core" in name} == {
        "1 core": 1,
        "2 cores": 2,
    }
    assert bills["plan"]["confirmed"]
    for bill in bills.values():
        million, served = bill["per_million_samples"], bill["samples_per_s"]["estimate"]
        assert million["estimate"] == pytest.approx(0.101 * bill["cores"] / 3_600 * 1e6 / served)
        assert bill["month"]["machines"]["estimate"] * served >= 20 * 8
        if bill["confirmed"]:
            assert million["low"] < million["estimate"] < million["high"]
    dearest = max(bill["per_million_samples"]["estimate"] for bill in bills.values())
    assert bills["plan"]["per_million_samples"]["estimate"] < dearest
    rows = autotune(tmp_path, "cost", "--rate", "20/s").splitlines()[2 : 2 + len(bills)]
    assert [row.split("  ")[0] for row in rows] == list(bills)
