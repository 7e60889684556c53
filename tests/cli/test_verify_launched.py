"""`autotune verify --launched`: real processes, started by launch.sh or by hand, looked at and asked."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from autotune.cli import exits
from autotune.exporters.nginx import NginxExporter, NginxOptions
from autotune.exporters.numactl import SCRIPT, NumactlExporter, NumactlOptions
from autotune.exporters.protocol import Exporter, ExportOptions
from autotune.exporters.supervisor import SupervisorExporter, SupervisorOptions
from autotune.exporters.write import write_export
from autotune.launched.find import find_processes
from autotune.launched.proc import ProcFiles
from autotune.machine.document import machine_document
from autotune.machine.read import read_machine
from autotune.plan.document import Plan, PlanStudy, format_plan
from autotune.plan.histogram import latency_histogram
from autotune.plan.launch import Launch, launch_of
from autotune.spec.launch import LaunchSpec
from autotune.testing.launches import literal
from autotune.testing.plans import build_commands, build_plan
from tests.exporters.serving import asked, free_ports

RunCommand = Callable[..., tuple[int, str, str]]

SERVER = Path(__file__).parents[1] / "launched" / "answering_posts.py"
ALLOWED = sorted(os.sched_getaffinity(0))
INSTANCES = 2
WAIT_S = 60.0
SERVICE_S = 0.005
NGINX = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin")
STUDY = {"name": "launched", "model": "fake:model.json"}

pytestmark = pytest.mark.skipif(len(ALLOWED) < INSTANCES, reason="two cpus are needed")


def make_plan(*, memory_nodes: tuple[int, ...] = (), **changes: Any) -> Plan:
    """A plan of this machine: two instances of one thread, each on a cpu of its own."""
    commands = [
        replace(command, cpus=(ALLOWED[index],))
        for index, command in enumerate(build_commands(INSTANCES, memory_nodes=memory_nodes))
    ]
    study = PlanStudy(name="launched", spec={**build_plan().study.spec, **STUDY})
    plan = build_plan(commands, machine=machine_document(read_machine()), study=study, **changes)
    estimate = plan.estimate.model_copy(update={"histogram": latency_histogram([SERVICE_S] * 100)})
    return plan.model_copy(update={"estimate": estimate})


def write_export_of(launch: Launch, exporter: Exporter, options: ExportOptions, folder: Path) -> None:
    """Write what the exporter makes of a launch, and the plan beside."""
    exported = exporter.render(launch, options)
    files = {**exported.files, "plan.json": format_plan(launch.plan)}
    write_export(files, folder, executable=exported.executable)


def launch_in(folder: Path, plan: Plan, port: int, *arguments: object) -> Launch:
    """The launch of the plan's servers, and its files in `launch/`."""
    words = (sys.executable, "-S", str(SERVER))
    command = (*map(literal, words), "{port}", *map(str, arguments))
    launch = launch_of(
        plan, LaunchSpec(command=command, port=port), plan_path=str(folder / "launch" / "plan.json")
    )
    write_export_of(launch, NumactlExporter(), NumactlOptions(), folder / "launch")
    return launch


@contextmanager
def running(
    *commands: Sequence[str], end: signal.Signals = signal.SIGTERM, **options: Any
) -> Iterator[list[subprocess.Popen[bytes]]]:
    processes = [subprocess.Popen(command, stdout=subprocess.DEVNULL, **options) for command in commands]
    try:
        yield processes
    finally:
        for process in processes:
            process.send_signal(end)
        for process in processes:
            process.wait(WAIT_S)


@contextmanager
def served(folder: Path, plan: Plan, *arguments: object) -> Iterator[list[int]]:
    """The plan's servers, started by launch.sh; gives their ports once they answer."""
    first = free_ports(INSTANCES)
    launch_in(folder, plan, first, *arguments)
    ports = [first + index for index in range(INSTANCES)]
    with running([str(folder / "launch" / SCRIPT)]):
        for port in ports:
            asked(port)
        yield ports


def pids_of(plan: Plan) -> list[int]:
    """The process of each instance."""
    found = find_processes(plan.id, INSTANCES, files=ProcFiles())
    return [found.instances[index][0] for index in range(INSTANCES)]


@pytest.fixture
def plan(request: pytest.FixtureRequest) -> Plan:
    """A plan whose id no other test's processes have."""
    return make_plan(id=f"launched-{os.getpid()}-{abs(hash(request.node.name)) % 10**6}")


