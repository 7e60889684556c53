from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

from autotune.exporters.json import JsonExporter
from autotune.exporters.protocol import Exporter
from autotune.placement.placement import Command
from autotune.plan.document import parse_plan
from autotune.testing.exporter_contract import ExporterContract
from autotune.testing.plans import build_plan


class TestJsonExporter(ExporterContract):
    @pytest.fixture
    def exporter(self) -> Exporter:
        return JsonExporter()

    def read_back(self, files: Mapping[str, str], folder: Path) -> Sequence[Command]:  # noqa: ARG002
        return parse_plan(files["plan.json"]).commands()

    def test_the_whole_plan_comes_through(self, exporter: Exporter) -> None:
        plan = build_plan(warnings=("It was noisy.",))
        assert parse_plan(exporter.render(plan)["plan.json"]) == plan
