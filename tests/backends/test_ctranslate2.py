"""CTranslate2 keeps the contract, maps masks and token types truly, and refuses in words what it cannot."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from autotune.backends.ctranslate2.backend import CTranslate2Backend
from autotune.errors import UnsupportedError
from autotune.model.artifacts.artifact import Artifact
from autotune.model.artifacts.cache import ArtifactCache
from autotune.model.artifacts.manifest import read_manifest
from autotune.model.sources import resolve_model
from autotune.preparation.preparing import prepare_artifact
from autotune.spec.configuration import Precision
from autotune.testing.backend_contract import BackendContract, Probe

installed = pytest.mark.skipif(find_spec("ctranslate2") is None, reason="ctranslate2 is not installed")

WRITE_ENCODERS = """
import sys
from pathlib import Path
import torch
from transformers import BertConfig, BertModel, ElectraConfig, ElectraModel, RobertaConfig, RobertaModel

torch.manual_seed(0)
folder = Path(sys.argv[1])
shape = dict(
    vocab_size=1000, hidden_size=64, num_hidden_layers=2, num_attention_heads=4, intermediate_size=128,
    max_position_embeddings=66, initializer_range=0.2,
)
BertModel(BertConfig(**shape)).save_pretrained(folder / "bert")
RobertaModel(RobertaConfig(**shape, type_vocab_size=1, pad_token_id=1)).save_pretrained(folder / "roberta")
ElectraModel(ElectraConfig(**shape)).save_pretrained(folder / "electra")
"""

ASK = """
import json, sys
from pathlib import Path
import numpy as np
from autotune.backends.ctranslate2.backend import CTranslate2Backend
from autotune.errors import UnsupportedError

session = CTranslate2Backend().load(Path(sys.argv[1]), "fp32", 1)
tokens = np.arange(100, 112).reshape(2, 6)

def ask(rows=tokens, mask=None, types=None):
    mask = np.ones_like(rows) if mask is None else np.array(mask)
    types = np.zeros_like(rows) if types is None else np.array(types)
    return session.run({"input_ids": rows, "attention_mask": mask, "token_type_ids": types})

def differ(one, other):
    return float(np.abs(one - other).max())

whole, end = ask(), [[1, 1, 1, 1, 0, 0], [1, 1, 1, 1, 1, 1]]
seen = {
    "padded to short": differ(ask(mask=end)[0, :4], ask(tokens[:1, :4])[0]),
    "padded to whole": differ(ask(mask=end)[0, :4], whole[0, :4]),
    "neighbour": differ(ask(mask=end)[1], whole[1]),
    "second type": differ(ask(types=[[0, 0, 0, 1, 1, 1]] * 2), whole),
    "no mask": differ(session.run({"input_ids": tokens}), whole),
    "modules": sorted({name.partition(".")[0] for name, module in sys.modules.items() if module}),
}
try:
    ask(mask=[[1, 0, 1, 1, 1, 1], [1, 1, 1, 1, 1, 1]])
except UnsupportedError as error:
    seen["hole"] = error.problem
print(json.dumps(seen))
"""


@pytest.fixture(scope="module")
def encoders(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of encoders without task heads: `bert`, `roberta`, `electra`."""
    folder = tmp_path_factory.mktemp("encoders")
    subprocess.run([sys.executable, "-P", "-c", WRITE_ENCODERS, str(folder)], check=True)
    return folder


def prepare(folder: Path, cache: Path, precision: Precision = "fp32") -> Artifact:
    model = resolve_model(f"path:{folder}", base=Path("/"), seed=0, offline=True)
    return prepare_artifact(model, "ctranslate2", precision, frozenset(), ArtifactCache(cache), timeout_s=240)


