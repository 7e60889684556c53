"""Running processes beside a plan: what is as planned, what differs, and what cannot be told."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import pytest

from autotune.launched.compare import compare_plan
from autotune.launched.expected import Expected, expected_of
from autotune.launched.find import FoundProcesses
from autotune.launched.findings import READABLE_TO_ROOT, Finding
from autotune.launched.hidden import HiddenProcess
from autotune.launched.read import MemoryPolicy, RunningProcess, RunningThread
from autotune.plan.document import PlanStudy
from autotune.testing.plans import build_commands, build_plan

MIB = 2**20


def expected(
    *,
    threads: int = 2,
    memory_nodes: tuple[int, ...] = (0,),
    pinned: bool = True,
    launch: Any = None,
    **env: str,
) -> tuple[Expected, ...]:
    """Two instances of so many threads and cpus."""
    commands = [
        replace(command, environment={**command.environment, **env})
        for command in build_commands(2, threads=threads, memory_nodes=memory_nodes, pinned=pinned)
    ]
    plan = build_plan(commands)
    spec = {**plan.study.spec, **({"launch": launch} if launch else {})}
    return expected_of(plan.model_copy(update={"study": PlanStudy(name="quickstart", spec=spec)}))


def thread(
    number: int, *cpus: int, policy: str = "bind", nodes: tuple[int, ...] = (0,), cpu_s: float = 0.0
) -> RunningThread:
    return RunningThread(
        number, f"t{number}", cpus, MemoryPolicy(policy, nodes if policy == "bind" else ()), cpu_s
    )


def as_planned(pid: int, part: Expected, **changes: Any) -> RunningProcess:
    """A process that is just what a launch starts."""
    cpus, nodes = part.launched.cpus or tuple(sorted(part.allowed)), part.launched.memory_nodes
    policy = "bind" if nodes else "default"
    fields: dict[str, Any] = {
        "pid": pid,
        "threads": tuple(
            thread(pid + number, *cpus, policy=policy, nodes=nodes)
            for number in range(max(1, part.launched.threads))
        ),
        "allowed_nodes": (0, 1),
        "memory_bytes": {0: 300 * MIB, 1: MIB},
        "environment": {**part.environment, "HOME": "/"},
        "mapped": frozenset({"/usr/bin/server"}),
    }
    return RunningProcess(**(fields | changes))


def found(instances: Mapping[int, Sequence[int]], **changes: Any) -> FoundProcesses:
    pids = {index: tuple(pids) for index, pids in instances.items()}
    return FoundProcesses(
        instances=pids, **{"roots": {index: pids[:1] for index, pids in pids.items()}, **changes}
    )


def compared(parts: Sequence[Expected], *processes: RunningProcess) -> tuple[Finding, ...]:
    """Compare: the first process is instance 0, the second instance 1."""
    instances = {index: (process.pid,) for index, process in enumerate(processes)}
    return compare_plan(parts, found(instances), {process.pid: process for process in processes})


def wrong(findings: Sequence[Finding]) -> list[tuple[int | None, str, str, str]]:
    return [
        (finding.instance, finding.aspect, finding.likeness, finding.said)
        for finding in findings
        if finding.likeness != "as planned"
    ]


def only(findings: Sequence[Finding]) -> Finding:
    (finding,) = [finding for finding in findings if finding.likeness != "as planned"]
    return finding


def pair(parts: Sequence[Expected], **changes: Any) -> tuple[RunningProcess, RunningProcess]:
    return as_planned(100, parts[0], **changes), as_planned(200, parts[1])


@pytest.mark.parametrize("pinned", [True, False])
@pytest.mark.parametrize("memory_nodes", [(0,), ()])
def test_what_a_launch_starts_is_as_planned_in_every_aspect(
    pinned: bool, memory_nodes: tuple[int, ...]
) -> None:
    parts = expected(pinned=pinned, memory_nodes=memory_nodes)
    findings = compared(parts, *pair(parts))
    assert wrong(findings) == []
    aspects = ["processes", "cpus", "memory", "threads", "environment"]
    assert [(finding.instance, finding.aspect) for finding in findings] == [
        (index, aspect) for index in (0, 1) for aspect in aspects
    ]


@pytest.mark.parametrize(
    ("cpus", "said"),
    [
        ((0,), "it may run on cpus 0 alone, and the plan gives it 0-1"),
        ((0, 1, 4), "it may run on all of cpus 0-1,4, and the plan keeps it to 0-1"),
        ((4, 5), "it may run on cpus 4-5, and the plan has it on 0-1"),
    ],
)
def test_a_mask_that_is_narrower_wider_or_elsewhere_is_told(cpus: tuple[int, ...], said: str) -> None:
    parts = expected()
    threads = (thread(100, *cpus), thread(101, *cpus))
    finding = only(compared(parts, *pair(parts, threads=threads)))
    assert (finding.instance, finding.aspect, finding.said, finding.pids) == (0, "cpus", said, (100,))
    assert "export" in finding.remedy


def test_a_thread_that_is_elsewhere_is_named_and_one_that_is_pinned_within_is_counted() -> None:
    parts = expected()
    threads = (thread(100, 0, 1), thread(101, 1), *(thread(110 + number, 4, 5) for number in range(6)))
    finding = only(compared(parts, *pair(parts, threads=threads)))
    assert finding.said == (
        "thread 110 ('t110') may run on cpus 4-5, thread 111 ('t111') may run on cpus 4-5, thread 112 "
        "('t112') may run on cpus 4-5, thread 113 ('t113') may run on cpus 4-5 and 2 more, not "
        "within the plan's 0-1"
    )
    pinned = compared(parts, *pair(parts, threads=(thread(100, 0, 1), thread(101, 1))))
    assert wrong(pinned) == []
    assert pinned[1].said == "all of its 2 threads may run on cpus 0-1, 1 of them on a part of these"


def test_instances_that_share_cpus_are_told_together() -> None:
    parts = expected()
    both = (thread(100, 0, 1, 2, 3), thread(101, 0, 1, 2, 3))
    findings = compared(parts, *pair(parts, threads=both))
    assert wrong(findings)[1] == (
        None,
        "cpus",
        "differs",
        "instances 0 and 1 share cpus 2-3, and the plan gives each its own",
    )


def test_of_many_pairs_that_share_cpus_some_are_named() -> None:
    commands = build_commands(8)
    parts = expected_of(build_plan(commands))
    wide = [
        as_planned(100 * index, part, threads=(thread(index, *range(8)),)) for index, part in enumerate(parts)
    ]
    seen = {process.pid: process for process in wide}
    findings = compare_plan(parts, found({index: (100 * index,) for index in range(8)}), seen)
    (together,) = [finding for finding in findings if finding.instance is None]
    assert together.said.startswith("instances 0 and 1 share cpus 0-7, instances 0 and 2 share")
    assert together.said.endswith(", and 24 more pairs some, and the plan gives each its own")


def test_an_instance_that_is_not_pinned_has_all_cpus_of_the_plans_machine() -> None:
    parts = [replace(part, allowed=frozenset(range(4))) for part in expected(pinned=False)]
    narrow = (thread(100, 0, 1, policy="default"), thread(101, 0, 1, policy="default"))
    finding = only(compared(parts, *pair(parts, threads=narrow)))
    assert finding.said == "it may run on cpus 0-1 alone, and the plan leaves it 0-3"


def bound(policy: MemoryPolicy | None, *others: MemoryPolicy) -> tuple[RunningThread, ...]:
    return tuple(
        RunningThread(100 + number, f"t{number}", (0, 1), each, 0.0)
        for number, each in enumerate((policy, *(others or (policy,))))
    )


BIND, OTHER, DEFAULT = MemoryPolicy("bind", (0,)), MemoryPolicy("bind", (1,)), MemoryPolicy("default")


@pytest.mark.parametrize(
    ("threads", "changes", "said"),
    [
        (bound(OTHER), {}, "its memory policy is bind 1, and the plan binds memory to nodes 0"),
        (bound(DEFAULT), {}, "its memory policy is default, and the plan binds memory to nodes 0"),
        (
            bound(BIND, DEFAULT, DEFAULT),
            {},
            "thread 101 ('t1') has the memory policy default, and so have 1 more, and the plan binds memory "
            "to nodes 0",
        ),
        (
            bound(BIND),
            {"memory_bytes": {0: 300 * MIB, 1: 12 * MIB}},
            "12.0 MiB of its own 312.0 MiB lie on nodes 1, outside the plan's 0",
        ),
    ],
)
def test_memory_that_is_bound_otherwise_or_lies_elsewhere_differs(
    threads: tuple[RunningThread, ...], changes: dict[str, Any], said: str
) -> None:
    parts = expected()
    finding = only(compared(parts, *pair(parts, threads=threads, **changes)))
    assert (finding.aspect, finding.likeness, finding.said) == ("memory", "differs", said)


@pytest.mark.parametrize("policy", [DEFAULT, MemoryPolicy("bind", (0, 1)), None])
def test_a_cpuset_that_leaves_no_other_node_binds_too(policy: MemoryPolicy | None) -> None:
    parts = expected()
    kept = pair(parts, threads=bound(policy), allowed_nodes=(0,), memory_bytes=None)
    assert wrong(compared(parts, *kept)) == []


def test_where_memory_was_not_bound_when_it_was_measured_it_need_not_be_now() -> None:
    parts = [replace(part, is_unbound=True) for part in expected()]
    first, second = (as_planned(pid, part) for pid, part in zip((100, 200), parts, strict=True))
    loose = replace(first, threads=bound(DEFAULT), memory_bytes={1: 300 * MIB})
    findings = compared(parts, loose, second)
    assert wrong(findings) == []
    assert findings[2].said == "left alone; its own memory: 300.0 MiB on node 1"
    assert wrong(compared(parts, replace(first, threads=bound(OTHER)), second)) != []


def test_a_policy_that_may_not_be_read_cannot_be_told() -> None:
    parts = expected()
    unread = {"memory": "Permission denied"}
    finding = only(compared(parts, *pair(parts, threads=bound(None), unread=unread)))
    assert (finding.aspect, finding.likeness) == ("memory", "cannot be told")
    assert "Permission denied" in finding.said


def test_memory_that_somebody_binds_though_the_plan_leaves_it_alone_differs() -> None:
    parts = expected(memory_nodes=())
    finding = only(compared(parts, *pair(parts, threads=bound(BIND))))
    assert finding.said == "its memory policy is bind 0, and the plan leaves memory alone"


def test_fewer_threads_than_the_plans_differ_and_more_prove_nothing() -> None:
    parts = expected()
    finding = only(compared(parts, *pair(parts, threads=(thread(100, 0, 1, cpu_s=5.0),))))
    assert finding.said == "it has 1 thread, and the plan computes with 2"
    idle = (
        *(thread(100 + n, 0, 1, cpu_s=5.0) for n in range(3)),
        *(thread(200 + n, 0, 1) for n in range(40)),
    )
    findings = compared(parts, *pair(parts, threads=idle))
    assert wrong(findings) == []
    assert "it has 43 threads, of which 3 have computed; the plan's 2 are the least" in {
        f.said for f in findings
    }
    busy = tuple(thread(100 + number, 0, 1, cpu_s=5.0) for number in range(8))
    finding = only(compared(parts, *pair(parts, threads=busy)))
    assert (finding.aspect, finding.likeness) == ("threads", "cannot be told")
    assert finding.said.startswith("it has 8 threads, of which 8 have computed, and the plan has 2")


def test_variables_that_are_missing_different_or_not_taken_away_are_named() -> None:
    parts = expected(KNOB="on")
    environment = {**parts[0].environment, "OMP_NUM_THREADS": "8", "OMP_PLACES": "cores"}
    del environment["KNOB"]
    findings = compared(parts, *pair(parts, environment=environment))
    assert [said for _, _, _, said in wrong(findings)] == [
        "OMP_NUM_THREADS is '8', and a launch of the plan sets '2'",
        "KNOB is not set, and a launch of the plan sets 'on'",
        "OMP_PLACES is 'cores', and a launch of the plan takes it away",
    ]


def test_a_difference_of_several_processes_is_told_once_with_all_of_them() -> None:
    parts = expected(KNOB="on")
    first, second = pair(parts)
    less = {name: value for name, value in parts[0].environment.items() if name != "KNOB"}
    first, child = replace(first, environment=less), as_planned(150, parts[0], environment=less)
    seen = {100: first, 150: child, 200: second}
    finding = only(compare_plan(parts, found({0: (100, 150), 1: (200,)}), seen))
    assert finding.pids == (100, 150)


@pytest.mark.parametrize("environment", [None, {}])
def test_variables_that_cannot_be_read_or_were_written_over_cannot_be_told(
    environment: dict[str, str] | None,
) -> None:
    parts = expected()
    finding = only(compared(parts, *pair(parts, environment=environment)))
    assert (finding.aspect, finding.likeness) == ("environment", "cannot be told")


def test_variables_of_the_study_count_and_those_with_a_port_need_only_be_there() -> None:
    parts = expected(launch={"environment": {"GREETING": "hello {instance}", "WHERE": ":{port}"}})
    first, second = pair(parts)
    moved = {**parts[0].environment, "WHERE": ":9999"}
    assert wrong(compared(parts, replace(first, environment=moved), second)) == []
    assert parts[1].environment["GREETING"] == "hello 1"
    finding = only(compared(parts, replace(first, environment={**moved, "GREETING": "x"}), second))
    assert "GREETING is 'x'" in finding.said


def test_preloaded_libraries_are_the_same_in_another_folder_and_have_to_be_loaded() -> None:
    parts = expected(LD_PRELOAD="/usr/lib/libjemalloc.so.2")
    moved = {**parts[0].environment, "LD_PRELOAD": "/srv/bundle/libjemalloc.so.2"}
    mapped = frozenset({"/srv/bundle/libjemalloc.so.2"})
    first, second = pair(parts, environment=moved, mapped=mapped)
    second = replace(second, mapped=mapped)
    assert wrong(compared(parts, first, second)) == []
    finding = only(compared(parts, replace(first, mapped=frozenset({"/lib/libc.so.6"})), second))
    assert finding.said == "libjemalloc.so.2 is not loaded, which the plan preloads"


def test_the_engine_has_the_version_that_was_measured() -> None:
    parts = [replace(part, versions={"onnxruntime": "1.31.0"}) for part in expected()]
    right = {"versions": {"onnxruntime": "1.31.0"}}
    second = as_planned(200, parts[1], **right)
    assert wrong(compared(parts, as_planned(100, parts[0], **right), second)) == []
    other = as_planned(100, parts[0], versions={"onnxruntime": "1.30.0"})
    finding = only(compared(parts, other, second))
    assert finding.said == "onnxruntime is 1.30.0, and the plan was measured with 1.31.0"
    finding = only(compared(parts, as_planned(100, parts[0]), second))
    assert (finding.likeness, finding.said) == ("cannot be told", "it has loaded no library of onnxruntime")
    unread = as_planned(100, parts[0], mapped=None, unread={"files": "Permission denied"})
    assert "Permission denied" in only(compared(parts, unread, second)).said


def test_servers_that_fork_workers_with_an_engine_each_are_no_single_process() -> None:
    parts = [replace(part, versions={"onnxruntime": "1.31.0"}) for part in expected()]
    right = {"versions": {"onnxruntime": "1.31.0"}}
    seen = {pid: as_planned(pid, parts[pid // 200], **right) for pid in (100, 150, 200)}
    finding = only(compare_plan(parts, found({0: (100, 150), 1: (200,)}), seen))
    assert (
        finding.said == "2 of its processes have loaded onnxruntime, and the plan has one for each instance"
    )


def test_an_instance_that_runs_twice_or_not_at_all_is_told() -> None:
    parts = expected()
    seen = {100: as_planned(100, parts[0]), 150: as_planned(150, parts[0])}
    twice = found({0: (100, 150)}, roots={0: (100, 150)})
    assert wrong(compare_plan(parts, twice, seen)) == [
        (0, "processes", "differs", "it runs 2 times, and the plan has it once"),
        (1, "processes", "differs", "no process of it runs here"),
    ]
    assert wrong(compare_plan(parts[:1], replace(twice, named=frozenset({0})), seen)) == []


def test_where_nothing_was_found_and_some_may_not_be_looked_at_nothing_can_be_told() -> None:
    hidden = tuple(HiddenProcess(pid, "server", 1000) for pid in range(10, 18))
    findings = compare_plan(expected(), found({}, hidden=hidden[:1]), {})
    assert {(finding.likeness, finding.said) for finding in findings} == {
        (
            "cannot be told",
            "none was found, but it may be among the processes that may not be looked at (1)",
        )
    }
    said = compare_plan(expected(), found({}, hidden=hidden), {})[0].said
    assert said == "none was found, but it may be among the processes that may not be looked at (8)"
    assert {finding.likeness for finding in compare_plan(expected(), found({}), {})} == {"differs"}


def test_root_is_not_told_to_look_as_root() -> None:
    parts = expected()
    unread = pair(parts, environment=None, unread={"environment": "Permission denied"})
    seen = {process.pid: process for process in unread}
    running = found({0: (100,), 1: (200,)})
    assert only(compare_plan(parts, running, seen)).remedy.endswith("as root")
    assert only(compare_plan(parts, running, seen, by_root=True)).remedy == READABLE_TO_ROOT
    missing = compare_plan(parts, found({}, hidden=(HiddenProcess(1, "x", 0),)), {}, by_root=True)
    assert {finding.remedy for finding in missing} == {READABLE_TO_ROOT}


def test_a_process_that_is_stopped_is_told_and_not_called_as_planned() -> None:
    parts = expected()
    findings = compared(parts, *pair(parts, held="stopped by a signal"))
    finding = only(findings)
    assert (finding.aspect, finding.said) == ("processes", "it is stopped by a signal, and answers nothing")
    assert "kill -CONT" in finding.remedy
    assert [(each.instance, each.likeness) for each in findings if each.aspect == "processes"] == [
        (0, "differs"),
        (1, "as planned"),
    ]


def test_a_process_that_ended_while_it_was_looked_at_is_missing() -> None:
    parts = expected()
    findings = compare_plan(parts, found({0: (100,), 1: (200,)}), {200: as_planned(200, parts[1])})
    assert wrong(findings) == [(0, "processes", "differs", "no process of it runs here")]


def test_who_claims_to_be_an_instance_that_there_is_not_is_told() -> None:
    parts = expected()
    first, second = pair(parts)
    seen = {100: first, 200: second}
    finding = only(compare_plan(parts, found({0: (100,), 1: (200,)}, strays={"7": (300,)}), seen))
    assert (
        finding.said
        == "process 300 claims to be instance '7' of the plan, which has 2 instances, counted from 0"
    )


def test_one_process_may_stand_for_several_instances() -> None:
    parts = expected()
    threads = tuple(thread(100 + number, 0, 1, 2, 3) for number in range(4))
    both = as_planned(100, parts[0], threads=threads)
    findings = compare_plan(parts, found({0: (100,), 1: (100,)}, named=frozenset({0, 1})), {100: both})
    assert wrong(findings) == []
    assert {finding.instance for finding in findings} == {0, 1}
    few = as_planned(100, parts[0], threads=threads[:3])
    findings = compare_plan(parts, found({0: (100,), 1: (100,)}, named=frozenset({0, 1})), {100: few})
    assert wrong(findings)[0][3] == "it has 3 threads, and the plan computes with 4"
