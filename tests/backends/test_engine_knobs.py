"""Real engines with knobs, in workers: what they report is read back from them."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from autotune.backends.registry import get_backend
from autotune.machine.read import read_machine
from autotune.measurement.measurement import Measurement
from autotune.model.artifacts.cache import ArtifactCache
from autotune.model.sources import resolve_model
from autotune.objectives.throughput import THROUGHPUT
from autotune.placement.command import Service, worker_commands
from autotune.placement.place import place
from autotune.placement.preloads import find_preload
from autotune.preparation.making import MadeFor
from autotune.preparation.preparing import prepare_artifact
from autotune.search.knobs import knob_statuses
from autotune.spec.configuration import Configuration, Precision
from autotune.spec.knobs import parse_knobs
from autotune.spec.problem import Problem
from autotune.spec.study import Measure
from autotune.trial.run import Trial, run_trial
from autotune.worker.knobs import knob_differences

pytestmark = pytest.mark.engines

MEASURE = Measure(warmup_s=0.5, block_s=0.1, blocks=1, max_blocks=1, trial_timeout_s=120.0, disturbed="keep")

ANSWERS = """
import json, sys
from pathlib import Path
from autotune.backends.openvino.backend import OpenVinoBackend
from autotune.model.inputs import make_inputs
directory = Path(sys.argv[1])
inputs = make_inputs(directory, 5, 12, 3)
answers = []
for streams in ("1", "2"):
    session = OpenVinoBackend().load_with(directory, "fp32", 2, {"streams": streams})
    answers.append((session.run(inputs).tolist(), session.report().knobs["streams"]))
    session.close()
print(json.dumps(answers))
"""


def prepared(models: Path, cache: Path, backend: str) -> Path:
    model = resolve_model(f"path:{models / 'classifier'}", base=models, seed=0, offline=True)
    isa = read_machine().isa
    return prepare_artifact(model, backend, "fp32", isa, ArtifactCache(cache), timeout_s=240).directory


def seen(
    models: Path, cache: Path, backend: str, knobs: str, precision: Precision = "fp32"
) -> dict[str, str]:
    """What a worker with these knobs says that it has, once its trial has proven them."""
    model = resolve_model(f"path:{models / 'classifier'}", base=models, seed=0, offline=True)
    machine = read_machine()
    threads = min(2, machine.thread_budget)
    configuration = Configuration(1, threads, "close", "0", False, backend, precision, knobs=knobs)
    turned = configuration.prepared.knobs
    artifact = prepare_artifact(
        model,
        backend,
        precision,
        machine.isa,
        ArtifactCache(cache),
        timeout_s=240,
        made_for=MadeFor(knobs=turned),
    )
    commands = worker_commands(
        configuration,
        place(configuration, machine),
        artifact,
        get_backend(backend),
        Service(Problem(batch_size=2, sequence_length=16), "offline", 0, 0.5),
    )
    result = run_trial(
        commands,
        Trial(
            configuration=configuration,
            scenario="offline",
            measure=MEASURE,
            objective=THROUGHPUT,
            percentile=None,
        ),
    )
    assert isinstance(result, Measurement), result
    (observation,) = result.observations
    assert list(knob_differences(knobs, observation.knobs)) == []
    return dict(observation.knobs)


def test_onnx_runtime_says_how_it_optimises_and_waits(tiny_models: Path, contract_cache: Path) -> None:
    usual = seen(tiny_models, contract_cache, "onnxruntime", "")
    assert (usual["optimization"], usual["spinning"]) == ("all", "on")
    turned = seen(tiny_models, contract_cache, "onnxruntime", "optimization=basic spinning=off")
    assert (turned["optimization"], turned["spinning"]) == ("basic", "off")


@pytest.mark.parametrize("precision", ["fp32", "int8-dynamic"])
def test_onnx_runtime_says_whether_its_attention_is_fused(
    tiny_models: Path, contract_cache: Path, precision: Precision
) -> None:
    assert seen(tiny_models, contract_cache, "onnxruntime", "", precision)["fusion"] == "off"
    turned = seen(tiny_models, contract_cache, "onnxruntime", "fusion=on spinning=off", precision)
    assert (turned["fusion"], turned["spinning"]) == ("on", "off")


def test_openvino_says_its_streams_and_pinning(tiny_models: Path, contract_cache: Path) -> None:
    pytest.importorskip("openvino")
    usual = seen(tiny_models, contract_cache, "openvino", "")
    assert (usual["streams"], usual["pinning"]) == ("1", "off")
    assert seen(tiny_models, contract_cache, "openvino", "streams=2")["streams"] == "2"


def test_a_batch_split_into_streams_has_the_answers_of_the_whole(
    tiny_models: Path, contract_cache: Path
) -> None:
    pytest.importorskip("openvino")
    directory = prepared(tiny_models, contract_cache, "openvino")
    ended = subprocess.run(
        [sys.executable, "-c", ANSWERS, str(directory)], capture_output=True, text=True, check=True
    )
    (whole, one), (halves, two) = json.loads(ended.stdout)
    assert (one, two) == ("1", "2")
    assert halves == [pytest.approx(row, abs=1e-5) for row in whole]


def test_torch_and_its_openmp_runtime_say_what_they_were_told(
    tiny_models: Path, contract_cache: Path
) -> None:
    usual = seen(tiny_models, contract_cache, "pytorch", "")
    assert (usual["openmp"], usual["wait_policy"], usual["matmul_precision"]) == (
        "libgomp", "default", "highest",
    )  # fmt: skip
    knobs = "matmul_precision=medium thp=on wait_policy=passive"
    turned = seen(tiny_models, contract_cache, "pytorch", knobs)
    assert {name: turned[name] for name in parse_knobs(knobs)} == parse_knobs(knobs)


@pytest.mark.parametrize("allocator", ["jemalloc", "tcmalloc", "mimalloc"])
def test_torch_runs_on_a_preloaded_allocator(tiny_models: Path, contract_cache: Path, allocator: str) -> None:
    if find_preload("allocator", allocator) is None:
        pytest.skip(f"{allocator} is not installed")
    turned = seen(tiny_models, contract_cache, "pytorch", f"allocator={allocator}")
    assert Path(turned["allocator"]).name.startswith(f"lib{allocator}")


def test_torch_runs_on_another_openmp_runtime(tiny_models: Path, contract_cache: Path) -> None:
    (status,) = (one for one in knob_statuses(read_machine().isa) if one.name == "openmp")
    if status.refused:
        pytest.skip(status.refused["libiomp5"])
    before = registrations()
    turned = seen(tiny_models, contract_cache, "pytorch", "blocktime=1 openmp=libiomp5")
    assert (turned["openmp"], turned["blocktime"]) == ("libiomp5", "1")
    assert registrations() <= before, "the runtime's files of workers that have ended"


def registrations() -> set[Path]:
    """What Intel's OpenMP runtime has registered in shared memory for processes that are no more."""
    files = Path("/dev/shm").glob("__KMP_REGISTERED_LIB_*")
    return {file for file in files if not psutil.pid_exists(int(file.name.split("_")[-2]))}
