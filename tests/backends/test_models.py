"""Models that no engine, or not every engine, can take."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from autotune.backends.preparation import prepare_artifact
from autotune.errors import ModelError, UnsupportedError
from autotune.model.artifact import Artifact
from autotune.model.cache import ArtifactCache
from autotune.model.sources import resolve_model

pytestmark = pytest.mark.engines

Prepare = Callable[..., Artifact]


@pytest.fixture
def prepare(tiny_models: Path, contract_cache: Path) -> Prepare:
    """Prepares a tiny model for an engine at fp32, maybe with knobs."""

    def prepare_tiny(name: str, backend: str, knobs: str = "") -> Artifact:
        model = resolve_model(f"path:{name}", base=tiny_models, seed=0, offline=True)
        cache = ArtifactCache(contract_cache)
        return prepare_artifact(model, backend, "fp32", frozenset(), cache, timeout_s=240, knobs=knobs)

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


def test_an_architecture_that_cannot_be_exported_is_refused_in_the_engines_words(prepare: Prepare) -> None:
    with pytest.raises(UnsupportedError, match=r"cannot export .*: \w+"):
        prepare("longformer", "onnxruntime")


@pytest.mark.slow
def test_an_architecture_whose_attention_cannot_be_fused_is_refused_in_words(prepare: Prepare) -> None:
    with pytest.raises(UnsupportedError, match="finds no attention in this architecture") as caught:
        prepare("longformer", "onnxruntime", "fusion=on")
    assert caught.value.remedy == "leave fusion=on out"


def test_what_is_not_made_of_a_checkpoint_has_no_knobs_in_preparation(prepare: Prepare) -> None:
    with pytest.raises(UnsupportedError, match="pytorch fp32 does not turn that in path: models"):
        prepare("classifier", "pytorch", "fusion=on")
