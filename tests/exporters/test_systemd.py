"""Units, read back by systemd's rules, and checked by systemd itself where it is installed."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import pytest

from autotune.errors import ExportError
from autotune.exporters.protocol import Exporter
from autotune.exporters.systemd import SystemdExporter, SystemdOptions
from autotune.exporters.write import write_export
from autotune.machine.cpus import parse_cpu_list
from autotune.plan.launch import Launch, launch_of
from autotune.spec.launch import LaunchSpec
from autotune.testing.exporter_contract import ExporterContract, Started
from autotune.testing.launches import literal
from autotune.testing.plans import build_commands, build_plan

WORD = re.compile(r'"((?:\\.|[^"\\])*)"(?: |$)')
UNSAYABLE = re.compile(r"[\x01-\x08\x0b-\x1f\x7f]")
"""What systemd takes in no variable."""
ESCAPES = {"n": "\n", "t": "\t", "r": "\r", '"': '"', "\\": "\\"}


def settings_of(text: str) -> Iterator[tuple[str, str]]:
    """Keys and values of a unit, by systemd.syntax(7)."""
    for line in text.split("\n"):
        if line and line[0] not in "#;[":
            assert not line.endswith("\\"), "a line that goes on"
            key, _, value = line.partition("=")
            yield key.strip(), value.strip()


def words_of(value: str) -> list[str]:
    """The quoted words of a value, C's escapes and specifiers undone."""
    assert WORD.sub("", value) == ""
    return [specified(unescaped(word)) for word in WORD.findall(value)]


def unescaped(word: str) -> str:
    return re.sub(
        r"\\(x[0-9a-f]{2}|.)",
        lambda match: chr(int(match[1][1:], 16)) if len(match[1]) == 3 else ESCAPES[match[1]],
        word,
    )


def specified(text: str) -> str:
    """What a text is once specifiers are expanded, of which there is to be none but `%%`."""
    assert re.fullmatch(r"(?:[^%]|%%)*", text, re.DOTALL)
    return text.replace("%%", "%")


def expanded(word: str) -> str:
    """An argument once variables are expanded, of which there is to be none but `$$`."""
    assert re.fullmatch(r"(?:[^$]|\$\$)*", word, re.DOTALL)
    return word.replace("$$", "$")


def started(text: str) -> Started:
    settings = list(settings_of(text))
    values = dict(settings)
    program, *arguments = words_of(values["ExecStart"])
    assignments = [words_of(value) for key, value in settings if key == "Environment"]
    assert values.get("AllowedCPUs") == values.get("CPUAffinity")
    assert values.get("AllowedMemoryNodes") == values.get("NUMAMask")
    return Started(
        argv=(program, *map(expanded, arguments)),
        environment=dict(assignment.split("=", 1) for (assignment,) in assignments),
        cpus=cpus_of(values.get("CPUAffinity", "")),
        memory_nodes=cpus_of(values.get("NUMAMask", "")),
    )


def cpus_of(value: str) -> tuple[int, ...]:
    return tuple(sorted(parse_cpu_list(value.replace(" ", ","))))


class TestSystemdExporter(ExporterContract):
    @pytest.fixture
    def exporter(self) -> Exporter:
        return SystemdExporter()

    def parse(self, files: Mapping[str, str]) -> Sequence[Started]:
        drop_ins = [path for path in files if path.endswith(".service.d/launch.conf")]
        return [started(files[f"autotune@{index}.service.d/launch.conf"]) for index in range(len(drop_ins))]

    def can_express(self, launch: Launch) -> bool:
        return all(
            instance.argv[0].startswith("/")
            and not set("\"'\\$") & set(instance.argv[0])
            and not re.search(r"[\x01-\x1f\x7f]", instance.directory)
            and not instance.directory.endswith((" ", "\\"))
            and not any(map(UNSAYABLE.search, instance.environment.values()))
            for instance in launch.instances
        )


def launch(*arguments: str, instances: int = 2, program: str = sys.executable, **changes: object) -> Launch:
    server = LaunchSpec.model_validate({"command": (program, *arguments, "{port}"), **changes})
    return launch_of(build_plan(build_commands(instances)), server, plan_path="/srv/it's a plan/plan.json")


def test_the_units_say_how_to_go_on() -> None:
    options = SystemdOptions(name="encoder", user="www-data", restart="always", restart_s=3, grace_s=20)
    files = SystemdExporter().render(launch(), options).files
    assert set(files) == {
        "encoder@.service",
        "encoder@0.service.d/launch.conf",
        "encoder@1.service.d/launch.conf",
        "encoder.target",
    }
    template = dict(settings_of(files["encoder@.service"]))
    assert (
        template.items()
        >= {
            "User": "www-data",
            "Restart": "always",
            "RestartSec": "3",
            "TimeoutStopSec": "20",
            "PartOf": "encoder.target",
        }.items()
    )
    target = dict(settings_of(files["encoder.target"]))
    assert target["Wants"] == "encoder@0.service encoder@1.service"
    drop_in = dict(settings_of(files["encoder@1.service.d/launch.conf"]))
    assert "OMP_PLACES" in drop_in["UnsetEnvironment"].split()
    assert drop_in["NUMAPolicy"] == "bind"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"program": "uvicorn"}, "its own folders alone"),
        ({"program": "/opt/it's/uvicorn"}, "takes no program with quotes"),
        ({"environment": {"A": "\x1b"}}, "A has the value"),
        ({"directory": "/srv/a\nb"}, "working directory"),
        ({"directory": "/srv/a\\"}, "working directory"),
    ],
)
def test_what_systemd_cannot_be_given_is_refused(changes: dict[str, object], message: str) -> None:
    with pytest.raises(ExportError, match=message) as caught:
        SystemdExporter().render(launch(**changes), SystemdOptions())  # type: ignore[arg-type]
    assert caught.value.remedy


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd is not installed")
def test_systemd_finds_nothing_wrong(tmp_path: Path) -> None:
    hostile = ("a'b\"c", "$HOME ${HOME} $$", "%i %n %%", "; x", "-e", "é\n\t\x1b[31m", "{{x}} {y}", "")
    exported = SystemdExporter().render(
        launch(*map(literal, hostile), environment={"A": "%h $HOME \\ '\"\n; #"}, directory="/usr/share"),
        SystemdOptions(),
    )
    write_export(exported.files, tmp_path)
    checked = subprocess.run(
        [
            "systemd-analyze",
            "verify",
            "--recursive-errors=no",
            "--man=no",
            "autotune@0.service",
            "autotune.target",
        ],
        env={**os.environ, "SYSTEMD_UNIT_PATH": f"{tmp_path}:"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (checked.returncode, checked.stderr) == (0, "")
