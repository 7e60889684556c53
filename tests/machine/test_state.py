from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from autotune.machine.state import (
    CpuTime,
    HostState,
    ProcessState,
    StateReader,
    TaskState,
    host_change,
    process_change,
)
from autotune.machine.sysfs import Tree

STAT = """cpu  30 2 4 900 6 1 3 10 5 0
cpu0 20 2 3 400 5 1 2 10 5 0
cpu1 10 0 1 500 1 0 1 0 0 0
intr 9415866 0 0
"""
PRESSURE = "some avg10=0.38 avg60=0.38 avg300=0.29 total={total}\nfull avg10=0.00 avg60=0.00 total=7\n"

HOST = {
    "proc/stat": STAT,
    "proc/pressure/cpu": PRESSURE.format(total=1_500_000),
    "proc/pressure/memory": PRESSURE.format(total=0),
    "sys/devices/system/cpu/cpu0/cpufreq/scaling_cur_freq": "2000000\n",
    "sys/devices/system/cpu/cpu1/cpufreq/scaling_cur_freq": "3000000\n",
    "sys/devices/system/cpu/cpu0/thermal_throttle/core_throttle_count": "4\n",
    "sys/devices/system/cpu/cpu1/thermal_throttle/core_throttle_count": "1\n",
    "sys/class/thermal/thermal_zone0/temp": "41000\n",
    "sys/class/hwmon/hwmon0/name": "coretemp\n",
    "sys/class/hwmon/hwmon0/temp1_input": "63000\n",
    "sys/class/hwmon/hwmon1/name": "drivetemp\n",
    "sys/class/hwmon/hwmon1/temp1_input": "90000\n",
}

V1_QUOTA = {
    "proc/self/cgroup": "9:cpu,cpuacct:/app\n",
    "proc/self/mountinfo": "30 20 0:23 / /sys/fs/cgroup/cpu,cpuacct ro - cgroup cgroup rw,cpu,cpuacct\n",
    "sys/fs/cgroup/cpu,cpuacct/app/cpu.stat": "nr_periods 9\nnr_throttled 5\nthrottled_time 2500000000\n",
}
V2_QUOTA = {
    "proc/self/cgroup": "0::/app\n",
    "proc/self/mountinfo": "25 20 0:22 / /sys/fs/cgroup rw shared:4 - cgroup2 cgroup2 rw\n",
    "sys/fs/cgroup/app/cpu.stat": "usage_usec 5\nnr_throttled 3\nthrottled_usec 1500000\n",
    "sys/fs/cgroup/app/memory.pressure": PRESSURE.format(total=9_000_000),
}


def tree(root: Path, files: dict[str, str]) -> Tree:
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    return Tree(root)


def stat_line(pid: int, name: str, **fields: int | str) -> str:
    """/proc/PID/stat with its fields by their number, as `f14=3`."""
    words = [str(fields.get(f"f{number}", 0)) for number in range(3, 53)]
    return f"{pid} ({name}) {' '.join(words)}\n"


def test_cpu_time_is_counted_in_seconds_without_guests_twice(tmp_path: Path) -> None:
    host = StateReader(tree(tmp_path, HOST)).host([0, 1])
    assert host.cpus == {0: CpuTime(busy_s=0.28, steal_s=0.1), 1: CpuTime(busy_s=0.12, steal_s=0.0)}


def test_pressure_heat_frequency_and_temperature_are_read_where_they_are(tmp_path: Path) -> None:
    reader = StateReader(tree(tmp_path, HOST))
    host = reader.host([0, 1])
    assert host.stalled_s == {"cpu": 1.5, "memory": 0.0}
    assert host.heat_throttles == 5
    assert reader.host([1]).heat_throttles == 1
    assert reader.frequency_hz([0, 1]) == 2.5e9
    # A disk's sensor is left alone: reading it may wake the disk.
    assert reader.temperature_c() == 63.0


@pytest.mark.parametrize(("files", "periods", "seconds"), [(V1_QUOTA, 5, 2.5), (V2_QUOTA, 3, 1.5)])
def test_throttling_is_read_from_both_versions_of_cgroups(
    tmp_path: Path, files: dict[str, str], periods: int, seconds: float
) -> None:
    host = StateReader(tree(tmp_path, files)).host([])
    assert (host.throttled_periods, host.throttled_s) == (periods, seconds)


def test_pressure_on_the_own_cgroup_counts_before_that_on_the_machine(tmp_path: Path) -> None:
    host = StateReader(tree(tmp_path, {**HOST, **V2_QUOTA})).host([])
    assert host.stalled_s == {"cpu": 1.5, "memory": 9.0}


