"""Folders that are taken for a transformers model and are of a neighbouring kind: which, and what helps."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

from autotune.errors import ModelError
from autotune.model.folders.pickled import PICKLES, pickled, pickled_weights
from autotune.model.folders.stand_ins import AGAIN

ADAPTER = "adapter_config.json"
MODULES = "modules.json"
TRANSFORMERS = ("Transformer", "BERT")
"""Modules of sentence-transformers that are transformers models. Source: sentence-transformers, models."""
WHOLE = "copy or download the whole folder again"
SAVE_REMEDY = "save it again with transformers: model.save_pretrained(DIR), which writes safetensors"

UNFINISHED = (".incomplete", ".part", ".crdownload", ".aria2", ".download")
"""How files end whose download is not over. Source: huggingface_hub, Firefox, Chromium, aria2, Safari."""
OTHER_WEIGHTS = {
    "tf_model.h5": "TensorFlow",
    "flax_model.msgpack": "Flax",
    "rust_model.ot": "rust-bert",
    "weights.npz": "MLX",
}
"""Files that hold weights for another library than PyTorch, and which that is."""
TOKENIZERS = (
    "tokenizer.json",
    "tokenizer_config.json",
    "vocab.txt",
    "spiece.model",
    "sentencepiece.bpe.model",
)


def refuse_file(file: Path) -> None:
    """Refuse a file in the place of a folder, with what it should be named as.

    Raises:
        ModelError: it is a file.
    """
    if not file.is_file():
        return
    remedies = {
        ".onnx": f"write onnx:{file}",
        ".safetensors": f"name the folder that it lies in, with its config.json: path:{file.parent}",
        ".xml": "name the transformers model that it was converted from: autotune converts it itself",
        ".gguf": "name the transformers model that it was made from: autotune quantises it itself",
    }
    raise ModelError(
        f"{file} is not a folder but a file",
        remedy=remedies.get(file.suffix, "path: takes a transformers model folder, with its config.json"),
    )


def refuse_adapter(directory: Path) -> None:
    """Refuse an adapter (LoRA and the like), also one that lies beside a whole model.

    Raises:
        ModelError: there is one.
    """
    if not (directory / ADAPTER).is_file():
        return
    described = _object(directory / ADAPTER)
    base = described.get("base_model_name_or_path") or "its base model"
    if any(directory.glob("model*.safetensors")):
        raise ModelError(
            f"{directory} has an adapter ({ADAPTER}) beside a whole model; nothing says whether it counts",
            remedy=f"merge it into the model, or take {ADAPTER} away to serve the model without it",
        )
    kind = f" ({described['peft_type']})" if described.get("peft_type") else ""
    raise ModelError(
        f"{directory} is an adapter{kind} of {base}, not a model of its own",
        remedy=f"load {base} with transformers, merge the adapter into it, and name the folder that this"
        " writes: PeftModel.from_pretrained(BASE, ADAPTER).merge_and_unload().save_pretrained(DIR)",
    )


def no_configuration(directory: Path, otherwise: str) -> ModelError:
    """Say what a folder is that has no configuration of a transformers model.

    Args:
        otherwise: what is said where nothing tells.
    """
    kinds = (
        *(_cached_repository, sub_folder, _exported, _converted, _half_a_download, _of_another_library),
        _tokenizer_alone,
    )
    return _first(directory, kinds) or ModelError(otherwise, remedy=SAVE_REMEDY)


def no_weights(directory: Path) -> ModelError:
    """Say what a folder is that has a configuration, and no weights in safetensors files."""
    kinds = (_half_a_download, _exported, _converted, _pickled, _of_another_library, sub_folder)
    return _first(directory, kinds) or ModelError(
        f"{directory} has no model.safetensors, and no other weights", remedy=f"{AGAIN}, or {SAVE_REMEDY}"
    )


def of_another_kind(directory: Path) -> ModelError | None:
    """Say what a folder without safetensors has its weights as; None where it has none."""
    return _first(directory, (_exported, _converted, _pickled, _of_another_library))


Recognition = Callable[[Path], ModelError | None]


def _first(directory: Path, kinds: tuple[Recognition, ...]) -> ModelError | None:
    return next((error for kind in kinds if (error := kind(directory)) is not None), None)


def _cached_repository(directory: Path) -> ModelError | None:
    """A repository in the cache of the hub's client, whose files lie in a folder for each commit."""
    snapshots = sorted(folder for folder in directory.glob("snapshots/*") if folder.is_dir())
    if not snapshots or not (directory / "blobs").is_dir():
        return None
    return ModelError(
        f"{directory} is a repository in the cache of the hub's client, with a folder for each commit",
        remedy=f"name the folder of a commit, as in path:{snapshots[-1]}, or write hf:ORG/NAME",
    )


def sub_folder(directory: Path) -> ModelError | None:
    """A model in a sub-folder, as sentence-transformers wrote them, and as trainers write checkpoints."""
    names = list(dict.fromkeys((*_transformer_modules(directory), *_folders_of_models(directory))))
    if not names:
        return None
    first = directory / names[0]
    more = f" (there are {len(names)}: {', '.join(names[:5])})" if len(names) > 1 else ""
    here = (first / "config.json").is_file()
    return ModelError(
        f"{directory} has its model in the sub-folder {names[0]}{more}",
        remedy=f"name the sub-folder: path:{first}{_without(further_modules(directory))}"
        if here
        else f"copy or download the whole folder, and name its sub-folder with path:, as in path:{first}",
    )


def _without(behind: list[str]) -> str:
    """What a sub-folder does not have of a model of sentence-transformers, and what helps."""
    if not behind:
        return ""
    return (
        f", which is the encoder without {', '.join(behind)}; or load the whole with sentence-transformers"
        " and save it again (model.save_pretrained(DIR)), in the layout of today"
    )


