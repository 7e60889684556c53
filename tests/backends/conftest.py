"""Models small enough to prepare in a moment, made by child processes: tests import no engine."""

from __future__ import annotations

import fcntl
import os
import subprocess
import sys
from pathlib import Path

import pytest

WRITE_TINY_MODELS = """
import json, sys
from pathlib import Path
import torch
from transformers import (
    BertConfig, BertForSequenceClassification, FunnelConfig, FunnelModel, LongformerConfig, LongformerModel,
    SqueezeBertConfig, SqueezeBertModel, T5Config, T5EncoderModel, XLMConfig, XLMModel, XLNetConfig,
    XLNetModel,
)

torch.manual_seed(0)
folder = Path(sys.argv[1])
shape = dict(
    vocab_size=1000, hidden_size=64, num_hidden_layers=2, num_attention_heads=4, intermediate_size=128,
    max_position_embeddings=64, num_labels=3, initializer_range=0.2,
)
classifier = BertForSequenceClassification(BertConfig(**shape)).half()
classifier.save_pretrained(folder / "classifier", max_shard_size="100KB")
classifier.bert.save_pretrained(folder / "headless")
config = json.loads((folder / "headless" / "config.json").read_text())
config["architectures"] = ["BertForSequenceClassification"]
(folder / "headless" / "config.json").write_text(json.dumps(config))
LongformerModel(LongformerConfig(**shape, attention_window=16)).save_pretrained(folder / "longformer")
small = dict(vocab_size=1000, d_model=64, n_head=4, d_head=16, d_inner=64, num_decoder_layers=1)
FunnelModel(FunnelConfig(**small, block_sizes=[1, 1])).save_pretrained(folder / "funnel")
SqueezeBertModel(SqueezeBertConfig(**shape, embedding_size=64)).save_pretrained(folder / "squeezebert")
small = dict(vocab_size=1000, d_model=64, d_kv=16, d_ff=128, num_layers=2, num_heads=4)
T5EncoderModel(T5Config(**small)).save_pretrained(folder / "t5")
config = json.loads((folder / "t5" / "config.json").read_text())
config["is_encoder_decoder"] = True  # as it is where the encoder was taken out of the whole model
(folder / "t5" / "config.json").write_text(json.dumps(config))
small = dict(vocab_size=1000, emb_dim=64, n_layers=2, n_heads=4, max_position_embeddings=64)
XLMModel(XLMConfig(**small)).save_pretrained(folder / "xlm")
small = dict(vocab_size=1000, d_model=64, n_layer=2, n_head=4, d_inner=128)
XLNetModel(XLNetConfig(**small)).save_pretrained(folder / "xlnet")
"""

