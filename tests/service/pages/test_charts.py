"""Charts as values: within their frames, thinned where there are many trials, and told in words."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autotune.machine.document import machine_document
from autotune.objectives.catalogue import objective_of
from autotune.service.pages.charts.chart import HEIGHT, WIDTH, Axis, round_values, x_axis, y_axis
from autotune.service.pages.charts.intervals import gains_chart
from autotune.service.pages.charts.placement import machine_picture, placement_picture
from autotune.service.pages.charts.search import (
    MOST_POINTS,
    SpeedPoint,
    best_so_far,
    history_chart,
    speed_chart,
    thinned,
)
from autotune.spec.load import parse_study
from autotune.spec.study import StudySpec
from autotune.store.trial_points import TrialPoint
from autotune.testing.machines import build_machine
from autotune.testing.plans import build_commands, build_plan


def spec(**changes: Any) -> StudySpec:
    values = {"model": "random:minilm-l6", "problem": {"batch_size": 8, "sequence_length": 64}, **changes}
    return parse_study(json.dumps(values), name="one")


SCORES = st.lists(st.none() | st.floats(1e-6, 1e9), min_size=1, max_size=400)


def points_of(scores: list[float | None]) -> list[TrialPoint]:
    return [
        TrialPoint(
            number, number == 0, "crash" if score is None else None, score, {"latency": number % 7 - 5}
        )
        for number, score in enumerate(scores)
    ]


@given(SCORES, st.sampled_from(["throughput", "latency"]))
def test_whatever_trials_gave_is_drawn_within_the_frame(scores: list[float | None], objective: str) -> None:
    points = points_of(scores)
    chart = history_chart(points, spec(objective=objective))
    if chart is None:
        assert all(score is None for score in scores)
        return
    for point in chart.points:
        assert 0 <= point.x <= WIDTH
        assert 0 <= point.y <= HEIGHT
    for line in chart.lines:
        places = [float(number) for number in re.findall(r"-?\d+\.\d+|-?\d+", line.path)]
        assert max(places[::2]) <= WIDTH
        assert line.kind in {"best", "baseline"}
    assert chart.legend
    assert str(len(points)) in chart.summary


@given(SCORES)
def test_thinning_keeps_the_baseline_and_every_trial_that_was_the_best(scores: list[float | None]) -> None:
    points = points_of(scores * 4)
    objective = objective_of(spec())
    kept = thinned(points, objective)
    steps = best_so_far(points, objective)
    assert len(kept) <= MOST_POINTS + len(steps) + 4
    assert points[0] in kept
    assert all(step in kept for step in steps)
    assert kept == sorted(kept, key=lambda point: point.number)


def test_a_limit_is_drawn_where_it_lies_and_what_is_beyond_is_shaded() -> None:
    limited = spec(limits={"latency": {"p99": "50ms"}})
    points = [SpeedPoint(0, 10.0, 0.08, False, baseline=True), SpeedPoint(1, 20.0, 0.02, True)]
    chart = speed_chart(points, limited, 99.0)
    assert chart is not None
    assert chart.shaded is not None
    kinds = {point.kind: point.y for point in chart.points}
    assert kinds["baseline"] < chart.shaded < kinds["met"]
    assert ("line-limit", "limit") in chart.legend
    assert "The limit is 50.0 ms." in chart.summary
    other = speed_chart(points, limited, 50.0)  # of another percentile than the limit's
    assert other is not None
    assert other.shaded is None


def test_where_nothing_was_measured_nothing_is_drawn() -> None:
    assert history_chart([], spec()) is None
    assert history_chart(points_of([None, None]), spec()) is None
    assert speed_chart([], spec(), 50.0) is None


@given(st.floats(-1e9, 1e9), st.floats(1e-9, 1e9), st.integers(2, 8))
def test_ticks_are_few_and_within_their_axis(low: float, size: float, most: int) -> None:
    high = low + size
    if high - low < 1e-9 * max(abs(low), abs(high), 1e-9):
        return  # no two numbers lie apart here
    values = round_values(low, high, most)
    assert len(values) <= most + 1
    assert all(low - size * 1e-6 <= value <= high + size * 1e-6 for value in values)


def test_axes_of_one_value_or_none_have_a_length() -> None:
    for axis in (x_axis([]), x_axis([0.0]), y_axis([5.0]), y_axis([], from_zero=False)):
        assert isinstance(axis, Axis)
        assert axis.high > axis.low


@pytest.mark.parametrize(
    ("shape", "words"),
    [
        ({}, "2 sockets, 4 NUMA nodes, 16 cores, 32 cpus."),
        (
            {"packages": 1, "nodes_per_package": 1, "threads_per_core": 1},
            "1 socket, 1 NUMA node, 4 cores, 4 cpus.",
        ),
    ],
)
def test_a_machine_is_drawn_with_every_cpu_once(shape: Any, words: str) -> None:
    picture = machine_picture(machine_document(build_machine(**shape)))
    assert picture is not None
    assert picture.summary == words
    assert len({cell.told for cell in picture.cells}) == len(picture.cells)
    for cell in picture.cells:
        assert cell.x >= 0
        assert cell.x + cell.width <= picture.width + 0.2
        assert cell.y + cell.height <= picture.height + 0.2


def test_a_plan_is_drawn_on_its_machine() -> None:
    document = machine_document(build_machine(allowed=range(16)))
    plan = build_plan(build_commands(instances=2, threads=2), machine=document)
    picture = placement_picture(plan)
    assert picture is not None
    owned = {cell.told for cell in picture.cells if cell.label}
    assert owned == {"cpu 0: instance 0", "cpu 1: instance 0", "cpu 2: instance 1", "cpu 3: instance 1"}
    assert sum(cell.kind == "barred" for cell in picture.cells) == 16
    assert "instance 1 on cpus 2-3" in picture.summary
    assert not picture.unpinned


def test_instances_that_are_not_pinned_are_said_to_be_so() -> None:
    plan = build_plan(build_commands(pinned=False), machine=machine_document(build_machine()))
    picture = placement_picture(plan)
    assert picture is not None
    assert picture.unpinned
    assert placement_picture(build_plan()) is None  # its machine says nothing of cores


def test_gains_have_their_intervals_and_lie_right_of_1_where_the_plan_is_better() -> None:
    chart = gains_chart(build_plan())
    assert chart is not None
    names = [row.name for row in chart.rows]
    assert names == ["the baseline", "the best default", "trial 3", "trial 4", "trial 5"]
    for row in chart.rows:
        assert row.low <= row.at <= row.high
    assert chart.rows[0].low > chart.one
    assert chart.rows[2].low < chart.one < chart.rows[2].high  # the tied finalist
    alone = replace_confirmation(build_plan())
    assert gains_chart(alone) is None


def replace_confirmation(plan: Any) -> Any:
    """A plan of which nothing is known beside others."""
    done = plan.confirmation.model_copy(update={"rivals": (), "default": None})
    return plan.model_copy(update={"confirmation": done, "gain": None, "gain_range": None})


def test_points_are_told_for_who_points_at_them() -> None:
    points = points_of([10.0, None, 20.0])
    chart = history_chart([replace(point, violations={}) for point in points], spec())
    assert chart is not None
    assert [point.told for point in chart.points] == [
        "trial 0, baseline: 10.0 samples/s",
        "trial 1: crash",
        "trial 2: 20.0 samples/s",
    ]
