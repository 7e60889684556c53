"""An order: one run of one configuration, as a host is asked for it.

As JSON it is one object, so that a host may be another process or another machine:

```
{"schema": "autotune.order/2", "id": "quickstart-7", "study": "quickstart", "purpose": "search", "launch": 7,
 "configuration": {"instances": 2, ...}, ...}
```
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any, Final, Literal, cast

from autotune.errors import StudyError
from autotune.measurement.correction import UNCORRECTED, Correction
from autotune.placement.placement import Command
from autotune.spec.configuration import Configuration
from autotune.trial.stopping import Rival

if TYPE_CHECKING:
    from pydantic import TypeAdapter

SCHEMA: Final = "autotune.order/2"

Purpose = Literal["search", "confirm"]
"""`search`: measured for as long as the decision about it needs; `confirm`: for as long as every other."""


@dataclass(frozen=True)
class Order:
    """Whatever one run needs beside the set-up study.

    Attributes:
        id: the same for the same run, wherever and however often it is begun.
        study: name of the study.
        launch: number of this launch in its study, 1 or more: each has arrivals of its own.
        rival: the best configuration so far, to race against; None = no race.
        correction: what the study has learned of how conditions move values.
        max_measuring_s: no further block is begun after so long; None = as long as it takes.
        start_rate_per_s: of scenario `server`, where to begin; None = by the time of a request.
        is_fixed_rate: measure at that rate for one block, and look for no other.
        preparation_s: about how long its artifact takes to prepare, as far as that is known.
        commands: what starts the instances, as it is stored; empty = as the host makes them.
    """

    id: str
    study: str
    configuration: Configuration
    purpose: Purpose
    launch: int
    rival: Rival | None = None
    correction: Correction = UNCORRECTED
    max_measuring_s: float | None = None
    start_rate_per_s: float | None = None
    preparation_s: float | None = None
    commands: tuple[Command, ...] = ()
    is_fixed_rate: bool = False

    def to_json(self) -> dict[str, Any]:
        """Write it as a JSON object."""
        return {"schema": SCHEMA, **cast(dict[str, Any], _adapter().dump_python(self, mode="json"))}

    @classmethod
    def from_json(cls, document: object) -> Order:
        """Read what `to_json` writes.

        Raises:
            StudyError: it is wrong, or of an unknown version.
        """
        from pydantic import ValidationError

        if not isinstance(document, dict) or document.get("schema") != SCHEMA:
            schema = document.get("schema") if isinstance(document, dict) else document
            raise StudyError(
                f"an order has the schema {str(schema)[:80]!r} instead of {SCHEMA!r}",
                remedy="have coordinator and hosts run the same version of autotune",
            )
        try:
            return _adapter().validate_python(
                {key: value for key, value in document.items() if key != "schema"}
            )
        except ValidationError as error:
            first = error.errors(include_url=False)[0]
            path = ".".join(str(part) for part in first["loc"])
            raise StudyError(
                f"an order is wrong at {path or 'its top'}: {first['msg']}, not {first['input']!r:.80}",
                remedy="have coordinator and hosts run the same version of autotune",
            ) from error


@cache
def _adapter() -> TypeAdapter[Order]:
    from pydantic import TypeAdapter

    return TypeAdapter(Order)
