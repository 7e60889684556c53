"""The pages of a result, which follow from the record alone."""

from __future__ import annotations

import itertools
import xml.etree.ElementTree as ET
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from autotune.errors import ExportError, StudyError
from autotune.measurement.measurement import FailureKind
from autotune.report.figures.picture import encoded
from autotune.series.picture import draw
from autotune.series.record import SeriesRecord, write_record
from autotune.series.result import (
    FILES,
    PAGE,
    RESULT,
    SeriesResult,
    check_target,
    conclude,
    only_one,
    write_pages,
)
from autotune.series.standing import Standings
from autotune.series.values import Series
from autotune.spec.price import Price

BuildRecord = Callable[..., SeriesRecord]

TOLD = {
    "slow": [10.0, 10.2, 9.9],
    "fast": [20.1, 20.0, 20.2],
    "broken": [FailureKind.CRASH],
    "huge": "it needs 48 cores; this machine has 2",
}


def series(**values: Any) -> Series:
    return Series.model_validate(
        {
            "title": "Slow and fast",
            "source": "an article, section 3",
            "study": {},
            "points": [{"name": name} for name in TOLD],
            "claims": [
                {
                    "claim": "Fast is faster",
                    "stated": "2x",
                    "check": "throughput(fast) / throughput(slow) >= 1.5",
                },
                {"claim": "Fast is no faster", "check": "throughput(fast) / throughput(slow) <= 1.1"},
                {"claim": "Many cores help", "check": "throughput(huge) / throughput(slow) >= 1"},
            ],
            "beside": [{"claim": "Fast is steady", "check": "median(fast) >= 40ms"}],
            "targets": [{"claim": "Fast is fast enough", "check": "median(fast) <= 60ms"}],
            **values,
        }
    )


def concluded(record: SeriesRecord, **values: Any) -> SeriesResult:
    return conclude(series(**values), record)


def page(record: SeriesRecord, folder: Path, **values: Any) -> str:
    write_record(record, folder / RESULT)
    write_pages(concluded(record, **values), folder)
    return (folder / PAGE).read_text()


def test_the_page_tells_what_agrees_what_does_not_and_what_cannot_be_told(
    build_record: BuildRecord, tmp_path: Path
) -> None:
    text = page(build_record(TOLD), tmp_path)
    agrees = text.index("**Agrees with the source**")
    differs = text.index("**Does not agree with the source**")
    unknown = text.index("**Cannot be told here**")
    beside = text.index("**So it is here**")
    met = text.index("**Met**")
    assert agrees < text.index("- Fast is faster (2x): here 2.00 (") < differs
    assert differs < text.index("- Fast is no faster: here 2.00 (") < unknown
    assert unknown < text.index("- Many cores help: here huge was not measured: it needs 48 cores") < beside
    assert text.index("## Asked beside it") < beside < text.index("- Fast is steady: here 49.8") < met
    assert "- Fast is fast enough: here 49.8 (49.1 to 50.4) ms, " in text
    assert "asked is `median(fast) <= 60ms`" in text


def test_every_point_has_a_row_those_that_were_not_measured_with_the_reason(
    build_record: BuildRecord, tmp_path: Path
) -> None:
    page(build_record(TOLD), tmp_path)
    rows = (tmp_path / "table.md").read_text().splitlines()
    headings = "| point | runs as | requests | median | p99 | samples/s (95 %) | x first (95 %) |"
    assert rows[0].startswith(headings)
    assert [row.split(" | ")[0] for row in rows[2:]] == ["| slow", "| fast", "| broken", "| huge"]
    assert "| 2 x 1 thread on 2 cores, fake fp32 | 2,100 in 3 runs |" in rows[2]
    assert rows[2].endswith("| 1 |")
    assert "2.00 (" in rows[3]
    assert "(<= " in rows[3]
    assert "not measured: crash: so it was told" in rows[4]
    assert "not measured: it needs 48 cores" in rows[5]


def test_a_price_adds_what_a_million_samples_cost(build_record: BuildRecord, tmp_path: Path) -> None:
    text = page(build_record(TOLD), tmp_path, price={"per_core_hour": 0.36, "currency": "EUR"})
    assert "EUR per million (95 %)" in text
    assert "A core costs 0.36 EUR an hour" in text
    assert "| 19.9 (" in text  # 2 cores at 0.0001 EUR a second for a million samples at 10.03 a second


def test_an_unfinished_result_says_so(build_record: BuildRecord, tmp_path: Path) -> None:
    text = page(build_record(TOLD, rounds=5), tmp_path)
    assert "In each of 3 rounds" in text
    assert "Unfinished: 5 rounds were asked for." in text


def test_a_round_that_is_not_whole_is_not_counted(build_record: BuildRecord, tmp_path: Path) -> None:
    text = page(build_record({**TOLD, "fast": [20.1, 20.0]}), tmp_path)
    assert "In each of 2 rounds, every point that runs here was started" in text
    assert "Unfinished: 3 rounds were asked for." in text