@pytest.fixture
def verify(run_command: RunCommand, tmp_path: Path) -> Callable[..., tuple[int, str]]:
    """Runs `autotune verify launch/ --launched`: exit code and stdout; nothing goes wrong on stderr."""

    def run(*arguments: str) -> tuple[int, str]:
        code, out, err = run_command(tmp_path, "verify", "launch/", "--launched", *arguments)
        assert "Traceback" not in err
        return code, out

    return run


Verify = Callable[..., tuple[int, str]]


def rows(out: str) -> list[str]:
    return [" ".join(line.split()) for line in out.splitlines()]


def test_of_what_a_launch_script_started_nothing_differs(plan: Plan, tmp_path: Path, verify: Verify) -> None:
    with served(tmp_path, plan):
        pids = pids_of(plan)
        code, out = verify()
        coded, printed = verify("--json")
    assert (code, coded) == (0, 0), out
    assert out.startswith(f"as planned: plan {plan.id}: 2 of its 2 instances run; nothing differs")
    assert f"0 processes as planned process {pids[0]}" in rows(out)
    assert f"1 cpus as planned its only thread may run on cpus {ALLOWED[1]}" in rows(out)
    document = json.loads(printed)
    assert document["schema"] == "autotune.launched/1"
    assert (document["plan"], document["verdict"], document["served"]) == (plan.id, "as planned", None)
    assert document["instances"] == [{"instance": index, "processes": [pids[index]]} for index in range(2)]
    assert {finding["finding"] for finding in document["findings"]} == {"as planned"}


@pytest.mark.skipif(shutil.which("taskset") is None, reason="taskset is not installed")
def test_a_mask_that_was_changed_by_hand_is_named(plan: Plan, tmp_path: Path, verify: Verify) -> None:
    with served(tmp_path, plan):
        pid = pids_of(plan)[1]
        subprocess.run(["taskset", "-cp", str(ALLOWED[0]), str(pid)], check=True, capture_output=True)
        code, out = verify()
        subprocess.run(["taskset", "-cp", str(ALLOWED[1]), str(pid)], check=True, capture_output=True)
        again, _ = verify()
    assert (code, again) == (exits.DIFFERS, 0)
    assert out.startswith(f"differs: plan {plan.id}: ")
    moved = f"it may run on cpus {ALLOWED[0]}, and the plan has it on {ALLOWED[1]} (process {pid})"
    assert f"1 cpus differs {moved}" in rows(out)
    shared = f"instances 0 and 1 share cpus {ALLOWED[0]}, and the plan gives each its own"
    assert f"all cpus differs {shared}" in rows(out)
    assert "What helps: end it, and start it by a launch of the plan" in out


def test_a_single_thread_that_was_moved_is_named(plan: Plan, tmp_path: Path, verify: Verify) -> None:
    with served(tmp_path, plan, 0, 0, 3):
        pid = pids_of(plan)[0]
        thread = sorted(int(path.name) for path in Path(f"/proc/{pid}/task").iterdir())[1]
        os.sched_setaffinity(thread, {ALLOWED[1]})
        code, out = verify()
    assert code == exits.DIFFERS
    (row,) = [row for row in rows(out) if row.startswith("0 cpus")]
    assert row.startswith(f"0 cpus differs thread {thread} (")
    assert f"may run on cpus {ALLOWED[1]}, not within the plan's {ALLOWED[0]} (process {pid})" in row


def test_servers_that_were_started_by_hand_and_otherwise_differ_in_what_is_otherwise(
    plan: Plan, tmp_path: Path, verify: Verify
) -> None:
    port = free_ports(INSTANCES)
    instance = launch_in(tmp_path, plan, port).instances[0]
    environment = {**os.environ, **instance.environment, "OMP_NUM_THREADS": "16", "OMP_PLACES": "cores"}
    environment = {name: value for name, value in environment.items() if name not in {"OPENBLAS_NUM_THREADS"}}
    pinned = ["taskset", "-c", str(ALLOWED[0]), *instance.argv]
    with running(pinned, env=environment):
        asked(port)
        code, out = verify()
    assert code == exits.DIFFERS
    said = [row for row in rows(out) if "environment differs" in row]
    assert len(said) == 3, said
    assert "OMP_NUM_THREADS is '16', and a launch of the plan sets '1'" in said[0] + said[1]
    assert "OPENBLAS_NUM_THREADS is not set, and a launch of the plan sets '1'" in said[0] + said[1]
    assert "OMP_PLACES is 'cores', and a launch of the plan takes it away" in said[2]
    assert "1 processes differs no process of it runs here" in rows(out)
    assert "1 of its 2 instances runs" in out


