"""What the fp32 reference cannot do is the model's fault: told once, before anything is measured."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from autotune.backends.reference import REFERENCE
from autotune.cli import exits
from autotune.errors import ModelError
from autotune.measurement.measurement import Measurement
from autotune.model.artifacts.cache import ArtifactCache
from autotune.model.calibration import CalibrationSource
from autotune.model.sources import ResolvedModel, resolve_model
from autotune.preparation.calibration import read_answers
from autotune.preparation.preparing import (
    prepare_artifact,
    prepare_assessment,
    prepare_calibration,
    reference_notes,
)
from autotune.spec.model_source import Head
from autotune.store.store import open_store

pytestmark = pytest.mark.engines

WRITE_MODELS = """
import json, sys
from pathlib import Path
import torch
import transformers

torch.manual_seed(0)
folder = Path(sys.argv[1])
sizes = dict(
    vocab_size=1000, hidden_size=64, num_hidden_layers=2, num_attention_heads=4, intermediate_size=64
)
special = dict(pad_token_id=0, cls_token_id=2, sep_token_id=3, bos_token_id=2, eos_token_id=3)
modern = transformers.ModernBertConfig(**sizes, **special, local_attention=8)
transformers.ModernBertModel(modern).save_pretrained(folder / "flash")
config = json.loads((folder / "flash" / "config.json").read_text())
config |= {"attn_implementation": "flash_attention_2", "_attn_implementation_autoset": True}
(folder / "flash" / "config.json").write_text(json.dumps(config))
whole = transformers.FunnelConfig(
    vocab_size=1000, block_sizes=[1, 1], d_model=64, n_head=4, d_head=16, d_inner=64, num_decoder_layers=1
)
transformers.FunnelModel(whole).save_pretrained(folder / "funnel")
blocks = transformers.NystromformerConfig(
    **sizes, max_position_embeddings=128, num_landmarks=4, segment_means_seq_len=64
)
transformers.NystromformerModel(blocks).save_pretrained(folder / "blocks")
bert = transformers.BertModel(transformers.BertConfig(**sizes, max_position_embeddings=64))
bert.save_pretrained(folder / "bert")
config = transformers.BertConfig(**sizes, max_position_embeddings=64)
transformers.BertForMaskedLM(config).save_pretrained(folder / "masked")

class JointBERT(transformers.BertPreTrainedModel):
    def __init__(self, config):
        super().__init__(config)
        self.bert = transformers.BertModel(config)
        self.intent_classifier = torch.nn.Linear(64, 3)
        self.slot_classifier = torch.nn.Linear(64, 5)
        self.post_init()

JointBERT(config).save_pretrained(folder / "joint")

def mapped(name, **changes):
    config = json.loads((folder / name / "config.json").read_text())
    auto_map = {"AutoConfig": "org/m--configuration.C", "AutoModel": "org/m--modeling.NomicBertModel"}
    (folder / name / "config.json").write_text(json.dumps({**config, "auto_map": auto_map, **changes}))

nomic = transformers.NomicBertModel(transformers.NomicBertConfig(**sizes, head_dim=16))
for name in ("mapped", "foreign"):
    nomic.save_pretrained(folder / name)
mapped("mapped")
mapped("foreign", architectures=["NewModel"], model_type="new")
bert.save_pretrained(folder / "disguised")
mapped("disguised", architectures=["JinaBertModel"])
bert.save_pretrained(folder / "no encoder")
config = json.loads((folder / "no encoder" / "config.json").read_text())
config |= {"architectures": ["BertSomeEncoderModel"], "is_encoder_decoder": True}
(folder / "no encoder" / "config.json").write_text(json.dumps(config))
(folder / "lacking").mkdir()
(folder / "lacking" / "model.safetensors").write_bytes((folder / "bert" / "model.safetensors").read_bytes())
lacking = {"model_type": "layoutlmv2", "architectures": ["LayoutLMv2Model"], **sizes}
(folder / "lacking" / "config.json").write_text(json.dumps(lacking))
"""

SEARCH = {"backends": ["pytorch", "torchscript"], "precisions": ["fp32"], "instances": [1], "threads": [1]}


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of small models.

    `flash` asks for an attention that CPUs do not have, `lacking` for a library that is not there, `funnel`
    takes no request of one token, `blocks` takes whole blocks of tokens alone, `joint` has heads that no
    class of transformers has, `masked` has that of its pre-training, and `bert` is as others are. `mapped`
    names code of its own for a class that transformers has, `foreign` and `disguised` for one that it lacks.
    """
    folder = tmp_path_factory.mktemp("models")
    subprocess.run([sys.executable, "-P", "-c", WRITE_MODELS, str(folder)], check=True, capture_output=True)
    return folder


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> ArtifactCache:
    return ArtifactCache(tmp_path_factory.mktemp("cache"))


