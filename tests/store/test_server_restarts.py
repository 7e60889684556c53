"""A database server that is started anew while a store on it is open."""

from __future__ import annotations

import threading

import optuna
import pytest

from autotune.errors import StoreError
from autotune.store.store import open_store
from autotune.testing.store_contract import MEASURED, STUDY
from tests.store.databases import own_postgresql


def test_it_is_waited_for_and_what_ends_meanwhile_is_kept() -> None:
    with own_postgresql() as server, open_store(server.url) as store:
        store.create_study(STUDY)
        study = optuna.create_study(storage=store.optuna_storage(), study_name=STUDY.name)
        trial = study.ask()
        server.stop()
        starting = threading.Timer(1.0, server.start)
        starting.start()
        store.record_trial(MEASURED)
        study.tell(trial, 1.0)
        starting.join()
        assert store.trials(STUDY.name) == (MEASURED,)
        assert [trial.value for trial in study.trials] == [1.0]


def test_one_that_stays_away_is_told_of_and_one_that_never_was_there_at_once() -> None:
    with own_postgresql() as server, open_store(server.url, timeout_s=0.5) as store:
        store.create_study(STUDY)
        server.stop()
        with pytest.raises(StoreError, match="cannot be used"):
            store.record_trial(MEASURED)
        with pytest.raises(StoreError, match="cannot be used"):
            open_store(server.url, timeout_s=600.0)
        server.start()
        store.record_trial(MEASURED)
