"""What a folder of sentence-transformers serves beside its encoder is read, or refused by name."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from autotune.errors import ModelError
from autotune.model.folders.sentence_modules import SentenceModules, modules_from_json
from autotune.model.sources import ResolvedModel, resolve_model
from autotune.model.variants import beyond, served_of
from autotune.spec.model_source import Head
from autotune.spec.problem import Problem

pytestmark = pytest.mark.usefixtures("own_cache")

Write = Callable[..., Path]

DENSE = {"in_features": 4, "out_features": 2, "bias": True}
DENSE_WEIGHTS = {"linear.weight": (2, 4), "linear.bias": (2,)}


def write_weights(folder: Path, shapes: Mapping[str, tuple[int, ...]], byte: bytes = b"\0") -> None:
    """Write a safetensors file with tensors of these shapes."""
    folder.mkdir(parents=True, exist_ok=True)
    header, end = {}, 0
    for name, shape in shapes.items():
        begin, end = end, end + 4 * math.prod(shape)
        header[name] = {"dtype": "F32", "shape": shape, "data_offsets": [begin, end]}
    head = json.dumps(header).encode()
    (folder / "model.safetensors").write_bytes(len(head).to_bytes(8, "little") + head + byte * end)


def write_json(file: Path, value: object) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(value))


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Writes a folder: the modules behind its transformer as (class, configuration or None), and other files.

    A class without a package is one of the library's own.
    """

    def folder(
        *modules: tuple[str, Mapping[str, Any] | None], named: str = "BertModel", **files: Any
    ) -> Path:
        write_json(tmp_path / "config.json", {"model_type": "bert", "architectures": [named]})
        write_weights(tmp_path, {"w": (1,)})
        listed = [{"path": "", "type": "sentence_transformers.models.Transformer"}]
        for place, (kind, config) in enumerate(modules, start=1):
            path = f"{place}_{kind.rpartition('.')[2]}"
            listed.append(
                {"path": path, "type": kind if "." in kind else f"sentence_transformers.models.{kind}"}
            )
            if config is not None:
                write_json(tmp_path / path / "config.json", config)
        if modules:
            write_json(tmp_path / "modules.json", listed)
        for name, value in files.items():
            write_json(tmp_path / f"{name}.json", value)
        return tmp_path

    return folder


def resolve(folder: Path, head: Head | None = None) -> ResolvedModel:
    return resolve_model(f"path:{folder}", base=Path("/"), seed=0, offline=True, head=head)


def modules_of(folder: Path, head: Head | None = None) -> SentenceModules:
    found = resolve(folder, head).modules
    assert found is not None
    assert modules_from_json(json.loads(json.dumps(asdict(found)))) == found
    return found


def refusal(folder: Path, head: Head | None = None) -> ModelError:
    with pytest.raises(ModelError) as caught:
        resolve(folder, head)
    assert "\n" not in caught.value.problem
    return caught.value


MEAN: tuple[str, Mapping[str, Any]] = (
    "Pooling",
    {"word_embedding_dimension": 4, "pooling_mode_cls_token": False, "pooling_mode_mean_tokens": True},
)


def test_what_modules_json_lists_is_served_unless_the_study_wants_the_encoder_alone(write: Write) -> None:
    folder = write(MEAN, ("Normalize", None))
    said, meant, bare = resolve(folder, "auto"), resolve(folder, "pooling"), resolve(folder, "none")
    found = resolve(folder)
    assert found.digest == said.digest == meant.digest != bare.digest
    assert found.modules == said.modules == meant.modules is not None
    assert bare.modules is None
    assert found.notes == ()
    (sentence,) = served_of([found])
    assert sentence.endswith(
        "is served with Pooling (mean), Normalize behind the encoder, as modules.json lists them"
    )
    (note,) = bare.notes
    assert note.startswith("modules.json puts Pooling, Normalize behind the encoder, which is not served")


def test_a_head_of_pre_training_is_none_behind_modules(write: Write) -> None:
    folder = write(MEAN, named="BertForMaskedLM")
    assert resolve(folder).class_head == "none"