def test_where_nothing_runs_it_says_how_processes_are_found_and_which_others_there_are(
    plan: Plan, tmp_path: Path, verify: Verify
) -> None:
    launch_in(tmp_path, plan, free_ports(INSTANCES))
    other = tmp_path / "other.json"
    other.write_text(format_plan(plan.model_copy(update={"id": "another-123456"})))
    environment = {**os.environ, "AUTOTUNE_PLAN": str(other), "AUTOTUNE_INSTANCE": "0"}
    with running(["sleep", "600"], env=environment) as (process,):
        code, out = verify("--url", "http://127.0.0.1:9/")
    assert code in (exits.DIFFERS, exits.UNDECIDED)
    assert "nothing of it runs here, as far as can be seen" in out
    assert f"Of the plan another-123456, {other}: process {process.pid}." in out
    assert "give --pid INSTANCE=PID" in out


def test_processes_without_the_variables_are_looked_at_by_their_ids(
    plan: Plan, tmp_path: Path, verify: Verify
) -> None:
    launch = launch_in(tmp_path, plan, free_ports(INSTANCES))
    known = ("AUTOTUNE_PLAN", "AUTOTUNE_INSTANCE")
    commands = [
        [
            *("env", "-i"),
            *(f"{name}={value}" for name, value in instance.environment.items() if name not in known),
            *("taskset", "-c", str(ALLOWED[instance.index]), *instance.argv),
        ]
        for instance in launch.instances
    ]
    with running(*commands) as processes:
        for instance in launch.instances:
            asked(instance.port or 0)
        named = [f"--pid={index}={process.pid}" for index, process in enumerate(processes)]
        code, out = verify(*named)
        swapped, _ = verify(f"--pid=1={processes[0].pid}", f"--pid=0={processes[1].pid}")
        unknown = verify("--pid", f"0={2**22 + 1}")[0]
    assert code == 0, out
    assert swapped == exits.DIFFERS
    assert unknown == 16


@pytest.mark.parametrize("pid", [1, os.getpid()], ids=["first", "this"])  # each worker has its own
def test_who_started_this_command_is_refused_as_an_instance(
    run_command: RunCommand, tmp_path: Path, plan: Plan, pid: int
) -> None:
    if pid != os.getpid() and not is_ancestor(pid):
        pytest.skip("the first process here is nobody's parent")
    launch_in(tmp_path, plan, free_ports(INSTANCES))
    code, out, err = run_command(tmp_path, "verify", "launch/", "--launched", "--pid", f"0={pid}")
    assert (code, out) == (16, "")
    assert f"process {pid} started this command, too" in err


def is_ancestor(pid: int) -> bool:
    """Whether a process has started this one, or who started it."""
    own = os.getpid()
    while own > 0 and own != pid:
        own = int(ProcFiles().stat(own)[1])
    return own == pid


def test_the_script_that_starts_all_may_be_named_and_is_no_second_launch(
    plan: Plan, tmp_path: Path, verify: Verify
) -> None:
    with served(tmp_path, plan):
        pids = pids_of(plan)
        script = int(ProcFiles().stat(pids[0])[1])
        _, out = verify(f"--pid=0={script}", "--json")
    instances = {part["instance"]: part["processes"] for part in json.loads(out)["instances"]}
    assert instances[1] == [pids[1]]
    assert instances[0] == [script, pids[0]]


def test_servers_that_were_killed_are_missing_also_for_root(
    plan: Plan, tmp_path: Path, verify: Verify
) -> None:
    with served(tmp_path, plan):
        pids = pids_of(plan)
        os.kill(pids[1], signal.SIGKILL)
        give_up_s = time.monotonic() + WAIT_S
        while any(map(ProcFiles().is_there, pids)) and time.monotonic() < give_up_s:
            time.sleep(0.02)
        code, out = verify("--json")
    document = json.loads(out)
    hidden = {process["process"] for process in document["hidden"]}
    assert not any(map(is_ancestor, hidden))
    assert code == (exits.UNDECIDED if hidden else exits.DIFFERS)
    assert {finding["aspect"] for finding in document["findings"]} == {"processes"}
    assert {part["instance"] for part in document["instances"] if part["processes"]} == set()


