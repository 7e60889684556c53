from __future__ import annotations

from pathlib import Path

import pytest

from autotune.machine.cgroup import Cgroups
from autotune.machine.cpus import format_cpu_list
from autotune.machine.read import read_machine
from autotune.machine.sysfs import Tree

V2 = "30 24 0:26 / /sys/fs/cgroup rw shared:9 - cgroup2 cgroup2 rw\n"
V1_CPU = "33 25 0:28 / /sys/fs/cgroup/cpu,cpuacct rw shared:11 - cgroup cgroup rw,cpu,cpuacct\n"
V1_MEMORY = "34 25 0:29 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n"
V1_CPUSET = "35 25 0:30 / /sys/fs/cgroup/cpuset rw - cgroup cgroup rw,cpuset\n"


def tree_of(root: Path, files: dict[str, str]) -> Cgroups:
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return Cgroups(Tree(root))


def test_without_cgroups_nothing_is_limited(tmp_path: Path) -> None:
    cgroups = Cgroups(Tree(tmp_path))
    assert cgroups.cpus() is None
    assert cgroups.memory_nodes() is None
    assert cgroups.quota_cpus() is None
    assert cgroups.memory_limit_bytes() is None


def test_the_smallest_limit_along_a_version_2_path_counts(tmp_path: Path) -> None:
    cgroups = tree_of(
        tmp_path,
        {
            "proc/self/mountinfo": V2,
            "proc/self/cgroup": "0::/user.slice/job/step\n",
            "sys/fs/cgroup/user.slice/cpu.max": "250000 100000\n",
            "sys/fs/cgroup/user.slice/job/cpu.max": "max 100000\n",
            "sys/fs/cgroup/user.slice/job/step/cpu.max": "800000 200000\n",
            "sys/fs/cgroup/user.slice/memory.max": "max\n",
            "sys/fs/cgroup/user.slice/job/memory.max": "1073741824\n",
            "sys/fs/cgroup/user.slice/job/step/memory.max": "2147483648\n",
            "sys/fs/cgroup/other/cpu.max": "1000 100000\n",
        },
    )
    assert cgroups.quota_cpus() == 2.5
    assert cgroups.memory_limit_bytes() == 1 << 30


def test_the_smallest_limit_along_a_version_1_path_counts(tmp_path: Path) -> None:
    cpu = "sys/fs/cgroup/cpu,cpuacct"
    memory = "sys/fs/cgroup/memory"
    cgroups = tree_of(
        tmp_path,
        {
            "proc/self/mountinfo": V1_CPU + V1_MEMORY,
            "proc/self/cgroup": "4:memory:/a\n3:cpu,cpuacct:/a/b\n1:name=systemd:/z\n",
            f"{cpu}/cpu.cfs_quota_us": "-1\n",
            f"{cpu}/cpu.cfs_period_us": "100000\n",
            f"{cpu}/a/cpu.cfs_quota_us": "150000\n",
            f"{cpu}/a/cpu.cfs_period_us": "100000\n",
            f"{cpu}/a/b/cpu.cfs_quota_us": "-1\n",
            f"{cpu}/a/b/cpu.cfs_period_us": "100000\n",
            f"{memory}/memory.limit_in_bytes": "9223372036854771712\n",
            f"{memory}/a/memory.limit_in_bytes": "536870912\n",
        },
    )
    assert cgroups.quota_cpus() == 1.5
    assert cgroups.memory_limit_bytes() == 512 << 20


def test_a_limit_of_version_1_that_says_the_largest_number_is_none(tmp_path: Path) -> None:
    cgroups = tree_of(
        tmp_path,
        {
            "proc/self/mountinfo": V1_MEMORY,
            "proc/self/cgroup": "4:memory:/\n",
            "sys/fs/cgroup/memory/memory.limit_in_bytes": "9223372036854771712\n",
        },
    )
    assert cgroups.memory_limit_bytes() is None


def test_both_versions_mounted_at_once_are_both_read(tmp_path: Path) -> None:
    cgroups = tree_of(
        tmp_path,
        {
            "proc/self/mountinfo": V1_CPUSET
            + V1_CPU
            + V2.replace("/sys/fs/cgroup", "/sys/fs/cgroup/unified"),
            "proc/self/cgroup": "5:cpuset:/set\n3:cpu,cpuacct:/slow\n0::/app.slice\n",
            "sys/fs/cgroup/cpuset/cpuset.cpus": "0-15\n",
            "sys/fs/cgroup/cpuset/set/cpuset.cpus": "4-7\n",
            "sys/fs/cgroup/cpuset/set/cpuset.mems": "1\n",
            "sys/fs/cgroup/cpu,cpuacct/slow/cpu.cfs_quota_us": "300000\n",
            "sys/fs/cgroup/cpu,cpuacct/slow/cpu.cfs_period_us": "100000\n",
            "sys/fs/cgroup/unified/app.slice/memory.max": "4096\n",
        },
    )
    assert format_cpu_list(cgroups.cpus() or ()) == "4-7"
    assert format_cpu_list(cgroups.memory_nodes() or ()) == "1"
    assert cgroups.quota_cpus() == 3.0
    assert cgroups.memory_limit_bytes() == 4096


