"""The plan itself, as its versioned JSON document."""

from __future__ import annotations

from typing import ClassVar

from autotune.exporters.protocol import EVERYTHING, Exported, ExportOptions, Keeps
from autotune.plan.document import format_plan
from autotune.plan.launch import PLAN_FILE, Launch, Program


class JsonExporter:
    """Writes `plan.json`, which `autotune show` and `autotune export` read again."""

    name: ClassVar[str] = "json"
    summary: ClassVar[str] = "plan.json, the plan itself"
    programs: ClassVar[frozenset[Program]] = frozenset({"worker"})
    is_starting: ClassVar[bool] = False
    keeps: ClassVar[Keeps] = EVERYTHING
    options: ClassVar[type[ExportOptions]] = ExportOptions

    def render(self, launch: Launch, options: ExportOptions) -> Exported:  # noqa: ARG002
        """Give `plan.json`."""
        return Exported({PLAN_FILE: format_plan(launch.plan)})
