"""Plans of other stores and machines in a store."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest
from pydantic import ValidationError

from autotune.errors import StoreError
from autotune.report.dossier import gather
from autotune.spec.study import StudySpec
from autotune.store.imports import AT, STUDY_LETTERS, import_all, imported_study, keep_curve, newest_plans
from autotune.store.records import StudyRecord, TrialRecord
from autotune.store.store import open_store, read_store
from autotune.testing.curves import build_curve
from autotune.testing.plans import build_plan

OWN = build_plan()
FOREIGN = build_plan(
    id="quickstart-0f0f0f",
    created_s=OWN.created_s + 100,
    machine={"model_name": "Other CPU", "allowed": "0-7", "fingerprint": "feedfacecafebeef"},
)
CURVE = build_curve((0.01, 0.02))


@pytest.fixture
def begun(url: str, study: StudyRecord) -> str:
    with open_store(url) as store:
        store.create_study(study)
        store.save_plan(OWN)
    return url


def test_an_imported_plan_is_listed_with_where_it_comes_from_and_read_as_it_was(begun: str) -> None:
    with open_store(begun) as store:
        assert import_all(store, [(FOREIGN, "plans/other.json")]) == [True]
    with read_store(begun) as store:
        foreign, own = store.plans()
        assert (foreign.study, foreign.origin) == (f"quickstart{AT}feedfacecafe", "plans/other.json")
        assert (own.study, own.origin) == ("quickstart", "")
        assert store.plan(FOREIGN.id) == FOREIGN
        assert (store.origin(FOREIGN.id), store.origin(OWN.id)) == ("plans/other.json", "")


def test_it_is_neither_the_latest_nor_its_studys_plan_here(begun: str) -> None:
    with open_store(begun) as store:
        import_all(store, [(FOREIGN, "other.json")])
        assert store.plan() == OWN
        assert store.plan("quickstart") == OWN
        assert store.plan(f"quickstart{AT}feedfacecafe") == FOREIGN
        assert store.newest_plan("quickstart") == OWN


def test_where_there_are_only_imported_plans_the_latest_is_one(url: str) -> None:
    with open_store(url) as store:
        import_all(store, [(FOREIGN, "other.json")])
        assert store.plan() == FOREIGN
        assert store.find_study("quickstart") is None


def test_its_study_can_never_be_that_of_a_study_file() -> None:
    with pytest.raises(ValidationError, match="name"):
        StudySpec.model_validate_json(
            json.dumps(
                {
                    "name": imported_study(FOREIGN).name,
                    "model": "random:bert-base",
                    "problem": {"batch_size": 1, "sequence_length": 8},
                }
            )
        )


def test_importing_again_changes_nothing_and_a_curve_comes_with_it(begun: str) -> None:
    with open_store(begun) as store:
        import_all(store, [(FOREIGN, "other.json")])
        assert import_all(store, [(FOREIGN, "again.json"), (OWN, "own.json")]) == [False, False]
        assert store.origin(FOREIGN.id) == "other.json"
        with_curve = FOREIGN.model_copy(update={"curve": CURVE})
        assert import_all(store, [(with_curve, "other.json")]) == [False]
        assert store.plan(FOREIGN.id) == with_curve
        import_all(store, [(FOREIGN, "other.json")])
        assert store.plan(FOREIGN.id).curve == CURVE


def test_another_plan_of_the_same_id_is_refused_and_nothing_is_kept(begun: str) -> None:
    changed = OWN.model_copy(update={"trial": 8})
    with open_store(begun) as store:
        with pytest.raises(StoreError, match=f"already holds another plan '{OWN.id}'"):
            import_all(store, [(FOREIGN, "other.json"), (changed, "changed.json")])
        assert [plan.id for plan in store.plans()] == [OWN.id]
        assert store.studies() == ("quickstart",)


def test_a_curve_that_was_measured_is_kept_with_its_plan(begun: str) -> None:
    measured = OWN.model_copy(update={"curve": CURVE})
    with open_store(begun) as store:
        keep_curve(store, measured)
        assert store.plan() == measured
        store.save_plan(OWN)
        assert store.plan() == measured
        with pytest.raises(StoreError, match="holds no plan"):
            keep_curve(store, FOREIGN)


def test_the_newest_plan_of_every_study_is_what_is_chosen_among(begun: str) -> None:
    older = build_plan(id="quickstart-000001", created_s=OWN.created_s - 10)
    with open_store(begun) as store:
        store.save_plan(older)
        import_all(store, [(FOREIGN, "other.json")])
        assert newest_plans(store) == [FOREIGN, OWN]
        assert newest_plans(store, ["quickstart"]) == [FOREIGN, OWN]
        assert newest_plans(store, [f"quickstart{AT}feedfacecafe"]) == [FOREIGN]
        with pytest.raises(StoreError, match="holds no plan of a study 'quickstar'") as caught:
            newest_plans(store, ["quickstar"])
        assert "quickstart" in caught.value.remedy


def test_a_report_of_an_imported_plan_shows_no_trials_of_a_study_of_the_same_name(
    begun: str, measured: TrialRecord
) -> None:
    with open_store(begun) as store:
        store.record_trial(replace(measured, ended_s=OWN.created_s - 1))
        import_all(store, [(FOREIGN, "other.json")])
        assert gather(FOREIGN, store).trials == ()
        assert len(gather(OWN, store).trials) == 1


def test_the_longest_names_fit_into_the_column() -> None:
    plan = build_plan(study={"name": "s" * 64, "spec": {}})
    assert len(imported_study(plan).name) == STUDY_LETTERS


def test_a_store_from_before_imports_is_read_as_it_is(path: Path, url: str) -> None:
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript((Path(__file__).parent / "assets" / "v3.sql").read_text())
    before = path.read_bytes()
    with read_store(url) as store:
        (summary,) = store.plans()
        assert summary.origin == ""
        assert store.plan().id == summary.id
        assert store.origin(summary.id) == ""
    assert path.read_bytes() == before
