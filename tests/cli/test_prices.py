"""`autotune prices`: lists and checks a table."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from autotune.cli.main import run

TABLE = """\
prices:
  - {provider: acme, type: small, cores: 8, per_hour: 0.8, currency: EUR, source: a letter, date: 2026-01-31}
"""


def prices(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int:
    monkeypatch.setattr(sys, "argv", ["autotune", "prices", *arguments])
    return run()


@pytest.fixture
def table(tmp_path: Path) -> Path:
    path = tmp_path / "prices.yaml"
    path.write_text(TABLE)
    return path


def test_a_table_is_listed_with_its_name_and_every_date(
    table: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert prices(monkeypatch, str(table)) == 0
    title, columns, row = capsys.readouterr().out.splitlines()
    assert title == f"prices by {table}"
    assert columns.split()[0] == "type"
    assert "small" in row
    assert "0.8 EUR" in row
    assert "0.1 EUR" in row
    assert "2026-01-31" in row
    assert "a letter" in row


def test_the_table_in_use_is_listed_where_none_is_named(
    table: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("AUTOTUNE_PRICES", raising=False)
    assert prices(monkeypatch, "--json") == 0
    shipped = json.loads(capsys.readouterr().out)
    assert shipped["schema"] == "autotune.prices/1"
    assert {machine["type"] for machine in shipped["machines"]} >= {"48-cores", "8-cores"}
    monkeypatch.setenv("AUTOTUNE_PRICES", str(table))
    assert prices(monkeypatch, "--json") == 0
    own = json.loads(capsys.readouterr().out)
    assert own["table"] == str(table)
    assert own["machines"][0]["per_core_hour"] == pytest.approx(0.1)


def test_a_wrong_table_ends_with_its_line_and_the_exit_code_of_files(
    table: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    table.write_text(TABLE.replace("0.8", "free"))
    assert prices(monkeypatch, str(table)) == 4
    told = capsys.readouterr()
    assert f"({table}, line 2)" in told.err
    assert "free is not allowed" in told.err
    assert told.out == ""
