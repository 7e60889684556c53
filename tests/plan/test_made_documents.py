"""Plans that each version of the document has really made are read, described and exported.

Those of `assets/made` were made by `autotune tune` with the fake engine: 1 to 3 at the last commit of their
version (2c77e29, 55d76e5^, de44d10), 4 at d5009d1.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from autotune.errors import ExportError
from autotune.exporters.exporting import launch_for
from autotune.exporters.options import REQUIRED, option_rows, read_options
from autotune.exporters.registry import exporters
from autotune.plan.describe import describe
from autotune.plan.document import SCHEMA, Plan, format_plan, parse_plan
from autotune.plan.study import spec_of, stored_of
from autotune.spec.launch import LaunchSpec

SERVER = LaunchSpec(command=("/srv/bin/uvicorn", "app:app", "--port", "{port}"))

MADE = sorted((Path(__file__).parent / "assets" / "made").glob("plan-*.json"))
IDS = [path.stem for path in MADE]


@pytest.fixture(params=MADE, ids=IDS)
def path(request: pytest.FixtureRequest) -> Path:
    made: Path = request.param
    return made


@pytest.fixture
def plan(path: Path) -> Plan:
    return parse_plan(path.read_bytes())


def test_one_of_every_older_version_is_kept() -> None:
    today = int(SCHEMA.rpartition("/")[2])
    assert {f"plan-{version}" for version in range(1, today)} <= set(IDS)


def test_its_figures_are_those_that_it_was_made_with(path: Path, plan: Plan) -> None:
    written = json.loads(path.read_text())
    assert (plan.id, plan.gain) == (written["id"], written["gain"])
    assert plan.estimate.throughput_sps == written["estimate"]["throughput_sps"]
    assert plan.baseline is not None
    assert plan.baseline.objective_value == written["baseline"]["objective_value"]
    (command,) = plan.commands()
    (instance,) = written["instances"]
    assert list(command.cpus) == instance["cpus"]
    assert dict(command.environment) == instance["env"]
    assert [word for word in command.argv if "worker" not in word] == [
        word for word in instance["argv"] if "worker" not in word
    ]


def test_it_says_of_what_study_it_is(plan: Plan) -> None:
    spec = spec_of(plan)
    assert (spec.name, spec.models, spec.scenario) == ("kept", ("fake:model.json",), "offline")
    assert (spec.problem.batch_size, spec.problem.sequence_length) == (2, 16)
    assert spec.budget.trials == 2
    assert spec.search.backends == ("fake",)
    assert stored_of(plan).written == spec


def test_it_is_described_written_as_today_and_exported(plan: Plan) -> None:
    assert plan.id in describe(plan)
    assert parse_plan(format_plan(plan)) == plan
    for exporter in exporters().values():
        needed = [f"{row.name}=x" for row in option_rows(exporter) if row.usual == REQUIRED]
        launch = launch_for(exporter, plan, SERVER, plan_path="/srv/plan.json")
        if exporter.name in ("triton", "ovms"):
            with pytest.raises(ExportError, match="has no engine 'fake'"):
                exporter.render(launch, read_options(exporter, needed))
        else:
            assert exporter.render(launch, read_options(exporter, needed)).files