@installed
@pytest.mark.engines
class TestCTranslate2(BackendContract):
    name = "ctranslate2"

    @pytest.fixture(scope="class")
    @classmethod
    def contract_model(cls, encoders: Path) -> str:
        return f"path:{encoders / 'bert'}"

    @pytest.fixture(scope="class")
    @classmethod
    def answers(cls, probes: Mapping[Precision, Probe]) -> dict[str, Any]:
        """How answers to requests differ, and what a worker imports."""
        output = subprocess.run(
            [sys.executable, "-P", "-c", ASK, str(probes["fp32"].artifact.directory)],
            env={**os.environ, **CTranslate2Backend().environment(1)},
            check=True,
            stdout=subprocess.PIPE,
        ).stdout
        seen = json.loads(output)
        assert isinstance(seen, dict)
        return seen

    def test_it_answers_with_a_hidden_state_for_every_token(self, probes: Mapping[Precision, Probe]) -> None:
        assert probes["fp32"].runs[1]["shape"] == [2, 16, 64]

    def test_fp32_follows_the_reference_to_rounding(self, probes: Mapping[Precision, Probe]) -> None:
        manifest = read_manifest(probes["fp32"].artifact.directory)
        assert manifest is not None
        assert manifest.agreement is not None
        assert manifest.agreement.max_abs_difference < 1e-4

    def test_int8_weights_take_less_room_and_compute_something_else(
        self, probes: Mapping[Precision, Probe]
    ) -> None:
        sizes = {name: probe.artifact.size_bytes for name, probe in probes.items()}
        assert sizes["int8-dynamic"] < 0.5 * sizes["fp32"]
        assert probes["int8-dynamic"].runs[1]["digests"] != probes["fp32"].runs[1]["digests"]

    def test_what_is_masked_at_the_end_of_a_sequence_decides_nothing(self, answers: dict[str, Any]) -> None:
        assert answers["padded to short"] < 1e-5
        assert answers["padded to whole"] > 1e-3
        assert answers["neighbour"] < 1e-5

    def test_without_a_mask_every_token_counts(self, answers: dict[str, Any]) -> None:
        assert answers["no mask"] == 0

    def test_a_mask_with_a_hole_is_refused(self, answers: dict[str, Any]) -> None:
        assert "hides more than the ends of sequences" in answers["hole"]

    def test_token_types_reach_the_model(self, answers: dict[str, Any]) -> None:
        assert answers["second type"] > 1e-3

    def test_a_worker_imports_neither_torch_nor_transformers(self, answers: dict[str, Any]) -> None:
        assert "ctranslate2" in answers["modules"]
        assert not {"torch", "transformers"} & set(answers["modules"])


@installed
@pytest.mark.engines
def test_positions_that_start_after_the_padding_id_are_counted_from_there(
    encoders: Path, contract_cache: Path
) -> None:
    manifest = read_manifest(prepare(encoders / "roberta", contract_cache).directory)
    assert manifest is not None
    assert manifest.agreement is not None
    assert manifest.agreement.max_abs_difference < 1e-4


@installed
@pytest.mark.engines
def test_an_architecture_that_it_does_not_know_is_refused_in_its_own_words(
    encoders: Path, contract_cache: Path
) -> None:
    words = "No conversion is registered for the model configuration ElectraConfig"
    with pytest.raises(UnsupportedError, match=words):
        prepare(encoders / "electra", contract_cache)


@installed
@pytest.mark.engines
def test_a_model_with_a_task_head_is_refused(tiny_models: Path, contract_cache: Path) -> None:
    with pytest.raises(UnsupportedError, match="BertForSequenceClassification has a task head"):
        prepare(tiny_models / "classifier", contract_cache)


def test_precisions_of_gpus_are_not_offered_on_a_cpu() -> None:
    isa = frozenset({"avx512_bf16", "avx512_fp16", "amx_bf16"})
    backend = CTranslate2Backend()
    assert backend.unsupported("bf16", isa, "path") == "ctranslate2 has no bf16 on a cpu"
    assert backend.unsupported("fp32", isa, "path") is None