def test_an_empty_machine_has_nothing_to_tell(tmp_path: Path) -> None:
    reader = StateReader(tree(tmp_path, {}))
    host = reader.host([0])
    assert (host.cpus, host.stalled_s, host.throttled_periods) == ({}, {}, 0)
    assert host.heat_throttles is None
    assert reader.process(1) is None
    assert reader.frequency_hz([0]) is None
    assert reader.temperature_c() is None
    assert reader.running_on(frozenset({0}), frozenset()) == ()


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60, deadline=None)
@given(name=st.sampled_from([*HOST, *V2_QUOTA, "proc/7/stat", "proc/7/task/7/schedstat"]), text=st.text())
def test_damage_is_never_worse_than_absence(tmp_path: Path, name: str, text: str) -> None:
    files = {**HOST, **V2_QUOTA, "proc/7/stat": stat_line(7, "x"), "proc/7/task/7/schedstat": "1 2 3\n"}
    built = tree(tmp_path, {**files, name: text.encode(errors="replace").decode()})
    reader = StateReader(built)
    reader.host([0, 1])
    reader.process(7)
    reader.frequency_hz([0, 1])
    reader.temperature_c()
    reader.running_on(frozenset({0}), frozenset())


def test_a_process_is_read_with_all_its_threads(tmp_path: Path) -> None:
    # Thread ids go up to four million, and a name may contain what it likes.
    folder = "proc/7/task"
    files = {
        "proc/7/stat": stat_line(7, "a) R (b", f12=3, f13=99, f14=150, f15=50, f16=999),
        f"{folder}/7/schedstat": "1500000000 250000000 12\n",
        f"{folder}/7/status": "voluntary_ctxt_switches:\t9\nnonvoluntary_ctxt_switches:\t4\n",
        f"{folder}/7/sched": "x (7, #threads: 2)\nse.nr_migrations        :          6\n",
        f"{folder}/4194303/schedstat": "500000000 0 1\n",
    }
    state = StateReader(tree(tmp_path, files)).process(7)
    assert state == ProcessState(
        cpu_s=2.0,
        major_faults=3,
        tasks={7: TaskState(1.5, 0.25, 4, 6), 4194303: TaskState(0.5, 0.0, None, None)},
    )


def test_who_runs_on_a_cpu_at_this_moment_is_named(tmp_path: Path) -> None:
    files = {
        "proc/11/stat": stat_line(11, "on it", f3="R", f39=1),
        "proc/12/stat": stat_line(12, "elsewhere", f3="R", f39=0),
        "proc/13/stat": stat_line(13, "asleep", f3="S", f39=1),
        "proc/14/stat": stat_line(14, "ours", f3="R", f39=1),
        "proc/100015/stat": stat_line(15, "odd\x07 name", f3="R", f39=1),
    }
    reader = StateReader(tree(tmp_path, files))
    found = reader.running_on(frozenset({1}), frozenset({14}))
    assert found == ("on it 11", "odd? name 100015")


def host(at_s: float, cpus: dict[int, CpuTime], **counts: int | float | None) -> HostState:
    usual = {"throttled_periods": 0, "throttled_s": 0.0, "heat_throttles": None} | counts
    return HostState(at_s=at_s, cpus=cpus, stalled_s={"cpu": at_s}, **usual)  # type: ignore[arg-type]


def test_a_difference_covers_the_cpus_of_both_moments() -> None:
    before = host(10.0, {0: CpuTime(1.0, 0.5), 1: CpuTime(1.0, 0.0)}, throttled_periods=2, heat_throttles=1)
    after = host(12.0, {0: CpuTime(2.5, 0.75), 2: CpuTime(9.0, 0.0)}, throttled_periods=5, heat_throttles=4)
    change = host_change(before, after)
    assert change.seconds == 2.0
    assert change.cpus == {0: CpuTime(1.5, 0.25)}
    assert change.stalled_s == {"cpu": 2.0}
    assert (change.throttled_periods, change.heat_throttles) == (3, 3)


def test_a_counter_that_went_backwards_counts_as_nothing() -> None:
    change = host_change(
        host(1.0, {0: CpuTime(5.0, 1.0)}, throttled_periods=9), host(2.0, {0: CpuTime(0.5, 0.0)})
    )
    assert change.cpus == {0: CpuTime(0.0, 0.0)}
    assert change.throttled_periods == 0


def test_threads_that_begin_or_end_in_between_are_counted_as_far_as_they_can_be() -> None:
    before = ProcessState(1.0, 5, {1: TaskState(1.0, 0.5, 3, None), 2: TaskState(8.0, 8.0, 8, None)})
    after = ProcessState(2.0, 7, {1: TaskState(1.5, 0.75, 4, None), 3: TaskState(0.25, 0.25, 1, None)})
    change = process_change(before, after)
    assert (change.cpu_s, change.major_faults) == (1.0, 2)
    assert (change.run_s, change.waited_s, change.involuntary_switches) == (0.75, 0.5, 2)
    assert change.migrations is None


def test_the_running_machine_counts_what_a_process_computes() -> None:
    reader = StateReader(Tree(Path("/")))
    before = reader.process(os.getpid())
    end_s = time.process_time() + 0.3
    while time.process_time() < end_s:
        pass
    after = reader.process(os.getpid())
    assert before is not None
    assert after is not None
    change = process_change(before, after)
    assert change.cpu_s == pytest.approx(0.3, abs=0.05)
    assert set(reader.host([]).cpus) >= os.sched_getaffinity(0)


def test_a_process_that_has_ended_is_not_there() -> None:
    process = subprocess.run(
        [sys.executable, "-c", "import os; print(os.getpid())"], capture_output=True, check=True
    )
    assert StateReader(Tree(Path("/"))).process(int(process.stdout)) is None
