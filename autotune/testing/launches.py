"""Launches of generated plans on generated machines, with texts in them that other formats mistake."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from hypothesis import strategies as st

from autotune.errors import PlacementError
from autotune.placement.place import place
from autotune.placement.placement import Command, Placement, WorkerProgram
from autotune.placement.variables import COUNTS
from autotune.plan.document import Plan, PlanStudy
from autotune.plan.launch import Launch, Program, launch_of
from autotune.spec.configuration import Configuration, PlacementPolicy
from autotune.spec.launch import CONTRACT, LAST_PORT, LaunchSpec
from autotune.testing.machines import build_machine
from autotune.testing.plans import build_assignment, build_plan

HOSTILE = (
    "a'; touch CANARY; '",
    'b"; touch CANARY; "',
    "$(touch CANARY) `touch CANARY` ${HOME} $HOME $$",
    "c\ntouch CANARY\n#",
    "d\r\n\x1b[31m\ttab \\ back\\\\slash %s %% %i %n {{ 7 * 7 }} {% raw %} {x}",
    "-e !! ~ * ? [a-z] && || | > CANARY < &",
    "--flag=value; [Section]\nKey=value",
    " # leading and trailing ",
    *("'", '"', "\\", "%", "$", "{", "}", "{{", "#", ";", "-", "=", ":", "\n", "\t"),
    *("null", "true", "1e3", "0x1"),
    "é 漢 \u202e \u2028 \x85 \u00a0 \U0001f600",
    "",
)
"""Text that must come through a target's files as it is; `CANARY` is a file that must not appear."""

PLAN_PATH = "/srv/it's a plan/plan.json"
"""Where the exported plan lies in generated launches."""

texts = st.sampled_from(HOSTILE) | st.text(
    st.characters(exclude_characters="\x00", exclude_categories=["Cs"]), max_size=12
)
"""Everything that an argument or a variable may hold."""

names = st.from_regex(r"[A-Za-z_][A-Za-z0-9_]{0,8}", fullmatch=True).filter(
    lambda name: name not in (*CONTRACT, *COUNTS, "PATH")
)
"""Names of variables that neither the plan nor autotune sets."""


def literal(text: str) -> str:
    """Write a text so that no brace in it opens a placeholder."""
    return text.replace("{", "{{").replace("}", "}}")


@st.composite
def placements(draw: st.DrawFn) -> tuple[Configuration, Placement]:
    """A configuration of the fake engine, and its place on a machine of any build."""
    machine = build_machine(
        packages=draw(st.integers(1, 2)),
        nodes_per_package=draw(st.integers(1, 2)),
        cores_per_node=draw(st.integers(1, 4)),
        threads_per_core=draw(st.integers(1, 2)),
        numbering=draw(st.sampled_from(("adjacent", "split"))),
    )
    sockets = "0" if len(machine.packages) == 1 else f"0-{len(machine.packages) - 1}"
    instances = draw(st.integers(1, min(4, len(machine.cores))))
    threads = draw(st.integers(0, len(machine.cores) // instances))
    policy: PlacementPolicy = draw(st.sampled_from(("close", "spread"))) if threads else "unpinned"
    asked = Configuration(instances, threads, policy, sockets, smt=False, backend="fake", precision="fp32")
    try:
        return asked, place(asked, machine)
    except PlacementError:  # threads of one instance more than a node has
        alone = replace(asked, instances=1)
        return alone, place(alone, machine)


@st.composite
def plans(draw: st.DrawFn) -> Plan:
    """A plan of such a machine, whose names, folders and variables are any text."""
    configuration, placement = draw(placements())
    environment = {**draw(st.dictionaries(names, texts, max_size=3)), "PATH": "/usr/bin:/bin"}
    artifact, knobs = Path("/cache", draw(texts.filter(bool))), draw(texts)
    commands = [
        Command(
            WorkerProgram(
                "/opt/it's autotune/bin/python",
                build_assignment(
                    index,
                    configuration.instances,
                    threads=configuration.threads_per_instance,
                    artifact=artifact,
                    knobs=knobs,
                ),
            ),
            environment,
            spot.cpus,
            spot.memory_nodes,
        )
        for index, spot in enumerate(placement.instances)
    ]
    told = draw(texts)
    return build_plan(commands, configuration=configuration, **named(told))


def named(text: str) -> Mapping[str, Any]:
    """Fields of a plan that say this text wherever they name anything."""
    return {
        "model": {"source": text, "digest": text},
        "study": PlanStudy(name=text),
        "machine": {"model_name": text, "fingerprint": text},
        "versions": {text: text},
        "warnings": (text,),
    }


@st.composite
def servers(draw: st.DrawFn) -> LaunchSpec:
    """A server that is told apart by its port, with any text for arguments and variables."""
    program = draw(st.sampled_from(("/opt/srv/bin/uvicorn", "/opt/it's here/run {{me}}", "gunicorn")))
    arguments = draw(st.lists(texts.map(literal), max_size=4))
    folder = draw(st.none() | texts.map(lambda text: literal(f"/srv/{text}")))
    return LaunchSpec(
        command=(program, *arguments, "--port={port}", "{artifact}"),
        port=draw(st.integers(1, LAST_PORT - 8)),
        environment=draw(st.dictionaries(names, texts.map(literal), max_size=3)),
        directory=folder,
    )


@st.composite
def launches(draw: st.DrawFn, program: Program) -> Launch:
    """A launch of autotune's workers, or of a server."""
    plan = draw(plans())
    if program == "worker":
        return launch_of(plan)
    measured = plan.instances[0].env
    server = draw(servers().filter(lambda server: not server.environment.keys() & measured.keys()))
    return launch_of(plan, server, plan_path=PLAN_PATH)
