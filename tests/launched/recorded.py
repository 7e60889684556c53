"""Writes recordings of /proc: the files of processes that there never were."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

MAPS = "7f0000000000-7f0000001000 r-xp 00000000 00:00 1    {path}\n"


def write_process(
    root: Path,
    pid: int,
    *,
    parent: int = 1,
    words: Sequence[str] = ("server",),
    environment: Mapping[str, str] | None = None,
    cpus: str = "0",
    threads: Mapping[int, tuple[str, str]] | None = None,
    nodes: str = "0",
    policy: str = "default",
    own: str = "heap anon=10 dirty=10 N0=10 kernelpagesize_kB=4",
    mapped: Sequence[str] = (),
    inner: int | None = None,
    name: str = "server (1) x",
    state: str = "S (sleeping)",
    user: int = 0,
    started_s: int = 0,
) -> None:
    """Write one process.

    Args:
        environment: None = it may not be read.
        started_s: after the boot.
        threads: by id, cpus and memory policy; beside the main one.
        own: what follows the policy on a line of numa_maps.
    """
    folder = root / str(pid)
    (folder / "task").mkdir(parents=True)
    (folder / "cmdline").write_text("".join(f"{word}\0" for word in words))
    _write_task(folder, pid, parent, cpus, nodes, inner)
    status = (folder / "status").read_text().replace("server (1) x", name).replace("S (sleeping)", state)
    (folder / "status").write_text(f"{status}Uid:\t{user}\t{user}\t{user}\t{user}\n")
    stat = (folder / "stat").read_text().split(" ")
    stat[-24] = str(started_s * os.sysconf("SC_CLK_TCK"))
    (folder / "stat").write_text(" ".join(stat))
    if environment is None:
        (folder / "environ").mkdir()  # root, too, is refused to read a folder
    else:
        (folder / "environ").write_text("".join(f"{name}={value}\0" for name, value in environment.items()))
    (folder / "maps").write_text("".join(MAPS.format(path=path) for path in mapped))
    (folder / "numa_maps").write_text(
        f"5500 {policy} file=/usr/bin/server mapped=3 N1=3 kernelpagesize_kB=4\n5600 {policy} {own}\n"
    )
    for thread, (mask, bound) in {pid: (cpus, policy), **(threads or {})}.items():
        task = folder / "task" / str(thread)
        task.mkdir()
        _write_task(task, thread, parent, mask, nodes, inner)
        (task / "numa_maps").write_text(f"5500 {bound} file=/usr/bin/server mapped=3 N1=3\n")


def _write_task(folder: Path, number: int, parent: int, cpus: str, nodes: str, inner: int | None) -> None:
    pids = f"{number}" if inner is None else f"{number}\t{inner}"
    (folder / "status").write_text(
        f"Name:\tserver (1) x\nState:\tS (sleeping)\nNSpid:\t{pids}\n"
        f"Cpus_allowed_list:\t{cpus}\nMems_allowed_list:\t{nodes}\n"
    )
    after_name = ["S", str(parent), *("0",) * 9, "150", "50", *("0",) * 30]
    (folder / "stat").write_text(f"{number} (server (1) x) {' '.join(after_name)}\n")