@pytest.fixture
def tune(
    run_command: Callable[..., tuple[int, str, str]], models: Path, tmp_path: Path, own_cache: Path
) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Runs `autotune tune` on one of the models, with some of the study's values."""

    def run(model: str, **values: Any) -> subprocess.CompletedProcess[str]:
        study = {
            "name": "s",
            "model": f"path:{models / model}",
            "problem": {"batch_size": 2, "sequence_length": 32},
            "search": SEARCH,
            "budget": {"trials": 1, "minutes": 9.0},
            **values,
        }
        (tmp_path / "study.yaml").write_text(yaml.safe_dump(study))
        return subprocess.CompletedProcess("tune", *run_command(tmp_path, "tune", "study.yaml"))

    return run


def found(models: Path, name: str, head: Head | None = None) -> ResolvedModel:
    return resolve_model(f"path:{name}", base=models, seed=0, offline=True, head=head)


def test_a_library_that_a_checkpoint_asks_for_is_missed_once_before_anything_is_measured(
    tune: Callable[..., subprocess.CompletedProcess[str]], tmp_path: Path
) -> None:
    ended = tune("lacking")
    assert ended.returncode == exits.EXIT_CODES[ModelError] == 5, ended.stderr
    assert ended.stderr.count("detectron2") == 1
    assert "transformers cannot load" in ended.stderr
    assert "install what it asks for" in ended.stderr
    assert "bug" not in ended.stderr
    with open_store(f"sqlite:///{tmp_path / 'autotune.db'}") as store:
        assert store.studies() == ()


def test_a_sequence_that_the_weights_have_no_position_for_is_refused_with_both_remedies(
    tune: Callable[..., subprocess.CompletedProcess[str]], tmp_path: Path
) -> None:
    ended = tune("bert", problem={"batch_size": 1, "sequence_length": 65})
    assert ended.returncode == 5, ended.stderr
    assert "problem.sequence_length: 65 tokens are more than the model takes" in ended.stderr
    assert "choose at most 64" in ended.stderr
    assert not (tmp_path / "autotune.db").exists()


def test_weights_that_nothing_uses_are_named_and_refused(
    tune: Callable[..., subprocess.CompletedProcess[str]], tmp_path: Path
) -> None:
    ended = tune("joint")
    assert ended.returncode == 5, ended.stderr
    assert "has 4 weights (intent_classifier.bias, intent_classifier.weight," in ended.stderr
    assert "that BertModel does not use; config.json names JointBERT" in ended.stderr
    assert "`head: none`" in ended.stderr
    with open_store(f"sqlite:///{tmp_path / 'autotune.db'}") as store:
        assert store.studies() == ()


@pytest.mark.parametrize("head", ["none", "auto"])
def test_what_is_left_over_is_noted_where_the_study_chooses(
    models: Path, cache: ArtifactCache, head: Head
) -> None:
    model = found(models, "joint", head)
    prepare_calibration(model, CalibrationSource(sequences=2, tokens=8), cache, timeout_s=240)
    (note,) = reference_notes(model, cache)
    assert note.startswith("4 weights (intent_classifier.bias,")
    assert note.endswith("of the model are not served: BertModel does not use them")


