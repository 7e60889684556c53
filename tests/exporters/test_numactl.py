from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from autotune.errors import ExportError
from autotune.exporters.numactl import SCRIPT, NumactlExporter, NumactlOptions
from autotune.exporters.protocol import Exporter
from autotune.machine.cpus import format_cpu_list, parse_cpu_list
from autotune.plan.document import Plan, PlanStudy
from autotune.plan.launch import launch_of
from autotune.testing.exporter_contract import ExporterContract, Started
from autotune.testing.plans import build_commands, build_plan

PROGRAM = f"""#!{sys.executable} -IS
# Stands in for the measured Python: as a worker it writes down what it was started with, as the conductor it
# opens every fifo and waits for the workers' ends.
import json, os, signal, sys, time
from pathlib import Path

here = Path(sys.argv[0]).parent
if "autotune.trial.conduct" in sys.argv:
    folder = Path(sys.argv[sys.argv.index("--workers") + 1])
    (here / "conduct.json").write_text(json.dumps(
        {{"argv": sys.argv, "commands": json.loads((folder / "commands.json").read_text())}}))
    names = sorted(path.name for path in folder.glob("*.in"))
    ends = [(os.open(folder / name, os.O_RDWR), open(folder / name.replace(".in", ".out"))) for name in names]
    (here / "folder").write_text(str(folder))
    if (here / "conduct.fails").exists():
        sys.exit(3)
    sys.stdout.write("".join(reader.read() for _, reader in ends))
else:
    status = Path("/proc/self/status").read_text()
    record = {{
        "pid": os.getpid(),
        "argv": [os.fsdecode(part) for part in Path("/proc/self/cmdline").read_bytes().split(b"\\0")[2:-1]],
        "environ": [os.fsdecode(part) for part in Path("/proc/self/environ").read_bytes().split(b"\\0")[:-1]],
        "cpus": next(line.split()[1] for line in status.splitlines() if line.startswith("Cpus_allowed_list")),
        "policy": Path("/proc/self/numa_maps").read_text().split()[1],
        "cwd": os.getcwd(),
    }}
    print(json.dumps(record), flush=True)
    hangs = (here / "worker.hangs").exists()
    if hangs:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    (here / f"worker.{{os.getpid()}}").touch()
    if hangs:
        time.sleep(600)
"""

TASKSET = f"""#!{sys.executable} -IS
# Records its cpus, and passes them on as the name of a file beside it.
import os, sys
from pathlib import Path

option, cpus, *command = sys.argv[1:]
assert option == "-c", option
Path(sys.argv[0] + f".{{os.getpid()}}").write_text("--physcpubind=" + cpus)
os.execvp(command[0], command)
"""

NUMACTL = f"""#!{sys.executable} -IS
# Records its options in a variable that the program's own clean environment then hides, and passes them on as
# the name of a file beside it.
import os, sys
from pathlib import Path

count = next(i for i, word in enumerate(sys.argv) if i and not word.startswith("--"))
options, command = sys.argv[1:count], sys.argv[count:]
if Path(sys.argv[0] + ".refuses").exists() and any(word.startswith("--membind") for word in options):
    sys.exit("set_mempolicy: Operation not permitted")
Path(sys.argv[0] + f".{{os.getpid()}}").write_text(" ".join(options))
os.execvp(command[0], command)
"""


def write_program(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(0o755)
    return path


def write_script(folder: Path, files: Mapping[str, str]) -> Path:
    return write_program(folder / "launch" / SCRIPT, files[SCRIPT])


def run(script: Path, *arguments: str, **options: Any) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(script), *arguments], capture_output=True, text=True, timeout=60, check=False, **options
    )


def search_path(*folders: Path) -> dict[str, str]:
    return {**os.environ, "PATH": os.pathsep.join([*map(str, folders), os.environ["PATH"]])}


def tools_without_numactl(folder: Path, *more: str) -> dict[str, str]:
    """Give a search path with what every script needs, and some more tools, but no numactl."""
    folder.mkdir()
    for tool in ("bash", "env", "mktemp", "mkfifo", "rm", "rmdir", "sleep", "true", *more):
        found = shutil.which(tool)
        assert found is not None
        (folder / tool).symlink_to(found)
    return {**os.environ, "PATH": str(folder)}


def folder_of(program: Path) -> Path:
    return Path((program.parent / "folder").read_text())


@pytest.fixture
def program(tmp_path: Path) -> Path:
    return write_program(tmp_path / "python dir" / "it's python", PROGRAM)


