"""The study that a plan was made of, as a value."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from autotune.errors import PlanError
from autotune.model.stored_study import read_stored_study
from autotune.plan.document import Plan, parse_plan
from autotune.plan.study import spec_of, stored_of
from autotune.spec.load import parse_study

PLAN = sorted((Path(__file__).parent / "assets").glob("plan-*.json"))[-1]
EXAMPLES = json.loads((Path(__file__).parents[1] / "model" / "assets" / "studies-0.1.json").read_text())


def plan_of(spec: Any) -> Plan:
    plan = parse_plan(PLAN.read_text())
    return plan.model_copy(update={"study": plan.study.model_copy(update={"spec": spec})})


@pytest.mark.parametrize("name", EXAMPLES)
def test_a_plan_gives_its_study_as_it_was_written(name: str) -> None:
    written = parse_study(json.dumps(EXAMPLES[name]["study"]), name=name)
    assert spec_of(plan_of(EXAMPLES[name]["stored"])) == written


def test_what_was_found_when_the_plan_was_made_is_told_from_what_was_written() -> None:
    document = EXAMPLES["several"]["stored"]
    plan = plan_of(document)
    assert stored_of(plan) == read_stored_study(document)
    assert stored_of(plan).digests == ("a" * 64, "b" * 64)
    assert not {"digests", "unmasked"} & {*spec_of(plan).model_dump()}
    assert "texts_digest" not in spec_of(plan).problem.model_dump()


@pytest.mark.parametrize(
    ("spec", "path"),
    [
        (None, "study.spec: "),
        ({**EXAMPLES["single"]["stored"], "digests": 5}, "study.spec.digests: "),
        ({**EXAMPLES["single"]["stored"], "problem": {"batch_size": 0}}, "study.spec.problem.batch_size: "),
    ],
)
def test_a_study_that_is_none_is_refused_by_the_place_that_is_wrong(spec: Any, path: str) -> None:
    with pytest.raises(PlanError, match=f"^{path}") as caught:
        spec_of(plan_of(spec))
    assert "autotune tune" in caught.value.remedy
