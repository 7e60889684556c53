"""A model repository for Triton, read by Triton's own parser where there is one."""

from __future__ import annotations

import importlib.util
import os
import re
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from autotune.errors import ExportError
from autotune.exporters.protocol import Exported, Exporter
from autotune.exporters.triton import START, TritonExporter, TritonOptions
from autotune.machine.cpus import parse_cpu_list
from autotune.plan.launch import Launch, launch_of
from autotune.testing.exporter_contract import ExporterContract, Started
from autotune.testing.plans import build_commands, build_plan
from tests.exporters.engines import of_engine

CONFIG = "models/autotune/config.pbtxt"
GROUP = re.compile(
    r'^instance_group \{ count: (\d+) kind: KIND_CPU (?:host_policy: "(\w+)" )?\}$', re.MULTILINE
)


def started_words(script: str) -> list[str]:
    """What bash makes of the line that starts Triton."""
    line = script[script.index("exec tritonserver") :].replace("exec tritonserver", "printf '%s\\0'", 1)
    printed = subprocess.run(
        ["bash", "-c", line], capture_output=True, check=True, env={**os.environ, "models": "/m"}
    ).stdout
    return [os.fsdecode(word) for word in printed.split(b"\0")[:-1]]


def policies(words: Sequence[str]) -> dict[str, dict[str, str]]:
    told: dict[str, dict[str, str]] = {}
    for word in words:
        if word.startswith("--host-policy="):
            name, setting = word.removeprefix("--host-policy=").split(",", 1)
            key, value = setting.split("=")
            told.setdefault(name, {})[key] = value
    return told


class TestTritonExporter(ExporterContract):
    @pytest.fixture
    def exporter(self) -> Exporter:
        return TritonExporter()

    def render(self, exporter: Exporter, launch: Launch) -> Exported:
        return super().render(exporter, of_engine(launch))

    def can_express(self, launch: Launch) -> bool:
        return all(len(instance.memory_nodes) <= 1 for instance in launch.instances)

    def parse(self, files: Mapping[str, str]) -> Sequence[Started]:
        told = policies(started_words(files[START]))
        return [
            Started(
                cpus=tuple(sorted(parse_cpu_list(told.get(policy, {}).get("cpu-cores", "")))),
                memory_nodes=tuple(sorted(parse_cpu_list(told.get(policy, {}).get("numa-node", "")))),
            )
            for count, policy in GROUP.findall(files[CONFIG])
            for _ in range(int(count))
        ]


def launch(instances: int = 2, threads: int = 2) -> Launch:
    return launch_of(build_plan(build_commands(instances, threads=threads)))


def test_the_settings_are_the_engines_and_each_instance_has_its_own_policy() -> None:
    files = TritonExporter().render(of_engine(launch()), TritonOptions()).files
    assert files[CONFIG] == (
        "# Plan quickstart-7f3a9c; autotune export --to triton\n"
        'name: "autotune"\n'
        'backend: "onnxruntime"\n'
        'default_model_filename: "model.onnx"\n'
        "max_batch_size: 0\n"
        'instance_group { count: 1 kind: KIND_CPU host_policy: "instance_0" }\n'
        'instance_group { count: 1 kind: KIND_CPU host_policy: "instance_1" }\n'
        'parameters { key: "inter_op_thread_count" value { string_value: "1" } }\n'
        'parameters { key: "intra_op_thread_count" value { string_value: "2" } }\n'
    )
    assert policies(started_words(files[START])) == {
        "instance_0": {"cpu-cores": "0-1", "numa-node": "0"},
        "instance_1": {"cpu-cores": "2-3", "numa-node": "0"},
    }


def test_a_single_cpu_is_a_range() -> None:
    files = TritonExporter().render(of_engine(launch(threads=1)), TritonOptions()).files
    assert policies(started_words(files[START]))["instance_1"]["cpu-cores"] == "1-1"


