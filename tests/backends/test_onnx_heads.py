"""What an ONNX file answers with is told by its shape and by the configuration beside it."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from tokenizers import Tokenizer, models, pre_tokenizers

from autotune.errors import ModelError
from autotune.model.artifacts.cache import ArtifactCache
from autotune.model.calibration import CalibrationSource, read_requests
from autotune.model.sources import ResolvedModel, resolve_model
from autotune.model.texts.labelled import EvaluationSource, read_labelled
from autotune.model.texts.texts import read_texts, texts_digest
from autotune.preparation.preparing import (
    prepare_artifact,
    prepare_assessment,
    prepare_calibration,
    reference_score,
)
from autotune.spec.named_file import DataFile, TextsFile
from autotune.spec.quality import Metric

pytestmark = pytest.mark.engines

TIMEOUT_S = 240.0
CLASSIFIER = {"architectures": ["BertForSequenceClassification"], "id2label": {"0": "low", "1": "high"}}

WRITE_ENCODERS = """
import sys
from pathlib import Path
import numpy as np, onnx
from onnx import TensorProto, helper, numpy_helper

folder = Path(sys.argv[1])
table = np.zeros((50, 16), dtype=np.float32)
table[:, 0], table[:, 1] = np.arange(50), 1

def write(name, weight):
    ids = helper.make_tensor_value_info("input_ids", TensorProto.INT64, ["b", "t"])
    answer = helper.make_tensor_value_info("answer", TensorProto.FLOAT, None)
    nodes = [
        helper.make_node("Gather", ["table", "input_ids"], ["looked"]),
        helper.make_node("MatMul", ["looked", "weight"], ["seen"]),
        helper.make_node("ReduceMean", ["seen"], ["answer"], axes=[1], keepdims=0),
    ]
    weights = [numpy_helper.from_array(table, "table"), numpy_helper.from_array(weight, "weight")]
    graph = helper.make_graph(nodes, "encoder", [ids], [answer], weights)
    onnx.save(
        helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=10), folder / name
    )

weight = np.zeros((16, 2), dtype=np.float32)
weight[0] = -1, 1
weight[1] = 20, -20
write("classifier.onnx", weight)
write("reranker.onnx", weight[:, 1:])
"""
"""A classifier that calls tokens above 20 on average `high`, and a head that says by how much they are."""


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("heads")
    subprocess.run([sys.executable, "-P", "-c", WRITE_ENCODERS, str(folder)], check=True)
    tokenizer = Tokenizer(models.WordLevel({f"w{number}": number for number in range(50)}, "w0"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.save(str(folder / "tokenizer.json"))
    return folder


@pytest.fixture
def folder(written: Path, tmp_path: Path, own_cache: Path) -> Path:
    """The encoders and their tokenizer in a folder of the test's own, with a cache of its own."""
    return Path(shutil.copytree(written, tmp_path / "models"))


def model_of(folder: Path, name: str) -> ResolvedModel:
    return resolve_model(f"onnx:{name}", base=folder, seed=0, offline=True)


def score(folder: Path, name: str, metric: Metric, rows: Sequence[Mapping[str, Any]]) -> float:
    """What the reference reaches on these rows."""
    data, tokenizer = folder / "data.jsonl", folder / "tokenizer.json"
    data.write_text("\n".join(map(json.dumps, rows)))
    source = EvaluationSource(data, tokenizer, texts_digest(data, tokenizer), metric, tokens=16)
    return reference_score(model_of(folder, name), source, ArtifactCache(), timeout_s=TIMEOUT_S).reference


LABELLED: list[dict[str, Any]] = [
    {"text": "w40 w30", "label": "high"},
    {"text": "w3", "label": "low"},
    {"text": "w4", "label": 1},
]


def test_the_configuration_beside_a_file_makes_it_a_classifier(folder: Path) -> None:
    (folder / "config.json").write_text(json.dumps(CLASSIFIER))
    assert score(folder, "classifier.onnx", "accuracy", LABELLED) == pytest.approx(2 / 3)
    model, cache, source = model_of(folder, "classifier.onnx"), ArtifactCache(), CalibrationSource(4, 16)
    artifact = prepare_artifact(model, "onnxruntime", "fp32", frozenset(), cache, timeout_s=TIMEOUT_S)
    found = prepare_assessment(model, artifact, source, None, cache, threads=1, timeout_s=TIMEOUT_S)
    assert (found.top1, found.sequences) == (1.0, 4)


def test_a_table_is_scored_as_objects_are_and_classes_may_be_numbers_there(folder: Path) -> None:
    (folder / "config.json").write_text(json.dumps(CLASSIFIER))
    (folder / "data.csv").write_text("body,level\nw40 w30,high\nw3,low\nw4,1\n")
    stated = DataFile(path="data.csv", key="body", label="level")
    data, tokenizer = folder / "data.csv", folder / "tokenizer.json"
    digest = texts_digest(data, tokenizer, read_labelled(data, "accuracy", stated).how)
    source = EvaluationSource(data, tokenizer, digest, "accuracy", tokens=16, stated=stated)
    found = reference_score(model_of(folder, "classifier.onnx"), source, ArtifactCache(), timeout_s=TIMEOUT_S)
    assert found.reference == pytest.approx(2 / 3)
    assert found.rows == 3


def test_answers_are_compared_on_the_texts_of_objects_and_not_on_their_syntax(folder: Path) -> None:
    texts, tokenizer, stated = (
        folder / "log.jsonl",
        folder / "tokenizer.json",
        TextsFile(path="x", key="said"),
    )
    texts.write_text("".join(f'{{"id": 7, "said": "w{number} w4"}}\n' for number in range(1, 9)))
    digest = texts_digest(texts, tokenizer, read_texts(texts, "quality.texts", stated).reading.how)
    source = CalibrationSource(8, 16, 0, texts, digest, tokenizer, stated)
    model = model_of(folder, "classifier.onnx")
    requests = prepare_calibration(model, source, ArtifactCache(), timeout_s=TIMEOUT_S)
    found = [request["input_ids"].tolist() for request in read_requests(requests.directory)]
    assert found == [[[number, 4]] for number in range(1, 9)]


def test_without_one_the_remedy_is_to_put_it_there(folder: Path) -> None:
    with pytest.raises(ModelError, match="accuracy needs a model that answers") as caught:
        score(folder, "classifier.onnx", "accuracy", LABELLED)
    assert "config.json" in caught.value.remedy


def test_one_number_for_each_sequence_is_a_number_and_no_embedding(folder: Path) -> None:
    rows = [{"text": f"w{number}", "text_pair": "w1", "score": number} for number in (2, 5, 9, 40)]
    assert score(folder, "reranker.onnx", "spearman", rows) == pytest.approx(1.0)


def test_a_reference_that_says_the_same_of_every_text_has_no_order(folder: Path) -> None:
    rows = [{"text": "w2", "score": number} for number in (1, 2, 3)]
    with pytest.raises(ModelError, match="puts the texts in none: it says -18 of each"):
        score(folder, "reranker.onnx", "spearman", rows)
