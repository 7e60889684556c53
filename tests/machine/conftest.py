from __future__ import annotations

import os
import shutil
import subprocess
import tarfile
import xml.etree.ElementTree as ET
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from autotune.machine.cpus import format_cpu_list
from autotune.machine.machine import Core, Machine, NumaNode
from autotune.testing.recordings import write_recording

GIB = 1 << 30


@pytest.fixture
def two_sockets() -> Machine:
    """2 sockets x 2 nodes x 2 cores x 2 threads, the second threads numbered after all first ones."""
    nodes = [frozenset((2 * n, 2 * n + 1, 2 * n + 8, 2 * n + 9)) for n in range(4)]
    return Machine(
        architecture="x86_64",
        model_name="Built CPU @ 2.00GHz",
        online=frozenset(range(16)),
        allowed=frozenset(range(16)),
        allowed_nodes=frozenset(range(4)),
        packages=(nodes[0] | nodes[1], nodes[2] | nodes[3]),
        nodes=tuple(
            NumaNode(n, cpus, 8 * GIB, tuple((to, 10 if to == n else 21) for to in range(4)))
            for n, cpus in enumerate(nodes)
        ),
        cores=tuple(Core((cpu, cpu + 8), cpu // 4, cpu // 2, cpu // 2) for cpu in range(8)),
        l3=tuple(nodes),
        isa=frozenset(("lm", "avx2", "avx512f", "avx512_vnni")),
        memory_bytes=32 * GIB,
    )


@pytest.fixture
def recording(tmp_path: Path, two_sockets: Machine) -> Path:
    """The files of `two_sockets`, for a test to change."""
    return write_recording(tmp_path / "machine", two_sockets)


@pytest.fixture
def hwloc() -> Callable[[Path], dict[str, Any]]:
    """What hwloc reads from a recording, in the words of `autotune machine --json`."""
    program = shutil.which("lstopo-no-graphics")
    if program is None:
        pytest.skip("lstopo-no-graphics is not installed (Debian: apt-get install hwloc-nox)")
    return lambda root: _parse_lstopo(_run_lstopo(program, root))


@pytest.fixture(scope="session")
def recordings() -> Path:
    """The folder of recorded machines."""
    default = Path(__file__).parents[3] / "shared" / "machines"
    folder = Path(os.environ.get("AUTOTUNE_RECORDINGS", default))
    if not folder.is_dir():
        pytest.skip(f"no recorded machines in {folder}; set AUTOTUNE_RECORDINGS to their folder")
    return folder


@pytest.fixture(scope="session")
def unpack(tmp_path_factory: pytest.TempPathFactory, recordings: Path) -> Callable[[str], Path]:
    """Unpacks one recorded machine, once, and gives its root folder; a test must leave it as it is."""

    @cache
    def unpack_one(name: str) -> Path:
        archive = recordings / f"{name}.tar.bz2"
        if not archive.is_file():
            pytest.skip(f"{archive} is missing")
        folder = tmp_path_factory.mktemp("recording")
        with tarfile.open(archive) as tar:
            tar.extractall(folder, filter="tar")
        (root,) = folder.iterdir()
        return root

    return unpack_one


def _run_lstopo(program: str, root: Path) -> str:
    environment = {
        "PATH": os.environ["PATH"],
        "HWLOC_FSROOT": str(root),
        "HWLOC_COMPONENTS": "linux,stop",
        "HWLOC_THISSYSTEM": "0",
        "HWLOC_HIDE_ERRORS": "2",
    }
    command = [program, "--whole-system", "--of", "xml"]
    return subprocess.run(command, env=environment, check=True, capture_output=True, text=True).stdout


def _parse_lstopo(xml: str) -> dict[str, Any]:
    objects = list(ET.fromstring(xml[xml.index("<topology") :]).iter("object"))
    machine = objects[0]
    online = _bitmap(machine.attrib["cpuset"])
    nodes = [node for node in objects if node.attrib["type"] == "NUMANode"]
    nodes.sort(key=lambda node: int(node.attrib["os_index"]))
    return {
        "online": format_cpu_list(online),
        "allowed": format_cpu_list(online & _bitmap(machine.attrib["allowed_cpuset"])),
        "allowed_nodes": format_cpu_list(
            _bitmap(machine.attrib["nodeset"]) & _bitmap(machine.attrib["allowed_nodeset"])
        ),
        "packages": _cpu_lists(objects, "Package"),
        "cores": _cpu_lists(objects, "Core"),
        "l3": _cpu_lists(objects, "L3Cache"),
        "nodes": {node.attrib["os_index"]: format_cpu_list(_bitmap(node.attrib["cpuset"])) for node in nodes},
    }


def _cpu_lists(objects: list[ET.Element], kind: str) -> list[str]:
    sets = (_bitmap(item.attrib["cpuset"]) for item in objects if item.attrib["type"] == kind)
    return [format_cpu_list(cpus) for cpus in sorted(sets, key=min)]


def _bitmap(text: str) -> frozenset[int]:
    """An hwloc bitmap: words of 32 bits, the highest first; a word of zeroes may be left out."""
    bits = 0
    for word in text.split(","):
        bits = bits << 32 | int(word or "0", 16)
    return frozenset(index for index in range(bits.bit_length()) if bits >> index & 1)