WRITE_ENCODERS = """
import sys
from pathlib import Path
import numpy as np, onnx
from onnx import TensorProto, helper, numpy_helper
from onnxruntime.quantization import quantize_dynamic

folder = Path(sys.argv[1])
drawn = np.random.default_rng(0)

def weight(name, *shape):
    return numpy_helper.from_array(drawn.standard_normal(shape, dtype=np.float32), name)

def write(name, nodes, weights):
    names = ("input_ids", "attention_mask")
    taken = [helper.make_tensor_value_info(one, TensorProto.INT32, ["b", "t"]) for one in names]
    answers = [helper.make_tensor_value_info(one, TensorProto.FLOAT, None) for one in ("answer", "hidden")]
    graph = helper.make_graph(nodes, "encoder", taken, answers, weights)
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid("com.example", 1)]
    onnx.save(helper.make_model(graph, opset_imports=opsets, ir_version=10), folder / name)

# Unnamed nodes, an input that decides nothing, and a second output: all are allowed.
nodes = [
    helper.make_node("Gather", ["table", "input_ids"], ["looked"]),
    helper.make_node("MatMul", ["looked", "up"], ["wide"]),
    helper.make_node("Tanh", ["wide"], ["hidden"]),
    helper.make_node("MatMul", ["hidden", "down"], ["narrow"]),
    helper.make_node("Add", ["narrow", "looked"], ["answer"]),
]
weights = [weight("table", 50, 64), weight("up", 64, 128), weight("down", 128, 64)]
write("encoder.onnx", nodes, weights)
write("foreign.onnx", [
    *nodes[:4], helper.make_node("Blend", ["narrow", "looked"], ["answer"], domain="com.example")
], weights)
write("sum.onnx", [
    *nodes[:4],
    helper.make_node("ReduceSum", ["narrow"], ["answer"], keepdims=0),
], weights)
quantize_dynamic(folder / "encoder.onnx", folder / "quantized.onnx")

def changed(name, change, of="encoder.onnx"):
    model = onnx.load(folder / of)
    change(model)
    onnx.save(model, folder / name)

def halve(model):
    for weight in model.graph.initializer:
        half = numpy_helper.to_array(weight).astype(np.float16)
        weight.CopyFrom(numpy_helper.from_array(half, weight.name))
    # As many models are saved: what comes of it is fp32 again.
    model.graph.node[-1].output[0] = "answer as fp16"
    cast = helper.make_node("Cast", ["answer as fp16"], ["answer"], to=TensorProto.FLOAT)
    model.graph.node.append(cast)
    model.graph.output[1].type.tensor_type.elem_type = TensorProto.FLOAT16

def age(model):
    # Until opset 13 it is over all axes from the second on; until IR version 4 weights are inputs, too.
    model.graph.node[2].CopyFrom(helper.make_node("Softmax", ["wide"], ["hidden"]))
    model.opset_import[0].version, model.ir_version = 10, 3
    for weight in model.graph.initializer:
        described = helper.make_tensor_value_info(weight.name, weight.data_type, weight.dims)
        model.graph.input.append(described)

def bound(model):
    # A table of six positions that no one would know for one.
    table = weight("six", 6, 64)
    model.graph.initializer.append(table)
    zero = numpy_helper.from_array(np.zeros(1, np.int64), "zero")
    model.graph.initializer.append(zero)
    nodes = [
        helper.make_node("Shape", ["input_ids"], ["length"], start=1, end=2),
        helper.make_node("Abs", ["six"], ["places"]),
        helper.make_node("Slice", ["places", "zero", "length"], ["part"]),
        helper.make_node("Add", ["looked", "part"], ["placed"]),
    ]
    model.graph.node[1].input[0] = "placed"
    for place, node in enumerate(nodes):
        model.graph.node.insert(1 + place, node)

def renumber(model):
    model.ir_version = 99

def overtake(model):
    model.opset_import[0].version = 99

for name, change in (
    ("half", halve), ("old", age), ("bound", bound), ("newer", renumber), ("newest", overtake)
):
    changed(f"{name}.onnx", change)
"""


@pytest.fixture(scope="session")
def of_all_workers(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of this run that all of its processes have, so that none makes what another one has made."""
    own = tmp_path_factory.getbasetemp()
    return own.parent if "PYTEST_XDIST_WORKER" in os.environ else own


def written_once(folder: Path, program: str) -> Path:
    """Have a child write the folder, unless another process of this run has."""
    with folder.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not folder.exists():
            begun = folder.with_suffix(".begun")
            begun.mkdir()
            subprocess.run([sys.executable, "-P", "-c", program, str(begun)], check=True, capture_output=True)
            begun.rename(folder)
    return folder


@pytest.fixture(scope="session")
def tiny_models(of_all_workers: Path) -> Path:
    """A folder of small models.

    `classifier` is a BERT of three labels, sharded and in half precision; `headless` the same without the
    weights of its head; `longformer` an architecture that no export follows; `funnel` one that exports follow
    at the shape alone that they were traced at; `t5` the
    encoder of an encoder-decoder; `squeezebert`, `xlm` and `xlnet` other architectures.
    """
    return written_once(of_all_workers / "tiny models", WRITE_TINY_MODELS)


@pytest.fixture(scope="session")
def encoders(of_all_workers: Path) -> Path:
    """Small encoders as ONNX files, and some that cannot be one."""
    return written_once(of_all_workers / "encoders", WRITE_ENCODERS)


@pytest.fixture(scope="session")
def contract_cache(of_all_workers: Path) -> Path:
    """A cache that several processes may use at once, as any may."""
    return of_all_workers / "contract cache"
