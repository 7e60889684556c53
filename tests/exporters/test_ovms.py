"""OpenVINO Model Server's settings, compiled with by OpenVINO itself, and its script, really run by bash.

The server itself is not to be had as a package: a small server of HTTP stands in its place.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import jsonschema
import pytest

from autotune.backends.openvino.knobs import in_force
from autotune.backends.openvino.runtime import core, import_openvino, stated_properties
from autotune.errors import ExportError
from autotune.exporters.exporting import launch_for
from autotune.exporters.options import read_options
from autotune.exporters.ovms import CONFIG, START, OvmsExporter, OvmsOptions
from autotune.exporters.protocol import Exported, Exporter
from autotune.exporters.write import write_export
from autotune.machine.cpus import parse_cpu_list
from autotune.plan.launch import Launch, launch_of
from autotune.spec.configuration import PRECISIONS, Precision
from autotune.spec.knobs import split_knobs
from autotune.spec.launch import LAST_PORT, LaunchSpec
from autotune.testing.exporter_contract import ExporterContract, Started
from autotune.testing.plans import build_commands, build_plan
from tests.exporters.engines import of_engine
from tests.exporters.serving import ALLOWED, SERVER, WAIT_S, asked, free_ports, is_free

GRPC: Final = 9_000

MODEL: Final = {
    "name": {"type": "string", "minLength": 1},
    "base_path": {"type": "string", "minLength": 1},
    "target_device": {"const": "CPU"},
    "nireq": {"type": "integer", "minimum": 1},
    "plugin_config": {"type": "object", "additionalProperties": {"type": "string"}},
}
SETTINGS: Final[Mapping[str, Any]] = {
    "type": "object",
    "required": ["model_config_list"],
    "additionalProperties": False,
    "properties": {
        "model_config_list": {
            "type": "array",
            "minItems": 1,
            "items": {
                "type": "object",
                "required": ["config"],
                "additionalProperties": False,
                "properties": {
                    "config": {
                        "type": "object",
                        "required": ["name", "base_path"],
                        "additionalProperties": False,
                        "properties": MODEL,
                    }
                },
            },
        }
    },
}
"""What the server's manual says of the keys that are written here; it refuses any that it does not know."""


class TestOvmsExporter(ExporterContract):
    @pytest.fixture
    def exporter(self) -> Exporter:
        return OvmsExporter()

    def render(self, exporter: Exporter, launch: Launch) -> Exported:
        return super().render(exporter, of_engine(launch, "openvino"))

    def can_express(self, launch: Launch) -> bool:
        first, count = launch.instances[0].port or 8_000, len(launch.instances)
        return abs(first - GRPC) >= count and first + count - 1 <= LAST_PORT

    def parse(self, files: Mapping[str, str]) -> Sequence[Started]:
        jsonschema.validate(json.loads(files[CONFIG]), SETTINGS)
        return [as_started(words) for words in started_words(files[START])]


STARTING = re.compile(r"^(?:serve [0-9]+ (?:.*\\\n)*.*|link_model .*)\n", re.MULTILINE)


def started_words(script: str) -> Iterator[list[str]]:
    """What bash makes of the words that start an instance."""
    lines = "".join(line for line in STARTING.findall(script) if line.startswith("serve"))
    text = f'ovms=ovms here=/here\nserve() {{ printf \'%s\\0\' "$#" "$@"; }}\n{lines}'
    printed = subprocess.run(["bash", "-uc", text], capture_output=True, check=True).stdout
    words = [os.fsdecode(word) for word in printed.split(b"\0")[:-1]]
    while words:
        count = int(words.pop(0))
        yield words[:count]
        del words[:count]


def as_started(words: list[str]) -> Started:
    index, port, directory, cpus, nodes, env, *rest = words
    assert (env, directory) == ("env", "")
    while rest[0] == "-u":
        del rest[:2]
    count = rest.index("ovms")
    program = rest[count:]
    assert program[:3] == ["ovms", "--config_path", "/here/config.json"]
    assert program[3:7] == ["--rest_port", port, "--port", str(GRPC + int(index))]
    return Started(
        environment=dict(word.split("=", 1) for word in rest[:count]),
        cpus=tuple(sorted(parse_cpu_list(cpus))),
        memory_nodes=tuple(sorted(parse_cpu_list(nodes))),
    )


def launch(instances: int = 2, backend: str = "openvino", **changes: Any) -> Launch:
    plan = build_plan(build_commands(instances, threads=2), versions={"openvino": "2026.4.0"})
    return of_engine(launch_of(plan, LaunchSpec(), plan_path="/srv/plan.json"), backend, **changes)