def test_in_a_cgroup_namespace_the_mount_is_the_cgroup_itself(tmp_path: Path) -> None:
    cgroups = tree_of(
        tmp_path,
        {
            "proc/self/mountinfo": V2,
            "proc/self/cgroup": "0::/\n",
            "sys/fs/cgroup/cpu.max": "50000 100000\n",
            "sys/fs/cgroup/cpuset.cpus.effective": "2-3\n",
        },
    )
    assert cgroups.quota_cpus() == 0.5
    assert format_cpu_list(cgroups.cpus() or ()) == "2-3"


@pytest.mark.parametrize(
    ("shown", "path"),
    [
        ("/docker/abc", "/docker/abc"),
        ("/docker/abc", "/docker/abc/../def"),
        ("/docker/abc", "/elsewhere"),
        ("/../..", "/"),
    ],
)
def test_a_mount_that_shows_only_the_container_is_read_from_its_top(
    tmp_path: Path, shown: str, path: str
) -> None:
    cgroups = tree_of(
        tmp_path,
        {
            "proc/self/mountinfo": V1_CPU.replace(" / /sys", f" {shown} /sys"),
            "proc/self/cgroup": f"3:cpu,cpuacct:{path}\n",
            "sys/fs/cgroup/cpu,cpuacct/cpu.cfs_quota_us": "200000\n",
            "sys/fs/cgroup/cpu,cpuacct/cpu.cfs_period_us": "100000\n",
        },
    )
    assert cgroups.quota_cpus() == 2.0


def test_a_path_below_what_the_mount_shows_is_followed(tmp_path: Path) -> None:
    cgroups = tree_of(
        tmp_path,
        {
            "proc/self/mountinfo": V2.replace(" / /sys", " /pod /sys"),
            "proc/self/cgroup": "0::/pod/inner\n",
            "sys/fs/cgroup/cpu.max": "400000 100000\n",
            "sys/fs/cgroup/inner/cpu.max": "100000 100000\n",
        },
    )
    assert cgroups.quota_cpus() == 1.0


def test_where_the_cpuset_is_not_enabled_the_nearest_one_above_counts(tmp_path: Path) -> None:
    cgroups = tree_of(
        tmp_path,
        {
            "proc/self/mountinfo": V2,
            "proc/self/cgroup": "0::/a/b/c\n",
            "sys/fs/cgroup/cpuset.cpus.effective": "0-63\n",
            "sys/fs/cgroup/a/cpuset.cpus.effective": "8-15\n",
        },
    )
    assert format_cpu_list(cgroups.cpus() or ()) == "8-15"


def test_mount_points_with_blanks_are_found(tmp_path: Path) -> None:
    cgroups = tree_of(
        tmp_path,
        {
            "proc/mounts": "none /my\\040groups cgroup2 rw 0 0\n",
            "proc/self/cgroup": "0::/x\n",
            "my groups/x/cpu.max": "100000 100000\n",
        },
    )
    assert cgroups.quota_cpus() == 1.0


def test_usual_mount_points_are_found_without_a_list_of_mounts(tmp_path: Path) -> None:
    cgroups = tree_of(
        tmp_path,
        {
            "proc/self/cgroup": "3:cpu:/x\n2:cpuset:/y\n",
            "sys/fs/cgroup/cpu/x/cpu.cfs_quota_us": "100000\n",
            "sys/fs/cgroup/cpu/x/cpu.cfs_period_us": "100000\n",
            "sys/fs/cgroup/cpuset/y/cpuset.cpus": "1\n",
        },
    )
    assert cgroups.quota_cpus() == 1.0
    assert format_cpu_list(cgroups.cpus() or ()) == "1"


@pytest.mark.parametrize("text", ["", "max", "-1 100000", "0 100000", "100000 0", "junk", "100000"])
def test_a_quota_that_is_none_limits_nothing(tmp_path: Path, text: str) -> None:
    files = {"proc/self/mountinfo": V2, "proc/self/cgroup": "0::/\n", "sys/fs/cgroup/cpu.max": f"{text}\n"}
    assert tree_of(tmp_path, files).quota_cpus() is None


def test_affinity_and_cpuset_both_restrict(recording: Path) -> None:
    (recording / "proc/self/status").write_text("Cpus_allowed_list:\t0-5\nMems_allowed_list:\t0-2\n")
    (recording / "sys/fs/cgroup/job/cpuset.cpus.effective").write_text("4-7\n")
    (recording / "sys/fs/cgroup/job/cpuset.mems.effective").write_text("2-3\n")
    (recording / "sys/fs/cgroup/job/cpu.max").write_text("150000 100000\n")
    machine = read_machine(recording)
    assert machine.allowed == {4, 5}
    assert machine.allowed_nodes == {2}
    assert machine.quota_cpus == 1.5
    assert machine.thread_budget == 1
