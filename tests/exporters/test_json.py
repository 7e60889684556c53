from __future__ import annotations

from collections.abc import Mapping, Sequence

import pytest

from autotune.exporters.json import JsonExporter
from autotune.exporters.protocol import Exporter, ExportOptions
from autotune.plan.document import parse_plan
from autotune.plan.launch import launch_of
from autotune.testing.exporter_contract import ExporterContract, Started
from autotune.testing.plans import build_plan


class TestJsonExporter(ExporterContract):
    @pytest.fixture
    def exporter(self) -> Exporter:
        return JsonExporter()

    def parse(self, files: Mapping[str, str]) -> Sequence[Started]:
        return [
            Started(command.argv, command.environment, command.cpus, command.memory_nodes)
            for command in parse_plan(files["plan.json"]).commands()
        ]

    def test_the_whole_plan_comes_through(self, exporter: Exporter) -> None:
        plan = build_plan(warnings=("It was noisy.",))
        assert parse_plan(exporter.render(launch_of(plan), ExportOptions()).files["plan.json"]) == plan
