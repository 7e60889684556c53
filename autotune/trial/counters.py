"""Counters of this process's cgroups that tell whether the kernel interfered with a trial.

Reads cgroup v1 and v2. Every level of the path is read, because a limit acts at the level that has it.
A counter that does not exist counts as 0.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path


def throttled_periods(root: Path = Path("/")) -> int:
    """How often this process's cgroup path has run out of CPU quota."""
    return sum(_counter(folder / "cpu.stat", "nr_throttled") for folder in _path_folders(root, "cpu"))


def oom_kills(root: Path = Path("/")) -> int:
    """How many processes have been killed for memory, in this process's cgroup path and on the host."""
    in_path = sum(
        _counter(folder / name, "oom_kill")
        for folder in _path_folders(root, "memory")
        for name in ("memory.events", "memory.oom_control")
    )
    return in_path + _counter(root / "proc/vmstat", "oom_kill")


def _path_folders(root: Path, controller: str) -> Iterator[Path]:
    """The folders of a controller's cgroup path, from this process's own up to the mount, v1 and v2."""
    mounts = dict(_mounts(root))
    for line in _text(root / "proc/self/cgroup").splitlines():
        _, names, path = line.split(":", 2)
        key = controller if controller in names.split(",") else "" if not names else None
        if key is None or key not in mounts:
            continue
        mount, mount_root = mounts[key]
        inside = Path(path.removeprefix(mount_root.rstrip("/")).lstrip("/"))
        folder = root / mount.lstrip("/")
        yield from (folder / part for part in (inside, *inside.parents))


def _mounts(root: Path) -> Iterator[tuple[str, tuple[str, str]]]:
    """(controller, (mount point, the cgroup that is mounted there)); v2 has the controller ''."""
    for line in _text(root / "proc/self/mountinfo").splitlines():
        before, _, after = line.partition(" - ")
        fields, kind_and_options = before.split(), after.split()
        if kind_and_options[0] == "cgroup2":
            yield "", (fields[4], fields[3])
        elif kind_and_options[0] == "cgroup":
            for controller in kind_and_options[-1].split(","):
                yield controller, (fields[4], fields[3])


def _counter(file: Path, name: str) -> int:
    """The number after a name, in a file of `name number` lines."""
    for line in _text(file).splitlines():
        key, _, value = line.partition(" ")
        if key == name and value.strip().isdigit():
            return int(value)
    return 0


def _text(file: Path) -> str:
    try:
        return file.read_text()
    except OSError:
        return ""
