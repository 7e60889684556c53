from __future__ import annotations

from dataclasses import replace

from autotune.store.overview import StudySummary, count_studies, study_summaries
from autotune.store.records import StudyRecord, TrialRecord
from autotune.store.store import open_store
from autotune.testing.plans import build_plan


def test_an_empty_store_lists_no_studies(url: str) -> None:
    with open_store(url) as store:
        assert (study_summaries(store), count_studies(store)) == ((), 0)


def test_a_study_is_listed_with_its_counts_and_its_newest_plan(
    url: str, study: StudyRecord, measured: TrialRecord, failed: TrialRecord
) -> None:
    with open_store(url) as store:
        store.create_study(replace(study, spec={"objective": {"kind": "latency"}}))
        store.record_trial(measured)
        store.record_trial(failed)
        for number, plan_id in enumerate(("quickstart-000001", "quickstart-000002")):
            store.save_plan(build_plan(id=plan_id, created_s=float(number), gain=2.0 + number))
        (summary,) = study_summaries(store)
    assert summary == StudySummary(
        name=study.name,
        created_s=study.created_s,
        model_source=study.model_source,
        objective="latency",
        trials=2,
        failed=1,
        last_s=max(measured.ended_s, failed.ended_s),
        plans=2,
        newest_plan="quickstart-000002",
        plan_objective="throughput",
        score=30.0,
        gain=3.0,
    )


def test_studies_are_listed_newest_first_and_by_pages(url: str, study: StudyRecord) -> None:
    with open_store(url) as store:
        for number in range(5):
            store.create_study(replace(study, name=f"study-{number}", created_s=float(number)))
        pages = [study_summaries(store, limit=2, offset=offset) for offset in (0, 2, 4)]
        assert count_studies(store) == 5
    names = [[summary.name for summary in page] for page in pages]
    assert names == [["study-4", "study-3"], ["study-2", "study-1"], ["study-0"]]
    assert pages[0][0].trials == 0
    assert pages[0][0].newest_plan == ""
