"""The plan itself, as its versioned JSON document."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from autotune.plan.document import Plan, format_plan


class JsonExporter:
    """Writes `plan.json`, which `autotune show` and `autotune export` read again."""

    name: ClassVar[str] = "json"
    executable: ClassVar[frozenset[str]] = frozenset()

    def render(self, plan: Plan) -> Mapping[str, str]:
        """Give `plan.json`."""
        return {"plan.json": format_plan(plan)}
