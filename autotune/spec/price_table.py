"""Tables of prices: what machine types cost, each entry with its source and its date.

```yaml
prices:
  - {provider: aws, type: c5.12xlarge, vcpus: 48, cores: 24, memory: 96GiB, per_hour: 2.04, currency: USD,
     region: us-east-1, source: "https://...", date: 2026-06-17}
```
"""

from __future__ import annotations

import datetime
import difflib
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Final

from pydantic import AfterValidator, BeforeValidator, Field, ValidationError

from autotune.errors import StudyFileError
from autotune.spec.load import read_text
from autotune.spec.machine_price import MachinePrice
from autotune.spec.part import FAULT, Count, Part, as_tuple, refuse
from autotune.spec.price import Amount, Currency, Day, PriceName
from autotune.spec.reading import Document, read_document
from autotune.spec.refusal import Place, Refusal, study_file_error
from autotune.units import parse_bytes

SHIPPED: Final = Path(__file__).with_name("prices.yaml")
SHIPPED_NAME: Final = "autotune's prices.yaml"
"""What the table that ships is called, wherever it is installed."""

VARIABLE: Final = "AUTOTUNE_PRICES"
"""Names the table that is used where neither the study nor the command line names one."""

HINT: Final = "docs/cost.md says what a table of prices holds; `autotune prices FILE` checks one"
REMEDY: Final = "give the path of a table of prices (YAML, UTF-8); docs/cost.md says what it holds"

MAX_ENTRIES: Final = 1_500


def _is_a_size(text: str) -> str:
    try:
        parse_bytes(text)
    except ValueError as error:
        refuse(str(error))
    return text


class ListedMachine(Part):
    """One machine type in one region, as a table states it."""

    provider: PriceName
    """Who rents it out."""
    type: PriceName
    """What the provider calls it."""
    cores: Count
    """Physical cores."""
    per_hour: Amount
    """What it costs an hour, in units of `currency`."""
    currency: Currency
    """Its code of three letters."""
    source: Annotated[str, Field(min_length=1, max_length=2_000)]
    """Who states the price: the address of a page, or of whom it was got."""
    date: Day
    """When it was stated, as 2021-04-20."""
    vcpus: Count | None = None
    """Hardware threads, as providers count them."""
    memory: Annotated[str, AfterValidator(_is_a_size)] | None = None
    """With its unit, as 96GiB."""
    region: PriceName | None = None
    """Where it costs that."""

    @property
    def name(self) -> str:
        """`aws c5.12xlarge us-east-1`."""
        return " ".join(filter(None, (self.provider, self.type, self.region)))

    @property
    def day(self) -> datetime.date | None:
        """The day of `date`; None where the calendar has none, as 2021-02-30."""
        try:
            return datetime.date.fromisoformat(self.date)
        except ValueError:
            return None


class _Written(Part):
    """A table's file."""

    prices: Annotated[
        tuple[ListedMachine, ...], Field(min_length=1, max_length=MAX_ENTRIES), BeforeValidator(as_tuple)
    ]
    """Machines, each with what it costs."""


@dataclass(frozen=True)
class PriceTable:
    """What machines cost, by a file.

    Attributes:
        name: of the file, as it is printed beside every figure.
    """

    name: str
    machines: tuple[ListedMachine, ...]

    def price_of(self, type: str, *, provider: str = "", region: str = "") -> MachinePrice:
        """Give what a machine type costs.

        Raises:
            StudyFileError: there is none of that name, or several: names the nearest, or the regions.
        """
        machine = self.find(type, provider=provider, region=region)
        return MachinePrice(
            machine.currency, machine.per_hour, machine.cores, machine.name, self.name, machine.date
        )

    def find(self, type: str, *, provider: str = "", region: str = "") -> ListedMachine:
        """Give the entry of a machine type, or of that name; raises as `price_of` does."""
        named = [machine for machine in self.machines if machine.name == type]
        if named and not provider and not region:
            return named[0]
        of_type = [machine for machine in self.machines if machine.type == type]
        if not of_type:
            raise StudyFileError(
                f"{self.name} has no machine type {type!r}", path="price.type", remedy=self._nearest(type)
            )
        fitting = [
            machine
            for machine in of_type
            if provider in ("", machine.provider) and region in ("", machine.region or "")
        ]
        if len(fitting) == 1:
            return fitting[0]
        asked = " ".join(filter(None, (provider, type, region)))
        there = ", ".join(machine.name for machine in fitting or of_type)
        if fitting:
            raise StudyFileError(
                f"{self.name} has {len(fitting)} prices of {asked!r}",
                path="price.region",
                remedy=f"name one as it is listed, in the place of the type: there are {there}",
            )
        raise StudyFileError(
            f"{self.name} has no price of {asked!r}", path="price.region", remedy=f"there are {there}"
        )

    def _nearest(self, type: str) -> str:
        names = list(dict.fromkeys(machine.type for machine in self.machines))
        near = difflib.get_close_matches(type, names, n=1, cutoff=0.5)
        meant = f"did you mean {near[0]}? " if near else ""
        return f"{meant}`autotune prices` lists what there is; --prices FILE names a table of your own"


