"""Program sections, read back by supervisor's own parser and really started by supervisord."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import pytest

from autotune.errors import ExportError
from autotune.exporters.protocol import Exporter
from autotune.exporters.supervisor import SupervisorExporter, SupervisorOptions
from autotune.machine.cpus import parse_cpu_list
from autotune.plan.launch import Launch, launch_of
from autotune.spec.launch import LaunchSpec
from autotune.testing.exporter_contract import ExporterContract, Started
from autotune.testing.launches import HOSTILE
from autotune.testing.plans import build_commands, build_plan
from tests.exporters.serving import WAIT_S, answering, asked, free_ports, is_free, running

supervisor_options = pytest.importorskip("supervisor.options", reason="supervisor is not installed")

FILE = "autotune.conf"


def read_commands(text: str) -> Iterator[list[str]]:
    """What supervisord executes for each program, of a file that it includes."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, FILE)
        path.write_text(text, newline="")
        parser = supervisor_options.UnhosedConfigParser()
        parser.read(str(path))
        parser.expand_here("/etc/supervisor")
        options = supervisor_options.ServerOptions()
        for section in parser.sections():
            if section.startswith("program:"):
                (process,) = options.processes_from_section(parser, section, None)
                yield shlex.split(process.command)


def as_started(words: list[str]) -> Started:
    assert words.pop(0) == "env"
    while words[0].startswith("--"):
        del words[0]
    count = next(index for index, word in enumerate(words) if "=" not in word)
    environment, rest = dict(word.split("=", 1) for word in words[:count]), words[count:]
    cpus, nodes = "", ""
    if rest[0] == "taskset":
        cpus, rest = rest[2], rest[3:]
    elif rest[0] == "numactl":
        del rest[0]
        while rest[0].startswith("--"):
            option, value = rest.pop(0).split("=")
            cpus, nodes = (value, nodes) if option == "--physcpubind" else (cpus, value)
    return Started(
        tuple(rest), environment, tuple(sorted(parse_cpu_list(cpus))), tuple(sorted(parse_cpu_list(nodes)))
    )


class TestSupervisorExporter(ExporterContract):
    @pytest.fixture
    def exporter(self) -> Exporter:
        return SupervisorExporter()

    def parse(self, files: Mapping[str, str]) -> Sequence[Started]:
        return [as_started(words) for words in read_commands(files[FILE])]

    def can_express(self, launch: Launch) -> bool:
        return not any(
            "\r" in text
            for instance in launch.instances
            for text in (*instance.argv, *instance.environment.values(), instance.directory)
        )


def test_a_program_reads_as_a_person_would_write_it() -> None:
    server = LaunchSpec(command=("/srv/bin/uvicorn", "app:app", "--port", "{port}"), directory="/srv")
    launch = launch_of(build_plan(build_commands(1)), server, plan_path="/srv/plan.json")
    text = SupervisorExporter().render(launch, SupervisorOptions(user="www-data", restart="true")).files[FILE]
    command = next(line for line in text.splitlines() if line.startswith("command="))
    assert command.startswith("command=env --chdir=/srv --unset=")
    assert command.endswith(" numactl --physcpubind=0 --membind=0 /srv/bin/uvicorn app:app --port 8000")
    assert " OMP_NUM_THREADS=1 " in command
    assert text.startswith("; All instances of plan quickstart-7f3a9c;")
    assert text.endswith(
        "user=www-data\nautostart=true\nautorestart=true\nstopwaitsecs=10\nkillasgroup=true\n"
    )


def test_a_program_that_env_would_take_for_a_variable_is_refused() -> None:
    launch = launch_of(build_plan(), LaunchSpec(command=("a=b", "{port}")))
    with pytest.raises(ExportError, match="a=b"):
        SupervisorExporter().render(launch, SupervisorOptions())


def test_supervisord_starts_every_instance_as_the_plan_says_and_ends_it(tmp_path: Path) -> None:
    first = free_ports(2)
    texts = [text for text in HOSTILE if "\r" not in text]
    (tmp_path / "work it's %(here)s").mkdir()
    launch = answering(
        2,
        *texts,
        "%(here)s %(ENV_HOME)s",
        port=first,
        environment={"HOSTILE": "%(here)s ; # 'q' \n  \"x\""},
        directory=f"{tmp_path}/work it's %(here)s",
    )
    files = SupervisorExporter().render(launch, SupervisorOptions(grace_s=5)).files
    (tmp_path / FILE).write_text(files[FILE])
    settings = tmp_path / "supervisord.conf"
    settings.write_text(
        f"[supervisord]\nnodaemon=true\nlogfile=/dev/null\nlogfile_maxbytes=0\npidfile={tmp_path}/pid\n"
        f"childlogdir={tmp_path}\n[include]\nfiles={tmp_path}/{FILE}\n"
    )
    command = [sys.executable, "-W", "ignore", "-m", "supervisor.supervisord", "-c", str(settings)]
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    with running([command], env={**os.environ, "OMP_PLACES": "cores"}, **quiet):
        seen = [asked(first), asked(first + 1)]
    for instance, record in zip(launch.instances, seen, strict=True):
        assert record["argv"] == list(instance.argv[3:])
        assert record["environ"].items() >= instance.environment.items()
        assert "OMP_PLACES" not in record["environ"]
        assert record["cpus"] == list(instance.cpus)
        assert record["cwd"] == instance.directory
    give_up_s = time.monotonic() + WAIT_S
    while not (is_free(first) and is_free(first + 1)):
        assert time.monotonic() < give_up_s
        time.sleep(0.05)