def model_of(launched: Launch) -> dict[str, Any]:
    files = OvmsExporter().render(launched, OvmsOptions()).files
    model: dict[str, Any] = json.loads(files[CONFIG])["model_config_list"][0]["config"]
    return model


def test_the_settings_are_the_engines_own() -> None:
    assert model_of(launch(knobs="pinning=on streams=2")) == {
        "name": "autotune",
        "base_path": "models/autotune",
        "target_device": "CPU",
        "nireq": 2,
        "plugin_config": {
            "NUM_STREAMS": "2",
            "INFERENCE_NUM_THREADS": "2",
            "INFERENCE_PRECISION_HINT": "f32",
            "ENABLE_CPU_PINNING": "YES",
            "ENABLE_HYPER_THREADING": "YES",
            "DYNAMIC_QUANTIZATION_GROUP_SIZE": "0",
        },
    }


KNOBS = ("", "pinning=on", "streams=4", "pinning=on streams=2")


@pytest.mark.parametrize("threads", [0, 1, 4])
@pytest.mark.parametrize("knobs", KNOBS)
@pytest.mark.parametrize("precision", [precision for precision in PRECISIONS if precision != "int8-static"])
def test_they_say_what_the_workers_engine_was_told(precision: Precision, knobs: str, threads: int) -> None:
    told = model_of(launch(precision=precision, knobs=knobs, threads=threads))["plugin_config"]
    words = {True: "YES", False: "NO"}
    assert told == {
        name: words[value] if isinstance(value, bool) else str(value)
        for name, value in stated_properties(precision, threads, split_knobs(knobs)).items()
    }


@pytest.mark.parametrize("knobs", KNOBS)
def test_openvino_itself_takes_them_as_the_workers_were(knobs: str) -> None:
    pytest.importorskip("openvino", reason="openvino is not installed")
    openvino = import_openvino()
    from openvino import opset13 as ops

    entry = ops.parameter([-1, -1])
    model = openvino.Model([ops.relu(entry)], [entry], "one")
    told = model_of(launch(knobs=knobs, threads=1))["plugin_config"]
    asked_for = stated_properties("fp32", 1, split_knobs(knobs))
    compiled, expected = (core().compile_model(model, "CPU", chosen) for chosen in (told, asked_for))
    for name in told:
        assert compiled.get_property(name) == expected.get_property(name), name
    assert in_force(compiled) == in_force(expected)
    assert compiled.get_property("INFERENCE_NUM_THREADS") == 1


@pytest.mark.parametrize(
    ("backend", "changes", "words"),
    [
        ("fake", {}, "has no engine 'fake'"),
        ("onnxruntime", {}, "has no engine 'onnxruntime'"),
        ("openvino", {"precision": "int8-static"}, "at int8-static the plan's is compiled already"),
        ("openvino", {"knobs": "spinning=off"}, "cannot set the plan's spinning"),
        ("openvino", {"knobs": "unheard=of"}, "cannot set the plan's unheard"),
    ],
)
def test_what_it_cannot_run_as_measured_is_refused(backend: str, changes: dict[str, Any], words: str) -> None:
    with pytest.raises(ExportError, match=words) as caught:
        OvmsExporter().render(launch(2, backend, **changes), OvmsOptions())
    assert caught.value.remedy


def test_an_allocator_is_set_by_the_environment() -> None:
    assert model_of(launch(knobs="allocator=jemalloc"))["nireq"] == 1


@pytest.mark.parametrize(
    ("settings", "words"), [("grpc_port=8001", "share ports"), ("grpc_port=65535", "beyond")]
)
def test_ports_that_cannot_be_are_refused(settings: str, words: str) -> None:
    exporter: Exporter = OvmsExporter()
    with pytest.raises(ExportError, match=words) as caught:
        exporter.render(launch(), read_options(exporter, [settings]))
    assert "grpc_port" in caught.value.remedy


def test_it_needs_no_command_and_says_what_runs_in_its_place() -> None:
    exporter = OvmsExporter()
    made = of_engine(launch_for(exporter, launch().plan, None), "openvino", knobs="streams=2")
    engine, streams = exporter.render(made, OvmsOptions()).losses
    assert "not with 2026.4.0, which was measured" in engine.words
    assert "the 2 streams answer as many requests at once" in streams.words


