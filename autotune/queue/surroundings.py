"""What a plan's speed depends on outside of it, as one digest: machine, kernel and installed versions.

It is cheap, as a service asks for it between jobs: some small files are read, and nothing is imported. It may
differ where no plan is slower for it; the verification that is then asked for finds out.
"""

from __future__ import annotations

import hashlib
import json
import os
import platform
import re
from importlib.metadata import PackageNotFoundError, requires, version
from pathlib import Path

from autotune.machine.cpus import format_cpu_list

OWN = "autotune"

_FILES = (
    "sys/devices/system/cpu/online",
    "sys/fs/cgroup/cpu.max",
    "sys/fs/cgroup/memory.max",
    "sys/fs/cgroup/cpuset.cpus.effective",
)
"""Beside what `/proc` says: which cpus run, and what the control group lets a service have."""

_LINES = (("proc/cpuinfo", "model name"), ("proc/meminfo", "MemTotal"))


def surroundings_digest(root: Path = Path("/")) -> str:
    """Give the digest of what is there now.

    Args:
        root: of another machine, as a recording of it.
    """
    facts = {
        "kernel": platform.release(),
        "architecture": platform.machine(),
        "python": platform.python_version(),
        "allowed": format_cpu_list(os.sched_getaffinity(0)),
        "files": {name: _text(root / name) for name in _FILES},
        "lines": {f"{name}: {key}": _line(root / name, key) for name, key in _LINES},
        "versions": installed_versions(),
    }
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()


def installed_versions() -> dict[str, str]:
    """Read the versions of autotune, and of all that it can use and is installed."""
    names = {_name(requirement) for requirement in requires(OWN) or ()} | {OWN}
    found = {}
    for name in sorted(names):
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def _name(requirement: str) -> str:
    return re.split(r"[^A-Za-z0-9._-]", requirement, maxsplit=1)[0]


def _text(path: Path) -> str:
    try:
        return path.read_text(errors="replace").strip()
    except OSError:
        return ""


def _line(path: Path, key: str) -> str:
    return next((line for line in _text(path).splitlines() if line.startswith(key)), "")
