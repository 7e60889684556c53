from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from autotune.errors import StudyFileError
from autotune.series.file import find_series, load_series

WriteSeries = Callable[..., Path]

STUDIES = Path(__file__).parents[2] / "studies"

COMMITTED = ("batch", "cores", "cost", "instances", "ladder", "streams")


def refusal(path: Path) -> str:
    with pytest.raises(StudyFileError) as caught:
        load_series(path)
    return str(caught.value)


def points(*values: dict[str, Any]) -> list[dict[str, Any]]:
    return [{"name": "slow"}, *values]


def test_a_point_has_the_series_values_but_for_those_that_it_sets(write_series: WriteSeries) -> None:
    other = {"name": "fast", "set": {"problem.batch_size": 4, "measure.block": "2s", "limits.memory": "1GiB"}}
    file = load_series(write_series(points=points(other), claims=[]))
    slow, fast = file.studies
    assert (slow.problem.batch_size, slow.measure.block_s, slow.limits.memory_bytes) == (1, 0.1, None)
    assert (fast.problem.batch_size, fast.measure.block_s, fast.limits.memory_bytes) == (4, 2.0, 2**30)
    assert fast.problem.sequence_length == slow.problem.sequence_length
    assert file.name == "series"


def test_a_point_may_set_a_whole_section(write_series: WriteSeries) -> None:
    other = {"name": "fast", "set": {"problem": {"batch_size": 2, "sequence_length": 3}}}
    problem = load_series(write_series(points=points(other), claims=[])).studies[1].problem
    assert (problem.batch_size, problem.sequence_length) == (2, 3)


def test_a_points_layout_is_the_series_own_but_for_what_it_says(write_series: WriteSeries) -> None:
    series = load_series(write_series()).series
    slow, fast, huge = (series.layout(point) for point in series.points)
    assert (slow.engine, slow.cores, slow.precision) == ("fake", 1, "fp32")
    assert (fast.engine, fast.cores, fast.precision) == ("fake", 1, "int8-dynamic")
    assert huge.cores == 9999


def test_the_folder_and_the_file_name_the_same_series(write_series: WriteSeries) -> None:
    folder = write_series()
    assert load_series(folder) == load_series(folder / "series.yaml")


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"points": []}, "points"),
        ({"points": [{"name": "a"}, {"name": "a"}], "claims": []}, "'a' is there twice"),
        ({"points": [{"name": "a / b"}], "claims": []}, "points[0].name: 'a / b' is not allowed"),
        ({"points": points({"name": "b", "sett": {}}), "claims": []}, "did you mean set?"),
        ({"points": points({"name": "b", "configuration": {"cores": 0}}), "claims": []}, "0 is not allowed"),
        (
            {"points": points({"name": "b", "configuration": {"cores": "7/6"}}), "claims": []},
            "more than there is",
        ),
        ({"points": points({"name": "b", "set": {"problem.size": 1}}), "claims": []}, "'size' is not known"),
        (
            {"points": points({"name": "b", "set": {"problem.batch_size": 0}}), "claims": []},
            "problem.batch_size",
        ),
        ({"points": points({"name": "b", "set": {"model.name": 1}}), "claims": []}, "has no parts"),
        (
            {"points": points({"name": "b", "set": {"model": ["fake:a", "fake:b"]}}), "claims": []},
            "one model",
        ),
        ({"claims": [{"claim": "so", "check": "median(x) <= 1s"}]}, "'x' is no point"),
        ({"claims": [{"claim": "so", "check": "faster"}]}, "is no check"),
        ({"claims": [{"claim": "so"}]}, "write either"),
        ({"claims": [{"claim": "so", "check": "cost(slow) <= 1"}]}, "needs a price"),
        (
            {
                "claims": [
                    {"claim": "so", "winners_differ": {"by": "median", "lists": [["slow", "fast"], ["slow"]]}}
                ]
            },
            "1 points have no best",
        ),
        (
            {
                "points": points({"name": "fast"}, {"name": "huge"}),
                "claims": [
                    {
                        "claim": "so",
                        "winners_differ": {
                            "by": "median",
                            "lists": [["slow", "fast"], ["slow", "fast", "huge"]],
                        },
                    }
                ],
            },
            "3 points have not the places of 2",
        ),
        ({"beside": [{"claim": "so", "check": "median(x) <= 1s"}]}, "'x' is no point"),
        ({"configuration": {"engine": "fake", "precision": "fp64"}}, "'fp64' is not allowed"),
        ({"rounds": 0}, "greater than or equal to 1"),
        ({"configuration": {"placement": "foo"}}, "'per-l3'"),
        ({"title": None}, "title"),
    ],
)
def test_what_is_wrong_is_told_with_its_place_and_value(
    write_series: WriteSeries, values: dict[str, Any], said: str
) -> None:
    message = refusal(write_series(**values))
    assert said in message
    assert "line" in message


def test_a_missing_part_is_named(tmp_path: Path) -> None:
    (tmp_path / "series.yaml").write_text("title: t\nsource: s\n")
    message = refusal(tmp_path)
    assert "study: missing" in message
    assert "points: missing" in message


def test_a_folder_without_a_series_names_those_that_there_are(write_series: WriteSeries) -> None:
    folder = write_series()
    assert str(folder) in refusal(folder.parent)
    (folder.parent / "empty").mkdir()
    assert "autotune series list" in refusal(folder.parent / "empty")


@pytest.mark.parametrize("wrong", ["serie", "serie/series.yaml", "series.yml", "sreies/result"])
def test_a_path_that_leads_to_no_series_is_told_what_one_is(
    write_series: WriteSeries, tmp_path: Path, wrong: str
) -> None:
    folder = write_series()
    message = refusal(folder.parent / wrong)
    assert "does not exist" in message
    assert "a series' folder, which holds series.yaml" in message
    assert "autotune series list" in message
    assert "study file" not in message
    assert (f"did you mean {folder}?" in message) == (wrong != "sreies/result")
    with pytest.raises(StudyFileError) as caught:
        load_series(tmp_path / "elsewhere" / "serie", known=folder.parent)
    assert f"did you mean {folder}?" in caught.value.remedy


def test_a_folder_that_cannot_be_listed_is_refused(tmp_path: Path) -> None:
    with pytest.raises(StudyFileError, match="No such file"):
        find_series(tmp_path / "nowhere")


def test_every_committed_series_can_be_read_and_has_claims() -> None:
    found = find_series(STUDIES)
    assert [path.name for path in found] == list(COMMITTED)
    for path in found:
        file = load_series(path)
        assert file.series.claims
        assert len(file.studies) == len(file.series.points)