def further_modules(directory: Path) -> list[str]:
    """What sentence-transformers puts behind the model of a folder, such as `Pooling`, in order."""
    return [kind for kind, _ in _modules(directory) if kind not in TRANSFORMERS]


def _transformer_modules(directory: Path) -> Iterator[str]:
    """Sub-folders of transformers modules, as the `modules.json` of sentence-transformers lists them."""
    for kind, path in _modules(directory):
        if kind in TRANSFORMERS and path and Path(path).name == path:
            yield path


def _modules(directory: Path) -> Iterator[tuple[str, str]]:
    """Kinds and sub-folders of the modules that `modules.json` lists."""
    modules = _json(directory / MODULES)
    for module in modules if isinstance(modules, list) else ():
        if isinstance(module, dict):
            yield str(module.get("type", "")).rpartition(".")[2], str(module.get("path", ""))


def _folders_of_models(directory: Path) -> Iterator[str]:
    for folder in sorted(directory.iterdir()):
        if not folder.is_dir() or "model_type" not in _object(folder / "config.json"):
            continue
        if any(file.suffix in (".safetensors", *PICKLES) for file in folder.iterdir()):
            yield folder.name


def _exported(directory: Path) -> ModelError | None:
    """ONNX files beside it, or in the sub-folder `onnx`, as optimum and the hub have them."""
    files = sorted((*directory.glob("*.onnx"), *directory.glob("onnx/*.onnx")))
    if not files:
        return None
    plain = [file for file in files if file.name == "model.onnx"]
    more = f" ({len(files)} of them)" if len(files) > 1 else ""
    return exported(str(directory), more, f"write onnx:{(plain or files)[0]}", _pickled(directory))


def exported(source: str, more: str, remedy: str, other: ModelError | None) -> ModelError:
    """Say that there is an ONNX file in the place of safetensors.

    Args:
        more: of the files, in words.
        remedy: how the file is named in a study.
        other: the refusal of a pickle that is there, too; None = there is none.
    """
    engines = ", of which autotune can prepare every engine"
    if other is None:
        remedy += f"; or name the transformers model that it was exported from{engines}"
    else:
        remedy += f"; or, for the model itself{engines}: {other.remedy}"
    what = "alone" if other is None else "and a pickle"
    return ModelError(f"{source} has its weights as an ONNX file {what}{more}, no safetensors", remedy=remedy)


def _converted(directory: Path) -> ModelError | None:
    """What other engines' converters write."""
    if any(file.with_suffix(".bin").is_file() for file in directory.glob("*.xml")):
        engine = "OpenVINO"
    elif (directory / "model.bin").is_file() and any(directory.glob("*vocabulary*")):
        engine = "CTranslate2"
    else:
        return None
    return ModelError(
        f"{directory} is a model that was converted for {engine}",
        remedy="name the transformers model that it was converted from: autotune converts it itself",
    )


def _half_a_download(directory: Path) -> ModelError | None:
    """What a download leaves that has not ended, and links of the hub's cache that lead nowhere."""
    left = [file for file in _files(directory) if file.name.endswith(UNFINISHED)]
    dangling = [file for file in directory.iterdir() if file.is_symlink() and not file.exists()]
    shards = sorted(directory.glob("model-*-of-*.safetensors"))
    if left:
        reason = f"{left[0].name} is not all there"
    elif dangling:
        reason = f"{dangling[0].name} is a link to a file that is not there"
    elif shards:
        reason = f"model.safetensors.index.json is not there, which says what {shards[0].name} holds"
    else:
        return None
    return ModelError(f"{directory} is half a download: {reason}", remedy=WHOLE)


def _files(directory: Path) -> Iterator[Path]:
    """Files of the folder, and those that huggingface_hub keeps of downloads into it."""
    yield from directory.iterdir()
    yield from directory.glob(".cache/huggingface/download/**/*")


def _pickled(directory: Path) -> ModelError | None:
    names = pickled_weights(file.name for file in directory.iterdir())
    if not names:
        return None
    has_modules = bool(further_modules(directory))
    config = _object(directory / "config.json")
    return pickled(str(directory), names[0], config, has_modules=has_modules, loaded=str(directory))


def _of_another_library(directory: Path) -> ModelError | None:
    return of_another_library(str(directory), [file.name for file in directory.iterdir() if file.is_file()])


def of_another_library(source: str, names: Iterable[str]) -> ModelError | None:
    """Say that the weights are another library's; None where none of the files has such.

    Args:
        source: what has them, in words.
        names: of its files, without those in sub-folders.
    """
    there = sorted(names)
    found = [(name, library) for name, library in OTHER_WEIGHTS.items() if name in there]
    found += [(name, "llama.cpp") for name in there if name.endswith(".gguf")]
    if not found:
        return None
    name, library = found[0]
    return ModelError(
        f"{source} has its weights for {library} alone ({name})",
        remedy="name a checkpoint of the same model with weights for PyTorch, in safetensors",
    )


def _tokenizer_alone(directory: Path) -> ModelError | None:
    names = [name for name in TOKENIZERS if (directory / name).is_file()]
    if not names:
        return None
    return ModelError(
        f"{directory} holds a tokenizer ({names[0]}) and no model",
        remedy="put the model there too, with model.save_pretrained(DIR), or name the model's own folder",
    )


def _json(file: Path) -> Any:
    try:
        return json.loads(file.read_bytes())
    except (OSError, ValueError, RecursionError):
        return None


def _object(file: Path) -> dict[str, Any]:
    value = _json(file)
    return value if isinstance(value, dict) else {}
