"""A head that may not be meant is refused, unless the study says what is served."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from autotune.errors import ModelError, StudyFileError
from autotune.model.folders.heads import LeftOver, has_head, left_over, refuse_noted, write_left_over
from autotune.model.sources import ResolvedModel, resolve_model
from autotune.spec.load import load_study
from autotune.spec.model_source import Head

pytestmark = pytest.mark.usefixtures("own_cache")


def resolve(folder: Path, named: str | None, head: Head | None = None) -> ResolvedModel:
    """The model of a folder whose configuration names this class."""
    folder.mkdir(exist_ok=True)
    architectures = None if named is None else [named]
    (folder / "config.json").write_text(json.dumps({"model_type": "bert", "architectures": architectures}))
    header = json.dumps({"w": {"dtype": "F32", "shape": [0], "data_offsets": [0, 0]}}).encode()
    (folder / "model.safetensors").write_bytes(len(header).to_bytes(8, "little") + header)
    return resolve_model(f"path:{folder}", base=Path("/"), seed=0, offline=True, head=head)


@pytest.mark.parametrize(
    "named", ["BertForMaskedLM", "BertForPreTraining", "GPT2LMHeadModel", "BertForCausalLM"]
)
def test_a_head_of_pre_training_is_refused_with_both_choices(tmp_path: Path, named: str) -> None:
    with pytest.raises(ModelError, match=f"config.json names {named}") as caught:
        resolve(tmp_path, named)
    assert "`head: none`" in caught.value.remedy
    assert "`head: auto`" in caught.value.remedy
    for head in ("none", "auto"):
        assert resolve(tmp_path, named, head).head == head


@pytest.mark.parametrize("named", ["BertModel", "BertForSequenceClassification", "T5EncoderModel", None])
def test_every_other_head_is_meant(tmp_path: Path, named: str | None) -> None:
    assert resolve(tmp_path, named).head is None


def test_a_model_without_its_head_is_another_one(tmp_path: Path) -> None:
    whole, said, bare = (
        resolve(tmp_path, "BertForTokenClassification", head) for head in (None, "auto", "none")
    )
    assert whole.digest == said.digest != bare.digest


def test_heads_are_told_by_the_names_of_classes() -> None:
    assert has_head("RobertaForQuestionAnswering")
    assert has_head("GPT2LMHeadModel")
    assert not any(map(has_head, ("BertModel", "T5EncoderModel", "AutoModel", "DPRQuestionEncoder")))


def test_what_decides_no_answer_is_not_left_over() -> None:
    harmless = ["bert.pooler.dense.weight", "pooler.dense.bias", "embeddings.position_ids", "rotary.inv_freq"]
    assert left_over([*harmless, "slot.weight", "cls.bias"]) == ("cls.bias", "slot.weight")


def test_what_one_study_has_allowed_is_refused_to_one_that_does_not_say_so(tmp_path: Path) -> None:
    refuse_noted("path:whole", tmp_path, None)
    write_left_over(tmp_path, LeftOver(("a.bias", "b.bias"), "BertModel", "JointBERT"))
    for head in ("auto", "none", "pooling"):
        refuse_noted("path:joint", tmp_path, head)
    with pytest.raises(ModelError, match=r"path:joint has 2 weights \(a.bias, b.bias\) .* names JointBERT"):
        refuse_noted("path:joint", tmp_path, None)


def test_a_study_says_what_is_served(tmp_path: Path) -> None:
    file = tmp_path / "s.yaml"
    text = "problem: {batch_size: 1, sequence_length: 8}\nhead: none\nmodel: "
    file.write_text(f"{text}path:model")
    assert load_study(file).head == "none"
    file.write_text(f"{text}onnx:model.onnx")
    assert load_study(file).head == "none"
    file.write_text(f"{text}random:bert-base")
    with pytest.raises(StudyFileError, match="head: random:bert-base is served as it is") as caught:
        load_study(file)
    assert caught.value.path == "head"
