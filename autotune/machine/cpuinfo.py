"""Reads /proc/cpuinfo: the model's name, ISA features, and what it says of the topology."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from autotune.machine.cpus import MAX_CPU
from autotune.machine.sysfs import Tree

_MODEL_KEYS = ("model name", "Model Name", "Processor", "cpu model", "chip type", "cpu", "CPU")
_FLAG_KEYS = ("flags", "Features", "features", "isa", "ASEs implemented")
_RECORDING_NOTE = "proc/hwloc-nofile-info"
"""Where hwloc-gather-topology notes what no file of the machine says, such as its architecture."""


@dataclass(frozen=True)
class Processor:
    """One processor entry; the ids are None where the architecture does not print them."""

    number: int
    package_id: int | None
    core_id: int | None


@dataclass(frozen=True)
class CpuInfo:
    """What /proc/cpuinfo says of the machine.

    Attributes:
        isa: the lower-case flags that every processor has.
        vendor, family: as printed on x86; empty elsewhere.
        fields: keys of the whole file with their first values.
    """

    model_name: str
    vendor: str
    family: str
    isa: frozenset[str]
    processors: tuple[Processor, ...]
    fields: Mapping[str, str]


def read_cpuinfo(tree: Tree) -> CpuInfo:
    """Read proc/cpuinfo; a missing file gives empty values."""
    text = tree.text("proc/cpuinfo") or ""
    blocks = [dict(_pairs(block)) for block in re.split(r"\n[ \t]*\n", text)]
    fields: dict[str, str] = {}
    for block in blocks:
        for key, value in block.items():
            fields.setdefault(key, value)
    return CpuInfo(
        model_name=_model_name(fields),
        vendor=fields.get("vendor_id", ""),
        family=fields.get("cpu family", ""),
        isa=_common_flags(blocks),
        processors=tuple(_processors(blocks)),
        fields=fields,
    )


def read_architecture(tree: Tree, cpuinfo: CpuInfo, host_architecture: str) -> str:
    """Give the architecture as `uname -m` names it; for a recording, from its notes or its cpuinfo."""
    if tree.is_host:
        return host_architecture
    noted = re.search(r"^Architecture: (\S+)", tree.text(_RECORDING_NOTE) or "", re.MULTILINE)
    return noted[1] if noted else _guess_architecture(cpuinfo)


def _pairs(block: str) -> Iterable[tuple[str, str]]:
    for line in block.splitlines():
        key, colon, value = line.partition(":")
        if colon:
            yield key.strip(), value.strip()


def _model_name(fields: Mapping[str, str]) -> str:
    for key in _MODEL_KEYS:
        if fields.get(key) and not fields[key].isdigit():
            return " ".join(fields[key].split())
    # 64-bit Arm prints no name, only the numbers that stand for it.
    arm = [f"{key} {fields[key]}" for key in ("CPU implementer", "CPU part") if key in fields]
    return ", ".join(arm)


def _common_flags(blocks: Iterable[Mapping[str, str]]) -> frozenset[str]:
    lines = {block[key] for block in blocks for key in _FLAG_KEYS if block.get(key)}
    sets = [frozenset(line.lower().split()) for line in lines]
    return frozenset.intersection(*sets) if sets else frozenset()


def _processors(blocks: Iterable[Mapping[str, str]]) -> Iterable[Processor]:
    for block in blocks:
        for key, value in block.items():
            number = _number(value) if key == "processor" else _s390_processor(key)
            if number is not None and number <= MAX_CPU:
                yield Processor(
                    number, _number(block.get("physical id", "")), _number(block.get("core id", ""))
                )


def _s390_processor(key: str) -> int | None:
    found = re.fullmatch(r"processor ([0-9]{1,5})", key)
    return int(found[1]) if found else None


def _number(text: str) -> int | None:
    return int(text) if re.fullmatch(r"[0-9]{1,9}", text) else None


def _guess_architecture(cpuinfo: CpuInfo) -> str:
    fields = cpuinfo.fields
    if "flags" in fields:
        return "x86_64" if "lm" in cpuinfo.isa else "i686"
    if "CPU implementer" in fields:
        return "aarch64" if "asimd" in cpuinfo.isa else "arm"
    if "POWER" in fields.get("cpu", ""):
        return "ppc64"
    if "S390" in cpuinfo.vendor:
        return "s390x"
    if "IA-64" in fields.get("arch", ""):
        return "ia64"
    return "riscv64" if "rv64" in fields.get("isa", "") else "unknown"
