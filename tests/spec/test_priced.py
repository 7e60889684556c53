"""What a study's machine costs, looked up in a table."""

from __future__ import annotations

from pathlib import Path

import pytest

from autotune.errors import StudyFileError
from autotune.spec.load import parse_study
from autotune.spec.price import Price
from autotune.spec.price_table import SHIPPED_NAME
from autotune.spec.priced import priced
from autotune.spec.study import StudySpec

TABLE = """\
prices:
  - {provider: acme, type: small, cores: 8, per_hour: 0.8, currency: EUR, source: a letter, date: 2026-01-31}
"""


def study(price: str) -> StudySpec:
    return parse_study(
        "model: random:distilbert-base\n"
        "problem: {batch_size: 8, sequence_length: 128}\n"
        f"objective: cost\nprice: {price}\n",
        name="cheap",
    )


def test_a_study_that_names_a_type_has_what_the_table_says(tmp_path: Path) -> None:
    (tmp_path / "prices.yaml").write_text(TABLE)
    spec = priced(study("{type: small, table: prices.yaml}"), base=tmp_path)
    assert spec.price == Price(
        per_hour=0.8,
        cores=8,
        currency="EUR",
        type="small",
        provider="acme",
        table="prices.yaml",
        date="2026-01-31",
    )
    assert spec.price.machine.source_in_words == "acme small in prices.yaml, 2026-01-31"
    assert spec.price.of_core_hour == pytest.approx(0.1)
    assert Price.model_validate(spec.price.model_dump(mode="json")) == spec.price


def test_the_table_of_the_study_wins_over_the_command_lines_and_that_over_the_shipped(tmp_path: Path) -> None:
    (tmp_path / "prices.yaml").write_text(TABLE)
    mine = tmp_path / "mine.yaml"
    mine.write_text(TABLE.replace("0.8", "0.4").replace("small", "8-cores"))
    shipped = priced(study("{type: 8-cores}")).price
    own = priced(study("{type: 8-cores}"), prices=mine).price
    named = priced(study("{type: small, table: prices.yaml}"), base=tmp_path, prices=mine).price
    assert shipped is not None
    assert own is not None
    assert named is not None
    assert (shipped.per_hour, shipped.table) == (0.808, SHIPPED_NAME)
    assert (own.per_hour, own.table) == (0.4, str(mine))
    assert (named.per_hour, named.table) == (0.8, "prices.yaml")


def test_a_price_that_is_written_out_is_not_looked_up() -> None:
    written = study("{per_hour: 4.848, cores: 48}")
    assert priced(written, prices=Path("/nowhere")) is written
    assert written.price is not None
    assert written.price.machine.source_in_words == "the study file"


def test_currencies_that_differ_are_refused(tmp_path: Path) -> None:
    (tmp_path / "prices.yaml").write_text(TABLE)
    with pytest.raises(StudyFileError, match="states acme small in EUR, not in USD") as refused:
        priced(study("{type: small, table: prices.yaml, currency: USD}"), base=tmp_path)
    assert "no rates of exchange" in refused.value.remedy


@pytest.mark.parametrize(
    ("price", "fault"),
    [
        ("{type: small, cores: 8}", "the table says how many cores small has"),
        ("{table: prices.yaml}", "`table` belongs to a type|missing: what cores cost"),
        ("{per_core_hour: 0.1, type: small}", "a price is stated once"),
        ("{per_core_hour: 0.1, region: east}", "`region` belongs to a type"),
        ("{type: ''}", "is not allowed"),
        ("{typ: small}", "did you mean type"),
    ],
)
def test_a_price_that_says_two_things_is_refused(price: str, fault: str) -> None:
    with pytest.raises(StudyFileError, match=fault):
        study(price)
