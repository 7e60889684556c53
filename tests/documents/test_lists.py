"""The documents of lists: engines, prepared models, and series."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from autotune.backends.inventory import engine_statuses
from autotune.documents.cache import cache_entry_document
from autotune.documents.engines import engines_document
from autotune.documents.series import listing_document, series_document, series_outlook_document
from autotune.machine.read import read_machine
from autotune.model.artifacts.cache import ArtifactCache
from autotune.search.knobs import knob_statuses
from autotune.series.file import find_series, load_series
from autotune.series.listing import RESULT_FOLDER, list_series
from autotune.series.record import read_record
from autotune.series.result import RESULT, conclude
from autotune.series.running import look_ahead
from autotune.testing.fake_plans import FakeStudy

STUDIES = Path(__file__).parents[2] / "studies"
SERIES: dict[str, Any] = {
    "title": "Two precisions",
    "source": "made up",
    "study": {
        "model": "fake:model.json",
        "problem": {"batch_size": 1, "sequence_length": 1},
        "search": {"backends": "fake"},
    },
    "configuration": {"engine": "fake", "cores": 1},
    "points": [
        {"name": "slow"},
        {"name": "huge", "configuration": {"cores": 9999}},
    ],
    "claims": [{"claim": "it is fast", "check": "throughput(slow) >= 1"}],
}


def is_plain(document: dict[str, Any]) -> bool:
    return bool(json.loads(json.dumps(document, allow_nan=False)) == document)


def test_engines_and_knobs_are_listed_in_one_document() -> None:
    machine = read_machine()
    statuses, knobs = engine_statuses(machine.isa), knob_statuses(machine.isa)
    document = engines_document(machine, statuses, knobs, ["broken: it is"])
    assert is_plain(document)
    assert document["schema"] == "autotune.engines/1"
    assert [engine["name"] for engine in document["engines"]] == [status.name for status in statuses]
    assert set(document["engines"][0]) == {
        *("name", "installed", "versions", "missing", "install", "models"),
        *("precisions", "documented", "refused"),
    }
    assert [knob["values"] for knob in document["knobs"]] == [list(status.values) for status in knobs]
    assert document["broken"] == ["broken: it is"]


def test_a_prepared_model_is_written_without_its_files(own_study: FakeStudy) -> None:
    own_study.plan(2.0)
    (entry, *_) = ArtifactCache().entries()
    document = cache_entry_document(entry)
    assert document["key"] == entry.key
    assert document["complete"] is True
    assert document["manifest"]["backend"] == "fake"
    assert "files" not in document["manifest"]
    json.dumps(document, allow_nan=False)


@pytest.fixture
def series(tmp_path: Path) -> Path:
    folder = tmp_path / "all" / "two"
    folder.mkdir(parents=True)
    (folder / "series.yaml").write_text(json.dumps(SERIES))
    return folder


def test_a_series_without_a_result_is_listed(series: Path) -> None:
    (listed,) = list_series(series.parent)
    assert listing_document(listed) == {
        "series": str(series),
        "title": "Two precisions",
        "points": 2,
        "result": "none",
    }


def test_what_a_series_would_measure_is_a_document(series: Path) -> None:
    file = load_series(series)
    ahead = look_ahead(file, rounds=4)
    document = series_outlook_document(file, ahead)
    assert is_plain(document)
    assert document["schema"] == "autotune.study-outlook/1"
    assert (document["rounds"], document["estimate_s"]) == (4, ahead.estimate_s)
    slow, huge = document["points"]
    assert slow["configuration"]["backend"] == "fake"
    assert slow["unmeasured"] is None
    assert huge["configuration"] is None
    assert "9999 cores" in huge["unmeasured"]


@pytest.mark.parametrize("folder", find_series(STUDIES), ids=lambda folder: folder.name)
def test_what_a_series_has_shown_is_a_document(folder: Path) -> None:
    """By the results of this repository, which other versions of the code have measured."""
    file, record = load_series(folder), read_record(folder / RESULT_FOLDER / RESULT)
    assert record is not None
    document = series_document(conclude(file.series, record), folder)
    assert is_plain(document)
    assert document["schema"] == "autotune.study-run/1"
    assert (document["series"], document["folder"]) == (record.name, str(folder))
    assert [point["name"] for point in document["points"]] == [point.name for point in record.points]
    claims = [judgement["claim"] for judgement in document["claims"]]
    assert claims == [claim.claim for claim in file.series.claims]


def test_what_the_results_say_is_counted_in_the_list() -> None:
    for listed in list_series(STUDIES):
        file, record = load_series(listed.folder), read_record(listed.folder / RESULT_FOLDER / RESULT)
        assert record is not None
        verdicts = [judgement.verdict for judgement in conclude(file.series, record).claims]
        agree, differ, unknown = (verdicts.count(name) for name in ("agrees", "differs", "unknown"))
        assert listed.result.startswith(f"{agree} agree, {differ} do not, {unknown} cannot be told")