def test_a_study_that_says_nothing_is_refused_whatever_another_has_had_prepared(
    models: Path, tmp_path: Path
) -> None:
    cache, source = ArtifactCache(tmp_path), CalibrationSource(sequences=2, tokens=8)

    def prepare(head: Head | None) -> None:
        prepare_artifact(found(models, "joint", head), "pytorch", "fp32", frozenset(), cache, timeout_s=240)

    def calibrate(head: Head | None) -> None:
        prepare_calibration(found(models, "joint", head), source, cache, timeout_s=240)

    def note(head: Head | None) -> None:
        reference_notes(found(models, "joint", head), cache)

    calibrate("auto")
    prepare("auto")
    for make in (calibrate, prepare, note):
        with pytest.raises(ModelError, match=r"weights .* that BertModel does not use") as caught:
            make(None)
        assert "config.json names JointBERT" in caught.value.problem
        assert "`head: none`" in caught.value.remedy
        make("auto")
    manifests = [entry.manifest for entry in cache.entries() if entry.manifest is not None]
    cache.remove(manifest.key for manifest in manifests if manifest.backend == REFERENCE)
    with pytest.raises(ModelError, match=r"weights .* that BertModel does not use"):
        prepare(None)


@pytest.mark.slow
def test_a_study_with_a_head_does_not_make_a_warning_of_the_refusal_of_one_without(
    tune: Callable[..., subprocess.CompletedProcess[str]],
) -> None:
    quick = {
        "search": SEARCH | {"backends": ["pytorch"]},
        "measure": {"warmup": "200ms", "block": "50ms", "blocks": 1, "max_blocks": 1},
        "confirm": {"rounds": 3, "finalists": 1},
    }
    said = tune("joint", head="auto", **quick)
    assert said.returncode == 0, said.stderr
    assert "of the model are not served: BertModel does not use them" in said.stderr
    silent = tune("joint", **quick)
    assert silent.returncode == 5, silent.stderr
    assert "that BertModel does not use; config.json names JointBERT" in silent.stderr


def test_answers_at_fp32_that_are_not_the_models_are_refused_whatever_the_study_allows(
    models: Path, cache: ArtifactCache
) -> None:
    model, other = found(models, "flash"), found(models, "bert")
    artifact = prepare_artifact(other, "pytorch", "fp32", frozenset(), cache, timeout_s=240)
    source = CalibrationSource(sequences=2, tokens=8)
    told = prepare_assessment(model, artifact, source, None, cache, threads=1, timeout_s=240)
    assert told.cosine is not None
    assert told.fault.startswith(f"cosine {told.cosine:.5f} at fp32, where the model's own answers")
    own = prepare_artifact(model, "pytorch", "fp32", frozenset(), cache, timeout_s=240)
    assert not prepare_assessment(model, own, source, None, cache, threads=1, timeout_s=240).fault


@pytest.mark.parametrize(("head", "numbers"), [("none", 64), ("auto", 1000)])
def test_the_study_chooses_whether_a_head_is_served(
    models: Path, cache: ArtifactCache, head: Head, numbers: int
) -> None:
    model, source = found(models, "masked", head), CalibrationSource(sequences=2, tokens=8)
    answers = read_answers(prepare_calibration(model, source, cache, timeout_s=240).directory)
    assert answers[0].shape[-1] == numbers
    prepare_artifact(model, "pytorch", "fp32", frozenset(), cache, timeout_s=240)


def test_a_model_that_asks_for_another_attention_runs_with_one_that_cpus_have(
    models: Path, cache: ArtifactCache
) -> None:
    model = found(models, "flash")
    made = prepare_artifact(model, "pytorch", "fp32", frozenset(), cache, timeout_s=240)
    assert "attn_implementation" not in json.loads((made.directory / "config.json").read_text())
    assert "flash_attention_2" in model.notes[0]


@pytest.mark.slow
def test_the_warning_of_another_attention_is_said_and_stays_with_the_plan(
    tune: Callable[..., subprocess.CompletedProcess[str]],
) -> None:
    ended = tune(
        "flash",
        search=SEARCH | {"backends": ["pytorch"]},
        measure={"warmup": "200ms", "block": "50ms", "blocks": 1, "max_blocks": 1},
        confirm={"rounds": 3, "finalists": 1},
    )
    assert ended.returncode == 0, ended.stderr
    assert ended.stderr.count("config.json asks for flash_attention_2") == 2


