"""The engines that autotune ships keep the contract."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar

import pytest

from autotune.spec.configuration import Precision
from autotune.testing.backend_contract import BackendContract, Probe
from autotune.testing.fake_model import FAKE_PRECISIONS


@pytest.mark.engines
class TestPyTorch(BackendContract):
    name = "pytorch"

    @pytest.fixture(scope="class")
    @classmethod
    def contract_model(cls, tiny_models: Path) -> str:
        return f"path:{tiny_models / 'classifier'}"

    def test_a_classifier_answers_with_its_logits(self, probes: Mapping[Precision, Probe]) -> None:
        assert probes["fp32"].runs[1]["shape"] == [2, 3]

    def test_a_sharded_model_in_half_precision_becomes_one_file_at_fp32(
        self, probes: Mapping[Precision, Probe], tiny_models: Path
    ) -> None:
        shards = [file.stat().st_size for file in (tiny_models / "classifier").glob("*.safetensors")]
        weights = probes["fp32"].artifact.directory / "model.safetensors"
        assert len(shards) > 1
        assert weights.stat().st_size > 1.8 * sum(shards)
        assert probes["fp32"].report["precision"] == "fp32"

    def test_precisions_share_one_copy_of_the_weights(self, probes: Mapping[Precision, Probe]) -> None:
        files = [probe.artifact.directory / "model.safetensors" for probe in probes.values()]
        assert len({file.stat().st_ino for file in files}) == 1


@pytest.mark.engines
class TestOnnxRuntime(BackendContract):
    name = "onnxruntime"

    @pytest.fixture(scope="class")
    @classmethod
    def contract_model(cls, tiny_models: Path) -> str:
        return f"path:{tiny_models / 'classifier'}"

    def test_a_classifier_answers_with_its_logits(self, probes: Mapping[Precision, Probe]) -> None:
        assert probes["fp32"].runs[1]["shape"] == [2, 3]

    def test_int8_weights_take_less_room(self, probes: Mapping[Precision, Probe]) -> None:
        data = {name: probe.artifact.directory / "model.onnx.data" for name, probe in probes.items()}
        assert data["int8-dynamic"].stat().st_size < 0.5 * data["fp32"].stat().st_size


class TestFake(BackendContract):
    name = "fake"
    requests: ClassVar[tuple[tuple[int, int], ...]] = ((4, 16),)
    least_cosine = None

    @pytest.fixture(scope="class")
    @classmethod
    def contract_model(cls, tmp_path_factory: pytest.TempPathFactory) -> str:
        file = tmp_path_factory.mktemp("fake") / "model.json"
        speed = dict.fromkeys(FAKE_PRECISIONS, 1.0)
        file.write_text(json.dumps({"schema": "autotune.fake/1", "speed": speed}))
        return f"fake:{file}"