@pytest.fixture
def script(tmp_path: Path, program: Path) -> Path:
    plan = build_plan(build_commands(2, program=str(program)))
    return write_script(tmp_path, rendered(plan))


@pytest.fixture
def fake_numactl(tmp_path: Path) -> Path:
    return write_program(tmp_path / "tools" / "numactl", NUMACTL)


class TestNumactlExporter(ExporterContract):
    @pytest.fixture
    def exporter(self) -> Exporter:
        return NumactlExporter()

    def parse(self, files: Mapping[str, str]) -> Sequence[Started]:
        return [as_started(words) for words in started_words(files[SCRIPT])]


START = re.compile(r"^(?:start|serve) [0-9]+ (?:.*\\\n)*.*\n", re.MULTILINE)
"""Where a script starts an instance; what continues a line ends with a backslash."""

RECORD = 'start() { printf "%s\\0" "$#" "$@"; }\nserve() { start "$1" "${@:4}"; }\n'


def started_words(script: str) -> Iterator[list[str]]:
    """What bash itself makes of the words that start an instance: number, cpus, memory nodes, command."""
    text = RECORD + "".join(START.findall(script))
    printed = subprocess.run(["bash", "-uc", text], capture_output=True, check=True).stdout
    words = [os.fsdecode(word) for word in printed.split(b"\0")[:-1]]
    while words:
        count = int(words.pop(0))
        yield words[:count]
        del words[:count]


def as_started(words: list[str]) -> Started:
    _, cpus, nodes, env, *rest = words
    assert env == "env"
    while rest[0] in ("-i", "-u"):
        del rest[: 1 if rest[0] == "-i" else 2]
    count = next(index for index, word in enumerate(rest) if "=" not in word)
    return Started(
        argv=tuple(rest[count:]),
        environment=dict(word.split("=", 1) for word in rest[:count]),
        cpus=tuple(sorted(parse_cpu_list(cpus))),
        memory_nodes=tuple(sorted(parse_cpu_list(nodes))),
    )


def as_run(record: dict[str, Any], tools: Path) -> Started:
    """Give what a worker was started with, the options as numactl or taskset was given them."""
    files = [tools / f"{tool}.{record['pid']}" for tool in ("numactl", "taskset")]
    words = [word for file in files if file.exists() for word in file.read_text().split()]
    options = dict(word.split("=") for word in words)
    return Started(
        argv=tuple(record["argv"]),
        environment=dict(variable.split("=", 1) for variable in record["environ"]),
        cpus=tuple(sorted(parse_cpu_list(options.get("--physcpubind", "")))),
        memory_nodes=tuple(sorted(parse_cpu_list(options.get("--membind", "")))),
    )


@pytest.mark.parametrize(("pinned", "memory_nodes"), [(True, (0,)), (True, ()), (False, ())])
def test_a_script_that_is_run_starts_exactly_the_plans_workers(
    tmp_path: Path, program: Path, pinned: bool, memory_nodes: tuple[int, ...]
) -> None:
    commands = build_commands(2, program=str(program), pinned=pinned, memory_nodes=memory_nodes)
    tools = write_program(tmp_path / "tools" / "numactl", NUMACTL).parent
    write_program(tools / "taskset", TASKSET)
    ended = run(write_script(tmp_path, rendered(build_plan(commands))), env=search_path(tools))
    assert ended.returncode == 0, ended.stderr
    assert [as_run(json.loads(line), tools) for line in ended.stdout.splitlines()] == [
        Started(command.argv, command.environment, command.cpus, command.memory_nodes) for command in commands
    ]


def rendered(plan: Plan) -> Mapping[str, str]:
    """The files of a plan's workers."""
    return NumactlExporter().render(launch_of(plan), NumactlOptions()).files


@pytest.mark.parametrize("instances", [1, 2, 64])
def test_bash_accepts_the_script(tmp_path: Path, instances: int) -> None:
    script = write_script(tmp_path, rendered(build_plan(build_commands(instances))))
    subprocess.run(["bash", "-n", script], check=True)


def test_the_conductor_is_told_what_every_instance_is_to_prove(
    script: Path, program: Path, fake_numactl: Path
) -> None:
    ended = run(script, "--seconds", "2.5", "--json", env=search_path(fake_numactl.parent))
    assert ended.returncode == 0, ended.stderr
    told = json.loads((program.parent / "conduct.json").read_text())
    assert told["argv"][1:4] == ["-P", "-m", "autotune.trial.conduct"]
    assert told["argv"][-3:] == ["--seconds", "2.5", "--json"]
    assert told["commands"]["instances"] == [
        {"cpus": [0], "memory_nodes": [0]},
        {"cpus": [1], "memory_nodes": [0]},
    ]