def test_a_disturbed_round_is_named(build_record: BuildRecord, tmp_path: Path) -> None:
    text = page(build_record({**TOLD, "fast": [20.1, FailureKind.DISTURBED, 20.2]}), tmp_path)
    assert "In each of 3 rounds, every point that runs here was started" in text
    assert "so that the same command measures it again: round 2." in text
    assert "1 of 7 runs was disturbed and started again" in text


def test_models_are_named_that_any_point_has_run(build_record: BuildRecord, tmp_path: Path) -> None:
    record = build_record(TOLD)
    assert not record.points[-1].model_digest
    assert "| models | fake:model.json (sha256 5e5e5e5e5e5e) |" in page(record, tmp_path)


def test_the_same_record_gives_the_same_files(build_record: BuildRecord, tmp_path: Path) -> None:
    for folder in ("one", "other"):
        page(build_record(TOLD), tmp_path / folder)
    for name in FILES:
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "other" / name).read_bytes()


@pytest.mark.parametrize("against", [None, "cores", "instances", "batch_size", "sequence_length"])
def test_the_picture_shows_every_measured_point(build_record: BuildRecord, against: Any) -> None:
    picture = draw(Standings(build_record(TOLD)), "Slow and fast", against)
    assert picture is not None
    assert "slow: 10.03 samples/s" in picture.description
    assert "huge" not in picture.description
    texts = {element.text for element in ET.fromstring(encoded(picture, "svg")).iter() if element.text}
    assert {"slow", "fast"} <= texts


@pytest.mark.parametrize("against", [None, "cores"])
def test_with_a_price_the_picture_shows_the_cost_too(build_record: BuildRecord, against: Any) -> None:
    picture = draw(Standings(build_record(TOLD), Price(per_core_hour=0.1)), "Slow and fast", against)
    without = draw(Standings(build_record(TOLD)), "Slow and fast", against)
    assert picture is not None
    assert without is not None
    assert len(picture.figure.axes) == 3
    assert len(without.figure.axes) == 2
    label = "get_xlabel" if against is None else "get_ylabel"
    assert getattr(picture.figure.axes[2], label)() == "USD per million (lower is better)"
    assert "USD per million" in picture.description
    assert "USD" not in without.description


@pytest.mark.parametrize(
    "fast", [[6.3, 6.3], [63.0, 63.0], [2e3, 2e3], [2e5, 2e5], [5.4, 91.4]], ids=lambda fast: f"{fast}"
)
def test_names_on_an_axis_do_not_overlap(build_record: BuildRecord, fast: list[float]) -> None:
    picture = draw(Standings(build_record({"slow": [0.7] * 2, "fast": fast})), "", None)
    assert picture is not None
    encoded(picture, "svg")
    for axes in picture.figure.axes:
        low, high = axes.get_xlim()
        boxes = [
            label.get_window_extent()
            for at, label in zip(axes.get_xticks(), axes.get_xticklabels(), strict=True)
            if low <= at <= high
        ]
        assert len(boxes) > 1
        assert all(left.x1 < right.x0 for left, right in itertools.pairwise(boxes))


def test_nothing_is_drawn_of_nothing(build_record: BuildRecord, tmp_path: Path) -> None:
    text = page(build_record({"slow": "no engine", "fast": [], "broken": [], "huge": []}), tmp_path)
    assert not (tmp_path / "picture.svg").exists()
    assert "picture.svg" not in text
    assert "not measured yet" in text


def test_a_folder_with_somebody_elses_page_is_refused(tmp_path: Path) -> None:
    (tmp_path / "README.md").write_text("mine")
    with pytest.raises(ExportError, match=r"holds README\.md and no result\.json"):
        check_target(tmp_path)
    with pytest.raises(ExportError, match="is a file, not a folder"):
        check_target(tmp_path / "README.md" / "below")


def test_one_process_at_a_time_writes_into_a_folder(tmp_path: Path) -> None:
    target = tmp_path / "deep" / "result"
    with only_one(target):
        with pytest.raises(StudyError, match="another process"), only_one(target):
            pass
        with only_one(tmp_path / "other"):
            pass
    with only_one(target):
        assert list(target.iterdir()) == []


def test_no_page_states_a_ratio_to_a_point_that_misses_a_limit(
    build_record: BuildRecord, tmp_path: Path
) -> None:
    """The first point of all, which the others are compared with."""
    limits = {"limits": {"latency": {"percentile": 90, "max_s": 0.08}}}
    record = build_record(TOLD, study=limits)
    text = page(record, tmp_path)
    missed = "slow misses a limit: its p90 latency is not shown to be within 80.0 ms"
    assert f"{missed}: with 95 % confidence it is at most " in text
    assert "Nothing is compared with it." in text
    cells = [line.split(" | ") for line in text.splitlines() if line.startswith(("| slow", "| fast"))]
    assert [row[-1] for row in cells] == ["- |", "- |"]
    assert "asked is" not in text.split("**Cannot be told here**")[1].split("##")[0]
    drawn = draw(Standings(record), "Slow and fast", None)
    assert drawn is not None
    assert missed in drawn.caption
