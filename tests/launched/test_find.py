"""Which processes belong to which instance of a plan, by recordings of /proc."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path

import pytest

from autotune.errors import PlanError, ServingError
from autotune.launched.find import FoundProcesses, OtherPlan, find_processes
from autotune.launched.hidden import CLOCK_S, HiddenProcess
from autotune.launched.proc import ProcFiles
from tests.launched.recorded import write_process

PLAN = "quickstart-7f3a9c"


@pytest.fixture
def plan(tmp_path: Path) -> str:
    """The path of the plan's document."""
    path = tmp_path / "launch" / "plan.json"
    path.parent.mkdir()
    path.write_text(json.dumps({"id": PLAN}))
    return str(path)


def of(plan: str, instance: object) -> dict[str, str]:
    return {"AUTOTUNE_PLAN": plan, "AUTOTUNE_INSTANCE": str(instance), "HOME": "/"}


def find(root: Path, **options: object) -> FoundProcesses:
    return find_processes(PLAN, 2, files=ProcFiles(root), own=0, **options)  # type: ignore[arg-type]


def test_processes_are_found_by_their_variables_and_children_by_their_parents(
    tmp_path: Path, plan: str
) -> None:
    root = tmp_path / "proc"
    write_process(root, 10, environment=of(plan, 0))
    write_process(root, 11, parent=10, environment=of(plan, 0))
    write_process(root, 12, parent=11, environment={})
    write_process(root, 13, parent=12, environment=None)
    write_process(root, 20, environment=of(plan, 1))
    write_process(root, 30, environment={})
    (root / "self").mkdir()
    found = find(root)
    assert found.instances == {0: (10, 11, 12, 13), 1: (20,)}
    assert found.roots == {0: (10,), 1: (20,)}
    assert [process.pid for process in found.hidden] == [13]


def test_a_second_launch_of_an_instance_is_another_root(tmp_path: Path, plan: str) -> None:
    root = tmp_path / "proc"
    write_process(root, 10, environment=of(plan, 0))
    write_process(root, 40, environment=of(plan, 0))
    write_process(root, 41, parent=40, environment=of(plan, 0))
    assert find(root).roots == {0: (10, 40)}


def test_the_id_in_the_file_counts_and_not_its_path(tmp_path: Path, plan: str) -> None:
    root, other = tmp_path / "proc", tmp_path / "other.json"
    other.write_text(json.dumps({"id": "other-123456"}))
    copy = tmp_path / "copy.json"
    copy.write_text(json.dumps({"id": PLAN}))
    wrong = tmp_path / "wrong.json"
    wrong.write_text("[")
    for pid, path in ((10, copy), (11, other), (12, other), (13, tmp_path / "gone.json"), (14, wrong)):
        write_process(root, pid, environment=of(str(path), 1))
    write_process(root, 15, parent=10, environment=of(str(other), 0))
    found = find(root)
    assert found.instances == {1: (10,)}
    assert found.others == (
        OtherPlan(str(other), (11, 12, 15), "other-123456"),
        OtherPlan(str(tmp_path / "gone.json"), (13,), "", "No such file or directory"),
        OtherPlan(str(wrong), (14,), "", "it is no JSON document"),
    )


def test_the_file_is_looked_for_where_the_process_sees_it(tmp_path: Path) -> None:
    root = tmp_path / "proc"
    write_process(root, 10, environment=of("/autotune/plan.json", 0), inner=1)
    inside = root / "10" / "root" / "autotune"
    inside.mkdir(parents=True)
    (inside / "plan.json").write_text(json.dumps({"id": PLAN}))
    assert find(root).instances == {0: (10,)}


def test_who_asks_and_its_parents_are_no_instance(tmp_path: Path, plan: str) -> None:
    root = tmp_path / "proc"
    write_process(root, 10, environment=of(plan, 0))
    write_process(root, 20, environment=of(plan, 1), words=("sh",))
    write_process(root, 21, parent=20, environment=of(plan, 1), words=("autotune", "verify"))
    found = find_processes(PLAN, 2, files=ProcFiles(root), own=21)
    assert found.instances == {0: (10,)}


def test_autotunes_own_workers_are_told_and_no_instance(tmp_path: Path, plan: str) -> None:
    root = tmp_path / "proc"
    write_process(root, 10, environment=of(plan, 0), words=("python", "-m", "autotune.worker.worker"))
    write_process(root, 11, environment={}, words=("python", "-m", "autotune.trial.conduct"))
    found = find(root)
    assert (found.instances, found.measuring) == ({}, (10, 11))


@pytest.mark.parametrize("instance", ["2", "-1", "", "first", "9" * 30])
def test_an_instance_that_the_plan_does_not_have_is_told(tmp_path: Path, plan: str, instance: str) -> None:
    root = tmp_path / "proc"
    write_process(root, 10, environment=of(plan, instance))
    found = find(root)
    assert (found.instances, found.strays) == ({}, {instance: (10,)})