@pytest.mark.parametrize(
    ("config", "modes"),
    [
        ({"pooling_mode_cls_token": True, "pooling_mode_mean_tokens": False}, ("cls",)),
        ({"pooling_mode_mean_tokens": True, "pooling_mode_cls_token": True}, ("cls", "mean")),
        ({"pooling_mode_mean_tokens": False, "pooling_mode_lasttoken": True}, ("lasttoken",)),
        (
            dict.fromkeys(
                (
                    *("pooling_mode_weightedmean_tokens", "pooling_mode_mean_sqrt_len_tokens"),
                    "pooling_mode_max_tokens",
                ),
                True,
            ),
            ("max", "mean_sqrt_len_tokens", "weightedmean"),
        ),
        ({"pooling_mode_mean_tokens": False}, ("mean",)),
        ({}, ("mean",)),
        ({"embedding_dimension": 4, "pooling_mode": "weightedmean"}, ("weightedmean",)),
        ({"pooling_mode": ["mean", "cls"], "pooling_mode_max_tokens": True}, ("mean", "cls")),
    ],
)
def test_poolings_of_old_and_new_versions_are_read(
    write: Write, config: Mapping[str, Any], modes: tuple[str, ...]
) -> None:
    (pooling,) = modules_of(write(("Pooling", config))).modules
    assert pooling.modes == modes


def test_dense_with_its_activation_and_layer_norm_are_read(write: Write) -> None:
    activation = {"activation_function": "torch.nn.modules.linear.Identity"}
    folder = write(
        MEAN, ("Dense", DENSE | activation), ("Dropout", {"dropout": 0.1}), ("LayerNorm", {"dimension": 2})
    )
    write_weights(folder / "2_Dense", DENSE_WEIGHTS)
    write_weights(folder / "4_LayerNorm", {"norm.weight": (2,), "norm.bias": (2,)})
    assert modules_of(folder).in_words.startswith(
        "Pooling (mean), Dense (4 to 2, Identity), LayerNorm behind"
    )
    before = resolve(folder).digest
    write_weights(folder / "2_Dense", DENSE_WEIGHTS, b"\1")
    assert resolve(folder).digest != before


@pytest.mark.parametrize(
    ("modules", "words"),
    [
        ((MEAN, ("CNN", {})), "lists sentence_transformers.models.CNN, which autotune does not serve"),
        ((("WeightedLayerPooling", {}),), "WeightedLayerPooling"),
        (
            (("sentence_transformers.sparse_encoder.models.SpladePooling", {}),),
            "sentence_transformers.sparse_encoder.models.SpladePooling",
        ),
        ((MEAN, ("custom_st.Dense", DENSE)), "custom_st.Dense, which needs code of its own"),
        ((MEAN, MEAN), "models.Pooling, which autotune does not serve at that place"),
        ((("LayerNorm", {"dimension": 4}),), "models.LayerNorm, which autotune does not serve at that place"),
        ((("Pooling", {"pooling_mode": "attention"}),), "asks for the pooling 'attention'"),
        ((MEAN, ("Dense", DENSE | {"use_residual": True})), "use_residual: true"),
        (
            (MEAN, ("Dense", DENSE | {"activation_function": "torch.nn.modules.activation.Softmax"})),
            "the activation torch.nn.modules.activation.Softmax",
        ),
        (
            (MEAN, ("Dense", DENSE | {"activation_function": "os.system.Tanh"})),
            "the activation os.system.Tanh",
        ),
        (
            (MEAN, ("Dense", DENSE | {"module_input_name": "token_embeddings"})),
            "token_embeddings to be turned",
        ),
        ((("Normalize", None), MEAN), "behind what gives token_embeddings"),
    ],
)
def test_what_is_not_served_is_refused_by_name_with_the_remedy(
    write: Write, modules: tuple[tuple[str, Any], ...], words: str
) -> None:
    folder = write(*modules)
    for head in (None, "auto", "pooling"):
        error = refusal(folder, head)
        assert words in error.problem
        assert "`head: none`" in error.remedy
    assert resolve(folder, "none").modules is None


@pytest.mark.parametrize(
    ("dense", "weights", "words"),
    [
        (
            DENSE,
            {"linear.weight": (2, 3), "linear.bias": (2,)},
            "linear.weight should be 2 x 4, and is 2 x 3",
        ),
        (DENSE, {"linear.weight": (2, 4)}, "linear.bias should be 2, and is not there"),
        (
            DENSE | {"in_features": 8},
            {"linear.weight": (2, 8), "linear.bias": (2,)},
            "what comes before gives 4",
        ),
        ({"out_features": 2}, DENSE_WEIGHTS, "does not say how many in_features"),
    ],
)
def test_weights_and_sizes_must_fit(
    write: Write, dense: Mapping[str, Any], weights: Mapping[str, tuple[int, ...]], words: str
) -> None:
    folder = write(MEAN, ("Dense", dense))
    write_weights(folder / "2_Dense", weights)
    assert words in refusal(folder).problem


