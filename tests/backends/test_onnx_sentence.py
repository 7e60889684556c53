"""ONNX files of sentence-transformers are served with what their folder has behind them, on every engine."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from autotune.backends.inventory import engine_statuses
from autotune.errors import ModelError
from autotune.machine.read import read_machine
from autotune.model.artifacts.cache import ArtifactCache
from autotune.model.calibration import CalibrationSource, read_requests
from autotune.model.sources import ResolvedModel, resolve_model
from autotune.model.texts.texts import texts_digest
from autotune.preparation.calibration import read_answers
from autotune.preparation.preparing import prepare_artifact, prepare_assessment, prepare_calibration
from autotune.spec.configuration import Precision
from autotune.spec.model_source import Head
from autotune.spec.named_file import TextsFile

pytestmark = pytest.mark.engines

TIMEOUT_S = 240.0
TEXTS = ("a b c d", "a b c d e f g h i j a b", "Abc ABC", "j")

ENGINES = [
    (one.name, precision)
    for one in engine_statuses(read_machine().isa)
    if "onnx" in one.models
    for precision in one.precisions
]

CHANGE_FILE = """
import sys
import onnx
from onnx import TensorProto, helper

model = onnx.load(sys.argv[1])
exec(sys.argv[2])
onnx.save(model, sys.argv[1])
"""

POOLED_INSIDE = """
model.graph.node.append(helper.make_node("Neg", ["pooler_output"], ["sentence_embedding"]))
model.graph.output.append(helper.make_tensor_value_info("sentence_embedding", TensorProto.FLOAT, ["b", 64]))
"""
WITHOUT_MASK = """
ids = model.graph.input[0].name
model.graph.node.insert(0, helper.make_node("Sign", [ids], ["signs"]))
model.graph.node.insert(1, helper.make_node("Abs", ["signs"], ["attention_mask"]))
del model.graph.input[1]
"""
FLOAT_MASK = """
model.graph.input[1].type.tensor_type.elem_type = TensorProto.FLOAT
for node in model.graph.node:
    node.input[:] = ["whole" if name == "attention_mask" else name for name in node.input]
