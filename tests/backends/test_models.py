"""Models that no engine, or not every engine, can take."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from autotune.errors import ModelError, UnsupportedError
from autotune.model.artifacts.artifact import Artifact
from autotune.model.artifacts.cache import ArtifactCache
from autotune.model.artifacts.manifest import read_manifest
from autotune.model.calibration import CalibrationSource
from autotune.model.sources import resolve_model
from autotune.preparation.making import MadeFor
from autotune.preparation.preparing import prepare_artifact, prepare_assessment
from autotune.spec.configuration import Precision

pytestmark = pytest.mark.engines

Prepare = Callable[..., Artifact]


@pytest.fixture
def prepare(tiny_models: Path, contract_cache: Path) -> Prepare:
    """Prepares a tiny model for an engine at fp32, maybe with knobs."""

    def prepare_tiny(name: str, backend: str, precision: Precision = "fp32", **more: Any) -> Artifact:
        model = resolve_model(f"path:{name}", base=tiny_models, seed=0, offline=True)
        cache = ArtifactCache(contract_cache)
        return prepare_artifact(
            model, backend, precision, frozenset(), cache, timeout_s=240, made_for=MadeFor(**more)
        )

    return prepare_tiny


def test_a_model_that_lacks_weights_of_its_class_is_refused(prepare: Prepare) -> None:
    with pytest.raises(ModelError, match=r"lacks 2 weights of its architecture, such as classifier\.bias"):
        prepare("headless", "pytorch")


def test_weights_that_do_not_fit_the_config_are_refused_with_both_shapes(
    tiny_models: Path, contract_cache: Path, tmp_path: Path
) -> None:
    folder = shutil.copytree(tiny_models / "classifier", tmp_path / "other")
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, "vocab_size": config["vocab_size"] + 1}))
    model = resolve_model("path:other", base=tmp_path, seed=0, offline=True)
    with pytest.raises(ModelError, match=r"embeddings\.weight is (\d+) x (\d+), .* asks for \d+ x \2"):
        prepare_artifact(model, "pytorch", "fp32", frozenset(), ArtifactCache(contract_cache), timeout_s=240)


@pytest.mark.slow
def test_an_architecture_that_cannot_be_exported_is_refused_in_the_engines_words(prepare: Prepare) -> None:
    with pytest.raises(UnsupportedError, match=r"cannot export .*: \w+"):
        prepare("longformer", "onnxruntime")


@pytest.mark.slow
def test_an_architecture_whose_attention_cannot_be_fused_is_refused_in_words(prepare: Prepare) -> None:
    with pytest.raises(UnsupportedError, match="finds no attention in this architecture") as caught:
        prepare("longformer", "onnxruntime", knobs="fusion=on")
    assert caught.value.remedy == "leave fusion=on out"


def test_what_is_not_made_of_a_checkpoint_has_no_knobs_in_preparation(prepare: Prepare) -> None:
    with pytest.raises(UnsupportedError, match="pytorch fp32 does not turn that in path: models"):
        prepare("classifier", "pytorch", knobs="fusion=on")


@pytest.mark.parametrize(
    ("name", "backend", "way"),
    [
        pytest.param("xlnet", "onnxruntime", "torch's older exporter", marks=pytest.mark.slow),
        pytest.param("xlnet", "openvino", "torch.export", marks=pytest.mark.slow),
        pytest.param("xlm", "openvino", "ONNX by torch.export", marks=pytest.mark.slow),
        pytest.param("squeezebert", "onnxruntime", "torch.export", marks=pytest.mark.slow),
        pytest.param("squeezebert", "openvino", "torch.export", marks=pytest.mark.slow),
        pytest.param("squeezebert", "torchscript", "torch.jit.trace", marks=pytest.mark.slow),
        ("t5", "torchscript", "torch.jit.trace"),
        pytest.param("t5", "openvino", "torch.export", marks=pytest.mark.slow),
    ],
)
def test_an_engine_goes_the_first_way_of_export_that_follows_the_model(
    prepare: Prepare, name: str, backend: str, way: str
) -> None:
    made = read_manifest(prepare(name, backend).directory)
    assert made is not None
    assert made.export is not None
    assert (made.export.way, made.export.shapes) == (way, ())
    assert made.observed_precision == "fp32"
    assert made.agreement is not None
    assert made.agreement.max_abs_difference < 1e-5


def test_the_baseline_runs_the_encoder_of_an_encoder_decoder(prepare: Prepare) -> None:
    made = read_manifest(prepare("t5", "pytorch").directory)
    assert made is not None
    assert made.agreement is not None
    # The same operators, whose sums a cpu may order in another way for another process.
    assert made.agreement.max_abs_difference < 1e-5
    assert made.export is None


@pytest.mark.slow
def test_what_holds_for_the_studys_shapes_alone_is_used_for_them_alone(
    prepare: Prepare, tiny_models: Path, contract_cache: Path
) -> None:
    shape, other = (2, 24), (3, 20)
    first = prepare("funnel", "torchscript", shapes=[shape])
    assert first.only_shapes == (shape,)
    assert prepare("funnel", "torchscript", shapes=[shape]).created_s == first.created_s
    assert prepare("funnel", "torchscript", shapes=[other]).only_shapes == (other,)
    with pytest.raises(UnsupportedError, match="does not follow the model at"):
        prepare("funnel", "torchscript")
    model = resolve_model("path:funnel", base=tiny_models, seed=0, offline=True)
    calibration, cache = CalibrationSource(sequences=4, tokens=24), ArtifactCache(contract_cache)
    assessed = prepare_assessment(model, first, calibration, None, cache, threads=1, timeout_s=240)
    assert (assessed.inputs, assessed.sequences, assessed.fault) == ("random", 32, "")
    assert assessed.cosine is not None
    assert assessed.cosine > 0.9999


@pytest.mark.slow
def test_what_is_derived_from_an_export_for_some_shapes_holds_for_them_alone(prepare: Prepare) -> None:
    shape = (2, 24)
    derived = prepare("funnel", "onnxruntime", "int8-dynamic", shapes=[shape])
    made = read_manifest(derived.directory)
    assert made is not None
    assert made.export is not None
    assert made.export.shapes == (shape,)
    assert made.agreement is not None
    assert made.agreement.cosine > 0.98
    with pytest.raises(UnsupportedError, match="at 2 x 24 tokens alone, and int8-static is calibrated on"):
        prepare("funnel", "onnxruntime", "int8-static", shapes=[shape])
