"""A folder that is taken for a transformers model is told what it is, and gets the remedy that fits."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from autotune.errors import ModelError
from autotune.model.sources import ResolvedModel, resolve_model
from autotune.model.study_inputs import check_study_inputs
from autotune.spec.named_file import TextsFile
from autotune.spec.problem import Problem
from autotune.spec.study import StudySpec

pytestmark = pytest.mark.usefixtures("own_cache")

POINTER = "version https://git-lfs.github.com/spec/v1\noid sha256:4d7a2146\nsize 90868376\n"
PAGE = "\n<!DOCTYPE html>\n<html><head><title>Sign in</title></head></html>\n"


def resolve(folder: Path) -> ResolvedModel:
    return resolve_model(f"path:{folder}", base=Path("/"), seed=0, offline=True)


def refusal(folder: Path, source: str = "path") -> ModelError:
    with pytest.raises(ModelError) as caught:
        resolve_model(f"{source}:{folder}", base=Path("/"), seed=0, offline=True)
    assert "\n" not in caught.value.problem
    return caught.value


def write_config(folder: Path, **entries: object) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.json").write_text(json.dumps({"model_type": "bert", **entries}))
    return folder


def write_weights(folder: Path, dtype: str = "F32", name: str = "layer.weight") -> Path:
    """A file of one tensor without elements."""
    header = json.dumps({name: {"dtype": dtype, "shape": [0], "data_offsets": [0, 0]}}).encode()
    (folder / "model.safetensors").write_bytes(len(header).to_bytes(8, "little") + header)
    return folder


def whole(folder: Path, **entries: object) -> Path:
    return write_weights(write_config(folder, **entries))


def touch(*files: Path) -> None:
    for file in files:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text("x")


def test_an_adapter_names_its_base_and_how_to_merge(tmp_path: Path) -> None:
    (tmp_path / "adapter_config.json").write_text(
        json.dumps({"peft_type": "LORA", "base_model_name_or_path": "org/base"})
    )
    touch(tmp_path / "adapter_model.safetensors", tmp_path / "tokenizer.json")
    error = refusal(tmp_path)
    assert "is an adapter (LORA) of org/base" in error.problem
    assert "merge_and_unload" in error.remedy


def test_an_adapter_beside_a_whole_model_is_not_dropped_in_silence(tmp_path: Path) -> None:
    whole(tmp_path)
    (tmp_path / "adapter_config.json").write_text("{}")
    assert "beside a whole model" in refusal(tmp_path).problem


@pytest.mark.parametrize("has_config", [True, False])
def test_the_old_layout_of_sentence_transformers_names_its_sub_folder(
    tmp_path: Path, has_config: bool
) -> None:
    modules = [
        {"path": "0_Transformer", "type": "sentence_transformers.models.Transformer"},
        {"path": "1_Pooling", "type": "sentence_transformers.models.Pooling"},
    ]
    (tmp_path / "modules.json").write_text(json.dumps(modules))
    if has_config:
        (tmp_path / "config.json").write_text('{"__version__": "0.2.5"}')
    whole(tmp_path / "0_Transformer")
    remedy = refusal(tmp_path).remedy
    assert f"path:{tmp_path / '0_Transformer'}, which is the encoder without Pooling; or load" in remedy


def test_a_trainers_folder_names_its_checkpoints(tmp_path: Path) -> None:
    for step in (500, 1000):
        whole(tmp_path / f"checkpoint-{step}")
    error = refusal(tmp_path)
    assert "there are 2: checkpoint-1000, checkpoint-500" in error.problem
    assert f"path:{tmp_path / 'checkpoint-1000'}" in error.remedy


@pytest.mark.parametrize("name", ["model.onnx", "onnx/model.onnx"])
@pytest.mark.parametrize("has_config", [True, False])
def test_an_onnx_export_names_its_file(tmp_path: Path, name: str, has_config: bool) -> None:
    touch(tmp_path / name, (tmp_path / name).with_name("model_quantized.onnx"))
    if has_config:
        write_config(tmp_path)
    assert f"onnx:{tmp_path / name}" in refusal(tmp_path).remedy


def test_pickled_weights_are_told_how_to_become_safetensors(tmp_path: Path) -> None:
    """A trainer leaves other pickles beside them, which are no weights."""
    folder = write_config(tmp_path / "a 'model'", architectures=["BertForSequenceClassification"])
    touch(folder / "optimizer.pt", folder / "rng_state_0.pth", folder / "training_args.bin")
    assert "no other weights" in refusal(folder).problem
    touch(folder / "pytorch_model.bin")
    error = refusal(folder)
    assert "only as a pickle (pytorch_model.bin), which can run code" in error.problem
    (command,) = re.findall(r"\(python -c (.*)\), copy", error.remedy)
    (code,) = shlex.split(command)
    assert code == (
        "from transformers import BertForSequenceClassification; "
        f'BertForSequenceClassification.from_pretrained("{folder}").save_pretrained("DIR")'
    )
    write_config(folder, architectures=["os; import this"])
    assert "from transformers import AutoModel;" in refusal(folder).remedy


def test_pickled_weights_behind_which_modules_are_served_are_saved_with_them(tmp_path: Path) -> None:
    modules = [
        {"path": "", "type": "sentence_transformers.models.Transformer"},
        {"path": "1_Pooling", "type": "sentence_transformers.models.Pooling"},
    ]
    (write_config(tmp_path) / "modules.json").write_text(json.dumps(modules))
    (tmp_path / "1_Pooling").mkdir()
    (tmp_path / "1_Pooling" / "config.json").write_text("{}")
    touch(tmp_path / "pytorch_model.bin")
    assert f'SentenceTransformer("{tmp_path}").save_pretrained("DIR")' in refusal(tmp_path).remedy


def test_an_onnx_file_beside_a_pickle_is_not_all_that_there_is(tmp_path: Path) -> None:
    touch(write_config(tmp_path) / "pytorch_model.bin", tmp_path / "onnx/model.onnx")
    error = refusal(tmp_path)
    assert "as an ONNX file and a pickle, no safetensors" in error.problem
    assert f"write onnx:{tmp_path / 'onnx/model.onnx'}; or, for the model itself" in error.remedy
    assert "from_pretrained" in error.remedy


@pytest.mark.engines
def test_the_command_for_pickled_weights_works_on_what_torch_may_load(tmp_path: Path) -> None:
    folder = tmp_path / "model"
    subprocess.run([sys.executable, "-P", "-c", WRITE_PICKLE, str(folder)], check=True, capture_output=True)
    (command,) = re.findall(r"\(python -c (.*)\), copy", refusal(folder).remedy)
    (code,) = shlex.split(command)
    subprocess.run([sys.executable, "-P", "-c", code], check=True, capture_output=True, cwd=tmp_path)
    assert resolve(tmp_path / "DIR").digest


WRITE_PICKLE = """
import sys
from pathlib import Path
import torch, transformers