@pytest.mark.slow
def test_the_way_of_export_stands_with_every_trial(
    tune: Callable[..., subprocess.CompletedProcess[str]], tmp_path: Path
) -> None:
    ended = tune(
        "bert",
        search={**SEARCH, "backends": ["torchscript"], "knobs": "none"},
        measure={"warmup": "200ms", "block": "50ms", "blocks": 1, "max_blocks": 1, "disturbed": "keep"},
        confirm={"rounds": 3, "finalists": 1},
        budget={"trials": 2, "minutes": 9.0},
    )
    with open_store(f"sqlite:///{tmp_path / 'autotune.db'}") as store:
        trials = store.trials("s")
    ways = {
        (trial.configuration.backend, observation.export)
        for trial in trials
        if isinstance(trial.result, Measurement)
        for observation in trial.result.observations
    }
    assert ways == {("pytorch", ""), ("torchscript", "torch.jit.trace")}, ended.stderr


def test_code_of_its_own_is_left_alone_where_transformers_has_the_class(
    models: Path, cache: ArtifactCache
) -> None:
    model = found(models, "mapped")
    made = prepare_artifact(model, "pytorch", "fp32", frozenset(), cache, timeout_s=240)
    assert not json.loads((made.directory / "config.json").read_text()).get("auto_map")
    (note,) = reference_notes(model, cache)
    assert note.startswith("config.json names code of its own (auto_map), which is not run")
    assert note.endswith("served is NomicBertModel of transformers")


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("foreign", r"needs code of its own .* has no class NewModel of model_type new"),
        ("disguised", r"needs code of its own .* has no class JinaBertModel of model_type bert"),
        ("no encoder", "is an encoder-decoder, and transformers has no BertSomeEncoderModel"),
    ],
)
def test_a_class_that_transformers_has_not_is_refused_with_what_helps(
    models: Path, cache: ArtifactCache, name: str, words: str
) -> None:
    with pytest.raises(ModelError, match=words) as caught:
        prepare_artifact(found(models, name), "pytorch", "fp32", frozenset(), cache, timeout_s=240)
    assert "transformers" in caught.value.remedy


def test_a_model_is_tried_at_the_lengths_of_the_study(models: Path, cache: ArtifactCache) -> None:
    model, source = found(models, "funnel"), CalibrationSource(sequences=4, tokens=24)
    prepare_calibration(model, source, cache, timeout_s=240)
    prepare_artifact(model, "pytorch", "fp32", frozenset(), cache, timeout_s=240)


def test_a_model_that_takes_whole_blocks_alone_is_tried_at_whole_blocks(
    models: Path, cache: ArtifactCache
) -> None:
    model = found(models, "blocks")
    prepare_calibration(model, CalibrationSource(sequences=4, tokens=64), cache, timeout_s=240)
    prepare_artifact(model, "pytorch", "fp32", frozenset(), cache, timeout_s=240)


def test_a_length_that_the_model_does_not_take_is_named(models: Path, cache: ArtifactCache) -> None:
    model, source = found(models, "blocks"), CalibrationSource(sequences=4, tokens=61)
    with pytest.raises(ModelError, match="does not run on a request of 1 x 61 tokens") as caught:
        prepare_calibration(model, source, cache, timeout_s=240)
    assert "problem.batch_size, sequence_length or lengths" in caught.value.remedy


def test_texts_are_no_reason_not_to_try_the_longest_request(
    models: Path, cache: ArtifactCache, tmp_path: Path
) -> None:
    model = found(models, "blocks")
    source = CalibrationSource(
        sequences=1, tokens=61, longest=61, texts=tmp_path / "texts", tokenizer=tmp_path
    )
    with pytest.raises(ModelError, match="1 x 61 tokens"):
        prepare_calibration(model, source, cache, timeout_s=240)
