from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from autotune.model.size import multiplications
from autotune.model.sources import ResolvedModel, resolve_model


def a_folder(path: Path, config: Any) -> ResolvedModel:
    (path / "config.json").write_text(json.dumps(config))
    return ResolvedModel("path:.", "path", "5e" * 32, path)


def size(name: str) -> float:
    model = resolve_model(f"random:{name}", base=Path(), seed=0, offline=True)
    found = multiplications(model)
    assert found is not None
    return found


def test_known_architectures_are_as_large_as_their_layers() -> None:
    assert size("bert-base") == 12 * 12 * 768**2
    assert size("distilbert-base") == size("bert-base") / 2
    assert size("minilm-l6") == size("bert-base") / 8
    assert size("bert-large") > 3 * size("bert-base")


def test_a_folder_is_as_large_as_its_configuration_says(tmp_path: Path) -> None:
    shape = {"hidden_size": 10, "num_hidden_layers": 3}
    assert multiplications(a_folder(tmp_path, {**shape, "intermediate_size": 20})) == 3 * (400 + 400)
    assert multiplications(a_folder(tmp_path, shape)) == 3 * (400 + 800), "four times the width is usual"


def test_an_onnx_file_is_as_large_as_the_configuration_beside_it_says(tmp_path: Path) -> None:
    a_folder(tmp_path, {"dim": 10, "n_layers": 1, "hidden_dim": 40})
    (tmp_path / "m.onnx").touch()
    model = ResolvedModel("onnx:m.onnx", "onnx", "5e" * 32, tmp_path / "m.onnx")
    assert multiplications(model) == 400 + 800


@pytest.mark.parametrize("config", [[], {}, {"hidden_size": 10}, {"hidden_size": "10", "n_layers": 2}])
def test_what_tells_no_size_is_of_unknown_size(tmp_path: Path, config: Any) -> None:
    assert multiplications(a_folder(tmp_path, config)) is None


def test_what_has_no_configuration_is_of_unknown_size(tmp_path: Path) -> None:
    assert multiplications(ResolvedModel("path:.", "path", "5e" * 32, tmp_path)) is None
    assert multiplications(ResolvedModel("fake:m.json", "fake", "5e" * 32, tmp_path / "m.json")) is None
