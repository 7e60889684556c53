"""An ONNX file is a model if it takes (batch, tokens) of whole numbers; others are refused in a sentence."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import pytest

from autotune.errors import ModelError
from autotune.model.inputs import make_inputs, nearest_shape, write_inputs
from autotune.model.sources import ResolvedModel, resolve_model
from autotune.model.stream import collate
from autotune.spec.model_source import ArrayKind

WRITE_FILES = """
import sys
from pathlib import Path
import numpy as np, onnx
from onnx import TensorProto, helper, numpy_helper

folder = Path(sys.argv[1])
table = numpy_helper.from_array(np.ones((50, 16), np.float32), "table")

def write(name, inputs, nodes, weights=(table,)):
    taken = [helper.make_tensor_value_info(one, kind, shape) for one, kind, shape in inputs]
    answer = helper.make_tensor_value_info("answer", TensorProto.FLOAT, None)
    graph = helper.make_graph(nodes, "encoder", taken, [answer], weights)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=10)
    onnx.save(model, folder / name)

FREE = ["batch", "tokens"]
look_up = helper.make_node("Gather", ["table", "input_ids"], ["answer"])
ids = ("input_ids", TensorProto.INT64, FREE)
write("usual.onnx", [ids, ("attention_mask", TensorProto.INT64, FREE)], [look_up])
write("fixed.onnx", [("input_ids", TensorProto.INT64, [2, 8])], [look_up])
write("named.onnx", [("words", TensorProto.INT32, FREE), ("seen", TensorProto.INT32, FREE)], [
    helper.make_node("Cast", ["words"], ["wide"], to=TensorProto.INT64),
    helper.make_node("Gather", ["table", "wide"], ["answer"]),
])
write("vectors.onnx", [("input_ids", TensorProto.FLOAT, FREE)], [
    helper.make_node("Abs", ["input_ids"], ["answer"])
])
write("flat.onnx", [("input_ids", TensorProto.INT64, ["tokens"])], [look_up])
write("uneven.onnx", [
    ("input_ids", TensorProto.INT64, [2, 8]), ("attention_mask", TensorProto.INT64, [2, 9])
], [look_up])
write("decoder.onnx", [ids, ("past_key_values.0.key", TensorProto.FLOAT, ["b", 4, "p", 8])], [look_up])
masked = ("attention_mask", TensorProto.FLOAT, FREE)
write("placed.onnx", [ids, masked, ("position_ids", TensorProto.INT64, FREE)], [look_up])
half = numpy_helper.from_array(np.ones((50, 16), np.float16), "table")
write("fp16.onnx", [ids], [look_up], (half,))
write("tableless.onnx", [ids], [helper.make_node("Cast", ["input_ids"], ["answer"], to=TensorProto.FLOAT)])

model = onnx.load(folder / "usual.onnx")
external = dict(save_as_external_data=True, location="large.data", size_threshold=0)
onnx.save_model(model, folder / "large.onnx", **external)
text = (folder / "large.onnx").read_bytes()
(folder / "escaping.onnx").write_bytes(text.replace(b"large.data", b"../l.data."))
(folder / "linked.onnx").write_bytes(text.replace(b"large.data", b"links.data"))
(folder / "lacking.onnx").write_bytes(text.replace(b"large.data", b"other.data"))
(folder / "links.data").symlink_to("/etc/passwd")
(folder / "renamed.onnx").write_bytes(text.replace(b"large.data", b"alias.data"))
(folder / "alias.data").symlink_to("large.data")
(folder / "shared.onnx").write_bytes(text.replace(b"large.data", b"twice.data"))
(folder / "twice.data").write_bytes((folder / "large.data").read_bytes())
(folder / "other name").hardlink_to(folder / "twice.data")

write("two.onnx", [ids], [look_up], (table, numpy_helper.from_array(np.ones(9, np.float32), "more")))
external["location"] = "two.data"
onnx.save_model(onnx.load(folder / "two.onnx"), folder / "two.onnx", **external)