def test_processes_that_are_named_stand_for_their_instance_alone(tmp_path: Path, plan: str) -> None:
    root = tmp_path / "proc"
    write_process(root, 10, environment=of(plan, 0))
    write_process(root, 20, environment={})
    write_process(root, 21, parent=20, environment=None)
    write_process(root, 30, environment=of(plan, 1))
    found = find(root, named={0: [20]})
    assert found.instances == {0: (20, 21), 1: (30,)}
    assert set(found.named) == {0}
    both = find(root, named={0: [20], 1: [20]})
    assert both.instances == {0: (20, 21), 1: (20, 21)}
    with pytest.raises(ServingError, match="no process 99"):
        find(root, named={0: [99]})
    with pytest.raises(PlanError, match="no instance 2"):
        find(root, named={2: [20]})


def test_a_worker_of_autotune_cannot_be_named(tmp_path: Path) -> None:
    write_process(tmp_path, 10, environment={}, words=("python", "-m", "autotune.worker.worker"))
    with pytest.raises(ServingError, match="autotune's own worker"):
        find(tmp_path, named={0: [10]})


def test_processes_that_end_meanwhile_and_those_of_the_kernel_are_passed_over(
    tmp_path: Path, plan: str
) -> None:
    write_process(tmp_path, 2, environment={}, words=())
    write_process(tmp_path, 10, environment=of(plan, 0))
    (tmp_path / "11").mkdir()
    write_process(tmp_path, 12, environment={})
    (tmp_path / "12" / "environ").unlink()
    found = find(tmp_path)
    assert (found.instances, found.hidden) == ({0: (10,)}, ())


def test_who_is_hidden_is_named_unless_it_cannot_be_an_instance(tmp_path: Path) -> None:
    booted_s, made_s = 1_000_000, 1_005_000
    (tmp_path / "stat").write_text(f"cpu 1 2 3\nbtime {booted_s}\n")
    write_process(tmp_path, 1, environment=None, parent=0, name="tini", started_s=9_000)
    write_process(tmp_path, 2, environment=None, parent=0, words=())
    write_process(tmp_path, 10, environment=None, name="older", started_s=4_000)
    write_process(tmp_path, 11, environment=None, name="server", started_s=6_000, user=1000)
    write_process(tmp_path, 12, environment=None, name="python", started_s=9_000, inner=1)
    write_process(tmp_path, 13, environment=None, name="pause", started_s=9_000, inner=1)
    write_process(tmp_path, 14, environment=None, name="pause", started_s=9_000)
    write_process(tmp_path, 20, environment=None, name="sh", started_s=9_000)
    write_process(tmp_path, 21, environment={}, parent=20, name="autotune", started_s=9_000)
    found = find_processes(PLAN, 2, files=ProcFiles(tmp_path), own=21, made_s=made_s)
    assert found.hidden == (
        HiddenProcess(11, "server", 1000),
        HiddenProcess(12, "python", 0),
        HiddenProcess(14, "pause", 0),
    )
    unknown = find_processes(PLAN, 2, files=ProcFiles(tmp_path), own=21)
    assert [process.pid for process in unknown.hidden] == [10, 11, 12, 14]


def test_where_the_kernel_does_not_say_when_a_process_was_started_it_stays_open(tmp_path: Path) -> None:
    write_process(tmp_path, 10, environment=None, started_s=1)
    found = find_processes(PLAN, 2, files=ProcFiles(tmp_path), own=0, made_s=10.0**9)
    assert [process.in_words for process in found.hidden] == ["10 ('server (1) x' of user 0)"]


def test_when_a_real_process_was_started_is_known() -> None:
    began_s = time.time()
    with subprocess.Popen([sys.executable, "-S", "-c", "input()"], stdin=subprocess.PIPE) as child:
        started_s = ProcFiles().started_s(child.pid)
        child.communicate(b"\n")
    assert started_s is not None
    assert abs(started_s - began_s) < CLOCK_S


def test_who_has_started_this_command_too_cannot_be_named(tmp_path: Path, plan: str) -> None:
    write_process(tmp_path, 1, environment={}, parent=0)
    write_process(tmp_path, 5, environment=of(plan, 0))
    write_process(tmp_path, 20, environment={})
    write_process(tmp_path, 21, parent=20, environment={})
    for pid in (1, 20, 21):
        with pytest.raises(ServingError, match=f"process {pid} started this command, too"):
            find_processes(PLAN, 2, files=ProcFiles(tmp_path), own=21, named={0: [pid]})


def test_what_was_launched_as_another_instance_is_no_child_of_who_started_it(
    tmp_path: Path, plan: str
) -> None:
    write_process(tmp_path, 5, environment={}, words=("bash", "launch.sh"))
    write_process(tmp_path, 10, parent=5, environment=of(plan, 0))
    write_process(tmp_path, 20, parent=5, environment=of(plan, 1))
    write_process(tmp_path, 21, parent=20, environment={})
    write_process(tmp_path, 30, parent=5, environment={}, words=("python", "-m", "autotune.worker.worker"))
    assert find(tmp_path, named={0: [5]}).instances == {0: (5, 10), 1: (20, 21)}
    assert find(tmp_path, named={0: [5], 1: [21]}).instances == {0: (5, 10), 1: (21,)}
    assert find(tmp_path, named={0: [20]}).instances == {0: (20, 21)}, "it is named as what it does not claim"
