from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import optuna
import pytest
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection
from sqlalchemy.dialects import postgresql
from sqlalchemy.schema import CreateTable

from autotune.measurement.measurement import Failure, Measurement
from autotune.store.store import open_store, read_store
from autotune.store.tables import REVISIONS, VERSION_TABLE, metadata

ASSETS = sorted((Path(__file__).parent / "assets").glob("v*.sql"))


def ours(_: object, name: str | None, kind: str, *rest: object) -> bool:
    return kind != "table" or (name or "").startswith("autotune_")


def differences(connection: Connection) -> list[object]:
    options = {"version_table": VERSION_TABLE, "include_object": ours, "compare_type": True}
    return list(compare_metadata(MigrationContext.configure(connection, opts=options), metadata))


def test_the_known_versions_are_alembics() -> None:
    config = Config()
    config.set_main_option("script_location", "autotune.store:migrations")
    history = [script.revision for script in ScriptDirectory.from_config(config).walk_revisions()]
    assert tuple(reversed(history)) == REVISIONS


def test_the_migrations_make_exactly_the_tables_that_the_code_uses(url: str) -> None:
    with open_store(url) as store:
        store.optuna_storage()
        with store.transaction() as connection:
            assert differences(connection) == []


def test_every_version_is_kept_as_an_asset() -> None:
    assert [path.stem for path in ASSETS] == [f"v{int(revision)}" for revision in REVISIONS]


@pytest.mark.parametrize("asset", ASSETS, ids=lambda path: path.stem)
def test_a_store_of_every_version_is_brought_up_to_date_and_read(path: Path, url: str, asset: Path) -> None:
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript(asset.read_text())
    with open_store(url) as store, store.transaction() as opened:
        assert differences(opened) == []
    with read_store(url) as store:
        assert [plan.id for plan in store.plans()] == ["quickstart-7f3a9c"]
        assert store.plan().configuration.instances == 2
        measured, failed = store.trials("quickstart")
        assert isinstance(measured.result, Measurement)
        assert isinstance(failed.result, Failure)
        record = store.find_study("quickstart")
        assert record is not None
        assert record.model_source == "fake:model.json"
        hosts = {record.host for record in store.trials("quickstart")}
        hosts |= {record.host for record in store.confirmations("quickstart")}
        assert hosts == ({"a-host"} if asset.stem not in ("v1", "v2") else {""})
        runs = [(run.round, run.contender, run.score) for run in store.confirmations("quickstart")]
        assert runs == ([] if asset.stem == "v1" else [(1, "trial 0", 158.0), (1, "baseline", None)])
    with open_store(url) as store:
        study = optuna.load_study(storage=store.optuna_storage(), study_name="quickstart")
        assert study.best_value == 160.0


def test_a_store_from_before_hosts_had_names_is_read_without_changing_it(path: Path, url: str) -> None:
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript((Path(__file__).parent / "assets" / "v2.sql").read_text())
    before = path.read_bytes()
    with read_store(url) as store:
        measured, failed = store.trials("quickstart")
        assert (measured.host, failed.host) == ("", "")
        assert [run.host for run in store.confirmations("quickstart")] == ["", ""]
        assert [summary.number for summary in store.trial_summaries("quickstart")] == [0, 1]
        assert [plan.id for plan in store.plans()] == ["quickstart-7f3a9c"]
    assert path.read_bytes() == before


def test_opening_again_changes_nothing(path: Path, url: str) -> None:
    with open_store(url) as store:
        store.optuna_storage()
    before = path.read_bytes()
    with open_store(url) as store:
        store.optuna_storage()
    assert path.read_bytes() == before


@pytest.mark.parametrize("table", metadata.sorted_tables, ids=lambda table: table.name)
def test_the_tables_can_be_made_in_postgresql(table: object) -> None:
    statement = str(CreateTable(table).compile(dialect=postgresql.dialect()))  # type: ignore[arg-type, no-untyped-call]
    assert "DOUBLE PRECISION" in statement
