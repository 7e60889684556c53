"""What a plan starts: workers as measured, or a server in the place of each."""

from __future__ import annotations

import shlex
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autotune.errors import ExportError
from autotune.placement.variables import AFFINITY, COUNTS
from autotune.plan.command_line import parse_command
from autotune.plan.document import Plan, PlanStudy
from autotune.plan.launch import Launch, launch_of, server_of
from autotune.spec.launch import LaunchSpec
from autotune.testing.launches import launches, plans
from autotune.testing.plans import build_assignment, build_commands, build_plan

SERVER = LaunchSpec(
    command=(
        "uvicorn",
        "app:app",
        "--port",
        "{port}",
        "{instance}/{threads}/{cpus}",
        "{artifact}",
        "{plan}",
        "{{}}",
    ),
    port=9000,
    environment={"WORKER": "{instance}"},
    directory="/srv/{instance}",
)


def served(plan: Plan | None = None, server: LaunchSpec = SERVER) -> Launch:
    return launch_of(
        build_plan(build_commands(2, threads=2)) if plan is None else plan, server, plan_path="/p.json"
    )


def plan_with(environment: dict[str, str], threads: int = 2) -> Plan:
    commands = [replace(command, environment=environment) for command in build_commands(1, threads=threads)]
    program = replace(commands[0].worker, assignment=build_assignment(threads=threads))
    return build_plan([replace(commands[0], program=program)])


@given(plans())
def test_the_workers_are_started_as_they_were_measured(plan: Plan) -> None:
    launch = launch_of(plan)
    assert launch.program == "worker"
    assert [
        (instance.argv, instance.environment, instance.cpus, instance.memory_nodes)
        for instance in launch.instances
    ] == [
        (command.argv, command.environment, command.cpus, command.memory_nodes) for command in plan.commands()
    ]
    assert all(instance.unset == () and instance.directory == "/" for instance in launch.instances)


def test_a_server_gets_its_part_of_the_plan_by_placeholders() -> None:
    first, second = served().instances
    assert first.argv[3:] == ("9000", "0/2/0-1", "/cache/artifacts/5e5e5e", "/p.json", "{}")
    assert second.argv[3:5] == ("9001", "1/2/2-3")
    assert (second.port, second.cpus, second.memory_nodes) == (9001, (2, 3), (0,))
    assert (first.directory, second.directory) == ("/srv/0", "/srv/1")
    assert second.environment["WORKER"] == second.environment["AUTOTUNE_INSTANCE"] == "1"
    assert second.environment["AUTOTUNE_PLAN"] == "/p.json"


def test_a_servers_libraries_are_told_to_keep_to_the_plans_threads() -> None:
    (instance,) = served(plan_with({"PATH": "/opt/bin", "OMP_NUM_THREADS": "3"}, threads=2)).instances
    assert {name: instance.environment[name] for name in COUNTS} == {
        **dict.fromkeys(COUNTS, "2"),
        "OMP_NUM_THREADS": "3",  # as the plan has it
    }
    assert instance.environment["TOKENIZERS_PARALLELISM"] == "true"
    assert "PATH" not in instance.environment


def test_what_the_plan_was_measured_with_comes_along_and_what_made_workers_quiet_does_not() -> None:
    environment = {
        "LD_PRELOAD": "/usr/lib/libjemalloc.so.2",
        "KMP_BLOCKTIME": "0",
        "OPENBLAS_NUM_THREADS": "1",
        "HF_HUB_OFFLINE": "1",
        "HOME": "/root",
    }
    (instance,) = served(plan_with(environment)).instances
    assert instance.environment["LD_PRELOAD"] == "/usr/lib/libjemalloc.so.2"
    assert instance.environment["KMP_BLOCKTIME"] == "0"
    assert instance.environment["OPENBLAS_NUM_THREADS"] == "2"
    assert not {"HF_HUB_OFFLINE", "HOME"} & instance.environment.keys()
    assert set(instance.unset) == {*AFFINITY} - {"KMP_BLOCKTIME"}


def test_where_the_plan_leaves_threads_to_the_engine_no_variable_of_the_caller_decides_them() -> None:
    (instance,) = served(plan_with({"PATH": "/bin"}, threads=0)).instances
    assert not {*COUNTS} & instance.environment.keys()
    assert set(instance.unset) == {*AFFINITY, *COUNTS}


@given(launches("command"))
def test_no_two_servers_listen_on_one_port_or_see_a_variable_that_is_unset(launch: Launch) -> None:
    ports = [instance.port for instance in launch.instances]
    assert len({*ports}) == len(ports)
    for instance in launch.instances:
        assert not {*instance.unset} & instance.environment.keys()
        assert not {*AFFINITY} - {*instance.unset} - instance.environment.keys()


def test_what_the_plan_was_measured_with_cannot_be_set_otherwise() -> None:
    server = SERVER.model_copy(update={"environment": {"OMP_NUM_THREADS": "64"}})
    with pytest.raises(
        ExportError, match="sets OMP_NUM_THREADS to '64', and the plan was measured with '2'"
    ) as caught:
        served(server=server)
    assert caught.value.remedy == "leave OMP_NUM_THREADS out of launch.environment"


