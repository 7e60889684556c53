"""The committed results are those of their series as they stand, and nobody has edited their pages."""

from __future__ import annotations

from pathlib import Path

import pytest

from autotune.series.file import find_series, load_series
from autotune.series.record import read_record
from autotune.series.result import RESULT, conclude, write_pages

STUDIES = Path(__file__).parents[2] / "studies"


@pytest.mark.parametrize("folder", find_series(STUDIES), ids=lambda folder: folder.name)
def test_a_committed_result_is_what_the_series_and_its_record_give(folder: Path, tmp_path: Path) -> None:
    file, record = load_series(folder), read_record(folder / "result" / RESULT)
    assert record is not None, f"run it: autotune series run studies/{folder.name}"
    assert record.series == file.series.model_dump(mode="json"), "the series has changed since: run it again"
    write_pages(conclude(file.series, record), tmp_path)
    for page in ("README.md", "table.md"):
        committed = (folder / "result" / page).read_text()
        assert committed == (tmp_path / page).read_text(), f"{page} says something else than the record"