folder = Path(sys.argv[1])
sizes = dict(hidden_size=32, num_hidden_layers=1, num_attention_heads=2, intermediate_size=64)
config = transformers.BertConfig(vocab_size=100, architectures=["BertForSequenceClassification"], **sizes)
config.save_pretrained(folder)
model = transformers.BertForSequenceClassification(config)
torch.save(model.state_dict(), folder / "pytorch_model.bin")
"""


def openvino(folder: Path) -> None:
    touch(write_config(folder) / "openvino_model.xml", folder / "openvino_model.bin")


def ctranslate2(folder: Path) -> None:
    (folder / "config.json").write_text('{"add_source_bos": false}')
    touch(folder / "model.bin", folder / "shared_vocabulary.json")


def tokenizer(folder: Path) -> None:
    touch(folder / "tokenizer.json", folder / "tokenizer_config.json")


def tensorflow(folder: Path) -> None:
    touch(write_config(folder) / "tf_model.h5")


def llama_cpp(folder: Path) -> None:
    touch(folder / "model-q4.gguf")


def lfs_weights(folder: Path) -> None:
    (write_config(folder) / "model.safetensors").write_text(POINTER)


def lfs_config(folder: Path) -> None:
    (whole(folder) / "config.json").write_text(POINTER)


def page(folder: Path) -> None:
    (write_config(folder) / "model.safetensors").write_text(PAGE)


def empty_weights(folder: Path) -> None:
    (write_config(folder) / "model.safetensors").touch()


def unfinished(folder: Path) -> None:
    touch(write_config(folder) / ".cache/huggingface/download/Zx4_.0a1b.incomplete")


def dangling(folder: Path) -> None:
    (write_config(folder) / "model.safetensors").symlink_to("../../blobs/0a1b")


def no_index(folder: Path) -> None:
    touch(write_config(folder) / "model-00001-of-00002.safetensors")


def no_shard(folder: Path) -> None:
    index = {"weight_map": {"w": "model-00002-of-00002.safetensors"}}
    (write_config(folder) / "model.safetensors.index.json").write_text(json.dumps(index))


def hub_repository(folder: Path) -> None:
    whole(folder / "snapshots" / "0a1b")
    touch(folder / "blobs" / "2c3d")


@pytest.mark.parametrize(
    ("spoil", "problem", "remedy"),
    [
        (openvino, "converted for OpenVINO", "converted from"),
        (ctranslate2, "converted for CTranslate2", "converted from"),
        (tokenizer, r"holds a tokenizer \(tokenizer.json\) and no model", "save_pretrained"),
        (tensorflow, "for TensorFlow alone", "safetensors"),
        (llama_cpp, "for llama.cpp alone", "safetensors"),
        (lfs_weights, "model.safetensors is a pointer of Git LFS", "git lfs pull"),
        (lfs_config, "config.json is a pointer of Git LFS", "git lfs pull"),
        (page, "is a page of a web site", "download it again"),
        (empty_weights, "is empty, as after half a download", "download it again"),
        (unfinished, "half a download: Zx4_.0a1b.incomplete", "download the whole folder again"),
        (dangling, "half a download: model.safetensors is a link", "download the whole folder again"),
        (no_index, "half a download: model.safetensors.index.json", "download the whole folder again"),
        (no_shard, "lacks model-00002-of-00002.safetensors", "download the whole folder again"),
        (hub_repository, "in the cache of the hub's client", "snapshots/0a1b"),
    ],
)
def test_every_other_kind_is_told_what_it_is(
    tmp_path: Path, spoil: Callable[[Path], None], problem: str, remedy: str
) -> None:
    spoil(tmp_path)
    with pytest.raises(ModelError, match=problem) as caught:
        resolve(tmp_path)
    assert remedy in caught.value.remedy


@pytest.mark.parametrize(
    ("name", "remedy"),
    [
        ("model.onnx", "write onnx:{file}"),
        ("model.safetensors", "path:{folder}"),
        ("openvino_model.xml", "converted from"),
        ("model-q4.gguf", "made from"),
        ("model.bin", "a transformers model folder"),
    ],
)
def test_a_file_in_the_place_of_a_folder_is_told_how_to_name_it(
    tmp_path: Path, name: str, remedy: str
) -> None:
    touch(tmp_path / name)
    assert remedy.format(file=tmp_path / name, folder=tmp_path) in refusal(tmp_path / name).remedy


def test_a_folder_in_the_place_of_an_onnx_file_is_told_how_to_name_it(tmp_path: Path) -> None:
    assert f"path:{tmp_path / 'a'}" in refusal(whole(tmp_path / "a"), "onnx").remedy
    touch(tmp_path / "b/onnx/model.onnx")
    assert f"onnx:{tmp_path / 'b/onnx/model.onnx'}" in refusal(tmp_path / "b", "onnx").remedy


def test_an_onnx_file_that_is_a_pointer_is_refused(tmp_path: Path) -> None:
    (tmp_path / "model.onnx").write_text(POINTER)
    assert "is a pointer of Git LFS" in refusal(tmp_path / "model.onnx", "onnx").problem


def test_a_tokenizer_that_is_a_pointer_is_refused(tmp_path: Path) -> None:
    folder = whole(tmp_path / "model")
    (folder / "tokenizer.json").write_text(POINTER)
    (tmp_path / "texts.txt").write_text("one\n")
    values: dict[str, Any] = {"name": "s", "model": "path:model"}
    spec = StudySpec(**values, problem=Problem(batch_size=1, texts=TextsFile(path="texts.txt")))
    with pytest.raises(ModelError, match=r"tokenizer\.json is a pointer of Git LFS"):
        check_study_inputs(spec, resolve(folder), tmp_path)


@pytest.mark.parametrize(
    ("entries", "words"),
    [
        ({"quantization_config": {"quant_method": "gptq", "bits": 4}}, "gptq, 4 bits"),
        ({"quantization_config": {"load_in_8bit": True}}, "bitsandbytes, 8 bits"),
        ({"quantization_config": {"quant_method": "awq"}}, r"\(awq\)"),
        ({"text_config": {"quantization_config": {"quant_method": "fp8"}}}, r"\(fp8\)"),
        ({"compression_config": {"quant_method": "compressed-tensors"}}, "compressed-tensors"),
    ],
)
def test_a_quantised_checkpoint_is_refused_with_its_method(
    tmp_path: Path, entries: dict[str, object], words: str
) -> None:
    whole(tmp_path, _name_or_path="org/origin", **entries)
    with pytest.raises(ModelError, match=f"is a quantised checkpoint .*{words}") as caught:
        resolve(tmp_path)
    assert "org/origin" in caught.value.remedy


@pytest.mark.parametrize("dtype", ["I8", "U8", "F8_E4M3"])
def test_weights_that_are_quantised_are_refused_whatever_the_configuration_says(
    tmp_path: Path, dtype: str
) -> None:
    write_weights(write_config(tmp_path), dtype)
    assert f"layer.weight is at {dtype}" in refusal(tmp_path).problem


def test_a_buffer_of_whole_numbers_is_no_quantised_weight(tmp_path: Path) -> None:
    write_weights(write_config(tmp_path, quantization_config=None), "I64", "embeddings.position_ids")
    assert resolve(tmp_path).notes == ()


@pytest.mark.parametrize(
    "entries",
    [
        {"attn_implementation": "flash_attention_2"},
        {"_attn_implementation": "flash_attention_2"},
        {"text_config": {"attn_implementation": {"": "sdpa", "encoder": "flash_attention_2"}}},
    ],
)
def test_an_attention_that_cpus_do_not_have_is_noted(tmp_path: Path, entries: dict[str, object]) -> None:
    (note,) = resolve(whole(tmp_path, **entries)).notes
    assert "asks for flash_attention_2, which CPUs do not have" in note


@pytest.mark.parametrize("name", ["eager", "sdpa", None])
def test_an_attention_that_cpus_have_is_not_noted(tmp_path: Path, name: str | None) -> None:
    assert resolve(whole(tmp_path, attn_implementation=name)).notes == ()
