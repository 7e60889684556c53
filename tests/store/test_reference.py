"""The plan that a text means: of a file, or of the store."""

from __future__ import annotations

from pathlib import Path

import pytest

from autotune.errors import PlanError, StoreError
from autotune.plan.document import format_plan
from autotune.store.records import StudyRecord
from autotune.store.reference import find_plan
from autotune.store.store import open_store
from autotune.testing.plans import build_plan

PLAN = build_plan()


@pytest.fixture
def store(tmp_path: Path) -> str:
    """A store with the plan."""
    url = f"sqlite:///{tmp_path}/autotune.db"
    with open_store(url) as opened:
        opened.create_study(StudyRecord("quickstart", 0.0, {}, {}, {}, "d", "m"))
        opened.save_plan(PLAN)
    return url


def test_a_plan_is_found_in_the_store_by_its_name_or_as_the_newest(store: str) -> None:
    assert find_plan("latest", store) == find_plan(PLAN.id, store) == find_plan("quickstart", store) == PLAN


def test_a_plan_is_read_from_a_file_and_the_store_is_not_asked(tmp_path: Path) -> None:
    file = tmp_path / "plan.json"
    file.write_text(format_plan(PLAN))
    assert find_plan(str(file), "sqlite:////nowhere/autotune.db") == PLAN


def test_the_folder_of_an_export_stands_for_the_plan_in_it(tmp_path: Path) -> None:
    (tmp_path / "plan.json").write_text(format_plan(PLAN))
    assert find_plan(f"{tmp_path}/", "sqlite:////nowhere/autotune.db") == PLAN
    (tmp_path / "empty").mkdir()
    with pytest.raises(PlanError, match=r"empty/plan\.json' cannot be read"):
        find_plan(str(tmp_path / "empty"), "sqlite:////nowhere/autotune.db")


def test_a_folder_that_is_not_there_or_lacks_its_slash_is_told(
    store: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(PlanError, match=r"there is no folder '.*/gone/'") as gone:
        find_plan(f"{tmp_path}/gone/", store)
    assert "an export's or a bundle's folder" in gone.value.remedy
    monkeypatch.chdir(tmp_path)
    (tmp_path / "launch").mkdir()
    with pytest.raises(StoreError) as empty:
        find_plan("launch", store)
    assert "slash" not in empty.value.remedy
    (tmp_path / "launch" / "plan.json").write_text(format_plan(PLAN))
    for url in (store, "sqlite:////nowhere/autotune.db"):
        with pytest.raises(StoreError) as unslashed:
            find_plan("launch", url)
        assert "write a slash, 'launch/'" in unslashed.value.remedy
    assert find_plan("launch/", store) == PLAN


def test_a_plan_that_is_not_there_is_refused(store: str, tmp_path: Path) -> None:
    with pytest.raises(StoreError):
        find_plan("no-such-plan", store)
    with pytest.raises(PlanError, match="cannot be read"):
        find_plan(str(tmp_path / "gone.json"), store)