@pytest.mark.parametrize("name", ["hidden_size", "d_model", "dim", "emb_dim"])
def test_the_first_module_must_fit_the_encoder(write: Write, name: str) -> None:
    folder = write(MEAN, ("Normalize", None))
    config = json.loads((folder / "config.json").read_text())
    write_json(folder / "config.json", config | {name: 4})
    assert modules_of(folder).takes == 4
    write_json(folder / "config.json", config | {name: 8})
    error = refusal(folder)
    assert "1_Pooling/config.json takes 4 numbers, and the encoder gives 8" in error.problem
    assert "`head: none`" in error.remedy
    assert resolve(folder, "none").modules is None
    write_json(folder / "1_Pooling" / "config.json", {"pooling_mode": "mean", "embedding_dimension": 4})
    assert "takes 4 numbers" in refusal(folder).problem
    write_json(folder / "1_Pooling" / "config.json", {"pooling_mode": "mean"})
    assert modules_of(folder).takes == 0
    (folder / "modules.json").unlink()
    write_json(folder / "1_Pooling" / "config.json", {"word_embedding_dimension": 4})
    assert "takes 4 numbers, and the encoder gives 8" in refusal(folder, "pooling").problem


def test_what_is_behind_a_pooling_that_states_no_size_must_fit_the_encoder(write: Write) -> None:
    folder = write(("Pooling", {"pooling_mode": ["cls", "mean"]}), ("Dense", DENSE))
    write_weights(folder / "2_Dense", DENSE_WEIGHTS)
    config = json.loads((folder / "config.json").read_text())
    write_json(folder / "config.json", config | {"hidden_size": 2})
    assert modules_of(folder).modules
    write_json(folder / "config.json", config | {"hidden_size": 4})
    assert "2_Dense/config.json takes 4 numbers, and what comes before gives 8" in refusal(folder).problem


def test_half_a_copy_and_pickles_are_refused_with_what_helps(write: Write) -> None:
    folder = write(MEAN, ("Dense", DENSE))
    assert "has no model.safetensors" in refusal(folder).problem
    (folder / "2_Dense" / "pytorch_model.bin").write_bytes(b"x")
    error = refusal(folder)
    assert "only as a pickle (pytorch_model.bin)" in error.problem
    assert "sentence-transformers: model.save_pretrained(DIR)" in error.remedy
    (folder / "1_Pooling" / "config.json").unlink()
    error = refusal(folder)
    assert "1_Pooling/config.json is not there, which modules.json speaks of" in error.problem
    assert "whole folder" in error.remedy


@pytest.mark.parametrize("listed", [{}, [], [{"type": "a"}], ["a"], "a"])
def test_modules_json_is_a_list_of_modules(write: Write, listed: object) -> None:
    folder = write(MEAN)
    write_json(folder / "modules.json", listed)
    assert "is not a list of modules" in refusal(folder).problem


def relist(folder: Path, place: int, **changes: str) -> None:
    """Change one entry of modules.json."""
    entries = json.loads((folder / "modules.json").read_text())
    entries[place].update(changes)
    write_json(folder / "modules.json", entries)


def test_modules_lie_beside_the_list(write: Write) -> None:
    folder = write(MEAN)
    relist(folder, 1, path="../elsewhere")
    assert "'../elsewhere', which is not beside it" in refusal(folder).problem


def test_modules_must_begin_with_the_folders_own_model(write: Write) -> None:
    folder = write(MEAN)
    relist(folder, 0, type="custom_st.Transformer")
    assert "custom_st.Transformer, which needs code of its own" in refusal(folder).problem
    relist(folder, 0, type="sentence_transformers.models.Transformer", path="0_Transformer")
    write_json(folder / "0_Transformer" / "config.json", {"model_type": "bert"})
    assert f"path:{folder / '0_Transformer'}" in refusal(folder).remedy


@pytest.mark.parametrize(
    ("rules", "words"),
    [
        ({"transformer_task": "fill-mask"}, "the task fill-mask"),
        (
            {"modality_config": {"text": {"method_output_name": "pooler_output"}}},
            "pooler_output of the encoder",
        ),
        ({"modality_config": {"image": {}}}, "no text of the encoder"),
    ],
)
def test_an_encoder_of_which_something_else_is_taken_is_refused(
    write: Write, rules: Mapping[str, Any], words: str
) -> None:
    assert words in refusal(write(MEAN, sentence_bert_config=rules)).problem
    usual = {"text": {"method": "forward", "method_output_name": "last_hidden_state"}}
    task = {"transformer_task": "feature-extraction", "modality_config": usual}
    assert modules_of(write(MEAN, sentence_bert_config=task)).modules


