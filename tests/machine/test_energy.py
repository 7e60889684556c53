"""Energy by RAPL's counters, below built roots."""

from __future__ import annotations

from pathlib import Path

import pytest

from autotune.machine.energy import EnergyCounter, EnergyReader, joules_between
from autotune.machine.sysfs import Tree

WRAPS_AT = 262_143_328_850


def zone(root: Path, name: str, title: str, microjoules: str | None, wraps_at: int = WRAPS_AT) -> None:
    folder = root / "sys/class/powercap" / name
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "name").write_text(f"{title}\n")
    (folder / "max_energy_range_uj").write_text(f"{wraps_at}\n")
    if microjoules is not None:
        (folder / "energy_uj").write_text(f"{microjoules}\n")


def test_the_packages_are_summed_and_their_parts_are_not_counted_twice(tmp_path: Path) -> None:
    zone(tmp_path, "intel-rapl:0", "package-0", "1000000")
    zone(tmp_path, "intel-rapl:0:0", "core", "900000")
    zone(tmp_path, "intel-rapl:1", "package-1", "5000000")
    zone(tmp_path, "intel-rapl:2", "psys", "7000000")
    reader = EnergyReader(Tree(tmp_path))
    before = reader.read()
    assert len(before) == 2
    zone(tmp_path, "intel-rapl:0", "package-0", "3500000")
    zone(tmp_path, "intel-rapl:1", "package-1", "5250000")
    zone(tmp_path, "intel-rapl:2", "psys", "9000000")
    assert joules_between(before, reader.read()) == pytest.approx(2.75)


def test_a_counter_that_began_anew_counts_on() -> None:
    before, after = EnergyCounter(WRAPS_AT - 1_000_000, WRAPS_AT), EnergyCounter(500_000, WRAPS_AT)
    assert joules_between({"a": before}, {"a": after}) == pytest.approx(1.5)
    assert joules_between({"a": EnergyCounter(9)}, {"a": EnergyCounter(1)}) is None


def test_where_nothing_can_be_read_nothing_is_said(tmp_path: Path) -> None:
    assert joules_between(EnergyReader(Tree(tmp_path)).read(), {}) is None
    zone(tmp_path, "intel-rapl:0", "package-0", None)  # as for users other than root
    reader = EnergyReader(Tree(tmp_path))
    assert reader.read() == {}
    assert joules_between(reader.read(), reader.read()) is None


def test_a_package_that_is_lost_meanwhile_leaves_nothing_to_say() -> None:
    one = {"a": EnergyCounter(1), "b": EnergyCounter(1)}
    assert joules_between(one, {"a": EnergyCounter(2)}) is None


def test_damaged_counters_are_no_counters(tmp_path: Path) -> None:
    zone(tmp_path, "intel-rapl:0", "package-0", "much")
    assert EnergyReader(Tree(tmp_path)).read() == {}
