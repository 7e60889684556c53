from __future__ import annotations

import sqlite3
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from urllib.parse import unquote

import optuna
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import event

from autotune.errors import StoreError
from autotune.measurement.measurement import Failure, FailureKind
from autotune.spec.configuration import POLICIES, PRECISIONS, Configuration
from autotune.store.records import ConfirmationRecord, StudyRecord, TrialRecord
from autotune.store.store import StudyStore, open_store, read_store
from autotune.testing.plans import build_default, build_plan

finite = st.floats(allow_nan=False, allow_infinity=False)


def test_summaries_are_the_trials_without_their_raw_values(
    url: str, study: StudyRecord, measured: TrialRecord, failed: TrialRecord
) -> None:
    with open_store(url) as store:
        store.create_study(study)
        store.record_trial(measured)
        store.record_trial(failed)
        first, second = store.trial_summaries(study.name)
    assert (first.score, first.failure, first.violations) == (160.0, None, {"latency_p99_s": -0.5})
    assert (second.score, second.failure, second.baseline) == (None, "crash", True)
    assert first.configuration == measured.configuration


configurations = st.builds(
    Configuration,
    instances=st.integers(1, 512),
    threads_per_instance=st.integers(0, 512),
    placement=st.sampled_from([*POLICIES, "unpinned"]),
    sockets=st.sampled_from(["0", "0-1", "0,2"]),
    smt=st.booleans(),
    backend=st.text(min_size=1),
    precision=st.sampled_from(PRECISIONS),
)
trials = st.builds(
    TrialRecord,
    study=st.just("s"),
    number=st.integers(0, 2**31 - 1),
    configuration=configurations,
    baseline=st.booleans(),
    started_s=finite,
    ended_s=finite,
    result=st.builds(Failure, st.sampled_from(FailureKind), st.text(), st.text()),
    score=st.none() | finite,
    violations=st.dictionaries(st.text(), finite, max_size=3),
)


@settings(max_examples=30, deadline=None)
@given(trial=trials)
def test_any_trial_comes_back_as_it_was(tmp_path_factory: pytest.TempPathFactory, trial: TrialRecord) -> None:
    with open_store(f"sqlite:///{tmp_path_factory.mktemp('any')}/x.db") as store:
        store.create_study(StudyRecord("s", 0.0, {}, {}, {}, "d", "m"))
        store.record_trial(trial)
        assert store.trials("s") == (trial,)


def test_a_trial_of_an_unknown_study_names_the_near_one(
    url: str, study: StudyRecord, measured: TrialRecord
) -> None:
    with open_store(url) as store:
        store.create_study(study)
        with pytest.raises(StoreError, match="did you mean quickstart"):
            store.record_trial(replace(measured, study="quikstart"))


def test_a_damaged_result_is_refused(url: str, path: Path, study: StudyRecord, measured: TrialRecord) -> None:
    with open_store(url) as store:
        store.create_study(study)
        store.record_trial(measured)
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("UPDATE autotune_trials SET result = ?", ['{"schema": "autotune.measurement/9"}'])
        connection.commit()
    with read_store(url) as store, pytest.raises(StoreError, match=r"autotune\.measurement/9"):
        store.trials(study.name)


def test_runs_of_confirmations_come_back_in_the_order_in_which_they_were_run(
    url: str, study: StudyRecord, confirmed: ConfirmationRecord, failed: TrialRecord
) -> None:
    second = replace(confirmed, position=2, contender="baseline", result=failed.result, score=None)
    later_round = replace(confirmed, round=2)
    later_series = replace(confirmed, series=2)
    with open_store(url) as store:
        store.create_study(study)
        store.create_study(replace(study, name="other"))
        for record in (later_series, later_round, second, confirmed):
            store.record_confirmation(record)
    with read_store(url) as store:
        assert store.confirmations(study.name) == (confirmed, second, later_round, later_series)
        assert store.confirmations(study.name, series=2) == (later_series,)
        assert store.confirmations(study.name, series=3) == ()
        assert store.confirmations("other") == ()
        assert (store.count_confirmations(study.name), store.count_confirmations("other")) == (4, 0)


