"""What is installed and what each engine can do here, as a document."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from autotune.backends.inventory import EngineStatus
from autotune.machine.machine import Machine
from autotune.model.artifacts.artifact import deciding_isa
from autotune.search.knobs import KnobStatus

SCHEMA: Final = "autotune.engines/1"


def engines_document(
    machine: Machine,
    statuses: Sequence[EngineStatus],
    knobs: Sequence[KnobStatus],
    broken: Sequence[str],
) -> dict[str, Any]:
    """Write the list of engines and knobs as one JSON document."""
    return {
        "schema": SCHEMA,
        "isa": list(deciding_isa(machine.isa)),
        "engines": [
            {
                "name": engine.name,
                "installed": engine.is_installed,
                "versions": dict(engine.versions),
                "missing": list(engine.missing),
                "install": engine.install_hint,
                "models": list(engine.models),
                "precisions": list(engine.precisions),
                "documented": list(engine.documented),
                "refused": dict(engine.refused),
            }
            for engine in statuses
        ],
        "knobs": [
            {
                "name": knob.name,
                "values": list(knob.values),
                "refused": dict(knob.refused),
                "engines": list(knob.engines),
            }
            for knob in knobs
        ],
        "broken": list(broken),
    }
