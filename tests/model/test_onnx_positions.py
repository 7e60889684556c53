"""How long a sequence may be is read from an ONNX graph itself, with a configuration beside it or without."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from autotune.errors import ModelError
from autotune.model.sources import ResolvedModel, resolve_model
from autotune.model.study_inputs import check_inputs_take
from autotune.spec.problem import Problem

WRITE_GRAPHS = """
import sys
from pathlib import Path
import numpy as np, onnx
from onnx import TensorProto, helper, numpy_helper

folder = Path(sys.argv[1])

def weight(name, array, kind=np.float32):
    return numpy_helper.from_array(np.asarray(array, kind), name)

tables = [weight("table", np.ones((50, 16))), weight("places", np.ones((40, 16)))]
numbers = [weight(name, [value], np.int64) for name, value in (("zero", 0), ("one", 1), ("many", 99))]
scalars = [weight(name, value, np.int64) for name, value in (("from", 0), ("by", 1), ("axis", 1))]

def node(kind, inputs, output, **more):
    return helper.make_node(kind, inputs.split(), [output], **more)

tokens = [node("Shape", "input_ids", "length", start=1, end=2), node("Squeeze", "length", "n")]
look_up = node("Gather", "table input_ids", "looked")

def write(name, nodes, weights=(), places="places", domain=""):
    ids = helper.make_tensor_value_info("input_ids", TensorProto.INT64, ["batch", "tokens"])
    answer = helper.make_tensor_value_info("answer", TensorProto.FLOAT, None)
    graph = helper.make_graph(nodes, "encoder", [ids], [answer], [*tables, *numbers, *scalars, *weights])
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid("com.microsoft", 1)]
    model = helper.make_model(graph, opset_imports=opsets, ir_version=10)
    onnx.save(model, folder / f"{name}.onnx")

def positioned(name, made, weights=()):
    found = [node("Gather", "places made", "placed"), node("Add", "looked placed", "answer")]
    write(name, [*tokens, look_up, *made, *found], weights)

count = [node("Range", "from n by", "counted")]
positioned("counted", [*count, node("Unsqueeze", "counted zero", "made")])
stored = weight("stored", [range(32)], np.int64)
positioned("stored", [node("Slice", "stored zero length one", "made")], [stored])
ones = [node("Equal", "input_ids many", "none"), node("Not", "none", "seen"),
        node("Cast", "seen", "whole", to=TensorProto.INT64)]
summed = [*ones, node("CumSum", "whole axis", "sum"), node("Mul", "sum whole", "kept")]
positioned("summed", [*summed, node("Add", "kept one", "made")])
positioned("places", [node("Expand", "one length", "set"), node("NonZero", "set", "made")])
distances = [*count, node("Unsqueeze", "counted one", "column"), node("Sub", "column counted", "signed"),
             node("Abs", "signed", "apart"), node("Min", "apart many", "made")]
positioned("distances", distances)
segments = weight("segments", [[0] * 32], np.int64)
positioned("segments", [node("Expand", "one length", "set"), node("Sub", "set one", "made")])
angles = weight("angles", np.ones((1, 24, 16)))
write("cut", [*tokens, look_up, node("Slice", "angles zero length one", "part"),
              node("Mul", "looked part", "answer")], [angles])
"""

READ_GRAPHS = """
import json, sys
from pathlib import Path
import onnx
from autotune.model.onnx.positions import longest_in_graph

files = Path(sys.argv[1]).glob("*.onnx")
print(json.dumps({file.stem: longest_in_graph(onnx.load(file).graph) for file in files}))
"""


@pytest.fixture(scope="module")
def graphs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("graphs")
    subprocess.run([sys.executable, "-P", "-c", WRITE_GRAPHS, str(folder)], check=True)
    return folder


def resolve(folder: Path, name: str) -> ResolvedModel:
    return resolve_model(f"onnx:{name}.onnx", base=folder, seed=0, offline=True)


def longest(folder: Path, name: str) -> int | None:
    inputs = resolve(folder, name).inputs
    assert inputs is not None
    return inputs.max_sequence_length


def test_a_table_of_positions_bounds_a_sequence_and_one_of_distances_does_not(graphs: Path) -> None:
    """How many positions, and rows before the first."""
    read = [sys.executable, "-P", "-c", READ_GRAPHS, str(graphs)]
    assert json.loads(subprocess.run(read, check=True, stdout=subprocess.PIPE).stdout) == {
        "counted": [40, 0],
        "stored": [32, 0],
        "summed": [38, 2],
        "places": [40, 0],
        "cut": [24, 0],
        "distances": None,
        "segments": None,
    }


@pytest.mark.usefixtures("own_cache")
@pytest.mark.parametrize(
    ("name", "config", "tokens"),
    [
        ("counted", {"model_type": "bert", "max_position_embeddings": 512}, 40),
        ("counted", {"model_type": "roberta", "max_position_embeddings": 40, "pad_token_id": 1}, 38),
        ("summed", {"model_type": "roberta", "max_position_embeddings": 40, "pad_token_id": 1}, 38),
        ("distances", {"model_type": "bert", "max_position_embeddings": 20}, 20),
        ("distances", {"model_type": "modernbert", "max_position_embeddings": 20, "rope_theta": 1.0}, None),
    ],
)
def test_a_configuration_tells_what_the_graph_does_not(
    graphs: Path, tmp_path: Path, name: str, config: dict[str, object], tokens: int | None
) -> None:
    shutil.copy(graphs / f"{name}.onnx", tmp_path)
    (tmp_path / "config.json").write_text(json.dumps(config))
    assert longest(tmp_path, name) == tokens


@pytest.mark.usefixtures("own_cache")
def test_a_longer_request_is_refused_before_it_runs_with_what_to_write(graphs: Path) -> None:
    inputs = resolve(graphs, "summed").inputs
    assert inputs is not None
    check_inputs_take(inputs, Problem(batch_size=1, sequence_length=38))
    with pytest.raises(ModelError, match=r"problem\.sequence_length: 39 tokens are more") as caught:
        check_inputs_take(inputs, Problem(batch_size=1, sequence_length=39))
    assert "at most 38" in caught.value.remedy
    assert "max_length: 38" in caught.value.remedy