inner = numpy_helper.from_array(np.ones((50, 16), np.float32), "inner")
onnx.external_data_helper.set_external_data(inner, location="function.data")
(folder / "function.data").write_bytes(inner.raw_data)
inner.ClearField("raw_data")
domain = "com.example"
opsets = [helper.make_opsetid("", 17), helper.make_opsetid(domain, 1)]
nodes = [helper.make_node("Constant", [], ["t"], value=inner), helper.make_node("Gather", ["t", "i"], ["o"])]
look_up_inside = helper.make_function(domain, "LookUp", ["i"], ["o"], nodes, opsets[:1])
graph = helper.make_graph(
    [helper.make_node("LookUp", ["input_ids"], ["answer"], domain=domain)],
    "encoder",
    [helper.make_tensor_value_info(*ids)],
    [helper.make_tensor_value_info("answer", TensorProto.FLOAT, None)],
)
made = helper.make_model(graph, opset_imports=opsets, functions=[look_up_inside], ir_version=10)
(folder / "function.onnx").write_bytes(made.SerializeToString())
(folder / "half.onnx").write_bytes((folder / "usual.onnx").read_bytes()[:-100])
(folder / "empty.onnx").write_bytes(b"")
(folder / "text.onnx").write_text("not a model")
(folder / "dangling.onnx").symlink_to("nowhere")
(folder / "link text.onnx").write_text("../../blobs/1f")
"""

Resolve = Callable[..., ResolvedModel]


@pytest.fixture(scope="session")
def onnx_files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("onnx files")
    subprocess.run([sys.executable, "-P", "-c", WRITE_FILES, str(folder)], check=True)
    return folder


@pytest.fixture
def resolve(onnx_files: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Resolve:
    monkeypatch.setenv("AUTOTUNE_CACHE", str(tmp_path / "cache"))

    def resolve_file(
        name: str, arrays: Mapping[str, ArrayKind] | None = None, folder: Path = onnx_files
    ) -> ResolvedModel:
        return resolve_model(f"onnx:{name}", base=folder, seed=0, offline=True, arrays=arrays)

    return resolve_file


def test_usual_names_tell_what_a_file_takes(resolve: Resolve, onnx_files: Path) -> None:
    model = resolve("usual.onnx")
    assert (model.kind, model.path) == ("onnx", onnx_files / "usual.onnx")
    assert model.inputs is not None
    assert model.inputs.arrays == {"input_ids": "tokens", "attention_mask": "ones"}
    assert model.inputs.vocabulary == 50
    assert (model.inputs.batch_size, model.inputs.sequence_length) == (None, None)


def test_other_names_are_explained_by_the_study(resolve: Resolve, tmp_path: Path) -> None:
    model = resolve("named.onnx", {"words": "tokens", "seen": "ones"})
    assert model.inputs is not None
    assert model.inputs.vocabulary == 50
    write_inputs(tmp_path, model.inputs)
    request = make_inputs(tmp_path, 2, 5, seed=0)
    assert {name: str(array.dtype) for name, array in request.items()} == {"words": "int32", "seen": "int32"}
    assert request["words"].max() < 50
    assert (request["seen"] == 1).all()


def test_what_the_inputs_are_given_is_part_of_the_model(resolve: Resolve) -> None:
    seen = resolve("named.onnx", {"words": "tokens", "seen": "ones"})
    unseen = resolve("named.onnx", {"words": "tokens", "seen": "zeros"})
    assert seen.digest != unseen.digest


def test_a_fixed_shape_is_the_only_one_that_is_made(resolve: Resolve, tmp_path: Path) -> None:
    model = resolve("fixed.onnx")
    assert model.inputs is not None
    write_inputs(tmp_path, model.inputs)
    assert nearest_shape(model.inputs, 5, 100) == (2, 8)
    assert make_inputs(tmp_path, 2, 8, seed=0)["input_ids"].shape == (2, 8)
    with pytest.raises(ModelError, match=r"batch_size 1 is not what .* takes 2 alone") as caught:
        make_inputs(tmp_path, 1, 8, seed=0)
    assert "problem.batch_size" in caught.value.remedy


def test_the_digest_follows_the_weights_beside_the_file(
    resolve: Resolve, onnx_files: Path, tmp_path: Path
) -> None:
    for name in ("large.onnx", "large.data"):
        shutil.copy(onnx_files / name, tmp_path)
    before = resolve("large.onnx", folder=tmp_path).digest
    (tmp_path / "large.data").write_bytes(bytes(50 * 16 * 4))
    assert resolve("large.onnx").digest == before
    assert resolve("large.onnx", folder=tmp_path).digest != before


def test_weights_that_are_cut_off_are_refused_with_the_file_that_has_them(
    resolve: Resolve, onnx_files: Path, tmp_path: Path
) -> None:
    for name in ("two.onnx", "two.data"):
        shutil.copy(onnx_files / name, tmp_path)
    assert resolve("two.onnx", folder=tmp_path).digest
    weights = tmp_path / "two.data"
    whole = weights.stat().st_size
    os.truncate(weights, whole - 1)
    told = rf"two\.data is cut off: it has {whole - 1} bytes, and the weights of two\.onnx go up to {whole}"
    with pytest.raises(ModelError, match=told) as caught:
        resolve("two.onnx", folder=tmp_path)
    assert "export the model again" in caught.value.remedy


def test_the_digest_follows_the_weights_of_functions_too(
    resolve: Resolve, onnx_files: Path, tmp_path: Path
) -> None:
    for name in ("function.onnx", "function.data"):
        shutil.copy(onnx_files / name, tmp_path)
    (tmp_path / "config.json").write_text('{"vocab_size": 50}')
    before = resolve("function.onnx", folder=tmp_path).digest
    (tmp_path / "function.data").write_bytes(bytes(50 * 16 * 4))
    assert resolve("function.onnx", folder=tmp_path).digest != before


def test_the_digest_follows_the_configuration_beside_the_file(
    resolve: Resolve, onnx_files: Path, tmp_path: Path
) -> None:
    shutil.copy(onnx_files / "usual.onnx", tmp_path)
    plain = resolve("usual.onnx", folder=tmp_path).digest
    (tmp_path / "config.json").write_text('{"architectures": ["BertForSequenceClassification"]}')
    assert resolve("usual.onnx", folder=tmp_path).digest != plain


def test_the_configuration_beside_a_file_tells_what_the_graph_does_not(
    resolve: Resolve, onnx_files: Path, tmp_path: Path
) -> None:
    shutil.copy(onnx_files / "tableless.onnx", tmp_path)
    config = {"vocab_size": 30, "pad_token_id": 0, "max_position_embeddings": 64}
    (tmp_path / "config.json").write_text(json.dumps(config))
    inputs = resolve("tableless.onnx", folder=tmp_path).inputs
    assert inputs is not None
    assert (inputs.vocabulary, inputs.reserved, inputs.max_sequence_length) == (30, (0,), 64)


def test_inputs_may_hold_positions_and_masks_other_types_than_whole_numbers(
    resolve: Resolve, tmp_path: Path
) -> None:
    inputs = resolve("placed.onnx").inputs
    assert inputs is not None
    assert inputs.arrays == {"input_ids": "tokens", "attention_mask": "ones", "position_ids": "positions"}
    write_inputs(tmp_path, inputs)
    request = make_inputs(tmp_path, 2, 3, seed=0)
    assert request["position_ids"].tolist() == [[0, 1, 2], [0, 1, 2]]
    assert request["attention_mask"].dtype == np.float32
    filled = collate([np.array([7, 8]), np.array([9])], 3, inputs, pad_token=1)
    assert filled["position_ids"].tolist() == [[0, 1, 2], [0, 1, 2]]
    assert filled["attention_mask"].tolist() == [[1, 1, 0], [1, 0, 0]]


def test_positions_begin_where_the_model_of_the_configuration_has_its_first(
    resolve: Resolve, onnx_files: Path, tmp_path: Path
) -> None:
    shutil.copy(onnx_files / "placed.onnx", tmp_path)
    (tmp_path / "config.json").write_text('{"model_type": "roberta", "pad_token_id": 1}')
    inputs = resolve("placed.onnx", folder=tmp_path).inputs
    assert inputs is not None
    write_inputs(tmp_path, inputs)
    assert make_inputs(tmp_path, 1, 3, seed=0)["position_ids"].tolist() == [[2, 3, 4]]


def test_weights_that_are_not_at_fp32_are_told_and_counted(resolve: Resolve) -> None:
    half, usual = resolve("fp16.onnx"), resolve("usual.onnx")
    (note,) = half.notes
    assert "fp16, widened to fp32" in note
    assert usual.notes == ()
    assert half.weights == usual.weights == 50 * 16


def test_weights_may_lie_behind_a_link_within_the_folder(resolve: Resolve) -> None:
    assert resolve("renamed.onnx").weights == 50 * 16


@pytest.mark.parametrize(
    ("name", "arrays", "words"),
    [
        ("missing.onnx", {}, "is not a file"),
        ("empty.onnx", {}, "is empty, as after half a download"),
        ("text.onnx", {}, "is not an ONNX model"),
        ("half.onnx", {}, "is not an ONNX model"),
        ("vectors.onnx", {}, "'input_ids' .* of type float, not of whole numbers"),
        ("flat.onnx", {}, "'input_ids' .* has 1 dimensions"),
        ("uneven.onnx", {}, "different sequence lengths: 8, 9"),
        ("named.onnx", {}, "input 'words', and nothing says what it holds"),
        ("named.onnx", {"words": "zeros", "seen": "ones"}, "no input of .* takes token ids"),
        ("usual.onnx", {"wrods": "tokens"}, "no input 'wrods'"),
        ("tableless.onnx", {}, "does not show how many token ids"),
        ("escaping.onnx", {}, r"weights outside of its folder, in '\.\./l\.data\.'"),
        ("linked.onnx", {}, r"weights outside of its folder, in 'links\.data'"),
        ("lacking.onnx", {}, r"lacks other\.data"),
        ("shared.onnx", {}, r"twice\.data has a second name"),
        ("decoder.onnx", {}, r"'past_key_values\.0\.key': it is a decoder"),
        ("placed.onnx", {"position_ids": "zeros", "attention_mask": "tokens"}, "'attention_mask' .* float"),
        ("dangling.onnx", {}, r"is a link to a file that is not there \(nowhere\)"),
        ("link text.onnx", {}, r"is the text of a link \(\.\./\.\./blobs/1f\)"),
    ],
)
def test_a_file_that_is_no_such_model_is_refused_in_a_sentence(
    resolve: Resolve, name: str, arrays: Mapping[str, ArrayKind], words: str
) -> None:
    with pytest.raises(ModelError, match=words) as caught:
        resolve(name, arrays)
    assert caught.value.remedy
    assert "\n" not in caught.value.problem