def test_a_run_of_a_confirmation_is_recorded_once(
    url: str, study: StudyRecord, confirmed: ConfirmationRecord
) -> None:
    with open_store(url) as store:
        store.create_study(study)
        store.record_confirmation(confirmed)
        with pytest.raises(StoreError, match="already has a run 1 in round 1"):
            store.record_confirmation(replace(confirmed, contender="twin"))
        assert store.confirmations(study.name) == (confirmed,)


def test_confirmations_of_an_unknown_study_name_the_near_one(
    url: str, study: StudyRecord, confirmed: ConfirmationRecord
) -> None:
    with open_store(url) as store:
        store.create_study(study)
        with pytest.raises(StoreError, match="did you mean quickstart"):
            store.record_confirmation(replace(confirmed, study="quikstart"))
        with pytest.raises(StoreError, match="did you mean quickstart"):
            store.confirmations("quikstart")


def test_optuna_and_our_tables_share_the_file(url: str, path: Path, study: StudyRecord) -> None:
    with open_store(url) as store:
        store.create_study(study)
        proposed = optuna.create_study(storage=store.optuna_storage(), study_name=study.name)
        proposed.tell(proposed.ask({"x": optuna.distributions.IntDistribution(1, 4)}), 1.0)
        assert store.optuna_storage() is store.optuna_storage()
    with open_store(url) as store:
        loaded = optuna.load_study(storage=store.optuna_storage(), study_name=study.name)
        assert [trial.value for trial in loaded.trials] == [1.0]
        assert store.studies() == (study.name,)
    assert [entry.name for entry in path.parent.iterdir()] == [path.name]


def test_a_database_with_optunas_tables_only_gets_ours(url: str, study: StudyRecord) -> None:
    storage = optuna.storages.RDBStorage(url)
    optuna.create_study(storage=storage, study_name="theirs")
    storage.remove_session()
    storage.engine.dispose()
    with open_store(url) as store:
        store.create_study(study)
        assert [found.study_name for found in optuna.get_all_study_summaries(store.optuna_storage())] == [
            "theirs"
        ]


@pytest.mark.parametrize("name", ["{}.db", "{SCHEMA_VERSION}.db", "a b%20é'.db", "100%.db", "#x", "a%3Fb%23"])
def test_optuna_and_we_mean_the_same_file_whatever_its_name(tmp_path: Path, name: str) -> None:
    url = f"sqlite:///{tmp_path / name}"
    with open_store(url) as store:
        optuna.create_study(storage=store.optuna_storage(), study_name="s")
    with read_store(url) as store:
        assert store.studies() == ()
    assert [entry.name for entry in tmp_path.iterdir()] == [unquote(name)]


def test_a_relative_url_is_relative_to_the_working_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    open_store().close()
    assert (tmp_path / "autotune.db").is_file()


def save_three_plans(store: StudyStore, study: StudyRecord) -> None:
    store.create_study(study)
    store.create_study(replace(study, name="other"))
    store.save_plan(build_plan(id="quickstart-aaa111", created_s=1.0))
    store.save_plan(build_plan(id="quickstart-aab222", created_s=3.0, gain=None, baseline=None))
    store.save_plan(build_plan(id="other-ccc333", created_s=2.0, study={"name": "other", "spec": {}}))


def test_plans_are_listed_newest_first_with_what_a_table_shows(url: str, study: StudyRecord) -> None:
    with open_store(url) as store:
        save_three_plans(store, study)
    with read_store(url) as store:
        listed = store.plans()
        assert [plan.id for plan in listed] == ["quickstart-aab222", "other-ccc333", "quickstart-aaa111"]
        assert [plan.study for plan in listed] == ["quickstart", "other", "quickstart"]
        assert [plan.gain for plan in listed] == [None, 3.0, 3.0]
        assert {plan.score for plan in listed} == {30.0}
        assert listed[0].configuration == build_plan().configuration
        assert [plan.id for plan in store.plans("other")] == ["other-ccc333"]
        with pytest.raises(StoreError, match="no study 'othr'"):
            store.plans("othr")