model.graph.node.insert(0, helper.make_node("Cast", ["attention_mask"], ["whole"], to=TensorProto.INT64))
"""
NEWEST_OPSET = "model = onnx.version_converter.convert_version(model, 18)"
OLD_OPSET = "model.opset_import[0].version = 10"
POOLED_FIRST = """
hidden, pooled = model.graph.output
del model.graph.output[:]
model.graph.output.append(pooled)
"""

Change = Callable[..., Path]


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> ArtifactCache:
    return ArtifactCache(tmp_path_factory.mktemp("cache"))


@pytest.fixture
def change(sentence_files: Path, tmp_path: Path) -> Change:
    """Copies a folder and changes its ONNX file by code: (folder's name, code) → the copy."""

    def changed(name: str, code: str = "") -> Path:
        folder = Path(shutil.copytree(sentence_files / name, tmp_path / name))
        command = [sys.executable, "-P", "-c", CHANGE_FILE, str(folder / "onnx" / "model.onnx"), code]
        subprocess.run(command, check=True, capture_output=True)
        return folder

    return changed


def as_file(folder: Path, head: Head | None = None) -> ResolvedModel:
    return resolve_model(f"onnx:{folder}/onnx/model.onnx", base=Path("/"), seed=0, offline=True, head=head)


def as_folder(folder: Path, head: Head | None = None) -> ResolvedModel:
    return resolve_model(f"path:{folder}", base=Path("/"), seed=0, offline=True, head=head)


def source(folder: Path, *texts: str) -> CalibrationSource:
    """Texts as what answers are compared on, read by the tokenizer of a model's folder."""
    file, tokenizer = folder / "texts.txt", folder / "tokenizer.json"
    file.write_text("\n".join(texts))
    digest = texts_digest(file, tokenizer)
    stated = TextsFile(path=str(file))
    return CalibrationSource(len(texts), 512, 0, file, digest, tokenizer, stated)


def answers(model: ResolvedModel, folder: Path, cache: ArtifactCache) -> list[np.ndarray[Any, Any]]:
    """What the reference answers to each text alone, and to all of them filled up in one batch."""
    made = prepare_calibration(model, source(folder, *TEXTS), cache, timeout_s=TIMEOUT_S)
    return read_answers(made.directory)


def assert_same(
    model: ResolvedModel, other: ResolvedModel, folder: Path, cache: ArtifactCache, atol: float = 1e-5
) -> None:
    pairs = zip(*(answers(one, folder, cache) for one in (model, other)), strict=True)
    for found, expected in pairs:
        assert found.shape == expected.shape
        np.testing.assert_allclose(found, expected, atol=atol)


@pytest.mark.parametrize(
    "name", ["all", "cut", *(pytest.param(name, marks=pytest.mark.slow) for name in ("modes", "gelu"))]
)
def test_a_file_answers_as_the_folder_that_it_was_exported_from(
    change: Change, cache: ArtifactCache, name: str
) -> None:
    folder = change(name)
    assert_same(as_file(folder), as_folder(folder), folder, cache)


@pytest.mark.slow
def test_without_a_list_of_modules_a_file_is_pooled_where_the_study_asks_for_it(
    change: Change, cache: ArtifactCache
) -> None:
    folder = change("plain")
    assert as_file(folder).modules is None
    assert_same(as_file(folder, "pooling"), as_folder(folder, "pooling"), folder, cache)
    assert_same(as_file(folder), as_folder(folder), folder, cache)


def test_the_graph_alone_is_served_where_the_study_asks_for_it(change: Change, cache: ArtifactCache) -> None:
    folder = change("all")
    bare = as_file(folder, "none")
    assert bare.modules is None
    (note,) = bare.notes
    assert note.startswith("modules.json puts Pooling, Dense, LayerNorm, Dense, Normalize behind the encoder")
    assert_same(bare, as_folder(folder, "none"), folder, cache)
    assert len({bare.digest, as_file(folder).digest}) == 2


def test_texts_are_read_as_the_folder_says(change: Change, cache: ArtifactCache) -> None:
    folder = change("cut")
    made = prepare_calibration(as_file(folder), source(folder, *TEXTS), cache, timeout_s=TIMEOUT_S)
    tokens = [request["input_ids"][0].tolist() for request in read_requests(made.directory)]
    assert tokens[1] == [2, 201, 100, 101, 102, 103, 104, 3]
    assert tokens[2] == [2, 201, 1, 1, 3]


@pytest.mark.parametrize(
    ("engine", "precision"),
    [
        pytest.param(*one, marks=[] if one == ("onnxruntime", "fp32") else [pytest.mark.slow])
        for one in ENGINES
    ],
)
def test_every_engine_serves_the_modules_alone_and_filled_up(
    sentence_files: Path, cache: ArtifactCache, engine: str, precision: Precision
) -> None:
    model, isa = as_file(sentence_files / "all"), read_machine().isa
    artifact = prepare_artifact(model, engine, precision, isa, cache, timeout_s=TIMEOUT_S)
    compared = CalibrationSource(sequences=8, tokens=24)
    told = prepare_assessment(model, artifact, compared, None, cache, threads=1, timeout_s=TIMEOUT_S)
    assert told.cosine is not None
    assert told.least_cosine is not None
    assert told.least_cosine > 0.99999 if precision == "fp32" else told.cosine > 0.9


@pytest.mark.slow
@pytest.mark.parametrize("code", [FLOAT_MASK, NEWEST_OPSET])
def test_masks_of_other_types_and_newer_operators_are_no_obstacle(
    change: Change, cache: ArtifactCache, code: str
) -> None:
    folder = change("all", code)
    assert_same(as_file(folder), as_folder(folder), folder, cache)


@pytest.mark.slow
def test_without_a_mask_every_token_counts(change: Change, cache: ArtifactCache) -> None:
    folder = change("modes", WITHOUT_MASK)
    model = as_file(folder)
    assert model.inputs is not None
    assert set(model.inputs.arrays) == {"input_ids"}
    found = answers(model, folder, cache)[: len(TEXTS)]
    expected = answers(as_folder(folder), folder, cache)[: len(TEXTS)]
    np.testing.assert_allclose(np.concatenate(found), np.concatenate(expected), atol=1e-5)


def test_an_embedding_that_the_graph_has_is_what_is_served(change: Change, cache: ArtifactCache) -> None:
    folder = change("cut", POOLED_INSIDE)
    model, bare = as_file(folder), as_file(folder, "none")
    assert model.modules is not None
    assert model.modules.in_words.startswith("the output sentence_embedding of its graph")
    assert "texts are cut to 8 tokens" in model.modules.in_words
    assert [answer.shape for answer in answers(model, folder, cache)] == [(1, 64)] * 4 + [(4, 64)]
    assert bare.notes[-1] == (
        "its output sentence_embedding is not what is served: its first one, last_hidden_state, is"
    )
    assert answers(bare, folder, cache)[0].ndim == 3
    (folder / "modules.json").unlink()
    alone = as_file(folder)
    assert alone.modules == model.modules


@pytest.mark.slow
def test_modules_are_found_where_the_hubs_client_keeps_links_to_files(
    change: Change, tmp_path: Path, cache: ArtifactCache
) -> None:
    folder = change("all")
    expected = as_file(folder)
    snapshot, blobs = tmp_path / "models--a--b" / "snapshots" / "0123", tmp_path / "models--a--b" / "blobs"
    blobs.mkdir(parents=True)
    for number, file in enumerate(sorted(path for path in folder.rglob("*") if path.is_file())):
        link = snapshot / file.relative_to(folder)
        link.parent.mkdir(parents=True, exist_ok=True)
        file.rename(blobs / f"{number}")
        link.symlink_to(blobs / f"{number}")
    found = as_file(snapshot)
    assert (found.digest, found.modules) == (expected.digest, expected.modules)
    answered = answers(found, snapshot, cache)
    assert [answer.shape for answer in answered] == [(1, 32)] * 4 + [(4, 32)]


def rewrite(file: Path, value: Any) -> None:
    file.write_text(json.dumps(value))


def test_modules_that_do_not_fit_the_graph_are_refused_by_name(change: Change) -> None:
    folder = change("modes")
    pooling = folder / "1_Pooling" / "config.json"
    rewrite(pooling, json.loads(pooling.read_text()) | {"word_embedding_dimension": 384})
    for refused in (as_file, as_folder):
        with pytest.raises(ModelError, match="takes 384 numbers, and the encoder gives 64") as caught:
            refused(folder)
        assert "`head: none`" in caught.value.remedy
        assert refused(folder, "none").modules is None
    listed = json.loads((folder / "modules.json").read_text())
    listed[1]["type"] = "sentence_transformers.models.CNN"
    rewrite(folder / "modules.json", listed)
    with pytest.raises(ModelError, match=r"lists sentence_transformers\.models\.CNN"):
        as_file(folder)


def test_a_graph_without_numbers_for_each_token_is_refused(change: Change) -> None:
    folder = change("cut", POOLED_FIRST)
    with pytest.raises(ModelError, match="its output 'pooler_output' has 2 dimensions") as caught:
        as_file(folder)
    assert "`head: none`" in caught.value.remedy
    assert as_file(folder, "none").modules is None
    (folder / "modules.json").unlink()
    model = as_file(folder)
    assert model.modules is None
    (note,) = model.notes
    assert note.startswith("1_Pooling/config.json describes a pooling, and no modules.json lists it")
    with pytest.raises(ModelError, match=r"as 1_Pooling/config\.json says"):
        as_file(folder, "pooling")


def test_operators_that_cannot_express_the_modules_are_too_old(change: Change, cache: ArtifactCache) -> None:
    folder = change("modes", OLD_OPSET)
    with pytest.raises(ModelError, match="is written in opset 10, and modules behind it need 11"):
        answers(as_file(folder), folder, cache)


def test_modules_for_another_encoder_are_refused_by_what_it_answers(
    change: Change, cache: ArtifactCache
) -> None:
    """Also where neither configuration nor graph say how many numbers there are."""
    folder = change("modes")
    model = as_folder(folder)
    assert model.modules is not None
    foreign = replace(model, digest="0" * 64, modules=replace(model.modules, takes=384))
    with pytest.raises(ModelError, match="take 384 numbers for each token, and it gives 64"):
        answers(foreign, folder, cache)


def test_what_is_served_is_said_before_a_study(change: Change, own_cache: Path) -> None:
    folder = change("cut")
    (folder / "texts.txt").write_text("\n".join(TEXTS))
    study = {
        "name": "s",
        "model": "onnx:onnx/model.onnx",
        "head": "pooling",
        "problem": {"batch_size": 2, "texts": "texts.txt"},
        "search": {"backends": ["onnxruntime"], "instances": [1], "threads": [1]},
    }
    (folder / "study.yaml").write_text(json.dumps(study))
    command = [sys.executable, "-P", "-m", "autotune", "tune", "study.yaml", "--dry-run", "--json"]
    ended = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr
    outlook = json.loads(ended.stdout)
    assert outlook["served"] == [
        "onnx:onnx/model.onnx is served with Pooling (mean), Normalize behind the output last_hidden_state of"
        " its graph, as modules.json lists them; texts are cut to 8 tokens (max_seq_length in"
        " sentence_bert_config.json); texts are put into lower case; 'query ' is put before every text"
    ]
    (counts,) = outlook["files"][0]["tokens"]
    assert (counts["cut"], counts["cut_to"]) == (1, 8)
