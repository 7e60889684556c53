"""What the workers of a launch script were asked to be, as a document beside their fifos."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from pydantic import TypeAdapter, ValidationError

from autotune.errors import PlanError
from autotune.placement.placement import Command, InstancePlacement
from autotune.spec.configuration import Configuration
from autotune.spec.scenario import Scenario

SCHEMA: Literal["autotune.commands/1"] = "autotune.commands/1"


@dataclass(frozen=True)
class AskedRate:
    """What all instances of a `server` are to bear together.

    Attributes:
        rate_per_s: requests per second; percentile: of their latency, that max_s limits.
    """

    rate_per_s: float
    percentile: float
    max_s: float


@dataclass(frozen=True)
class Asked:
    """What every instance is to prove.

    Attributes:
        instances: cpus and memory nodes of each.
        rate: of scenario `server`, what they are to be shown to bear; None = nothing is shown.
    """

    scenario: Scenario
    configuration: Configuration
    instances: tuple[InstancePlacement, ...]
    rate: AskedRate | None = None


_ASKED = TypeAdapter(Asked)


def ask(
    commands: Sequence[Command],
    configuration: Configuration,
    scenario: Scenario,
    rate: AskedRate | None = None,
) -> Asked:
    """Take from the commands what their workers are to prove."""
    places = (InstancePlacement(command.cpus, command.memory_nodes) for command in commands)
    return Asked(scenario, configuration, tuple(places), rate)


def asked_to_json(asked: Asked) -> dict[str, Any]:
    """Write `commands.json`: schema, scenario, configuration, instances [{cpus, memory_nodes}], rate."""
    return {"schema": SCHEMA, **_ASKED.dump_python(asked, mode="json")}


def asked_from_json(document: object) -> Asked:
    """The inverse of `asked_to_json`.

    Raises:
        PlanError: the document is wrong or of an unknown version.
    """
    if not isinstance(document, dict) or document.get("schema") != SCHEMA:
        raise PlanError(f"commands.json is not of the schema {SCHEMA!r}", remedy="export the plan again")
    try:
        return _ASKED.validate_python(document)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        path = ".".join(str(part) for part in first["loc"])
        raise PlanError(
            f"commands.json is wrong at {path}: {first['msg']}", remedy="export the plan again"
        ) from error
