"""Tables of prices: what they hold, and what is said of those that are wrong."""

from __future__ import annotations

from pathlib import Path

import pytest

from autotune.errors import StudyFileError
from autotune.spec.machine_price import MachinePrice
from autotune.spec.price_table import SHIPPED, SHIPPED_NAME, VARIABLE, read_prices, table_for

TABLE = """\
prices:
  - {provider: acme, type: big, vcpus: 96, cores: 48, memory: 192GiB, per_hour: 4.8, currency: USD,
     region: east, source: "https://acme.example/prices", date: 2026-01-31}
  - {provider: acme, type: big, cores: 48, per_hour: 5, currency: EUR,
     region: west, source: "https://acme.example/prices", date: 2026-01-31}
  - {provider: acme, type: small, cores: 8, per_hour: 0.8, currency: USD, source: a letter, date: 2026-01-31}
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    file = tmp_path / "prices.yaml"
    file.write_text(TABLE)
    return file


def test_a_type_has_its_price_with_table_and_date(path: Path) -> None:
    table = read_prices(path)
    assert table.price_of("small") == MachinePrice("USD", 0.8, 8, "acme small", str(path), "2026-01-31")
    assert table.price_of("big", region="west") == MachinePrice(
        "EUR", 5.0, 48, "acme big west", str(path), "2026-01-31"
    )
    assert table.price_of("small").source_in_words == f"acme small in {path}, 2026-01-31"
    assert table.price_of("small").of_core_hour == pytest.approx(0.1)


def test_the_table_that_ships_is_read_and_every_entry_has_source_and_date() -> None:
    table = read_prices(SHIPPED)
    assert table.name == SHIPPED_NAME
    assert all(machine.source.startswith("https://") and machine.date for machine in table.machines)


def test_a_sixth_is_paid_where_the_small_machine_meets_the_target() -> None:
    """48 cores at 4.848 USD an hour against 8 at 0.808: the arithmetic of the source on scaling."""
    table = read_prices(SHIPPED)
    large, small = table.price_of("48-cores"), table.price_of("8-cores")
    assert (large.cores, large.per_hour) == (48, 4.848)
    assert (small.cores, small.per_hour) == (8, 0.808)
    assert small.per_hour / large.per_hour == pytest.approx(1 / 6)
    assert small.of_core_hour == pytest.approx(large.of_core_hour)


def test_the_users_own_table_wins(path: Path, tmp_path: Path) -> None:
    mine = tmp_path / "mine.yaml"
    mine.write_text(TABLE.replace("0.8,", "0.7,"))
    assert table_for(None, {}).name == SHIPPED_NAME
    assert table_for(None, {VARIABLE: str(path)}).name == str(path)
    assert table_for(mine, {VARIABLE: str(path)}).price_of("small").per_hour == 0.7


def test_an_unknown_type_names_the_nearest(path: Path) -> None:
    with pytest.raises(StudyFileError) as refused:
        read_prices(path).price_of("smal")
    assert f"price.type: {path} has no machine type 'smal'" in str(refused.value)
    assert "did you mean small?" in refused.value.remedy


def test_a_type_with_several_prices_asks_for_the_region(path: Path) -> None:
    with pytest.raises(StudyFileError, match="has 2 prices of 'big'") as several:
        read_prices(path).price_of("big")
    assert "acme big east, acme big west" in several.value.remedy
    with pytest.raises(StudyFileError, match="has no price of 'big north'") as none:
        read_prices(path).price_of("big", region="north")
    assert "acme big east, acme big west" in none.value.remedy


def test_a_machine_may_be_named_as_it_is_listed(path: Path) -> None:
    """Also one without a region beside others with one, which no region could name."""
    path.write_text(TABLE.replace("     region: west, ", "     "))
    table = read_prices(path)
    assert table.price_of("acme big east").per_hour == 4.8
    assert table.price_of("acme big").per_hour == 5
    assert table.price_of("acme small") == table.price_of("small")


@pytest.mark.parametrize(
    ("old", "new", "fault"),
    [
        ("per_hour: 0.8", "per_hour: 0", "line 6"),
        ("per_hour: 0.8", "per_hour: 0", "0 is not allowed: What it costs an hour"),
        ("per_hour: 0.8", "per_hour: -3.5", "-3.5 is not allowed"),
        ("per_hour: 0.8", "per_hour: cheap", "cheap is not allowed"),
        ("per_hour: 0.8", "per_hour: .inf", ".inf"),
        ("per_hour: 0.8, ", "", "missing: What it costs an hour"),
        ("per_hour: 0.8", "per_hours: 0.8", "'per_hours' is not known here (did you mean per_hour?)"),
        ("currency: USD, source", "currency: dollars, source", "dollars is not allowed: Its code of three"),
        ("cores: 8,", "cores: 0,", "0 is not allowed: Physical cores."),
        ("date: 2026-01-31}\n", "date: yesterday}\n", "yesterday is not allowed: When it was stated"),
        ("memory: 192GiB", "memory: much", "'much' is not a size"),
        ("region: west", "region: east", "'acme big east' is there twice, first on line 2"),
        ("prices:\n", "costs:\n", "'costs' is not known here"),
        (TABLE, "", "there is nothing in it: write `prices`"),
        (TABLE, "# nothing\n", "there is nothing in it: write `prices`"),
        (TABLE, "- a\n", "this is no table of prices"),
        (TABLE, "prices: []\n", "an empty list is not allowed"),
        (TABLE, "prices: [a]\n", "a is not allowed: an entry is a mapping"),
        (TABLE, "prices: {a: b\n", "this is not YAML"),
        (TABLE, "prices: &a []\n", "&a is an anchor: write the value out"),
        ("vcpus: 96, cores: 48", "vcpus: 48, cores: 96", "48 vCPUs are fewer than 96 cores"),
        ("2026-01-31}\n", "2999-01-31}\n", "2999-01-31 is in the future"),
        ("2026-01-31}\n", "2026-02-31}\n", "2026-02-31 is no day of the calendar"),
    ],
)
def test_what_is_wrong_with_a_table_is_said_with_file_line_and_value(
    path: Path, old: str, new: str, fault: str
) -> None:
    assert old in TABLE
    path.write_text(TABLE.replace(old, new))
    with pytest.raises(StudyFileError) as refused:
        read_prices(path)
    assert fault in str(refused.value)
    assert str(path) in str(refused.value)
    assert "docs/cost.md" in refused.value.remedy


def test_a_table_that_is_not_there_says_so(tmp_path: Path) -> None:
    with pytest.raises(StudyFileError, match="does not exist") as refused:
        read_prices(tmp_path / "none.yaml")
    assert "table of prices" in refused.value.remedy
