"""What belongs to an ONNX file lies beside it as it is named, also where that is a link into a cache."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from autotune.errors import ModelError
from autotune.model.sources import ResolvedModel, resolve_model
from autotune.model.study_inputs import tokenizer_of

WRITE_MODELS = """
import sys
from pathlib import Path
import numpy as np, onnx
from onnx import TensorProto, helper, numpy_helper

folder = Path(sys.argv[1])
table = numpy_helper.from_array(np.ones((50, 16), np.float32), "table")
ids = helper.make_tensor_value_info("input_ids", TensorProto.INT64, ["batch", "tokens"])
answer = helper.make_tensor_value_info("answer", TensorProto.FLOAT, None)
node = helper.make_node("Gather", ["table", "input_ids"], ["answer"])
graph = helper.make_graph([node], "encoder", [ids], [answer], [table])
model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=10)
onnx.save(model, folder / "whole.onnx")
onnx.save_model(
    model, folder / "split.onnx", save_as_external_data=True, location="model.onnx_data", size_threshold=0
)
"""

CONFIG = {"model_type": "bert", "vocab_size": 50, "max_position_embeddings": 24}


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models")
    subprocess.run([sys.executable, "-P", "-c", WRITE_MODELS, str(folder)], check=True)
    return folder


@pytest.fixture
def repository(written: Path, tmp_path: Path, own_cache: Path) -> Path:
    """A repository in the cache of the hub's client, without a commit's folder."""
    blobs = tmp_path / "hub" / "models--org--encoder" / "blobs"
    blobs.mkdir(parents=True)
    (blobs / "a1").write_bytes((written / "whole.onnx").read_bytes())
    (blobs / "b2").write_bytes((written / "split.onnx").read_bytes())
    (blobs / "c3").write_bytes((written / "model.onnx_data").read_bytes())
    (blobs / "d4").write_text(json.dumps(CONFIG))
    (blobs / "e5").write_text("{}")
    return blobs.parent


def commit(repository: Path, **links: str) -> Path:
    """The folder of a commit: blobs by the name of the link, `__` for a slash."""
    folder = repository / "snapshots" / "0123abcd"
    for name, blob in links.items():
        link = folder / name.replace("__", "/").replace("_onnx", ".onnx").replace("_json", ".json")
        link.parent.mkdir(parents=True, exist_ok=True)
        link.symlink_to(Path(*[".."] * (2 + name.count("__"))) / "blobs" / blob)
    return folder


def resolve(file: Path) -> ResolvedModel:
    return resolve_model(f"onnx:{file}", base=Path("/nowhere"), seed=0, offline=True)


def longest(model: ResolvedModel) -> int | None:
    assert model.inputs is not None
    return model.inputs.max_sequence_length


@pytest.mark.parametrize("name", ["model_onnx", "onnx__model_onnx"])
def test_configuration_and_tokenizer_lie_beside_the_link_or_above_its_onnx_folder(
    repository: Path, name: str
) -> None:
    folder = commit(repository, config_json="d4", tokenizer_json="e5", **{name: "a1"})
    model = resolve(next(folder.rglob("*.onnx")))
    assert longest(model) == 24
    assert tokenizer_of(model) == folder / "tokenizer.json"


def test_weights_lie_beside_the_link_as_a_link_to_another_blob(repository: Path) -> None:
    folder = commit(repository, model_onnx="b2", model_onnx_data="c3", config_json="d4")
    before = resolve(folder / "model.onnx")
    assert (longest(before), before.weights) == (24, 50 * 16)
    (repository / "blobs" / "c3").write_bytes(bytes(50 * 16 * 4))
    assert resolve(folder / "model.onnx").digest != before.digest


def test_links_of_an_own_folder_into_the_cache_are_followed_likewise(
    repository: Path, tmp_path: Path
) -> None:
    commit(repository, model_onnx="b2")
    own = tmp_path / "own"
    own.mkdir()
    (own / "model.onnx").symlink_to(repository / "blobs" / "b2")
    (own / "model.onnx_data").symlink_to(repository / "blobs" / "c3")
    assert resolve(own / "model.onnx").weights == 50 * 16


def test_what_lies_beside_the_file_that_a_link_leads_to_is_found_as_well(
    written: Path, tmp_path: Path, own_cache: Path
) -> None:
    model = tmp_path / "model"
    model.mkdir()
    for name in ("split.onnx", "model.onnx_data"):
        (model / name).write_bytes((written / name).read_bytes())
    (model / "config.json").write_text(json.dumps(CONFIG))
    (tmp_path / "current.onnx").symlink_to("model/split.onnx")
    found = resolve(tmp_path / "current.onnx")
    assert (longest(found), found.weights) == (24, 50 * 16)


def test_a_configuration_above_another_folder_is_of_another_model(
    written: Path, tmp_path: Path, own_cache: Path
) -> None:
    folder = tmp_path / "second"
    folder.mkdir()
    (folder / "model.onnx").write_bytes((written / "whole.onnx").read_bytes())
    (tmp_path / "config.json").write_text(json.dumps(CONFIG))
    assert longest(resolve(folder / "model.onnx")) is None


@pytest.mark.parametrize("elsewhere", ["/etc/passwd", "other/blobs/c3", "models--org--encoder/c3"])
def test_weights_outside_of_the_commit_and_its_blobs_are_refused(
    repository: Path, written: Path, elsewhere: str
) -> None:
    folder = commit(repository, model_onnx="b2")
    target = repository.parent / elsewhere
    if not target.exists():
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes((written / "model.onnx_data").read_bytes())
    (folder / "model.onnx_data").symlink_to(target)
    with pytest.raises(ModelError, match=r"weights outside of its folder, in 'model\.onnx_data'"):
        resolve(folder / "model.onnx")


def test_a_link_to_weights_that_are_not_there_is_half_a_download(repository: Path) -> None:
    folder = commit(repository, model_onnx="b2", model_onnx_data="ff")
    with pytest.raises(ModelError, match=r"model\.onnx_data, .* is a link to a file that is not there"):
        resolve(folder / "model.onnx")