def test_a_server_that_is_stopped_differs_until_it_goes_on(
    plan: Plan, tmp_path: Path, verify: Verify
) -> None:
    with served(tmp_path, plan):
        pid = pids_of(plan)[1]
        os.kill(pid, signal.SIGSTOP)
        try:
            code, out = verify()
        finally:
            os.kill(pid, signal.SIGCONT)
        again, _ = verify()
    assert (code, again) == (exits.DIFFERS, 0)
    said = f"1 processes differs it is stopped by a signal, and answers nothing (process {pid})"
    assert said in rows(out)
    assert "What helps: let it go on: kill -CONT PID" in out


def test_a_second_launch_of_one_instance_is_told(plan: Plan, tmp_path: Path, verify: Verify) -> None:
    with served(tmp_path, plan):
        environment = {
            **os.environ,
            "AUTOTUNE_PLAN": str(tmp_path / "launch/plan.json"),
            "AUTOTUNE_INSTANCE": "0",
        }
        with running(["sleep", "600"], env=environment) as (process,):
            code, out = verify()
    assert code == exits.DIFFERS
    assert "0 processes differs it runs 2 times" in " ".join(out.split())
    assert str(process.pid) in out


def test_a_plan_of_another_machine_is_not_compared(tmp_path: Path, verify: Verify) -> None:
    plan = make_plan()
    elsewhere = plan.model_copy(update={"machine": {**plan.machine, "model_name": "Another CPU"}})
    launch_in(tmp_path, elsewhere, free_ports(INSTANCES))
    code, out = verify()
    assert code == exits.STALE
    assert out.startswith("stale: ")
    assert "the cpu model differs: Another CPU then" in out
    allowed = plan.model_copy(update={"machine": {**plan.machine, "allowed": "0-191"}})
    (tmp_path / "launch" / "plan.json").write_text(format_plan(allowed))
    assert verify()[0] != exits.STALE, "what this command may use is no matter"


def test_under_load_the_server_stands_beside_the_plan(plan: Plan, tmp_path: Path, verify: Verify) -> None:
    with served(tmp_path, plan, SERVICE_S) as ports:
        urls = [f"--url=http://127.0.0.1:{port}/answers" for port in ports]
        code, out = verify(*urls, "--rate", "9000/min", "--seconds", "2", "--json")
    document = json.loads(out)
    load = document["served"]
    assert document["verdict"] == "as planned"
    assert load["sent"] == 300
    assert load["answered"] == 300
    assert load["failures"] == {}
    assert (load["rate_per_s"], load["seconds"]) == (150.0, 2.0)
    assert load["stated"]["capacity_per_s"] == pytest.approx(INSTANCES / SERVICE_S, rel=0.01)
    median = load["latencies"][0]
    assert median["percentile"] == 50
    assert median["stated_s"] == pytest.approx(SERVICE_S, rel=0.2)
    assert median["value_s"] >= SERVICE_S
    assert median["interval"]["low"] <= median["interval"]["high"]
    assert code == {"keeps up": 0, "falls short": exits.WORSE, "undecided": exits.UNDECIDED}[load["verdict"]]


def test_under_load_failed_requests_are_named_and_fall_short(
    plan: Plan, tmp_path: Path, verify: Verify
) -> None:
    bodies = tmp_path / "requests.jsonl"
    bodies.write_text('{"texts": ["a"]}\n{"texts": ["b"]}\n')
    with served(tmp_path, plan, 0, 5) as ports:
        first = f"http://127.0.0.1:{ports[0]}/"
        code, out = verify("--url", first, "--requests", str(bodies), "--rate", "100", "--seconds", "1")
    assert re.search(r"^(19|20|21) of 100 requests failed: status 503 \(\1\)\.$", out, re.MULTILINE)
    assert "nothing differs" in out
    assert f"falls short: 100 requests/s to {first}: 100 requests in 1 s, " in out
    assert code == exits.WORSE


