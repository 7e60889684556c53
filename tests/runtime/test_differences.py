"""A process that is not as its plan says is told of it: in a refusal, or in a warning and by the session."""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from autotune.errors import DifferenceError, ServingError
from autotune.machine.read import read_machine
from autotune.plan.document import format_plan
from autotune.runtime.differences import Difference, PlanDifferenceWarning, process_differences, settle
from autotune.runtime.planned import PlannedInstance, read_planned
from autotune.spec.launched import UNBOUND_WORDS
from autotune.testing.plans import build_commands, build_plan

PlanFile = Callable[..., Path]

REFUSING = Path(__file__).parents[1] / "exporters" / "refuse_memory_policy.py"

OTHER_CPUS = Difference("this process runs on cpus 5, not 0", "start it by a launch")
UNBOUND = Difference("its memory is not bound", "permit it", may_stay=True)
GONE = Difference("the artifact is gone", "prepare it", decides_answers=True)


@pytest.fixture
def planned(tmp_path: Path) -> PlannedInstance:
    """An instance on memory node 0, started by hand."""
    file = tmp_path / "plan.json"
    file.write_text(format_plan(build_plan(build_commands(1, memory_nodes=(0,)))))
    return read_planned(file, 0)


@pytest.mark.parametrize(
    ("launched", "told", "variable", "refused"),
    [
        (False, None, None, False),
        (True, None, None, True),
        (True, "warn", None, False),
        (False, "refuse", None, True),
        (True, None, "warn", False),
        (False, None, "refuse", True),
        (True, "refuse", "warn", True),
        (True, None, "", True),
    ],
)
def test_what_becomes_of_a_difference_is_told_by_the_caller_else_by_whoever_started_it(
    planned: PlannedInstance,
    monkeypatch: pytest.MonkeyPatch,
    launched: bool,
    told: Any,
    variable: str | None,
    refused: bool,
) -> None:
    if variable is not None:
        monkeypatch.setenv("AUTOTUNE_DIFFERENCES", variable)
    instance = replace(planned, is_launched=launched)
    if refused:
        with pytest.raises(DifferenceError, match="runs on cpus 5, not 0") as raised:
            settle(instance, [OTHER_CPUS], told)
        assert raised.value.remedy == OTHER_CPUS.remedy
    else:
        with pytest.warns(PlanDifferenceWarning, match=r"runs on cpus 5, not 0 \(start it by a launch\)"):
            assert settle(instance, [OTHER_CPUS], told) == (OTHER_CPUS,)
    with pytest.raises(DifferenceError, match="artifact is gone"):
        settle(instance, [GONE], told)


def test_where_launches_go_on_themselves_the_process_is_warned_and_refused_only_on_demand(
    planned: PlannedInstance,
) -> None:
    launched = replace(planned, is_launched=True)
    with pytest.warns(PlanDifferenceWarning, match="not bound"):
        assert settle(launched, [UNBOUND], None) == (UNBOUND,)
    with pytest.raises(DifferenceError, match="not bound"):
        settle(launched, [UNBOUND], "refuse")
    with pytest.raises(DifferenceError) as raised:
        settle(launched, [UNBOUND, OTHER_CPUS], None)
    assert "not bound" not in raised.value.problem


def test_another_word_than_these_is_refused(
    planned: PlannedInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    ignoring: Any = "ignore"
    with pytest.raises(ServingError, match="differences is 'ignore'") as raised:
        settle(planned, [], ignoring)
    assert "refuse or warn" in raised.value.remedy
    monkeypatch.setenv("AUTOTUNE_DIFFERENCES", "Warn")
    with pytest.raises(ServingError, match="AUTOTUNE_DIFFERENCES is 'Warn'"):
        settle(planned, [], None)


def memory_words(planned: PlannedInstance) -> list[str]:
    return [found.said for found in process_differences(planned) if "memory" in found.said]


def test_memory_that_is_not_bound_is_told_unless_it_was_measured_so(planned: PlannedInstance) -> None:
    (said,) = memory_words(planned)
    assert said.startswith("its memory is not bound to nodes 0: ")
    assert memory_words(replace(planned, memory_nodes=())) == []
    plan = build_plan(build_commands(1, memory_nodes=(0,)), warnings=(UNBOUND_WORDS,))
    planned.file.write_text(format_plan(plan))
    assert memory_words(read_planned(planned.file, 0)) == []


def test_another_cpu_is_told_and_the_same_one_is_not(planned: PlannedInstance) -> None:
    def words(model: str) -> list[str]:
        found = process_differences(replace(planned, cpu_model=model))
        return [each.said for each in found if each.may_stay and "cpu" in each.said]

    (said,) = words("Built CPU")
    assert said.startswith("this machine has another cpu, ")
    assert said.endswith(": the plan was measured on Built CPU")
    assert words("") == words(read_machine().model_name) == []


SERVE = """
import json, warnings
import autotune.runtime
with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    with autotune.runtime.load() as session:
        answer = session(input_ids=[[2, 10, 3]]).shape
        settings = autotune.runtime.configure()
warned = [str(warning.message) for warning in caught if "Difference" in warning.category.__name__]
print(json.dumps({
    "shape": answer, "warned": warned, "session": [each.said for each in session.differences],
    "settings": [each.said for each in settings.differences],
}))
"""


@pytest.mark.engines
@pytest.mark.skipif(platform.machine() != "x86_64", reason="the filter of system calls is for x86_64 alone")
def test_a_server_whose_memory_the_kernel_does_not_bind_serves_and_says_so(plan_file: PlanFile) -> None:
    plan = plan_file("classifier")
    document = json.loads(plan.read_text())
    document["instances"][0]["memory_nodes"] = [0]
    plan.write_text(json.dumps(document))
    start = ["-P", "-m", "autotune.runtime.start", str(plan), "0", sys.executable, "-P", "-c", SERVE]
    filtered = [sys.executable, str(REFUSING), "1", sys.executable, *start]
    ended = subprocess.run(filtered, capture_output=True, text=True, check=False, env={**os.environ})
    assert ended.returncode == 0, ended.stderr
    served = json.loads(ended.stdout.splitlines()[-1])
    (said,) = served["session"]
    assert said == "whether its memory is bound to nodes 0 cannot be told"
    assert served["settings"] == [said]
    assert all(said in words and "--cap-add SYS_NICE" in words for words in served["warned"])
    assert len(served["warned"]) == 2
    assert served["shape"] == [1, 3]
    assert "going on without" in ended.stderr
    bound = subprocess.run([sys.executable, *start], capture_output=True, text=True, check=False)
    assert bound.returncode == 0, bound.stderr
    is_bound = "going on without" not in bound.stderr
    assert (json.loads(bound.stdout.splitlines()[-1])["session"] == []) == is_bound