@pytest.mark.parametrize(
    ("files", "longest", "by"),
    [
        (
            {"sentence_bert_config": {"max_seq_length": 128}},
            128,
            "max_seq_length in sentence_bert_config.json",
        ),
        (
            {"sentence_roberta_config": {"max_seq_length": 64}},
            64,
            "max_seq_length in sentence_roberta_config.json",
        ),
        (
            {"sentence_bert_config": {"max_seq_length": None}, "tokenizer_config": {"model_max_length": 512}},
            512,
            "model_max_length in tokenizer_config.json",
        ),
        ({"tokenizer_config": {"model_max_length": 10**30}}, None, ""),
        ({}, None, ""),
    ],
)
def test_where_texts_are_cut_is_read(
    write: Write, files: Mapping[str, Any], longest: int | None, by: str
) -> None:
    folder = write(MEAN, **files)
    found = modules_of(folder)
    assert (found.longest_text, found.cut_by) == (longest, by)
    assert (f"; texts are cut to {longest} tokens ({by})" in found.in_words) == (longest is not None)


def test_what_is_done_to_texts_is_part_of_the_model(write: Write) -> None:
    digests = {
        resolve(write(MEAN, sentence_bert_config=rules)).digest
        for rules in ({}, {"max_seq_length": 64}, {"max_seq_length": 32}, {"do_lower_case": True})
    }
    assert len(digests) == 4
    assert modules_of(write(MEAN, sentence_bert_config={"do_lower_case": True})).lower_case


PROMPTS = {"prompts": {"query": "query: ", "passage": "passage: "}, "default_prompt_name": "query"}


def test_a_default_prompt_is_put_before_every_text(write: Write) -> None:
    found = modules_of(write(MEAN, config_sentence_transformers=PROMPTS))
    assert found.prompt == "query: "
    assert found.in_words.endswith("; 'query: ' is put before every text")
    for config in (
        {**PROMPTS, "default_prompt_name": None},
        {"default_prompt_name": "document"},
        {"prompts": {}, "default_prompt_name": "query"},
    ):
        assert modules_of(write(MEAN, config_sentence_transformers=config)).prompt == ""


def test_a_default_prompt_that_is_not_there_or_is_left_out_of_the_pooling_is_refused(write: Write) -> None:
    lost = {**PROMPTS, "default_prompt_name": "web"}
    assert (
        "names 'web' as its default prompt" in refusal(write(MEAN, config_sentence_transformers=lost)).problem
    )
    left_out = ("Pooling", {"pooling_mode": "mean", "include_prompt": False})
    assert "include_prompt: false" in refusal(write(left_out, config_sentence_transformers=PROMPTS)).problem
    assert modules_of(write(left_out, config_sentence_transformers={})).modules


def test_pooling_of_a_plain_folder_is_the_mean_or_what_its_own_folder_says(write: Write) -> None:
    folder = write(named="BertForMaskedLM")
    assert resolve(folder, "none").modules is None
    assert "`head: pooling`" in refusal(folder).remedy
    found = modules_of(folder, "pooling")
    assert found.in_words.startswith("Pooling (mean) behind the encoder, as `head: pooling` asks for")
    write_json(folder / "1_Pooling" / "config.json", {"pooling_mode_cls_token": True})
    found = modules_of(folder, "pooling")
    assert found.in_words == "Pooling (cls) behind the encoder, as 1_Pooling/config.json says"
    assert resolve(folder, "pooling").notes == resolve(folder, "none").notes == ()
    (note,) = resolve(folder, "auto").notes
    assert note == (
        "1_Pooling/config.json describes a pooling, and no modules.json lists it: none is served without"
        " `head: pooling`"
    )


def test_a_transformer_alone_is_served_with_its_head(write: Write) -> None:
    folder = write(named="BertForSequenceClassification")
    plain = resolve(folder).digest
    write_json(folder / "modules.json", [{"type": "sentence_transformers.models.Transformer", "path": ""}])
    assert resolve(folder).modules is None
    assert resolve(folder).digest == plain
    assert modules_of(folder, "pooling").modules[0].modes == ("mean",)


def test_requests_beyond_where_texts_are_cut_are_said(write: Write) -> None:
    model = resolve(write(MEAN, sentence_bert_config={"max_seq_length": 64}))
    (words,) = beyond(model, Problem(batch_size=1, sequence_length=65))
    assert words.startswith("problem.sequence_length: 65 tokens are measured")
    assert words.endswith("cut to 64 (max_seq_length in sentence_bert_config.json)")
    assert beyond(model, Problem(batch_size=1, sequence_length=64)) == ()
    assert beyond(resolve(write(MEAN), "none"), Problem(batch_size=1, sequence_length=65)) == ()
