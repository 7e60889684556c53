from __future__ import annotations

from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autotune.errors import PlacementError
from autotune.machine.machine import Machine
from autotune.placement.place import place
from autotune.series.fitting import Fitted, Misfit, fit
from autotune.series.values import PointLayout
from autotune.testing.machines import build_machine


def layout(**values: Any) -> PointLayout:
    return PointLayout.model_validate(values)


def shape(fitted: Fitted | Misfit) -> tuple[int, int, int]:
    """Cores, instances and threads."""
    assert isinstance(fitted, Fitted)
    chosen = fitted.configuration
    return fitted.cores, chosen.instances, chosen.threads_per_instance


TWO_SOCKETS = build_machine(packages=2, nodes_per_package=1, cores_per_node=24)


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ({}, (48, 1, 48)),
        ({"instances": "cores", "threads": 1}, (48, 48, 1)),
        ({"instances": 4}, (48, 4, 12)),
        ({"instances": 5}, (48, 5, 9)),
        ({"cores": 8}, (8, 1, 8)),
        ({"cores": "1/6"}, (8, 1, 8)),
        ({"cores": "1/6", "instances": "cores"}, (8, 8, 1)),
        ({"cores": "1 of 2 sockets"}, (24, 1, 24)),
        ({"cores": "2 sockets"}, (48, 1, 48)),
        ({"cores": 8, "threads": 2}, (8, 1, 2)),
    ],
)
def test_numbers_are_relative_to_the_machine(values: dict[str, Any], expected: tuple[int, int, int]) -> None:
    assert shape(fit(layout(**values), TWO_SOCKETS)) == expected


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        ({"cores": 4}, "it needs 4 cores; this machine has 2"),
        ({"instances": 3}, "3 x 1 threads need 3 cores; this machine has 2"),
        ({"cores": 1, "instances": 2}, "2 x 1 threads need 2 cores; it is given 1"),
        ({"instances": 1, "threads": 4}, "1 x 4 threads need 4 cores; this machine has 2"),
        ({"cores": "2 sockets"}, "it needs 2 sockets; this machine has 1"),
        ({"cores": "1 of 2 sockets"}, "it needs 2 sockets; this machine has 1"),
    ],
)
def test_what_does_not_fit_says_what_it_needs_and_what_there_is(values: dict[str, Any], reason: str) -> None:
    small = build_machine(packages=1, nodes_per_package=1, cores_per_node=2)
    assert fit(layout(**values), small) == Misfit(reason)


def test_a_part_of_few_cores_is_at_least_one() -> None:
    small = build_machine(packages=1, nodes_per_package=1, cores_per_node=2)
    assert shape(fit(layout(cores="1/6"), small)) == (1, 1, 1)


def test_a_part_that_would_be_all_of_the_cores_does_not_fit() -> None:
    single = build_machine(packages=1, nodes_per_package=1, cores_per_node=1)
    assert fit(layout(cores="1/6"), single) == Misfit(
        "1/6 of its cores would be all of them; this machine has 1"
    )
    assert shape(fit(layout(cores="6/6"), single)) == (1, 1, 1)


def test_a_quota_leaves_fewer_cores() -> None:
    held = build_machine(packages=1, nodes_per_package=1, cores_per_node=8, quota_cpus=3.5)
    assert shape(fit(layout(), held)) == (3, 1, 3)


@given(
    cores=st.one_of(st.integers(1, 60), st.sampled_from(["all", "1/6", "2/3", "1 socket", "2 sockets"])),
    instances=st.one_of(st.integers(1, 60), st.just("cores")),
    threads=st.one_of(st.integers(1, 60), st.just("cores")),
    sockets=st.integers(1, 3),
    per_node=st.integers(2, 9),
)
def test_what_is_placed_takes_no_more_cores_than_it_is_given(
    cores: int | str, instances: int | str, threads: int | str, sockets: int, per_node: int
) -> None:
    machine: Machine = build_machine(
        packages=sockets, nodes_per_package=1, l3_per_node=2, cores_per_node=per_node
    )
    fitted = fit(layout(cores=cores, instances=instances, threads=threads), machine)
    if isinstance(fitted, Fitted):
        assert fitted.cores <= len(machine.cores)
        with suppress(PlacementError):  # sockets' cores may not divide evenly
            placed = place(fitted.configuration, machine)
            used = [cpu for one in placed.instances for cpu in one.cpus]
            assert len(used) == len(set(used)) <= fitted.cores
