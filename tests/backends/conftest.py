"""Models small enough to prepare in a moment, made by child processes: tests import no engine."""

from __future__ import annotations

import fcntl
import os
import shutil
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


WRITE_SENTENCE_FOLDERS = """
import json, sys
from pathlib import Path
import torch
import transformers
from safetensors.torch import save_file
from tokenizers import Tokenizer, models, pre_tokenizers, processors

torch.manual_seed(0)
folder = Path(sys.argv[1])
OWN = "sentence_transformers.models."

def write(name, *modules, named=transformers.BertModel, **files):
    sizes = dict(hidden_size=64, num_hidden_layers=2, num_attention_heads=4, intermediate_size=64)
    config = transformers.BertConfig(
        vocab_size=1000, max_position_embeddings=64, initializer_range=0.2, **sizes
    )
    named(config).save_pretrained(folder / name)
    listed = [{"idx": 0, "name": "0", "path": "", "type": OWN + "Transformer"}]
    for place, (kind, config, weights) in enumerate(modules, start=1):
        path = f"{place}_{kind}"
        listed.append({"idx": place, "name": str(place), "path": path, "type": OWN + kind})
        (folder / name / path).mkdir()
        if config is not None:
            (folder / name / path / "config.json").write_text(json.dumps(config))
        if weights:
            save_file(weights, folder / name / path / "model.safetensors")
    if modules:
        files["modules"] = listed
    for file, content in files.items():
        (folder / name / f"{file}.json").write_text(json.dumps(content))
    letters = {word: 100 + place for place, word in enumerate("abcdefghij")}
    special = {"[UNK]": 1, "[CLS]": 2, "[SEP]": 3, "[PAD]": 0, "Abc": 200, "query": 201}
    tokenizer = Tokenizer(models.WordLevel({**special, **letters}, "[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", pair="[CLS] $A [SEP] $B [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    marks = dict(unk_token="[UNK]", cls_token="[CLS]", sep_token="[SEP]", pad_token="[PAD]")
    fast = transformers.PreTrainedTokenizerFast(tokenizer_object=tokenizer, **marks)
    fast.save_pretrained(folder / name)

def pooling(*modes):
    return ("Pooling", {"word_embedding_dimension": 64, "pooling_mode": list(modes)}, None)

def dense(taken, given, activation, bias=True):
    weights = {"linear.weight": torch.randn(given, taken) / 8}
    if bias:
        weights["linear.bias"] = torch.randn(given)
    described = {"in_features": taken, "out_features": given, "bias": bias}
    return ("Dense", described | {"activation_function": "torch.nn.modules." + activation}, weights)

def layer_norm(width):
    weights = {"norm.weight": torch.rand(width), "norm.bias": torch.randn(width)}
    return ("LayerNorm", {"dimension": width}, weights)

everything = pooling("cls", "max", "mean", "mean_sqrt_len_tokens", "weightedmean", "lasttoken")
write(
    "all", everything, dense(384, 48, "activation.Tanh"), layer_norm(48),
    dense(48, 32, "linear.Identity", bias=False), ("Normalize", None, None),
)
write("modes", everything)
write(
    "cut", pooling("mean"), ("Normalize", None, None), named=transformers.BertForMaskedLM,
    sentence_bert_config={"max_seq_length": 8, "do_lower_case": True},
    config_sentence_transformers={"prompts": {"query": "query "}, "default_prompt_name": "query"},
)
write("gelu", pooling("mean"), dense(64, 16, "activation.GELU"))
write("plain")
"""

WRITE_SENTENCE_FILES = """
import sys
from pathlib import Path
import torch
import transformers

class Encoder(torch.nn.Module):
    def __init__(self, folder):
        super().__init__()
        self.encoder = transformers.BertModel.from_pretrained(folder, attn_implementation="eager")

    def forward(self, input_ids, attention_mask):
        answer = self.encoder(input_ids=input_ids, attention_mask=attention_mask)
        return answer.last_hidden_state, answer.pooler_output

for folder in (Path(name) for name in sys.argv[1:]):
    (folder / "onnx").mkdir()
    names, free = ["input_ids", "attention_mask"], {0: "batch", 1: "tokens"}
    torch.onnx.export(
        Encoder(folder).eval(),
        tuple(torch.ones(2, 8, dtype=torch.int64) for _ in names),
        str(folder / "onnx" / "model.onnx"),
        input_names=names,
        output_names=["last_hidden_state", "pooler_output"],
        dynamic_axes={name: free for name in (*names, "last_hidden_state")},
        opset_version=14,
        dynamo=False,
    )
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


@pytest.fixture(scope="session")
def sentence_folders(of_all_workers: Path) -> Path:
    """A folder of small sentence-transformers folders, and a plain one.

    `all` has every module, `modes` every pooling alone, `gelu` an activation that NumPy lacks; `cut` cuts
    texts to 8 tokens, puts them into lower case and a prompt before them, and has a head of pre-training.
    """
    return written_once(of_all_workers / "sentence folders", WRITE_SENTENCE_FOLDERS)


@pytest.fixture(scope="session")
def sentence_files(sentence_folders: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same with `onnx/model.onnx` in each, whose outputs are last_hidden_state and pooler_output."""
    folder = tmp_path_factory.mktemp("files") / "models"
    shutil.copytree(sentence_folders, folder)
    names = [str(folder / name) for name in ("all", "modes", "gelu", "cut", "plain")]
    subprocess.run(
        [sys.executable, "-P", "-c", WRITE_SENTENCE_FILES, *names], check=True, capture_output=True
    )
    return folder