@pytest.mark.skipif(NGINX is None, reason="nginx is not installed")
def test_what_supervisor_started_is_as_planned_and_nginx_before_it_is_asked(
    plan: Plan, tmp_path: Path, verify: Verify
) -> None:
    pytest.importorskip("supervisor", reason="supervisor is not installed")
    first = free_ports(INSTANCES + 1)
    launch = launch_in(tmp_path, plan, first + 1)
    write_export_of(launch, SupervisorExporter(), SupervisorOptions(), tmp_path / "conf")
    write_export_of(launch, NginxExporter(), NginxOptions(listen=first), tmp_path / "nginx")
    supervised = tmp_path / "supervisord.conf"
    supervised.write_text(
        f"[supervisord]\nnodaemon=true\nlogfile=/dev/null\nlogfile_maxbytes=0\npidfile={tmp_path}/pid\n"
        f"childlogdir={tmp_path}\n[include]\nfiles={tmp_path}/conf/autotune.conf\n"
    )
    kinds = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    folders = "".join(f"{kind}_temp_path {tmp_path}/{kind};\n" for kind in kinds)
    balancing = tmp_path / "nginx.conf"
    balancing.write_text(
        f"daemon off;\npid {tmp_path}/nginx.pid;\nerror_log stderr;\nevents {{}}\n"
        f"http {{\naccess_log off;\n{folders}include {tmp_path}/nginx/autotune.conf;\n}}\n"
    )
    supervisor = [sys.executable, "-W", "ignore", "-m", "supervisor.supervisord", "-c", str(supervised)]
    with running(supervisor, stderr=subprocess.DEVNULL):
        for port in (first + 1, first + 2):
            asked(port)
        with running([str(NGINX), "-c", str(balancing)], stderr=subprocess.DEVNULL):
            asked(first)
            url = f"http://127.0.0.1:{first}/"
            _, out = verify("--url", url, "--rate", "100", "--seconds", "1", "--json")
    document = json.loads(out)
    assert document["verdict"] == "as planned"
    assert (document["served"]["answered"], document["served"]["failures"]) == (100, {})


def test_ctrl_c_ends_the_load_with_what_was_measured_and_no_server(plan: Plan, tmp_path: Path) -> None:
    with served(tmp_path, plan) as ports:
        words = ["verify", "launch/", "--launched", "--url", f"http://127.0.0.1:{ports[0]}/", "--rate", "50"]
        command = [sys.executable, "-m", "autotune", *words, "--seconds", "600", "--json"]
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        with subprocess.Popen(command, cwd=tmp_path, text=True, **pipes) as process:  # type: ignore[call-overload]
            time.sleep(0.1)
            wait_for_connection(ports[0])
            process.send_signal(signal.SIGINT)
            out, err = process.communicate(timeout=WAIT_S)
        for port in ports:
            asked(port)
    assert process.returncode == exits.INTERRUPTED, err
    document = json.loads(out)
    assert document["stopped"]
    assert document["served"]["seconds"] < 600
    assert document["verdict"] == "as planned"
    assert "Traceback" not in err


def wait_for_connection(port: int) -> None:
    """Wait until somebody is connected to a port of this machine."""
    wanted, give_up_s = f":{port:04X} ", time.monotonic() + WAIT_S
    while time.monotonic() < give_up_s:
        lines = Path("/proc/net/tcp").read_text().splitlines()
        if any(wanted in line and line.split()[3] == "01" for line in lines):
            return
        time.sleep(0.05)
    raise TimeoutError(f"nobody connects to {port}")


@pytest.mark.skipif(
    os.geteuid() != 0 or shutil.which("setpriv") is None, reason="only root may be another user"
)
def test_what_another_user_may_not_see_cannot_be_told(plan: Plan, tmp_path: Path) -> None:
    program = (
        "import os, sys\nfrom autotune.launched.find import find_processes\n"
        "from autotune.launched.proc import ProcFiles\nos.setgroups([]); os.setgid(65534); os.setuid(65534)\n"
        "found = find_processes(sys.argv[1], 2, files=ProcFiles())\n"
        "print(len(found.instances), len(found.hidden))"
    )
    with served(tmp_path, plan):
        ended = subprocess.run(
            [sys.executable, "-c", program, plan.id], capture_output=True, text=True, check=True
        )
    instances, hidden = map(int, ended.stdout.split())
    assert instances == 0
    assert hidden >= INSTANCES


WITHOUT = ("setpriv", "--bounding-set=-sys_ptrace,-sys_admin,-perfmon")
"""Starts a command as root of a container is: without what it takes to look at others."""


@pytest.mark.skipif(
    os.geteuid() != 0
    or shutil.which("setpriv") is None
    or subprocess.run(
        [*WITHOUT, "cat", f"/proc/{os.getpid()}/environ"], capture_output=True, check=False
    ).returncode
    == 0,
    reason="only root with all capabilities may start somebody with fewer",
)
def test_root_who_may_not_look_is_told_who_is_hidden_and_what_helps_root(plan: Plan, tmp_path: Path) -> None:
    command = [*WITHOUT, sys.executable, "-m", "autotune", "verify", "launch/", "--launched"]
    with served(tmp_path, plan):
        pids = pids_of(plan)
        ended = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
        as_json = subprocess.run(
            [*command, "--json"], cwd=tmp_path, capture_output=True, text=True, check=False
        )
    assert ended.returncode == exits.UNDECIDED, ended.stderr
    assert (
        "What helps: run this as the user of these processes, or on the host as root; root of a"
        in ended.stdout
    )
    assert ended.stdout.count("May not be looked at: process ") == 1
    hidden = {process["process"]: process["user"] for process in json.loads(as_json.stdout)["hidden"]}
    assert {hidden[pid] for pid in pids} == {0}
    assert os.getpid() not in hidden, "it started the command"


