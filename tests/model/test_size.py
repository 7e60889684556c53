from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest

from autotune.model.size import fp32_bytes, least_activations, least_weights, multiplications
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


def a_tensor_file(path: Path, shape: list[int], bytes_each: int) -> None:
    """A safetensors file of one tensor that holds nothing."""
    size = math.prod(shape) * bytes_each
    header = json.dumps({"__metadata__": {}, "w": {"shape": shape, "data_offsets": [0, size]}}).encode()
    path.write_bytes(len(header).to_bytes(8, "little") + header + bytes(size))


def test_random_models_have_the_weights_that_their_architecture_says() -> None:
    model = resolve_model("random:bert-base", base=Path(), seed=0, offline=True)
    weights = least_weights(model)
    assert weights is not None
    assert 4 * weights == fp32_bytes(model)
    assert 0.95 * 110e6 < weights < 110e6, "Source: Devlin et al. 2019, BERT, section 3"


@pytest.mark.parametrize("bytes_each", [2, 4])
def test_a_folder_has_the_weights_of_its_files_whatever_they_are_stored_in(
    tmp_path: Path, bytes_each: int
) -> None:
    model = a_folder(tmp_path, {})
    a_tensor_file(tmp_path / "model.safetensors", [3, 5], bytes_each)
    assert least_weights(model) == 15


def test_layers_that_share_weights_count_once(tmp_path: Path) -> None:
    model = a_folder(tmp_path, {"hidden_size": 100, "num_hidden_layers": 100})
    a_tensor_file(tmp_path / "model.safetensors", [1200, 100], 1)
    assert least_weights(model) == 120_000


def test_weights_that_are_not_used_do_not_count(tmp_path: Path) -> None:
    model = a_folder(tmp_path, {"hidden_size": 10, "num_hidden_layers": 1, "vocab_size": 7})
    a_tensor_file(tmp_path / "model.safetensors", [100, 100], 1)
    assert least_weights(model) == 1200 + 70


def test_an_onnx_file_has_the_weights_that_it_was_found_to_have(tmp_path: Path) -> None:
    model = ResolvedModel("onnx:m.onnx", "onnx", "5e" * 32, tmp_path / "m.onnx", weights=110)
    assert least_weights(model) == 110


@pytest.mark.parametrize("content", [b"", b"garbage of more than eight bytes", bytes(8) + b"[]"])
def test_files_that_cannot_be_read_tell_no_weights(tmp_path: Path, content: bytes) -> None:
    model = a_folder(tmp_path, {})
    (tmp_path / "model.safetensors").write_bytes(content)
    assert least_weights(model) is None
    assert least_weights(ResolvedModel("fake:m.json", "fake", "5e" * 32, tmp_path / "m.json")) is None


def test_a_token_takes_the_inner_numbers_of_a_layer_and_its_input(tmp_path: Path) -> None:
    shape = {"hidden_size": 10, "intermediate_size": 40}
    assert least_activations(a_folder(tmp_path, shape)) == 50
    for unsure in ({"hidden_size": 10}, {**shape, "chunk_size_feed_forward": 8}):
        assert least_activations(a_folder(tmp_path, unsure)) is None
    a_folder(tmp_path, shape)
    model = ResolvedModel("onnx:m.onnx", "onnx", "5e" * 32, tmp_path / "m.onnx")
    assert least_activations(model) is None, "the file need not be what stands beside it"