def test_a_plan_whose_baseline_is_out_is_listed_without_a_gain(url: str, study: StudyRecord) -> None:
    """Older plans state a ratio to a baseline that failed or misses a limit."""
    plan = build_plan()
    default = build_default(ratio=None, ratio_range=None, said="out", missed="misses a limit")
    done = plan.confirmation.model_copy(update={"verdict": "unopposed", "default": default})
    with open_store(url) as store:
        store.create_study(study)
        store.save_plan(plan.model_copy(update={"confirmation": done}))
        (listed,) = store.plans()
    assert (listed.gain, listed.default_ratio) == (None, None)


def test_a_plan_beside_which_a_better_default_may_be_is_listed_without_a_ratio(
    url: str, study: StudyRecord
) -> None:
    plan = build_plan()
    default = build_default(unseen=(plan.configuration,))
    done = plan.confirmation.model_copy(update={"default": default})
    with open_store(url) as store:
        store.create_study(study)
        saved = plan.model_copy(update={"confirmation": done})
        store.save_plan(saved)
        (listed,) = store.plans()
        assert store.plan(saved.id) == saved
    assert listed.default_ratio is None
    assert listed.gain == plan.gain


@pytest.mark.parametrize(
    ("ref", "expected"),
    [
        ("latest", "quickstart-aab222"),
        ("quickstart-aaa111", "quickstart-aaa111"),
        ("quickstart-aaa", "quickstart-aaa111"),
        ("oth", "other-ccc333"),
        ("other", "other-ccc333"),
        ("quickstart", "quickstart-aab222"),
    ],
)
def test_a_plan_is_found_by_every_kind_of_reference(
    url: str, study: StudyRecord, ref: str, expected: str
) -> None:
    with open_store(url) as store:
        save_three_plans(store, study)
        assert store.plan(ref).id == expected


@pytest.mark.parametrize(
    ("ref", "message"),
    [
        ("quickstart-aa", "2 plans begin with"),
        ("quickstart-aaa112", "did you mean quickstart-aaa111"),
        ("quickstat", "did you mean quickstart"),
        ("%", "no plan '%'"),
        ("", "no plan ''"),
    ],
)
def test_a_reference_without_one_answer_names_the_near_ones(
    url: str, study: StudyRecord, ref: str, message: str
) -> None:
    with open_store(url) as store:
        save_three_plans(store, study)
        with pytest.raises(StoreError, match=message):
            store.plan(ref)


def test_an_empty_store_says_so(url: str) -> None:
    with open_store(url) as store, pytest.raises(StoreError, match="holds no plans"):
        store.plan("latest")


def test_a_plan_comes_back_as_it_was_and_can_be_saved_again(url: str, study: StudyRecord) -> None:
    plan = build_plan()
    with open_store(url) as store:
        store.create_study(study)
        store.save_plan(plan)
        store.save_plan(plan)
        assert store.plan(plan.id) == plan
        with pytest.raises(StoreError, match="another plan"):
            store.save_plan(build_plan(trial=8))
        with pytest.raises(StoreError, match="no study"):
            store.save_plan(build_plan(id="x-1", study={"name": "unknown"}))


def test_listings_never_read_raw_values(url: str, study: StudyRecord, measured: TrialRecord) -> None:
    with open_store(url) as store:
        store.create_study(study)
        store.record_trial(measured)
        store.save_plan(build_plan())
        statements: list[str] = []

        with store.transaction() as connection:
            event.listen(connection.engine, "before_cursor_execute", lambda *seen: statements.append(seen[2]))
        assert store.plans()
        assert store.trial_summaries(study.name)
    assert statements
    assert not any(".result" in statement for statement in statements)


def test_a_reader_cannot_write(url: str, study: StudyRecord) -> None:
    open_store(url).close()
    with read_store(url) as store, pytest.raises(StoreError, match="read-only"):
        store.create_study(study)
