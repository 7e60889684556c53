"""The space where a study lists smaller machines: `search.cores`."""

from __future__ import annotations

from typing import Any

import pytest

from autotune.errors import StudyFileError
from autotune.search.bounds import core_counts
from autotune.search.likeness import charged_shares, filled_shares, layout_of, most_threads
from autotune.search.prospects import stated_prospects
from autotune.search.space import SearchSpace, build_space
from autotune.spec.configuration import Configuration
from autotune.spec.study import Search, StudySpec
from autotune.testing.machines import build_machine

MACHINE = build_machine(packages=2, nodes_per_package=1, cores_per_node=4, threads_per_core=1)
ENGINES = {"pytorch": ("fp32",)}


def study(**search: Any) -> StudySpec:
    return StudySpec.model_validate(
        {
            "name": "cores",
            "model": "random:distilbert-base",
            "problem": {"batch_size": 8, "sequence_length": 128},
            "search": {"knobs": "none", **search},
        }
    )


def space(**search: Any) -> SearchSpace:
    return build_space(study(**search), MACHINE, ENGINES)  # type: ignore[arg-type]


def test_without_core_counts_nothing_is_of_a_smaller_machine() -> None:
    assert {one.cores for one in space().configurations} == {0}


def test_every_configuration_is_of_the_smallest_machine_that_holds_it() -> None:
    """Equal ones are measured once, where they cost least."""
    found = space(cores=(2, 4, "all"))
    by_cores = {cores: [one for one in found.configurations if one.cores == cores] for cores in (2, 4, 8)}
    assert {one.cores for one in found.configurations} == {2, 4, 8}
    assert all(
        one.instances * one.threads_per_instance <= cores for cores, of in by_cores.items() for one in of
    )
    assert {(one.instances, one.threads_per_instance) for one in by_cores[2]} == {(1, 1), (1, 2), (2, 1)}
    placed = [found.placements[one] for one in found.configurations]
    assert len(set(placed)) == len(placed)


def test_a_study_of_all_cores_has_the_placements_of_a_study_without_core_counts() -> None:
    def placements(found: SearchSpace) -> set[object]:
        return set(found.placements.values())

    assert placements(space(cores=("all",))) == placements(space()) == placements(space(cores=(8,)))


def test_the_number_of_all_cores_and_all_are_one() -> None:
    assert core_counts(Search(cores=(8, "all", 2)), MACHINE) == (2, 8)
    assert core_counts(Search(), MACHINE) == (0,)


def test_the_baseline_and_the_defaults_stay_on_the_whole_machine() -> None:
    found = space(cores=(2,))
    assert found.baseline.cores == 0
    assert all(one.cores == 0 for one in found.defaults)


def test_every_machine_has_its_recipes() -> None:
    assert {one.cores for one in space(cores=(2, 4, "all")).recipes} == {2, 4, 8}


def test_every_machine_is_tried_before_anything_is_tried_twice() -> None:
    """Also where small ones are not promising: with throughput as the objective they never are."""
    found = space(cores=(1, 2, 4, "all"))
    prospects = stated_prospects(found.configurations, found.expected)
    tried = next(one for one in found.configurations if one.cores == 8)
    left = [one for one in found.configurations if one != tried]
    order = prospects.ranked(left, {found.baseline: 1.0, tried: 3.0})
    assert {one.cores for one in order[:3]} == {1, 2, 4}
    seen = {found.baseline: 1.0, tried: 3.0, **dict.fromkeys(order[:2], 0.1)}
    third = prospects.ranked([one for one in left if one not in seen], seen)[0]
    assert third.cores == order[2].cores


def test_more_cores_than_there_are_is_refused_with_the_place() -> None:
    with pytest.raises(StudyFileError, match=r"search.cores\[1\]: 9 cores are more than the 8") as refused:
        space(cores=(2, 9))
    assert "at most 8" in refused.value.remedy


def test_cores_on_which_nothing_else_listed_fits_are_refused() -> None:
    with pytest.raises(StudyFileError, match=r"search.cores\[0\]"):
        space(cores=(2, 8), threads=(4,), instances=(1,))


@pytest.mark.parametrize("listed", [(0,), (-1,), ("most",), (2.5,), (2, 2), ()])
def test_what_is_no_number_of_cores_is_refused(listed: tuple[Any, ...]) -> None:
    with pytest.raises(ValueError, match="cores"):
        study(cores=listed)


def test_what_is_paid_for_is_the_smaller_machine_and_not_what_is_filled() -> None:
    whole = Configuration(8, 1, "close", "0-1", False, "pytorch", "fp32", cores=8)
    part = Configuration(1, 1, "close", "0", False, "pytorch", "fp32", cores=4)
    free = Configuration(1, 1, "close", "0", False, "pytorch", "fp32")
    layouts = [layout_of(one) for one in (whole, part, free)]
    most = most_threads([whole, part, free])
    assert list(filled_shares(layouts, most)) == [1.0, 0.125, 0.125]
    assert list(charged_shares(layouts, most)) == [1.0, 0.5, 0.125]
