"""The launch script of a user's server: real processes, pinned, watched, ended together."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from autotune.errors import ExportError
from autotune.exporters.numactl import SCRIPT, NumactlExporter, NumactlOptions
from autotune.exporters.write import write_export
from autotune.machine.cpus import format_cpu_list
from autotune.plan.launch import Launch, launch_of
from autotune.spec.launch import LaunchSpec
from autotune.testing.launches import literal
from autotune.testing.plans import build_commands, build_plan

SERVER = """
import json, os, signal, sys, time
from pathlib import Path

folder = Path(sys.argv[1])
told = []
record = {
    "pid": os.getpid(),
    "argv": sys.argv[2:],
    "environ": dict(os.environ),
    "cpus": sorted(os.sched_getaffinity(0)),
    "policy": Path("/proc/self/numa_maps").read_text().split()[1],
    "cwd": os.getcwd(),
}

def tell(number, frame):
    (folder / f"{os.getpid()}.{signal.Signals(number).name}").touch()
    if number == signal.SIGTERM and not (folder / "hangs").exists():
        sys.exit(0)

for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2):
    signal.signal(number, tell)
instance = os.environ["AUTOTUNE_INSTANCE"]
(folder / f"{instance}.partial").write_text(json.dumps(record))
os.rename(folder / f"{instance}.partial", folder / f"{instance}.json")
end = folder / f"end.{instance}"
while not end.exists():
    time.sleep(0.02)
