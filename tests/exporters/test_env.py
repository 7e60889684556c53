"""Files of variables, read back as each of their readers does it."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Mapping, Sequence
from typing import ClassVar

import pytest

from autotune.errors import ExportError
from autotune.exporters.env import KEPT_BY_THE_SHELL, EnvExporter, EnvOptions
from autotune.exporters.protocol import Exporter
from autotune.plan.launch import Launch, launch_of
from autotune.spec.launch import LaunchSpec
from autotune.testing.exporter_contract import ExporterContract, Started
from autotune.testing.plans import build_commands, build_plan


def docker_variables(text: str) -> dict[str, str]:
    """As docker reads `--env-file`: lines, of which those with a `#` in front are comments; no quotes."""
    lines = [line.lstrip(" \t") for line in text.split("\n")]
    return dict(line.split("=", 1) for line in lines if line and not line.startswith("#"))


def systemd_variables(text: str) -> dict[str, str]:
    """As systemd reads `EnvironmentFile=`: in double quotes a backslash stands before these four alone."""
    _, body = text.split("\n", 1)
    pairs = re.findall(r'(\w+)="((?:\\["\\`$]|\\[^"\\`$]|[^"\\])*)"\n', body)
    assert "".join(f'{name}="{value}"\n' for name, value in pairs) == body
    return {name: re.sub(r'\\(["\\`$])', r"\1", value) for name, value in pairs}


def shell_variables(text: str) -> dict[str, str]:
    """As bash sources it, in an environment without anything else."""
    script = f"set -a\n{text}\nexec env -0"
    printed = subprocess.run(
        ["env", "-i", "bash", "--norc", "-c", script], capture_output=True, check=True
    ).stdout
    variables = dict(os.fsdecode(entry).split("=", 1) for entry in printed.split(b"\0")[:-1])
    return {name: value for name, value in variables.items() if name not in ("PWD", "SHLVL", "_")}


class EnvContract(ExporterContract):
    read: ClassVar[staticmethod[[str], dict[str, str]]]

    @pytest.fixture
    def exporter(self) -> Exporter:
        return EnvExporter()

    def parse(self, files: Mapping[str, str]) -> Sequence[Started]:
        return [Started(environment=self.read(files[f"instance-{index}.env"])) for index in range(len(files))]

    def can_express(self, launch: Launch) -> bool:
        return not any(
            re.search(self.refused, value)
            for instance in launch.instances
            for value in instance.environment.values()
        )

    refused: ClassVar[str]


class TestForDocker(EnvContract):
    settings = ("reader=docker",)
    read = staticmethod(docker_variables)
    refused = r"[\n\r]"


class TestForSystemd(EnvContract):
    settings = ("reader=systemd",)
    read = staticmethod(systemd_variables)
    refused = r"[\x01-\x08\x0b-\x1f\x7f]"


def is_settable(name: str) -> bool:
    """Whether what bash starts gets this variable as a file has set it; asked of bash itself."""
    script = f"set -a\n{name}=autotune\nexec env -0"
    command = ["env", "-i", "bash", "--norc", "-c", script]
    printed = subprocess.run(command, capture_output=True, check=False).stdout
    return f"{name}=autotune".encode() in printed.split(b"\0")


class TestForAShell(EnvContract):
    settings = ("reader=shell",)
    read = staticmethod(shell_variables)
    refused = r"[^\s\S]"

    def can_express(self, launch: Launch) -> bool:
        names = {name for instance in launch.instances for name in instance.environment}
        return not names & KEPT_BY_THE_SHELL


@pytest.mark.parametrize("name", sorted(KEPT_BY_THE_SHELL))
def test_a_variable_that_bash_keeps_to_itself_is_refused_in_a_file_for_a_shell(name: str) -> None:
    assert not is_settable(name)
    server = SERVER.model_copy(update={"environment": {name: "x"}})
    launch = launch_of(build_plan(), server, plan_path="/srv/plan.json")
    with pytest.raises(ExportError, match=f"keeps the variable {name} to itself"):
        EnvExporter().render(launch, EnvOptions(reader="shell"))


SERVER = LaunchSpec(command=("uvicorn", "app:app", "--port", "{port}"))


def test_what_needs_no_quotes_is_the_same_for_every_reader() -> None:
    launch = launch_of(build_plan(build_commands(2)), SERVER, plan_path="/srv/plan.json")
    files = EnvExporter().render(launch, EnvOptions()).files
    for index, instance in enumerate(launch.instances):
        text = files[f"instance-{index}.env"]
        assert docker_variables(text) == shell_variables(text) == instance.environment
    assert docker_variables(files["instance-1.env"])["AUTOTUNE_INSTANCE"] == "1"


@pytest.mark.parametrize("value", ["a b", "it's", 'a"b', "a\\b", "$HOME", "a#b", "a\nb"])
def test_what_some_reader_mistakes_is_refused_until_one_is_named(value: str) -> None:
    server = SERVER.model_copy(update={"environment": {"NAME": value}})
    launch = launch_of(build_plan(), server, plan_path="/srv/plan.json")
    with pytest.raises(ExportError, match="NAME has the value") as caught:
        EnvExporter().render(launch, EnvOptions())
    assert "--set reader=docker" in caught.value.remedy
    assert EnvExporter().render(launch, EnvOptions(reader="shell")).files
