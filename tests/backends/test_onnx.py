"""ONNX Runtime at every precision, on exported models and on ONNX files as they are."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from autotune.backends.registry import backends, get_backend, package_versions
from autotune.errors import ModelError, UnsupportedError
from autotune.machine.read import read_machine
from autotune.model.artifacts.artifact import Artifact
from autotune.model.artifacts.cache import ArtifactCache
from autotune.model.artifacts.manifest import read_manifest
from autotune.model.calibration import CalibrationSource
from autotune.model.sources import resolve_model
from autotune.preparation.preparing import prepare_artifact, prepare_calibration
from autotune.spec.configuration import Precision
from autotune.testing.backend_contract import BackendContract, Probe

pytestmark = pytest.mark.engines

PRINT_LARGEST_WEIGHT = """
import sys
import numpy as np, onnx
from onnx import numpy_helper

arrays = map(numpy_helper.to_array, onnx.load(sys.argv[1]).graph.initializer)
weights = [array.astype(int) for array in arrays if array.dtype == np.int8 and array.ndim == 2]
print(max(abs(weight).max() for weight in weights))
"""

Prepare = Callable[..., Artifact]


@pytest.fixture
def prepare(encoders: Path, contract_cache: Path) -> Prepare:
    """Prepares one of the encoders, for ONNX Runtime unless another engine is named."""

    def prepare_encoder(
        name: str, precision: Precision = "fp32", *flags: str, engine: str = "onnxruntime"
    ) -> Artifact:
        model = resolve_model(f"onnx:{name}", base=encoders, seed=0, offline=True)
        isa, cache = frozenset(flags), ArtifactCache(contract_cache)
        return prepare_artifact(model, engine, precision, isa, cache, timeout_s=240)

    return prepare_encoder


class TestOnnxFile(BackendContract):
    """Its inputs are int32, its nodes have no names, and it has a second output."""

    name = "onnxruntime"

    @pytest.fixture(scope="class")
    @classmethod
    def contract_model(cls, encoders: Path) -> str:
        return f"onnx:{encoders / 'encoder.onnx'}"

    def test_the_first_output_is_the_answer(self, probes: Mapping[Precision, Probe]) -> None:
        assert probes["fp32"].runs[1]["shape"] == [2, 16, 64]

    def test_the_file_becomes_every_precision_but_bf16(self, probes: Mapping[Precision, Probe]) -> None:
        others = {"fp32", "int8-dynamic", "int8-static", "int8-weights", "int4-weights"}
        assert others <= set(probes)

    def test_weights_take_as_much_room_as_their_precision_says(
        self, probes: Mapping[Precision, Probe]
    ) -> None:
        sizes = {
            name: probe.artifact.directory.joinpath("model.onnx.data").stat().st_size
            for name, probe in probes.items()
        }
        assert sizes["int4-weights"] < sizes["int8-weights"] < 0.5 * sizes["fp32"]
        assert sizes["int8-static"] < 0.5 * sizes["fp32"]


def test_onnx_files_run_in_onnx_runtime_and_openvino_alone() -> None:
    runs = {
        name
        for name, one in backends().items()
        if one.unsupported("fp32", read_machine().isa, "onnx") is None
    }
    assert runs == {"onnxruntime", "openvino"}


@pytest.mark.skipif(not package_versions(["openvino"]), reason="openvino is not installed")
def test_openvino_answers_as_onnx_runtime_does(prepare: Prepare) -> None:
    made = read_manifest(prepare("encoder.onnx", engine="openvino").directory)
    assert made is not None
    assert made.observed_precision == "fp32"
    assert made.agreement is not None
    assert made.agreement.cosine > 0.9999


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("quantized.onnx", "at int8-dynamic already"),
        ("foreign.onnx", r"onnxruntime cannot load onnx:foreign\.onnx: [^/]*com\.example"),
        ("newest.onnx", r"is written in opset 99 of ai\.onnx, and onnxruntime takes up to \d+"),
        ("sum.onnx", r"answers 1 sequences with float32 \(\), no row for each"),
    ],
)
def test_a_file_that_cannot_be_a_reference_is_refused(prepare: Prepare, name: str, words: str) -> None:
    with pytest.raises(ModelError, match=words) as caught:
        prepare(name)
    assert caught.value.remedy


@pytest.mark.parametrize("precision", ["int8-static", pytest.param("int8-dynamic", marks=pytest.mark.slow)])
@pytest.mark.parametrize("name", ["half.onnx", "old.onnx"])
def test_half_precision_and_old_opsets_are_no_obstacle_to_quantising(
    prepare: Prepare, name: str, precision: Precision
) -> None:
    made = read_manifest(prepare(name, precision).directory)
    assert made is not None
    assert made.agreement is not None
    assert made.observed_precision == precision
    assert made.agreement.cosine > 0.95


def test_a_file_of_a_format_after_the_runtime_is_read_as_far_as_it_knows_its_operators(
    prepare: Prepare,
) -> None:
    made = read_manifest(prepare("newer.onnx").directory)
    assert made is not None
    assert made.observed_precision == "fp32"


def test_what_does_not_run_says_up_to_how_many_tokens_it_does(encoders: Path, contract_cache: Path) -> None:
    model = resolve_model("onnx:bound.onnx", base=encoders, seed=0, offline=True)
    source, cache = CalibrationSource(tokens=50), ArtifactCache(contract_cache)
    told = r"request of 1 x 50 tokens: .*; it runs on 6 tokens, and not on 7"
    with pytest.raises(ModelError, match=told) as caught:
        prepare_calibration(model, source, cache, timeout_s=240)
    assert "choose at most 6 tokens" in caught.value.remedy


def test_bf16_that_changes_no_answer_is_not_taken_for_bf16(prepare: Prepare) -> None:
    """A cpu that is said to have it, and kernels that do not use it."""
    if "bf16" in read_machine().isa:
        pytest.skip("this cpu multiplies bf16")
    with pytest.raises(UnsupportedError, match="computes this model in fp32 when asked for bf16"):
        prepare("encoder.onnx", "bf16", "bf16")


@pytest.mark.parametrize(
    ("precision", "isa", "words"),
    [("fp16", {"avx512_fp16"}, "casts fp16 to fp32"), ("bf16", {"avx512_bf16", "amx_bf16"}, "on Arm cpus")],
)
def test_a_precision_that_it_does_not_compute_in_is_refused_in_words(
    precision: Precision, isa: set[str], words: str
) -> None:
    refusal = get_backend("onnxruntime").unsupported(precision, frozenset(isa), "onnx")
    assert refusal is not None
    assert words in refusal


def test_a_cpu_whose_sums_saturate_gets_weights_of_seven_bits(prepare: Prepare) -> None:
    def largest(artifact: Artifact) -> int:
        printed = subprocess.run(
            [sys.executable, "-P", "-c", PRINT_LARGEST_WEIGHT, str(artifact.directory / "model.onnx")],
            check=True,
            stdout=subprocess.PIPE,
        ).stdout
        return int(printed)

    assert largest(prepare("encoder.onnx", "int8-static", "avx2")) <= 64
    assert largest(prepare("encoder.onnx", "int8-static", "avx2", "avx512_vnni")) == 127
