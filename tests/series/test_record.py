from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autotune.errors import ResumeError, StudyError
from autotune.measurement.measurement import FailureKind
from autotune.plan.histogram import histogram_values_s, latency_histogram
from autotune.series.record import (
    SeriesRecord,
    figures_of,
    format_record,
    read_record,
    refuse_other,
    write_record,
)
from autotune.testing.plans import build_measurement

BuildRecord = Callable[..., SeriesRecord]

TOLD = {"a": [10.0, 11.0, 10.5], "b": [FailureKind.CRASH], "c": "it needs 4 cores; this machine has 2"}


def test_what_is_written_is_read_again(build_record: BuildRecord, tmp_path: Path) -> None:
    record = build_record(TOLD)
    write_record(record, tmp_path / "result.json")
    assert read_record(tmp_path / "result.json") == record


def test_the_document_names_its_schema_and_has_a_line_for_each_run(build_record: BuildRecord) -> None:
    text = format_record(build_record(TOLD))
    assert json.loads(text)["schema"] == "autotune.series/1"
    assert sum('"round": ' in line for line in text.splitlines()) == 4


def test_there_is_nothing_to_go_on_with_where_nothing_was_written(tmp_path: Path) -> None:
    assert read_record(tmp_path / "result.json") is None


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"schema": "autotune.series/9"}'])
def test_a_file_that_is_no_result_is_refused(tmp_path: Path, content: str) -> None:
    (tmp_path / "result.json").write_text(content)
    with pytest.raises(StudyError, match="is no result of a series"):
        read_record(tmp_path / "result.json")


def test_a_record_is_complete_when_all_that_can_run_has_run_in_every_round(build_record: BuildRecord) -> None:
    assert build_record(TOLD).is_complete
    assert not build_record(TOLD, rounds=4).is_complete
    assert not build_record({"a": [10.0, None, 10.5]}).is_complete
    assert build_record({"a": [10.0, FailureKind.DISTURBED, 10.5]}).is_complete


D = FailureKind.DISTURBED


@pytest.mark.parametrize(
    ("told", "full", "left"),
    [
        ({"a": [1.0, 2.0, 3.0], "b": [1.0, 2.0, 3.0]}, (1, 2, 3), ()),
        ({"a": [1.0, 2.0, 3.0], "b": [1.0, 2.0]}, (1, 2), (3,)),
        ({"a": [1.0, 2.0, 3.0], "b": [1.0, D, 3.0]}, (1, 2, 3), (2,)),
        ({"a": [1.0, 2.0, 3.0], "b": [FailureKind.CRASH], "c": "no cores"}, (1, 2, 3), ()),
        ({"a": [1.0, 2.0, 3.0], "b": []}, (), (1, 2, 3)),
    ],
)
def test_rounds_are_left_in_which_a_point_that_runs_has_no_figures(
    build_record: BuildRecord, told: Any, full: tuple[int, ...], left: tuple[int, ...]
) -> None:
    record = build_record(told)
    assert (record.full_rounds, record.rounds_left) == (full, left)


def test_a_round_of_two_sittings_is_left_to_be_measured_whole(build_record: BuildRecord) -> None:
    record = build_record({"a": [1.0, 2.0], "b": [1.0, 2.0]}, rounds=2)
    first, *others = record.runs
    later = record.model_copy(update={"runs": (first.model_copy(update={"sitting": 2}), *others)})
    assert (record.rounds_left, later.rounds_left) == ((), (first.round,))


def test_a_run_keeps_its_figures_and_not_the_names_of_other_processes() -> None:
    found = figures_of(build_measurement(instances=2, requests=20, request_s=0.1, samples_per_request=8))
    assert found.throughput_sps == pytest.approx(160)
    assert found.median_s == pytest.approx(0.1)
    assert found.requests == 40
    assert histogram_values_s(found.histogram) == pytest.approx([0.1] * 40, rel=1e-3)


@given(st.lists(st.floats(1e-5, 100.0), min_size=1, max_size=50))
def test_a_histogram_gives_its_values_back_to_three_digits(values: list[float]) -> None:
    text = latency_histogram(values)
    assert text is not None
    assert histogram_values_s(text) == pytest.approx(sorted(values), rel=2e-3, abs=2e-6)


def changed(record: SeriesRecord, **values: Any) -> SeriesRecord:
    return record.model_copy(update=values)


def test_nothing_is_mixed_with_another_machine_other_versions_or_other_points(
    build_record: BuildRecord,
) -> None:
    kept, file = build_record(TOLD), Path("result.json")
    refuse_other(kept, build_record(TOLD, rounds=9), file)
    others = {
        "the architecture differs": changed(kept, machine={**kept.machine, "architecture": "vax"}),
        "torch: none -> 2.13": changed(kept, versions={**kept.versions, "torch": "2.13"}),
        "d: none -> there": build_record({**TOLD, "d": [1.0]}),
        "a: problem.sequence_length: 128 -> 64": build_record(TOLD, tokens=64),
        "a: runs as": build_record(TOLD, cores=1),
    }
    for said, asked in others.items():
        with pytest.raises(ResumeError, match=said):
            refuse_other(kept, asked, file)


def test_a_result_that_does_not_say_what_made_its_requests_is_gone_on_with(build_record: BuildRecord) -> None:
    older, file = build_record(TOLD), Path("result.json")
    now = changed(older, versions={**older.versions, "numpy": "2.3.0", "tokenizers": "0.22.0"})
    refuse_other(older, now, file)
    other = changed(now, versions={**now.versions, "tokenizers": "0.21.0"})
    with pytest.raises(ResumeError, match=r"something else: tokenizers: 0\.22\.0 -> 0\.21\.0\n"):
        refuse_other(now, other, file)