@pytest.mark.skipif(
    subprocess.run(["unshare", "--pid", "--fork", "true"], capture_output=True, check=False).returncode != 0,
    reason="no namespace of process ids can be made here",
)
def test_a_process_in_a_namespace_of_its_own_is_found_and_named_with_both_ids(
    plan: Plan, tmp_path: Path, verify: Verify
) -> None:
    port = free_ports(INSTANCES)
    instance = launch_in(tmp_path, plan, port).instances[0]
    pinned = ["taskset", "-c", str(ALLOWED[0]), "unshare", "--pid", "--fork", "--kill-child", *instance.argv]
    without = {name: value for name, value in os.environ.items() if name not in instance.unset}
    with running(pinned, end=signal.SIGKILL, env={**without, **instance.environment}):
        asked(port)
        code, out = verify()
    assert code == exits.DIFFERS, "the other instance does not run"
    assert "0 environment as planned" in " ".join(out.split())
    document = [row for row in rows(out) if row.startswith("0 processes")]
    assert re.fullmatch(r"0 processes as planned process \d+ and 1 that it started", document[0])


@pytest.mark.skipif(
    shutil.which("numactl") is None
    or subprocess.run(["numactl", "--membind=0", "true"], capture_output=True, check=False).returncode != 0,
    reason="memory cannot be bound here",
)
def test_memory_that_is_not_bound_is_named(plan: Plan, tmp_path: Path, verify: Verify) -> None:
    bound = make_plan(memory_nodes=(0,), id=plan.id)
    with served(tmp_path, bound):
        code, out = verify()
        assert code == 0, out
        assert any(row.startswith("0 memory as planned bound to nodes 0") for row in rows(out))
        unbound = plan
        (tmp_path / "launch" / "plan.json").write_text(format_plan(unbound))
        code, out = verify()
    assert code == exits.DIFFERS
    assert any("its memory policy is bind 0, and the plan leaves memory alone" in row for row in rows(out))


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--pid", "0=1"), "give --launched, too"),
        (("--url", "http://a/"), "give --launched, too"),
        (("--rate", "0"), "give --launched, too"),
        (("--launched", "--rate", "5"), "say where to send it with --url"),
        (("--launched", "--requests", "x"), "say where to send it with --url"),
        (("--launched", "--rounds", "3"), "--launched runs none"),
        (("--launched", "--tolerance", "5%"), "--launched runs none"),
        (("--launched", "--url", "nowhere"), "is no URL of a server"),
        (("--launched", "--url", "http://a/", "--rate", "1e9"), "give from 0.1/s to 10000/s"),
        (("--launched", "--url", "http://a/", "--rate", "1/min"), "cannot be sent"),
        (("--launched", "--url", "http://a/", "--rate", "nan"), "'nan' is not a rate"),
        (("--launched", "--url", "http://a/", "--rate", "5/week"), "such as 100/s"),
        (("--launched", "--url", "http://a/", "--seconds", "0"), "give from 1 to 600"),
        (("--launched", "--url", "http://a/", "--requests", "gone"), "cannot be read"),
        (("--launched", "--pid", "one=1"), "write such as 0=1234"),
        (("--launched", "--pid", "0=0"), "write such as 0=1234"),
        (("--launched", "--pid", "2=1"), "the plan has 2 instances"),
    ],
)
def test_a_wrong_command_line_is_refused_before_anything_is_sent(
    run_command: RunCommand, tmp_path: Path, arguments: tuple[str, ...], said: str
) -> None:
    (tmp_path / "plan.json").write_text(format_plan(build_plan()))
    code, out, err = run_command(tmp_path, "verify", "./plan.json", *arguments)
    assert (code, out) == (2, "")
    assert said in " ".join(err.replace("│", " ").split())


def test_the_codes_of_verdicts_are_apart() -> None:
    assert exits.DIFFERS not in {exits.WORSE, exits.STALE, exits.UNDECIDED, *exits.EXIT_CODES.values()}