@pytest.mark.skipif(shutil.which("numactl") is None, reason="numactl is not installed")
def test_masks_and_memory_policies_are_the_plans(tmp_path: Path, program: Path) -> None:
    allowed = sorted(os.sched_getaffinity(0))[:2]
    commands = [
        replace(command, cpus=(cpu,))
        for command, cpu in zip(build_commands(len(allowed), program=str(program)), allowed, strict=True)
    ]
    ended = run(write_script(tmp_path, rendered(build_plan(commands))))
    assert ended.returncode == 0, ended.stderr
    records = [json.loads(line) for line in ended.stdout.splitlines()]
    assert [record["cpus"] for record in records] == [str(cpu) for cpu in allowed]
    assert {record["cwd"] for record in records} == {"/"}
    assert all(record["policy"] == "bind:0" for record in records) or "memory is not bound" in ended.stderr


def test_it_works_from_any_folder_and_leaves_nothing_behind(
    script: Path, program: Path, fake_numactl: Path, tmp_path: Path
) -> None:
    elsewhere = tmp_path / "else where"
    elsewhere.mkdir()
    ended = run(script, cwd=elsewhere, env=search_path(fake_numactl.parent))
    assert ended.returncode == 0, ended.stderr
    assert not list(elsewhere.iterdir())
    assert not folder_of(program).exists()


def test_refused_memory_binding_is_warned_of_and_left_out(
    tmp_path: Path, program: Path, fake_numactl: Path
) -> None:
    Path(f"{fake_numactl}.refuses").touch()
    cpu = min(os.sched_getaffinity(0))
    command = replace(build_commands(1, program=str(program))[0], cpus=(cpu,))
    script = write_script(tmp_path, rendered(build_plan([command])))
    ended = run(script, env=search_path(fake_numactl.parent))
    assert ended.returncode == 0, ended.stderr
    assert "memory is not bound to nodes" in ended.stderr
    assert "Operation not permitted" in ended.stderr
    record = json.loads(ended.stdout)
    assert record["cpus"] == str(cpu)
    assert tuple(record["argv"]) == command.argv


def test_a_missing_numactl_is_named_with_its_remedy(script: Path, tmp_path: Path) -> None:
    ended = run(script, env=tools_without_numactl(tmp_path / "bare"))
    assert ended.returncode == 127
    assert "apt install numactl" in ended.stderr


def test_unpinned_instances_need_no_numactl(tmp_path: Path, program: Path) -> None:
    plan = build_plan(build_commands(1, program=str(program), pinned=False))
    script = write_script(tmp_path, rendered(plan))
    ended = run(script, env=tools_without_numactl(tmp_path / "bare"))
    assert ended.returncode == 0, ended.stderr
    assert len(ended.stdout.splitlines()) == 1


def test_cpus_without_memory_nodes_need_taskset_and_no_numactl(tmp_path: Path, program: Path) -> None:
    cpu = min(os.sched_getaffinity(0))
    command = replace(build_commands(1, program=str(program), memory_nodes=())[0], cpus=(cpu,))
    script = write_script(tmp_path, rendered(build_plan([command])))
    ended = run(script, env=tools_without_numactl(tmp_path / "bare", "taskset"))
    assert ended.returncode == 0, ended.stderr
    record = json.loads(ended.stdout)
    assert (record["cpus"], record["policy"]) == (str(cpu), "default")
    assert ended.stderr == ""


def test_a_list_of_cpus_is_pinned_to_as_a_whole(tmp_path: Path, program: Path) -> None:
    cpus = tuple(sorted(os.sched_getaffinity(0)))
    command = replace(build_commands(1, program=str(program), memory_nodes=())[0], cpus=cpus)
    ended = run(write_script(tmp_path, rendered(build_plan([command]))))
    assert ended.returncode == 0, ended.stderr
    assert json.loads(ended.stdout)["cpus"] == format_cpu_list(cpus)


def test_a_missing_taskset_is_named_with_its_remedy(tmp_path: Path, program: Path) -> None:
    commands = build_commands(1, program=str(program), memory_nodes=())
    script = write_script(tmp_path, rendered(build_plan(commands)))
    ended = run(script, env=tools_without_numactl(tmp_path / "bare"))
    assert ended.returncode == 127
    assert "apt install util-linux" in ended.stderr