STAND_IN = f"""#!{sys.executable}
# Stands in for ovms: answers on its REST port with what it was started with, and with its settings.
import json, os, sys
from pathlib import Path
sys.path.insert(0, {str(SERVER.parent)!r})
from answering import Answering
from http.server import ThreadingHTTPServer
port = sys.argv[sys.argv.index("--rest_port") + 1]
ThreadingHTTPServer(("127.0.0.1", int(port)), Answering).serve_forever()
"""


def written(folder: Path, launched: Launch, port: int) -> Path:
    """The exported script, with a program in the place of the server and a model that is there."""
    (folder / "tools").mkdir()
    (folder / "tools" / "ovms").write_text(STAND_IN)
    (folder / "tools" / "ovms").chmod(0o755)
    exported = OvmsExporter().render(launched, OvmsOptions(grpc_port=port, grace_s=5))
    write_export(exported.files, folder / "it's out", executable=exported.executable)
    return folder / "it's out" / START


def pinned_launch(folder: Path, port: int) -> Launch:
    """Two instances of a model in a folder with a hostile name, each on a cpu of this machine."""
    artifact = folder / "it's $(touch canary)"
    artifact.mkdir()
    (artifact / "model.xml").write_text("<net/>")
    commands = [
        replace(command, cpus=(ALLOWED[index % len(ALLOWED)],))
        for index, command in enumerate(build_commands(2, memory_nodes=()))
    ]
    server = LaunchSpec(port=port, environment={"HOSTILE": "a'b $HOME"})
    launched = launch_of(build_plan(commands), server, plan_path="/srv/plan.json")
    return of_engine(launched, "openvino", artifact=str(artifact))


@contextmanager
def running(script: Path, *arguments: str) -> Iterator[subprocess.Popen[str]]:
    tools = script.parents[1] / "tools"
    environment = {**os.environ, "PATH": f"{tools}:{os.environ['PATH']}", "OMP_PLACES": "cores"}
    process = subprocess.Popen(
        [str(script), *arguments],
        env=environment,
        cwd=script.parents[1],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        yield process
    finally:
        process.terminate()
        process.communicate(timeout=WAIT_S)


def test_the_script_links_the_model_and_starts_one_server_for_each_instance(tmp_path: Path) -> None:
    first = free_ports(4)
    launched = pinned_launch(tmp_path, first)
    script = written(tmp_path, launched, first + 2)
    with running(script, "--log_level", "ERROR") as process:
        seen = [asked(first), asked(first + 1)]
        linked = script.parent / "models" / "autotune" / "1"
        assert linked.resolve() == tmp_path / "it's $(touch canary)"
        process.terminate()
        assert process.wait(WAIT_S) == 143
    for instance, record in zip(launched.instances, seen, strict=True):
        assert record["cpus"] == list(instance.cpus)
        assert record["environ"].items() >= instance.environment.items()
        assert "OMP_PLACES" not in record["environ"]
        assert record["argv"] == [
            *(str(script.parent / CONFIG), "--rest_port", str(instance.port)),
            *("--port", str(first + 2 + instance.index), "--file_system_poll_wait_seconds", "0"),
            *("--log_level", "ERROR"),
        ]
    assert not (tmp_path / "canary").exists()
    give_up_s = time.monotonic() + WAIT_S
    while not (is_free(first) and is_free(first + 1)):
        assert time.monotonic() < give_up_s
        time.sleep(0.05)


def test_what_is_missing_is_named_before_anything_starts(tmp_path: Path) -> None:
    first = free_ports(4)
    script = written(tmp_path, pinned_launch(tmp_path, first), first + 2)
    (tmp_path / "it's $(touch canary)" / "model.xml").unlink()
    with running(script) as process:
        _, words = process.communicate(timeout=WAIT_S)
        assert process.returncode == 1
        assert "the prepared model is not there" in words
    (tmp_path / "tools" / "ovms").unlink()
    with running(script) as process:
        _, words = process.communicate(timeout=WAIT_S)
        assert process.returncode == 127
        assert "OVMS=/opt/ovms/bin/ovms" in words


@pytest.mark.skipif(shutil.which("shellcheck") is None, reason="shellcheck is not installed")
def test_shellcheck_finds_nothing(tmp_path: Path) -> None:
    script = OvmsExporter().render(launch(), OvmsOptions()).files[START]
    checked = subprocess.run(
        ["shellcheck", "--severity=style", "-"], input=script, capture_output=True, text=True, check=False
    )
    assert (checked.returncode, checked.stdout) == (0, "")
