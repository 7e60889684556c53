from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autotune.measurement.conditions import (
    CORRECTED,
    disturbance,
    hard_fact,
    have_others_disturbed,
    quietness,
    what_disturbed,
)
from autotune.measurement.measurement import Conditions

QUIET = Conditions(
    window_s=1.0,
    speed=0.93,
    steal=0.01,
    waited=0.01,
    others_cpus=0.03,
    cpu_pressure=0.02,
    memory_pressure=0.0,
    io_pressure=0.1,
    thermal_throttles=0,
    involuntary_switches=20,
    major_faults=1,
    migrations=3,
)


@pytest.mark.parametrize(
    ("what", "phrase"),
    [
        ({"others_cpus": 0.52}, "other processes took 0.52 cpus"),
        (
            {"others_cpus": 0.52, "culprits": ("stress-ng 1234",)},
            "other processes took 0.52 cpus (stress-ng 1234)",
        ),
        ({"steal": 0.12}, "the hypervisor took 12 % of the cpus"),
        ({"speed": 0.55}, "the cpus ran at 0.55 of their speed"),
        ({"speed": 0.55, "probe_s": 0.002}, "the cpus ran at 0.55 of their usual speed"),
        ({"throttled_periods": 3}, "the CPU quota throttled the trial 3 times"),
        ({"throttled_periods": 1}, "the CPU quota throttled the trial once"),
        (
            {"thermal_throttles": 2, "speed": 0.9, "temperature_c": 98.4},
            "heat slowed the cpus 2 times at 98 °C",
        ),
        ({"thermal_throttles": 2, "speed": None}, "heat slowed the cpus 2 times"),
        ({"lost_cpus": 1}, "1 cpu was taken away"),
        ({"lost_cpus": 2}, "2 cpus were taken away"),
        ({"major_faults": 300}, "the workers read 300 pages back from the disk"),
        ({"memory_pressure": 0.3}, "memory was short 30 % of the time"),
        ({"others_cpus": None, "waited": 0.4}, "the workers waited for a cpu 40 % of the time"),
        (
            {"steal": 0.12, "speed": 0.55},
            "the hypervisor took 12 % of the cpus and the cpus ran at 0.55 of their speed",
        ),
    ],
)
def test_a_disturbance_is_said_in_words(what: dict[str, Any], phrase: str) -> None:
    assert disturbance(replace(QUIET, **what)) == phrase


@pytest.mark.parametrize(
    "what",
    [
        {},
        # A neighbour's memory or disk, threads that wait for each other, a core that was only counted.
        {"io_pressure": 0.9},
        {"cpu_pressure": 0.9, "waited": 0.5, "involuntary_switches": 5_000, "migrations": 500},
        {"thermal_throttles": 9, "speed": 0.97},
        # Three steps of the kernel's clock in a short window.
        {"window_s": 0.1, "others_cpus": 0.3, "steal": 0.3},
    ],
)
def test_what_does_no_harm_is_no_disturbance(what: dict[str, Any]) -> None:
    assert disturbance(replace(QUIET, **what)) == ""


@pytest.mark.parametrize(
    ("what", "is_hard"),
    [
        ({"throttled_periods": 3}, True),
        ({"thermal_throttles": 2, "speed": 0.9}, True),
        ({"lost_cpus": 1}, True),
        ({"others_cpus": 0.9}, False),
        ({"steal": 0.5}, False),
        ({"speed": 0.3}, False),
        ({"others_cpus": None, "waited": 0.6}, False),
        ({"major_faults": 300}, False),
    ],
)
def test_only_hard_facts_keep_a_block_from_counting(what: dict[str, Any], is_hard: bool) -> None:
    assert bool(hard_fact(replace(QUIET, **what))) == is_hard


def test_a_host_that_says_nothing_has_disturbed_nothing() -> None:
    assert disturbance(Conditions(1.0)) == ""


@given(st.builds(Conditions, window_s=st.floats(0.01, 100), speed=st.none() | st.floats(0.01, 1)))
def test_others_have_disturbed_exactly_when_they_are_said_to(conditions: Conditions) -> None:
    assert have_others_disturbed(conditions) == ("other processes took" in disturbance(conditions))


def test_what_disturbed_is_told_by_its_worst_and_the_most_frequent_first() -> None:
    blocks = [replace(QUIET, steal=0.2), *(replace(QUIET, others_cpus=taken) for taken in (0.3, 0.9, 0.5))]
    assert what_disturbed(blocks) == (
        "other processes took 0.90 cpus (the worst of 3 times); the hypervisor took 20 % of the cpus (once)"
    )


def test_a_quiet_machine_is_said_to_be_quiet() -> None:
    assert quietness([QUIET] * 40, []) == "The machine was quiet: none of 40 blocks was disturbed."


def test_a_slow_spell_that_begins_before_anything_else_is_told() -> None:
    """While they were measured, the first were as usual: there was nothing to hold them against."""
    slow = [replace(QUIET, speed=1.0, probe_s=0.004)] * 6
    usual = [replace(QUIET, speed=1.0, probe_s=0.002)] * 30
    told = quietness([*slow, *usual], [])
    assert told.startswith(
        "6 of 36 blocks were disturbed and counted all the same: the cpus ran at 0.50 of their usual speed"
    )
    assert "dedicated cpus" in told


def test_where_the_slow_spell_was_usual_the_fast_one_is_told() -> None:
    blocks = [replace(QUIET, probe_s=0.004)] * 30 + [replace(QUIET, probe_s=0.002)] * 6
    assert "6 of 36 blocks" in (told := quietness(blocks, []))
    assert "the cpus ran at 2.00 of their usual speed" in told


def test_what_could_not_be_read_is_not_said_to_be_quiet() -> None:
    said = quietness([Conditions(1.0)] * 3, [])
    assert said.endswith("What could not be read here: the cpus' time, the cpus' speed.")


def test_nobody_looked_is_an_answer() -> None:
    assert quietness([], []) == "Nobody looked at how quiet the machine was."


@pytest.mark.parametrize(
    ("what", "remedy"),
    [
        ({"others_cpus": 1.0}, "cgroup cpuset"),
        ({"others_cpus": None, "waited": 1.0}, "cgroup cpuset"),
        ({"steal": 0.5}, "dedicated cpus"),
        ({"speed": 0.4}, "governor"),
        ({"throttled_periods": 4}, "raise the CPU quota"),
        ({"thermal_throttles": 4, "speed": 0.8}, "cool the machine"),
        ({"lost_cpus": 1}, "leave the cpuset"),
        ({"major_faults": 900}, "free memory"),
    ],
)
def test_every_disturbance_has_its_remedy(what: dict[str, Any], remedy: str) -> None:
    said = quietness([QUIET] * 3, [replace(QUIET, **what)])
    assert said.startswith("1 of 4 blocks was disturbed and not counted: ")
    assert remedy in said.partition("What would help: ")[2]
    assert said.endswith(".")


def test_blocks_that_count_all_the_same_are_told_with_what_became_of_them() -> None:
    noisy = [replace(QUIET, others_cpus=1.0)] * 2
    assert "2 of 5 blocks were disturbed and counted all the same: " in quietness([QUIET] * 3 + noisy, [])
    told = quietness([QUIET] * 3 + noisy, [], CORRECTED)
    assert "2 of 5 blocks were disturbed and counted, corrected as far as this was seen to matter: " in told