def test_openvino_is_told_its_streams() -> None:
    made = of_engine(launch(1), "openvino", knobs="streams=2")
    text = TritonExporter().render(made, TritonOptions()).files[CONFIG]
    assert 'default_model_filename: "model.xml"' in text
    assert 'parameters { key: "NUM_STREAMS" value { string_value: "2" } }' in text
    assert 'parameters { key: "INFERENCE_NUM_THREADS" value { string_value: "2" } }' in text


@pytest.mark.parametrize(
    ("backend", "changes", "words"),
    [
        ("fake", {}, "Triton has no engine 'fake'"),
        ("onnxruntime", {"knobs": "spinning=off"}, "spinning of onnxruntime"),
        ("openvino", {"knobs": "pinning=on streams=2"}, "Triton cannot set the plan's pinning of openvino"),
        ("openvino", {"precision": "bf16"}, "bf16"),
        ("openvino", {"precision": "int8-static"}, "compute at int8-static"),
        ("openvino", {"precision": "int8-weights"}, "compute at int8-weights"),
        ("openvino", {}, "the 2 instances of the plan would share the threads of one"),
    ],
)
def test_what_triton_cannot_run_as_measured_is_refused(
    backend: str, changes: dict[str, Any], words: str
) -> None:
    with pytest.raises(ExportError, match=words) as caught:
        TritonExporter().render(of_engine(launch(), backend, **changes), TritonOptions())
    assert caught.value.remedy


def test_the_script_links_the_model_and_starts_triton(tmp_path: Path) -> None:
    artifact, tools = tmp_path / "it's $(touch canary)", tmp_path / "tools"
    artifact.mkdir()
    tools.mkdir()
    (tools / "tritonserver").write_text('#!/bin/sh\nprintf "%s\\n" "$@"\n')
    (tools / "tritonserver").chmod(0o755)
    exported = TritonExporter().render(of_engine(launch(), artifact=str(artifact)), TritonOptions())
    for path, text in exported.files.items():
        (tmp_path / "out" / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "out" / path).write_text(text)
    ended = subprocess.run(
        ["bash", str(tmp_path / "out" / START), "--http-port=1"],
        capture_output=True,
        text=True,
        check=True,
        cwd=tmp_path,
        env={**os.environ, "PATH": f"{tools}:{os.environ['PATH']}"},
    )
    assert ended.stdout.splitlines()[0] == f"--model-repository={tmp_path}/out/models"
    assert ended.stdout.splitlines()[-1] == "--http-port=1"
    assert (tmp_path / "out" / "models" / "autotune" / "1").resolve() == artifact
    assert not (tmp_path / "canary").exists()


def model_config() -> Any:
    """Triton's own messages, of tritonclient, without gRPC, which the package wants beside them."""
    spec = importlib.util.find_spec("tritonclient")
    if spec is None or not spec.submodule_search_locations:
        pytest.skip("tritonclient is not installed")
    path = Path(spec.submodule_search_locations[0], "grpc", "model_config_pb2.py")
    made = importlib.util.spec_from_file_location("model_config_pb2", path)
    assert made is not None
    assert made.loader is not None
    module = importlib.util.module_from_spec(made)
    made.loader.exec_module(module)
    return module


@pytest.mark.parametrize(("backend", "instances"), [("onnxruntime", 2), ("openvino", 1)])
@pytest.mark.parametrize("pinned", [True, False])
def test_tritons_own_parser_reads_the_settings(backend: str, instances: int, pinned: bool) -> None:
    from google.protobuf import text_format  # type: ignore[import-untyped]

    made = of_engine(launch_of(build_plan(build_commands(instances, pinned=pinned))), backend)
    text = TritonExporter().render(made, TritonOptions()).files[CONFIG]
    config = text_format.Parse(text, model_config().ModelConfig())
    assert config.backend == backend
    assert sum(group.count for group in config.instance_group) == instances
    assert [group.host_policy for group in config.instance_group if group.host_policy] == (
        [f"instance_{index}" for index in range(instances)] if pinned else []
    )
    assert config.max_batch_size == 0
    assert not config.HasField("dynamic_batching")
