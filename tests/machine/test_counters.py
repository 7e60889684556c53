from __future__ import annotations

from pathlib import Path

import pytest

from autotune.machine.counters import OomKills, oom_kills, throttled_periods

V2 = {
    "proc/self/cgroup": "0::/app/worker\n",
    "proc/self/mountinfo": "25 20 0:22 / /sys/fs/cgroup rw,nosuid shared:4 - cgroup2 cgroup2 rw\n",
    "sys/fs/cgroup/app/cpu.stat": "usage_usec 5\nnr_periods 9\nnr_throttled 3\nthrottled_usec 7\n",
    "sys/fs/cgroup/app/worker/cpu.stat": "nr_throttled 4\n",
    "sys/fs/cgroup/app/worker/memory.events": "low 0\noom 8\noom_kill 2\noom_group_kill 0\n",
}
V1 = {
    "proc/self/cgroup": "9:cpu,cpuacct:/docker/abc/app\n4:memory:/docker/abc\n0::/\n",
    "proc/self/mountinfo": (
        "30 20 0:23 /docker/abc /sys/fs/cgroup/cpu,cpuacct ro - cgroup cgroup rw,cpu,cpuacct\n"
        "31 20 0:24 /docker/abc /sys/fs/cgroup/memory ro - cgroup cgroup rw,memory\n"
    ),
    "sys/fs/cgroup/cpu,cpuacct/app/cpu.stat": "nr_periods 9\nnr_throttled 5\n",
    "sys/fs/cgroup/memory/memory.oom_control": "oom_kill_disable 0\nunder_oom 0\noom_kill 1\n",
    "proc/vmstat": "nr_free_pages 1\noom_kill 6\n",
}


def write(root: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    return root


@pytest.mark.parametrize(("files", "throttled", "kills"), [(V2, 7, 2), (V1, 5, 7), ({}, 0, None)])
def test_counters_are_summed_along_the_whole_path(
    tmp_path: Path, files: dict[str, str], throttled: int, kills: int | None
) -> None:
    write(tmp_path, files)
    assert throttled_periods(tmp_path) == throttled
    assert oom_kills(tmp_path) == OomKills(kills)


@pytest.mark.parametrize(
    ("earlier", "later", "has_killed"),
    [(7, 7, False), (7, 8, True), (7, 0, False), (None, 8, None), (7, None, None)],
)
def test_a_kill_is_known_where_both_moments_are(
    earlier: int | None, later: int | None, has_killed: bool | None
) -> None:
    assert OomKills(later).since(OomKills(earlier)) is has_killed
