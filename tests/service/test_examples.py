"""The unit and the container file of docs/examples/service: what they start, and how."""

from __future__ import annotations

import configparser
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.service.serving import PROGRAM, stop

REPOSITORY = Path(__file__).parents[2]
EXAMPLES = REPOSITORY / "docs" / "examples" / "service"
UNIT = EXAMPLES / "autotune.service"
CONTAINER = EXAMPLES / "Containerfile"
PROGRAM_OF_UNIT = "/opt/autotune/bin/autotune"


def unit() -> configparser.SectionProxy:
    read = configparser.ConfigParser(
        interpolation=None, strict=False, delimiters=("=",), comment_prefixes=("#",)
    )
    read.optionxform = str  # type: ignore[assignment,method-assign]
    read.read_string(UNIT.read_text())
    return read["Service"]


def instructions() -> list[tuple[str, str]]:
    """Each instruction of the container file with its words; lines that go on are joined."""
    text = re.sub(r"^#.*\n", "", CONTAINER.read_text(), flags=re.MULTILINE).replace("\\\n", " ")
    return [
        (line.split(" ", 1)[0], line.split(" ", 1)[1].strip()) for line in text.splitlines() if line.strip()
    ]


def container_command() -> list[str]:
    return list(json.loads(dict(instructions())["ENTRYPOINT"]))


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd is not installed")
def test_systemd_finds_nothing_wrong_with_the_unit(tmp_path: Path) -> None:
    (tmp_path / UNIT.name).write_text(UNIT.read_text().replace(PROGRAM_OF_UNIT, sys.executable))
    checked = subprocess.run(
        ["systemd-analyze", "verify", "--recursive-errors=no", "--man=no", UNIT.name],
        env={**os.environ, "SYSTEMD_UNIT_PATH": f"{tmp_path}:"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (checked.returncode, checked.stderr) == (0, "")


def test_a_restart_of_the_unit_leaves_the_job_alone_and_a_workers_end_the_service() -> None:
    service = unit()
    assert (service["KillMode"], service["OOMPolicy"]) == ("process", "continue")
    assert int(service["TimeoutStopSec"]) > 10


def test_the_unit_takes_nothing_away_that_measuring_needs() -> None:
    service = unit()
    assert not {"CPUQuota", "PrivateIPC", "ProtectProc", "MemoryDenyWriteExecute"} & set(service)


@pytest.mark.parametrize("kind", ["unit", "container"])
def test_what_is_started_serves(kind: str, tmp_path: Path) -> None:
    words = shlex.split(unit()["ExecStart"])[1:] if kind == "unit" else container_command()[1:]
    assert words[0] == "serve"
    words[words.index("--root") + 1] = str(tmp_path)  # it must be there
    process = subprocess.Popen(
        [*PROGRAM, *words, "--port", "0"],
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    try:
        assert process.stdout is not None
        assert process.stdout.readline().startswith("http://127.0.0.1:")
        assert {path.name for path in tmp_path.iterdir()} == {".autotune", "autotune.db"}
    finally:
        code = stop(process)
    assert code == 0


def test_the_container_is_built_of_what_is_there_and_serves_as_somebody_who_is_not_root() -> None:
    lines = instructions()
    last = dict(lines)
    assert int(last["USER"]) > 0
    assert [name for name, _ in lines].index("USER") < [name for name, _ in lines].index("ENTRYPOINT")
    sources = [words.split()[:-1] for name, words in lines if name in {"COPY", "ADD"}]
    assert all((REPOSITORY / path).exists() for paths in sources for path in paths)
    extras = set(re.findall(r"/src\[([\w,]+)\]", CONTAINER.read_text()))
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]
    assert extras
    assert {name for words in extras for name in words.split(",")} <= set(project["optional-dependencies"])
    assert set(json.loads(last["VOLUME"])) == {last["WORKDIR"], "/var/cache/autotune"}


def test_the_containers_are_run_on_whole_cpus_beside_everything_else_of_the_host() -> None:
    composed: dict[str, Any] = yaml.safe_load((EXAMPLES / "compose.yaml").read_text())
    service = composed["services"]["autotune"]
    assert (service["network_mode"], service["ipc"], service["init"]) == ("host", "host", True)
    assert service["cap_add"] == ["SYS_NICE"]
    assert "cpuset" in service
    assert not {"cpus", "healthcheck", "privileged", "pid"} & set(service)
    build = service["build"]
    context = EXAMPLES / build["context"]
    assert (context.resolve(), (context / build["dockerfile"]).resolve()) == (REPOSITORY, CONTAINER)
    mounted = {volume.split(":")[1] for volume in service["volumes"]}
    assert mounted >= set(json.loads(dict(instructions())["VOLUME"]))
    named = {volume.split(":")[0] for volume in service["volumes"] if not volume.startswith(".")}
    assert named == set(composed["volumes"])
