"""A program starts as an instance of a plan, or is told in one line why it does not."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

pytestmark = pytest.mark.engines

PlanFile = Callable[..., Path]

SHOW = """
import json, os
print(json.dumps({"cpus": sorted(os.sched_getaffinity(0)), "environment": dict(os.environ)}))
"""


def start(*words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-P", "-m", "autotune.runtime.start", *words]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_it_is_pinned_and_has_the_environment_that_was_measured(
    plan_file: PlanFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KMP_AFFINITY", "compact")
    monkeypatch.setenv("MKL_NUM_THREADS", "9")
    monkeypatch.setenv("OWN", "a value\nof two lines")
    plan = plan_file("classifier")
    document = json.loads(plan.read_text())
    ended = start(str(plan), "0", sys.executable, "-c", SHOW)
    assert ended.returncode == 0, ended.stderr
    shown = json.loads(ended.stdout)
    (instance,) = document["instances"]
    assert shown["cpus"] == instance["cpus"]
    environment = shown["environment"]
    assert environment["AUTOTUNE_PLAN"] == str(plan)
    assert environment["AUTOTUNE_INSTANCE"] == "0"
    assert environment["OWN"] == os.environ["OWN"]
    assert "KMP_AFFINITY" not in environment
    for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS"):
        assert environment[name] == instance["env"][name]


def test_it_takes_cpus_that_the_kernel_permits_and_the_callers_mask_leaves_out(plan_file: PlanFile) -> None:
    *_, last = permitted = sorted(os.sched_getaffinity(0))
    if len(permitted) < 2:
        pytest.skip("needs two cpus")
    plan = plan_file("classifier")
    document = json.loads(plan.read_text())
    document["instances"][0]["cpus"] = [last]
    plan.write_text(json.dumps(document))
    words = [sys.executable, "-P", "-m", "autotune.runtime.start", str(plan), "0"]
    narrow = (
        f"import os, sys; os.sched_setaffinity(0, {{{permitted[0]}}}); os.execv(sys.argv[1], sys.argv[1:])"
    )
    command = [sys.executable, "-P", "-c", narrow, *words, sys.executable, "-c", SHOW]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr
    assert json.loads(ended.stdout)["cpus"] == [last]


def test_what_is_wrong_is_said_in_a_line_and_nothing_is_started(plan_file: PlanFile) -> None:
    plan = plan_file("classifier")
    document = json.loads(plan.read_text())
    far, gone = plan.with_name("far.json"), plan.with_name("gone.json")
    far.write_text(json.dumps({**document, "instances": [{**document["instances"][0], "cpus": [4000]}]}))
    worker = {**document["instances"][0]["worker"], "artifact": "/nowhere"}
    gone.write_text(json.dumps({**document, "instances": [{**document["instances"][0], "worker": worker}]}))
    cases = {
        (str(plan), "0"): "python -m autotune.runtime.start PLAN INSTANCE COMMAND",
        (str(plan), "one", "true"): "wrong arguments",
        (str(plan), "7", "true"): "no instance 7",
        (str(plan), "0", "no-such-program"): "there is no program 'no-such-program'",
        (str(far), "0", "true"): "cpus 4000 of the plan may not be used here",
        (str(gone), "0", "true"): "/nowhere",
    }
    for words, said in cases.items():
        ended = start(*words)
        assert ended.returncode == 16, (words, ended)
        assert said in ended.stderr
        assert "Traceback" not in ended.stderr


@pytest.mark.parametrize("asked", ["--help", "-h"])
def test_it_tells_its_usage(asked: str) -> None:
    ended = start(asked)
    assert (ended.returncode, ended.stderr) == (0, "")
    assert "python -m autotune.runtime.start PLAN INSTANCE COMMAND" in ended.stdout