sys.exit(int(end.read_text()))
"""
"""Writes down what it was started with and which signals come, until it is told to end."""

ALLOWED = sorted(os.sched_getaffinity(0))

INSTANCES = 2
WAIT_S = 30.0


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "server.py").write_text(SERVER)
    return tmp_path


def launch(
    folder: Path, *arguments: str, cpus: Sequence[tuple[int, ...]] | None = None, **changes: Any
) -> Launch:
    """Two servers, each on a cpu of its own where there are two, that write into the folder."""
    own = cpus or [(ALLOWED[index % len(ALLOWED)],) for index in range(INSTANCES)]
    commands = [
        replace(command, cpus=mine)
        for command, mine in zip(build_commands(INSTANCES, memory_nodes=()), own, strict=True)
    ]
    program = (sys.executable, str(folder / "server.py"), str(folder), *map(literal, arguments), "{port}")
    server = LaunchSpec(command=program, **changes)
    return launch_of(build_plan(commands), server, plan_path=str(folder / "launch" / "plan.json"))


def script_of(launched: Launch, folder: Path, **options: Any) -> Path:
    exported = NumactlExporter().render(launched, NumactlOptions(**options))
    write_export(exported.files, folder / "launch", executable=exported.executable)
    return folder / "launch" / SCRIPT


@contextmanager
def started(script: Path, **options: Any) -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen(
        [str(script)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        **options,
    )
    try:
        yield process
    finally:
        if process.poll() is None:
            process.terminate()
        process.communicate(timeout=WAIT_S)


def wait_for(path: Path) -> Path:
    give_up_s = time.monotonic() + WAIT_S
    while not path.exists():
        assert time.monotonic() < give_up_s, f"{path.name} did not appear"
        time.sleep(0.02)
    return path


def records(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(wait_for(folder / f"{index}.json").read_text()) for index in range(INSTANCES)]


def is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def test_every_server_is_pinned_and_has_its_environment_and_arguments(folder: Path) -> None:
    launched = launch(folder, "it's $HOME", "a\nb", environment={"GREETING": "{{hello}} {instance}"})
    caller = {**os.environ, "OMP_PLACES": "cores", "KMP_AFFINITY": "compact", "KEPT": "yes"}
    with started(script_of(launched, folder), env=caller) as process:
        seen = records(folder)
        process.terminate()
        assert process.wait(WAIT_S) == 143
    for index, (record, instance) in enumerate(zip(seen, launched.instances, strict=True)):
        assert record["argv"] == ["it's $HOME", "a\nb", str(8000 + index)]
        assert record["cpus"] == list(instance.cpus)
        assert record["environ"].items() >= dict(instance.environment).items()
        assert record["environ"]["GREETING"] == f"{{hello}} {index}"
        assert record["environ"]["KEPT"] == "yes"
        assert not {"OMP_PLACES", "KMP_AFFINITY"} & record["environ"].keys()
        assert record["cwd"] == str(Path.cwd())
        assert not is_alive(record["pid"])


def test_it_says_what_runs_where(folder: Path) -> None:
    with started(script_of(launch(folder), folder)) as process:
        seen = records(folder)
        process.terminate()
        lines = process.communicate(timeout=WAIT_S)[0].splitlines()
    for index, (line, record) in enumerate(zip(lines, seen, strict=True)):
        where = f"port {8000 + index}, cpus {format_cpu_list(record['cpus'])}"
        assert line == f"instance {index}: process {record['pid']}, {where}"


@pytest.mark.parametrize("status", [0, 3])
def test_when_one_ends_all_are_ended_and_none_is_started_again(folder: Path, status: int) -> None:
    with started(script_of(launch(folder), folder)) as process:
        seen = records(folder)
        (folder / "end.1").write_text(str(status))
        complaint = process.communicate(timeout=WAIT_S)[1]
    assert process.returncode == status
    assert f"instance 1 ended with exit status {status}; the others are ended" in complaint
    assert (folder / f"{seen[0]['pid']}.SIGTERM").exists()
    assert not any(is_alive(record["pid"]) for record in seen)


@pytest.mark.parametrize("number", [signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2])
def test_signals_for_servers_are_passed_on(folder: Path, number: signal.Signals) -> None:
    with started(script_of(launch(folder), folder)) as process:
        seen = records(folder)
        for _ in range(2):
            process.send_signal(number)
            for record in seen:
                wait_for(folder / f"{record['pid']}.{number.name}").unlink()
        assert process.poll() is None
        assert all(is_alive(record["pid"]) for record in seen)


@pytest.mark.parametrize(("number", "status"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_server_that_does_not_end_is_killed_after_its_grace(
    folder: Path, number: signal.Signals, status: int
) -> None:
    (folder / "hangs").touch()
    with started(script_of(launch(folder), folder, grace_s=1)) as process:
        seen = records(folder)
        began_s = time.monotonic()
        process.send_signal(number)
        assert process.wait(WAIT_S) == status
        assert time.monotonic() - began_s >= 1.0
    assert not any(is_alive(record["pid"]) for record in seen)


def test_a_working_folder_of_its_own(folder: Path) -> None:
    for index in range(INSTANCES):
        (folder / f"work it's {index}").mkdir()
    launched = launch(folder, directory=literal(str(folder)) + "/work it's {instance}")
    with started(script_of(launched, folder)):
        assert [record["cwd"] for record in records(folder)] == [
            str(folder / f"work it's {index}") for index in range(INSTANCES)
        ]


def test_a_working_folder_that_is_not_there_is_named_and_ends_all(folder: Path) -> None:
    launched = launch(folder, directory="/nowhere/{instance}")
    with started(script_of(launched, folder)) as process:
        complaint = process.communicate(timeout=WAIT_S)[1]
    assert process.returncode == 1
    assert "the working folder is not there: /nowhere/0" in complaint
    assert not list(folder.glob("*.json"))


@pytest.mark.parametrize(
    "memory_nodes",
    [
        (),
        pytest.param(
            (0,), marks=pytest.mark.skipif(shutil.which("numactl") is None, reason="numactl is not installed")
        ),
    ],
)
def test_cpus_of_which_one_cannot_be_used_are_named_and_no_server_runs(
    folder: Path, memory_nodes: tuple[int, ...]
) -> None:
    launched = launch(folder, cpus=[(ALLOWED[0], 8191)] * INSTANCES)
    bound = tuple(replace(instance, memory_nodes=memory_nodes) for instance in launched.instances)
    with started(script_of(replace(launched, instances=bound), folder)) as process:
        complaint = process.communicate(timeout=WAIT_S)[1]
    assert process.returncode == 1
    assert f"cpus {ALLOWED[0]},8191 cannot be used here" in complaint


def test_a_program_that_is_not_there_ends_all(folder: Path) -> None:
    launched = launch(folder)
    gone = tuple(replace(instance, argv=("/nowhere/uvicorn",)) for instance in launched.instances)
    with started(script_of(replace(launched, instances=gone), folder)) as process:
        complaint = process.communicate(timeout=WAIT_S)[1]
    assert process.returncode == 127
    assert "/nowhere/uvicorn" in complaint


def test_real_servers_answer_on_their_ports(folder: Path) -> None:
    first = free_ports(INSTANCES)
    (folder / "www").mkdir()
    (folder / "www" / "hello").write_text("hello")
    server = LaunchSpec(
        command=(sys.executable, "-m", "http.server", "{port}", "--bind", "127.0.0.1"),
        port=first,
        directory=literal(str(folder / "www")),
    )
    plan = launch(folder).plan
    with started(script_of(launch_of(plan, server, plan_path="/p"), folder)) as process:
        for port in range(first, first + INSTANCES):
            assert asked(port) == b"hello"
        process.terminate()
        assert process.wait(WAIT_S) == 143


def asked(port: int) -> bytes:
    give_up_s = time.monotonic() + WAIT_S
    while True:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/hello", timeout=WAIT_S) as answer:
                content: bytes = answer.read()
                return content
        except OSError:
            if time.monotonic() > give_up_s:
                raise
            time.sleep(0.05)


def free_ports(count: int) -> int:
    """The first of so many ports in a row that nobody listens on."""
    for first in range(20_000, 30_000, count):
        try:
            for port in range(first, first + count):
                with socket.socket() as probe:
                    probe.bind(("127.0.0.1", port))
        except OSError:
            continue
        return first
    pytest.fail("no free ports")


def test_a_port_in_use_is_named_before_anything_starts(folder: Path) -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        port = listener.getsockname()[1]
        with started(script_of(launch(folder, port=port - 1), folder)) as process:
            complaint = process.communicate(timeout=WAIT_S)[1]
    assert process.returncode == 1
    assert f"port {port} is in use" in complaint
    assert "another --port" in complaint
    assert not list(folder.glob("*.json"))


def test_of_servers_that_ask_for_no_port_none_is_told(folder: Path) -> None:
    plan = launch(folder).plan
    program = (sys.executable, str(folder / "server.py"), str(folder), "{instance}")
    with started(script_of(launch_of(plan, LaunchSpec(command=program)), folder)) as process:
        records(folder)
        process.terminate()
        told = process.communicate(timeout=WAIT_S)[0]
    assert "port" not in told


def test_wrong_arguments_and_help_start_nothing(folder: Path) -> None:
    script = script_of(launch(folder), folder)
    wrong = subprocess.run([script, "--what"], capture_output=True, text=True, check=False)
    assert wrong.returncode == 2
    assert "unknown argument: --what" in wrong.stderr
    told = subprocess.run([script, "--help"], capture_output=True, text=True, check=True)
    assert "Starts the 2 servers of plan quickstart-7f3a9c and waits" in told.stdout
    assert not list(folder.glob("*.json"))


def test_a_server_that_env_would_take_for_a_variable_is_refused(folder: Path) -> None:
    server = LaunchSpec(command=("a=b", "{port}"))
    with pytest.raises(ExportError, match="a=b"):
        NumactlExporter().render(launch_of(build_plan(), server), NumactlOptions())


LITERAL = "SC2016"
"""That nothing is expanded in single quotes, which is why texts stand in them."""


@pytest.mark.skipif(shutil.which("shellcheck") is None, reason="shellcheck is not installed")
@pytest.mark.parametrize("memory_nodes", [(0,), ()])
@pytest.mark.parametrize("pinned", [True, False])
def test_shellcheck_finds_nothing(folder: Path, pinned: bool, memory_nodes: tuple[int, ...]) -> None:
    plan = build_plan(build_commands(INSTANCES, pinned=pinned, memory_nodes=memory_nodes))
    server = LaunchSpec(command=("uvicorn", "it's", "{port}"), environment={"A": "$HOME"})
    for launched in (launch_of(plan), launch_of(plan, server, plan_path="/p")):
        checked = subprocess.run(
            ["shellcheck", "--severity=style", f"--exclude={LITERAL}", script_of(launched, folder)],
            capture_output=True,
            text=True,
            check=False,
        )
        assert checked.stdout == "", checked.stdout