@pytest.mark.parametrize("port", [0, -1, 65_535, 70_000])
def test_ports_out_of_range_are_refused(port: int) -> None:
    with pytest.raises(ExportError, match=f"port {port} is out of range: 2 instances take") as caught:
        served(server=SERVER.model_copy(update={"port": port}))
    assert "from 1 to 65534" in caught.value.remedy


def test_instances_that_nothing_tells_apart_are_refused() -> None:
    same = LaunchSpec(command=("uvicorn", "app:app"))
    assert served(build_plan(build_commands(1)), same).instances
    with pytest.raises(ExportError, match="'uvicorn app:app' is the same for all 2 instances") as caught:
        served(server=same)
    assert "{instance} or {port}" in caught.value.remedy
    assert served(server=same.model_copy(update={"environment": {"PORT": "{port}"}})).instances


def test_a_plan_that_is_written_nowhere_is_asked_for_in_vain() -> None:
    with pytest.raises(ExportError, match=r"asks for \{plan\}") as caught:
        launch_of(build_plan(), SERVER)
    assert "-o DIR" in caught.value.remedy
    silent = LaunchSpec(command=("run", "{port}"))
    assert "AUTOTUNE_PLAN" not in launch_of(build_plan(), silent).instances[0].environment


def test_a_command_that_asks_for_no_port_has_none() -> None:
    silent = launch_of(build_plan(), LaunchSpec(command=("run", "{instance}")))
    assert [instance.port for instance in silent.instances] == [None, None]
    unknown = launch_of(build_plan(), LaunchSpec(port=9000))
    assert [instance.port for instance in unknown.instances] == [9000, 9001]


def of_study(**launch: Any) -> Plan:
    return build_plan(study=PlanStudy(name="s", spec={"launch": launch} if launch else {}))


def test_the_server_is_the_studys_and_what_is_named_at_the_export_wins() -> None:
    plan = of_study(command=["run", "{port}"], port=7000, environment={"A": "b"})
    assert server_of(plan) == LaunchSpec(command=("run", "{port}"), port=7000, environment={"A": "b"})
    named = server_of(plan, "uvicorn 'my app' {port}", 9000)
    assert named == LaunchSpec(command=("uvicorn", "my app", "{port}"), port=9000, environment={"A": "b"})
    assert server_of(of_study()) is None
    assert server_of(of_study(), "run {port}") == LaunchSpec(command=("run", "{port}"))


def test_a_plan_whose_study_says_nonsense_of_the_server_is_refused() -> None:
    with pytest.raises(ExportError, match="does not say how the server is started"):
        server_of(of_study(command=["run", "{prot}"]))
    with pytest.raises(ExportError, match="does not say how the server is started"):
        server_of(build_plan(study=PlanStudy(name="s", spec={"launch": "run"})))


@pytest.mark.parametrize(
    ("command", "message"),
    [
        ("", "names no program"),
        ("''", "names no program"),
        ("run 'open", "cannot be read: no closing quotation"),
        ("run {prot}", r"\{prot\} is no placeholder \(did you mean \{port\}\?\)"),
        ("run {", "has a single {"),
        ("run {port!r}", "is no placeholder"),
    ],
)
def test_a_command_that_is_none_is_refused(command: str, message: str) -> None:
    with pytest.raises(ExportError, match=message):
        parse_command(command)


@pytest.mark.parametrize(
    ("command", "wanted"),
    [
        ("srv {port} > log 2>&1", "'>'"),
        ("cd /srv && srv {port}", "'&&'"),
        ("srv {port} | tee log", "'|'"),
        ("srv {port}; echo", "';'"),
        ("srv {port} &", "'&'"),
        ("srv {port} # comment", "'#'"),
        ("srv --port $PORT {port}", "'$PORT'"),
        ('srv "$(hostname)" {port}', "hostname"),
        ("~/venv/bin/srv {port}", "'~/venv/bin/srv'"),
    ],
)
def test_a_command_that_wants_a_shell_is_refused(command: str, wanted: str) -> None:
    with pytest.raises(ExportError, match="wants a shell") as refused:
        parse_command(command)
    assert wanted in refused.value.problem
    assert "bash -c" in refused.value.remedy


@given(st.lists(st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"])), min_size=1))
def test_what_is_quoted_for_a_shell_is_taken_as_it_is(words: list[str]) -> None:
    from autotune.testing.launches import literal

    named = ["run", *map(literal, words)]
    assert parse_command(shlex.join(named)) == tuple(named)


@given(st.lists(st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"])), min_size=1))
def test_any_words_come_through_as_they_are(words: list[str]) -> None:
    from autotune.testing.launches import literal

    server = LaunchSpec(command=("run", *map(literal, words)))
    (instance,) = launch_of(build_plan(build_commands(1)), server).instances
    assert instance.argv == ("run", *words)
