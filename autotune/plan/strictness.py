"""What pydantic would let pass in a plan document."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields

from autotune.backends.registry import is_registered
from autotune.spec.configuration import Configuration
from autotune.spec.knobs import parse_knobs, split_knobs


def known_configuration_keys(value: object) -> object:
    """Refuse unknown keys of a configuration: a dataclass, unlike a model, would drop them in silence.

    And knobs that are none, which it would take for any text; only an engine that is here says what its are.
    """
    known = {field.name for field in fields(Configuration)}
    unknown = sorted(set(value) - known) if isinstance(value, Mapping) else []
    if unknown:
        raise ValueError(f"unknown keys {', '.join(map(str, unknown))}")
    if isinstance(value, Mapping) and isinstance(knobs := value.get("knobs", ""), str):
        (parse_knobs if is_registered(str(value.get("backend"))) else split_knobs)(knobs)
    return value