@pytest.mark.parametrize("usable", [False, True], ids=["alone", "beside one that can be used"])
@pytest.mark.parametrize(
    "memory_nodes",
    [
        (),
        pytest.param(
            (0,),
            marks=pytest.mark.skipif(shutil.which("numactl") is None, reason="numactl is not installed"),
        ),
    ],
)
def test_cpus_that_cannot_be_used_here_are_named(
    tmp_path: Path, program: Path, memory_nodes: tuple[int, ...], usable: bool
) -> None:
    cpus = (*((min(os.sched_getaffinity(0)),) if usable else ()), 8191)
    command = replace(build_commands(1, program=str(program), memory_nodes=memory_nodes)[0], cpus=cpus)
    ended = run(write_script(tmp_path, rendered(build_plan([command]))))
    assert f"cpus {format_cpu_list(cpus)} cannot be used here" in ended.stderr


def test_a_pruned_artifact_is_named_with_its_remedy(tmp_path: Path, program: Path) -> None:
    gone = str(tmp_path / "cache" / "no more")
    plan = build_plan(build_commands(1, program=str(program)), model={"source": "m", "artifact": gone})
    ended = run(write_script(tmp_path, rendered(plan)))
    assert ended.returncode == 1
    assert gone in ended.stderr
    assert "autotune tune" in ended.stderr


def test_a_python_that_is_gone_is_named(script: Path, program: Path) -> None:
    program.unlink()
    ended = run(script)
    assert ended.returncode == 1
    assert str(program) in ended.stderr


@pytest.mark.parametrize("arguments", [["--seconds"], ["--seconds", "x; ls"], ["--seconds=0"], ["--what"]])
def test_wrong_arguments_are_refused_before_anything_starts(
    script: Path, program: Path, arguments: list[str]
) -> None:
    ended = run(script, *arguments)
    assert ended.returncode == 2
    assert ended.stderr
    assert not (program.parent / "conduct.json").exists()


def test_help_says_what_it_does(script: Path) -> None:
    ended = run(script, "--help")
    assert ended.returncode == 0
    assert "--seconds N" in ended.stdout


def test_the_conductors_failure_is_the_scripts(script: Path, program: Path, fake_numactl: Path) -> None:
    (program.parent / "conduct.fails").touch()
    ended = run(script, env=search_path(fake_numactl.parent))
    assert ended.returncode == 3
    assert not folder_of(program).exists()


@pytest.mark.parametrize(("number", "status"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_signal_ends_every_process_even_one_that_ignores_it(
    script: Path, program: Path, fake_numactl: Path, number: signal.Signals, status: int
) -> None:
    (program.parent / "worker.hangs").touch()
    with subprocess.Popen(
        [script],
        env=search_path(fake_numactl.parent),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    ) as running:
        workers = started_workers(program.parent, 2)
        os.killpg(running.pid, number) if number == signal.SIGINT else running.send_signal(number)
        assert running.wait(timeout=30) == status
    assert not any(Path(f"/proc/{pid}").exists() for pid in workers)
    assert not folder_of(program).exists()


def started_workers(folder: Path, count: int) -> list[int]:
    give_up_s = time.monotonic() + 30
    while len(found := list(folder.glob("worker.[0-9]*"))) < count:
        assert time.monotonic() < give_up_s, "the workers did not start"
        time.sleep(0.02)
    return [int(path.suffix[1:]) for path in found]


def test_a_program_that_env_would_take_for_a_variable_is_refused() -> None:
    with pytest.raises(ExportError, match="a=b"):
        rendered(build_plan(build_commands(1, program="/opt/a=b/python")))


def server_plan(limits: Mapping[str, object]) -> Plan:
    study = {
        "name": "served",
        "model": "fake:model.json",
        "problem": {"batch_size": 4, "sequence_length": 16},
        "scenario": "server",
        "limits": limits,
    }
    return build_plan(scenario="server", study=PlanStudy(name="served", spec=study))


def test_the_script_of_a_server_shows_it_at_the_rate_of_the_plan() -> None:
    plan = server_plan({"latency": {"percentile": 99.0, "max_s": 0.05}})
    text = rendered(plan)[SCRIPT]
    rate = json.dumps({"rate_per_s": plan.estimate.throughput_sps / 4, "percentile": 99.0, "max_s": 0.05})
    assert f'"rate": {rate}' in text


@pytest.mark.parametrize("spec", [{}, {"scenario": "server"}])
def test_a_server_whose_plan_does_not_say_what_it_keeps_to_is_not_exported(spec: dict[str, Any]) -> None:
    with pytest.raises(ExportError, match="holds no study"):
        rendered(build_plan(scenario="server", study=PlanStudy(name="served", spec=spec)))