def read_prices(path: Path) -> PriceTable:
    """Read a table of prices.

    Raises:
        StudyFileError: it cannot be read, or an entry is wrong: names the file, the line and the value.
    """
    name = SHIPPED_NAME if path == SHIPPED else str(path)
    text = read_text(path, remedy=REMEDY)
    if not any(line.strip() and not line.lstrip().startswith("#") for line in text.splitlines()):
        raise study_file_error(name, [Refusal((), 0, "there is nothing in it: write `prices`")], hint=HINT)
    return price_table_of(read_document(text, file=name, hint=HINT), name)


def price_table_of(document: Document, name: str) -> PriceTable:
    """Give the table of prices that a document holds; `name` is printed beside every figure.

    Raises:
        StudyFileError: an entry is wrong: names the table, the line and the value.
    """
    if not isinstance(document.data, dict):
        fault = "this is no table of prices: write `prices:` and a list of machines below it"
        raise study_file_error(name, [Refusal((), document.line(()), fault)], hint=HINT)
    try:
        machines = _Written.model_validate(document.data).prices
    except ValidationError as error:
        raise study_file_error(name, _refusals(document, error), hint=HINT) from None
    if refusals := [*_repeated(document, machines), *_unlikely(document, machines)]:
        raise study_file_error(name, refusals, hint=HINT)
    return PriceTable(name, machines)


def table_for(given: Path | None, environment: Mapping[str, str] = os.environ) -> PriceTable:
    """Read the table that is named, else the one that AUTOTUNE_PRICES names, else the one that ships.

    Raises:
        StudyFileError: it is wrong, see `read_prices`.
    """
    named = environment.get(VARIABLE, "")
    return read_prices(given or (Path(named) if named else SHIPPED))


def _repeated(document: Document, machines: Sequence[ListedMachine]) -> Iterator[Refusal]:
    """Every entry of which another one before states the price."""
    first: dict[str, int] = {}
    for index, machine in enumerate(machines):
        place: Place = ("prices", index)
        line = document.line(place)
        if machine.name in first:
            fault = f"{machine.name!r} is there twice, first on line {first[machine.name]}: keep the newer"
            yield Refusal(place, line, fault)
        first.setdefault(machine.name, line)


def _unlikely(document: Document, machines: Sequence[ListedMachine]) -> Iterator[Refusal]:
    """Every value that no provider can have stated: columns are mistaken for each other, or digits wrong."""
    latest = datetime.datetime.now(datetime.UTC).date() + datetime.timedelta(days=1)
    for index, machine in enumerate(machines):
        if machine.vcpus is not None and machine.vcpus < machine.cores:
            fault = (
                f"{machine.vcpus} vCPUs are fewer than {machine.cores} cores: a core has one or two of them"
            )
            yield _refusal(document, index, "vcpus", fault)
        if not (day := machine.day) or day > latest:
            kind = "in the future" if day else "no day of the calendar"
            yield _refusal(
                document, index, "date", f"{machine.date} is {kind}: write when the price was stated"
            )


def _refusal(document: Document, index: int, key: str, fault: str) -> Refusal:
    place: Place = ("prices", index, key)
    return Refusal(place, document.line(place), fault)


def _refusals(document: Document, error: ValidationError) -> Iterator[Refusal]:
    for fault in error.errors(include_url=False):
        if fault["type"] == "too_short" and fault["input"]:
            continue  # pydantic counts the entries that are right; the others are told of already
        place: Place = (*fault["loc"], *fault.get("ctx", {}).get("at", ()))
        yield Refusal(place, document.line(place), _fault(document, place, fault))


def _fault(document: Document, place: Place, fault: Any) -> str:
    """What is wrong at a place, with the value in it and what belongs there."""
    key, known = str(place[-1]), _ENTRIES if len(place) > 1 else _Written.model_fields
    if fault["type"] == FAULT:
        return str(fault["ctx"]["fault"])
    if fault["type"] == "extra_forbidden":
        near = difflib.get_close_matches(key, known, n=1)
        meant = f" (did you mean {near[0]}?)" if near else ""
        return f"{key!r} is not known here{meant}: known are {', '.join(known)}"
    meaning = known[key].description if key in known else "an entry is a mapping, see docs/cost.md"
    if fault["type"] == "missing":
        return f"missing: {meaning}"
    written = document.written.get(place)
    told = "what is written" if written is None else written.text
    return f"{told} is not allowed: {meaning} {fault['msg']}"


_ENTRIES = ListedMachine.model_fields
