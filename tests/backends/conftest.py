"""Models small enough to prepare in a moment, made by child processes: tests import no engine."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

WRITE_TINY_MODELS = """
import json, sys
from pathlib import Path
import torch
from transformers import BertConfig, BertForSequenceClassification, LongformerConfig, LongformerModel

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
"""


@pytest.fixture(scope="session")
def tiny_models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of small models.

    `classifier` is a BERT of three labels, sharded and in half precision; `headless` the same without the
    weights of its head; `longformer` an architecture that ONNX export does not take.
    """
    folder = tmp_path_factory.mktemp("tiny models")
    subprocess.run([sys.executable, "-P", "-c", WRITE_TINY_MODELS, str(folder)], check=True)
    return folder


@pytest.fixture(scope="session")
def contract_cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")
