"""What the host did between two snapshots, from snapshots written by hand."""

from __future__ import annotations

from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autotune.machine.state import CpuTime, HostState, ProcessState, TaskState
from autotune.measurement.measurement import Conditions
from autotune.trial.account import Instance, Snapshot, conditions_between

PARENT = 1
ONE = Instance(10, frozenset({0, 1}))
OTHER = Instance(11, frozenset({2}))
FREE = [Instance(10, frozenset({0, 1, 2})), Instance(11, frozenset({0, 1, 2}))]


def process(cpu_s: float, waited_s: float = 0.0, major_faults: int = 0) -> ProcessState:
    return ProcessState(cpu_s, major_faults, {1: TaskState(cpu_s, waited_s, 2, None)})


def snapshot(
    at_s: float, cpus: Mapping[int, CpuTime], processes: Mapping[int, ProcessState], throttled: int = 0
) -> Snapshot:
    return Snapshot(HostState(at_s, cpus, {"memory": at_s / 4}, throttled, throttled / 8, None), processes)


def over_two_seconds(
    instances: list[Instance],
    busy: Mapping[int, float],
    processes: Mapping[int, ProcessState],
    steal: Mapping[int, float] | None = None,
) -> Conditions:
    stolen = steal or {}
    before = snapshot(
        100.0, {cpu: CpuTime(50.0, 5.0) for cpu in busy}, {pid: process(0.0) for pid in processes}
    )
    after = snapshot(
        102.0, {cpu: CpuTime(50.0 + s, 5.0 + stolen.get(cpu, 0.0)) for cpu, s in busy.items()}, processes
    )
    return conditions_between(before, after, instances, [PARENT])


def test_what_the_workers_did_not_use_was_used_by_others() -> None:
    found = over_two_seconds([ONE], {0: 2.0, 1: 2.0}, {10: process(3.0)})
    assert found.others_cpus == pytest.approx(0.5)
    assert found.window_s == 2.0


def test_workers_that_use_their_cpus_fully_leave_nothing_for_others() -> None:
    found = over_two_seconds([ONE, OTHER], {0: 2.0, 1: 2.0, 2: 2.0}, {10: process(4.0), 11: process(2.0)})
    assert found.others_cpus == 0.0


def test_the_instance_that_lost_most_counts_and_not_the_mean() -> None:
    found = over_two_seconds(
        [ONE, OTHER],
        {0: 2.0, 1: 2.0, 2: 2.0},
        {10: process(4.0, 0.0), 11: process(1.0, 1.0)},
        steal={2: 0.5},
    )
    assert found.others_cpus == pytest.approx(0.5)
    assert found.steal == pytest.approx(0.25)
    assert found.waited == pytest.approx(0.5)


def test_cpus_without_instances_do_not_matter() -> None:
    found = over_two_seconds([OTHER], {0: 2.0, 1: 2.0, 2: 2.0}, {11: process(2.0)}, steal={0: 2.0})
    assert (found.others_cpus, found.steal) == (0.0, 0.0)


def test_instances_that_share_cpus_are_no_others_to_each_other() -> None:
    found = over_two_seconds(FREE, {0: 2.0, 1: 2.0, 2: 2.0}, {10: process(3.0), 11: process(3.0)})
    assert found.others_cpus == 0.0


def test_the_parents_own_work_is_nobody_elses() -> None:
    found = over_two_seconds([OTHER], {2: 2.0}, {11: process(1.5), PARENT: process(0.5)})
    assert found.others_cpus == 0.0


def test_threads_that_ended_count_as_the_workers_and_so_do_steps_of_the_clock() -> None:
    ended = ProcessState(2.0, 0, {1: TaskState(0.5, 0.0, 0, None)})
    assert over_two_seconds([OTHER], {2: 2.0}, {11: ended}).others_cpus == 0.0
    coarse = ProcessState(1.9, 0, {1: TaskState(1.999, 0.0, 0, None)})
    assert over_two_seconds([OTHER], {2: 2.0}, {11: coarse}).others_cpus == pytest.approx(0.0, abs=0.001)


def test_a_cpu_that_is_busy_half_of_the_time_is_known_less_exactly() -> None:
    # 200 ticks, half of them busy: two standard deviations are 14 ticks.
    found = over_two_seconds([OTHER], {2: 1.0}, {11: process(0.9)})
    assert found.others_cpus == 0.0
    assert over_two_seconds([OTHER], {2: 1.0}, {11: process(0.0)}).others_cpus == pytest.approx(
        0.429, abs=0.001
    )


def test_a_worker_or_cpu_that_cannot_be_read_leaves_others_unknown() -> None:
    assert over_two_seconds([ONE], {0: 2.0, 1: 2.0}, {}).others_cpus is None
    assert over_two_seconds([ONE], {0: 2.0}, {10: process(2.0)}).others_cpus is None
    blind = over_two_seconds([ONE], {}, {})
    assert (blind.steal, blind.waited, blind.involuntary_switches, blind.migrations) == (None,) * 4


def test_counters_of_workers_are_summed_and_those_of_the_host_are_differences() -> None:
    before = snapshot(10.0, {}, {10: process(0.0), 11: process(0.0)}, throttled=2)
    after = snapshot(14.0, {}, {10: process(1.0, major_faults=3), 11: process(1.0, major_faults=4)}, 5)
    found = conditions_between(before, after, [ONE, OTHER], [])
    assert (found.major_faults, found.migrations) == (7, None)
    assert (found.throttled_periods, found.throttled_s) == (3, 0.375)
    assert (found.memory_pressure, found.cpu_pressure) == (0.25, None)


@given(
    busy=st.lists(st.floats(0, 2), min_size=3, max_size=3),
    used=st.lists(st.floats(0, 4), min_size=2, max_size=2),
)
def test_others_never_take_more_than_was_used_nor_less_than_nothing(
    busy: list[float], used: list[float]
) -> None:
    processes = {10: process(used[0]), 11: process(used[1])}
    found = over_two_seconds([ONE, OTHER], dict(enumerate(busy)), processes)
    assert found.others_cpus is not None
    assert 0 <= found.others_cpus <= max(busy[0] + busy[1], busy[2]) / 2 + 1e-9
