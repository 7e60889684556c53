"""Models that no engine, or not every engine, can take."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from autotune.backends.preparation import prepare_artifact
from autotune.errors import ModelError, UnsupportedError
from autotune.model.artifact import Artifact
from autotune.model.cache import ArtifactCache
from autotune.model.sources import resolve_model

pytestmark = pytest.mark.engines

Prepare = Callable[[str, str], Artifact]


@pytest.fixture
def prepare(tiny_models: Path, contract_cache: Path) -> Prepare:
    """Prepares a tiny model for an engine at fp32."""

    def prepare_tiny(name: str, backend: str) -> Artifact:
        model = resolve_model(f"path:{name}", base=tiny_models, seed=0, offline=True)
        cache = ArtifactCache(contract_cache)
        return prepare_artifact(model, backend, "fp32", frozenset(), cache, timeout_s=240)

    return prepare_tiny


def test_a_model_that_lacks_weights_of_its_class_is_refused(prepare: Prepare) -> None:
    with pytest.raises(ModelError, match=r"lacks 2 weights of its architecture, such as classifier\.bias"):
        prepare("headless", "pytorch")


def test_an_architecture_that_cannot_be_exported_is_refused_in_the_engines_words(prepare: Prepare) -> None:
    with pytest.raises(UnsupportedError, match=r"cannot export .*: \w+"):
        prepare("longformer", "onnxruntime")
