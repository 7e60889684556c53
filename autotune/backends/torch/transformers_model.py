"""Loads a transformers model from a prepared folder, in a process that may import engines."""

from __future__ import annotations

import gc
import importlib
import inspect
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from autotune.backends.torch.sentence_model import with_modules
from autotune.backends.words import first_line
from autotune.errors import ModelError
from autotune.model.folders.heads import (
    LeftOver,
    has_head,
    left_over,
    named_class,
    refuse_left_over,
    write_left_over,
)
from autotune.spec.model_source import Head


def load_model(directory: Path, dtype: str, attention: str | None = None) -> Any:
    """The model of a prepared folder in evaluation mode, with what it serves behind its encoder, if anything.

    Args:
        dtype: torch's name, such as `float32`.
        attention: the implementation, such as `eager`; None = transformers' own choice.
    """
    return with_modules(load_transformer(directory, dtype, attention), directory, dtype)


def load_transformer(directory: Path, dtype: str, attention: str | None = None) -> Any:
    """Load the transformers model alone, with from_pretrained's defaults but for the dtype.

    Args:
        directory: has `config.json`, which names the class, and `model.safetensors`.
        dtype, attention: as of `load_model`.
    """
    model_class = _import_class(directory)
    import torch
    import transformers

    transformers.utils.logging.disable_progress_bar()
    model = model_class.from_pretrained(
        directory,
        dtype=getattr(torch, dtype),
        attn_implementation=attention,
        use_safetensors=True,
        local_files_only=True,
    )
    return model.eval()


def _import_class(directory: Path) -> Any:
    """Import the class of a prepared folder, quickly: the garbage collector only gets in the way of imports.

    What they leave stays until the end, so the collector need not look at it again either.
    Source: measured, importing torch and a transformers class in 3.0 s instead of 3.9 s.
    """
    config = json.loads((directory / "config.json").read_bytes())
    gc.disable()
    try:
        import transformers

        return getattr(transformers, config["architectures"][0])
    finally:
        gc.freeze()
        gc.enable()


def import_torch_and_transformers() -> None:
    """Import them, and all of transformers that every model needs."""
    for name in ("torch", "transformers.models.auto.modeling_auto", "transformers.models.bert.modeling_bert"):
        importlib.import_module(name)


def known_class(name: str | None) -> Any:
    """The transformers model class of this name; the automatic one if there is none."""
    import transformers

    found = getattr(transformers, name, None) if name else None
    is_model = inspect.isclass(found) and issubclass(found, transformers.PreTrainedModel)
    return found if is_model else transformers.AutoModel


def served_class(config: Mapping[str, Any], head: Head | None) -> Any:
    """The transformers class that a configuration names; the automatic one in the place of one with a head
    that is not served, and of one that is not known.
    """
    import transformers

    found = known_class(named_class(config))
    return transformers.AutoModel if head == "none" and has_head(found.__name__) else found


def import_checkpoint(source: Path, directory: Path, head: Head | None) -> tuple[str, ...]:
    """Write a transformers folder's model into `directory` at fp32, in one safetensors file.

    Args:
        head: what of it is served, where the study says so.

    Returns:
        What there is to say of its class and its weights, as sentences.

    Raises:
        ModelError: transformers cannot load it or has no class for it, its weights are not all there, or some
            are left over and the study does not say that they may be.
    """
    import torch
    import transformers

    transformers.utils.logging.disable_progress_bar()
    config = json.loads((source / "config.json").read_bytes())
    model_class = served_class(config, head)
    _refuse_foreign_code(source, config)
    _refuse_decoder(source, config, model_class)
    # Heads that the file does not have are made up; at least make up the same ones each time.
    torch.manual_seed(0)
    try:
        model, loading = model_class.from_pretrained(
            source,
            dtype=torch.float32,
            use_safetensors=True,
            local_files_only=True,
            trust_remote_code=False,
            attn_implementation=None,  # its own choice for CPUs, whatever the configuration asks for
            ignore_mismatched_sizes=True,  # refused below, by name
            output_loading_info=True,
        )
    except MemoryError:
        raise
    except Exception as error:
        raise cannot_load(source, error) from error
    _refuse_missing_weights(source, loading)
    used_by = type(model).__name__
    left = LeftOver(left_over(loading["unexpected_keys"]), used_by, named_class(config))
    if head is None:
        refuse_left_over(source, left)
    notes = []
    if config.get("auto_map"):
        model.config.auto_map = None  # so that nothing that loads it goes by that
        notes.append(
            f"config.json names code of its own (auto_map), which is not run: served is {used_by} of"
            " transformers"
        )
    model.save_pretrained(directory, max_shard_size="1000GB")
    if left.names:
        notes.append(f"{left.in_words} of the model are not served: {used_by} does not use them")
        write_left_over(directory, left)
    return tuple(notes)


def _refuse_foreign_code(source: Path, config: Mapping[str, Any]) -> None:
    """Refuse a model whose own code was the only one that knows its class.

    A class that transformers has by the same name, for the same model_type, is taken for the one that became
    part of it; that the weights fit it is checked when they are loaded.

    Raises:
        ModelError: transformers has no such class.
    """
    if not config.get("auto_map"):
        return
    name = named_class(config) or _mapped_class(config["auto_map"])
    found, kind = known_class(name), config["model_type"]
    if getattr(getattr(found, "config_class", None), "model_type", None) != kind:
        import transformers

        raise ModelError(
            f"{source} needs code of its own (auto_map in config.json), which autotune never runs:"
            f" transformers {transformers.__version__} has no class {name or ''} of model_type {kind}",
            remedy="use a model whose architecture is part of transformers, or a version of transformers that"
            " has it; or export the model to ONNX elsewhere, and name the file (onnx:FILE)",
        )


def _mapped_class(auto_map: Any) -> str | None:
    """The class that `auto_map` names for a model: `org/name--module.Class`."""
    mapped = auto_map.get("AutoModel") if isinstance(auto_map, dict) else None
    return mapped.rpartition(".")[2] if isinstance(mapped, str) else None


def _refuse_decoder(source: Path, config: Mapping[str, Any], model_class: Any) -> None:
    """Refuse an encoder alone that transformers does not know: it would load all of the encoder-decoder.

    Raises:
        ModelError: it is one.
    """
    if config.get("is_encoder_decoder") and model_class.__name__ != named_class(config):
        raise ModelError(
            f"{source} is an encoder-decoder, and transformers has no {named_class(config)}",
            remedy="name under `architectures` in config.json the class of transformers that is its encoder,"
            " such as T5EncoderModel; or choose an encoder",
        )


def cannot_load(source: object, error: Exception) -> ModelError:
    """What transformers raises for a checkpoint, as the fault of the checkpoint."""
    remedy = "check that the folder is complete, and that transformers knows its architecture"
    if isinstance(error, ImportError):
        remedy = (
            "install what it asks for, if that runs on CPUs; else name a checkpoint that was saved without it"
        )
    return ModelError(f"transformers cannot load {source}: {first_line(error)}", remedy=remedy)


def _refuse_other_shapes(source: Path, loading: dict[str, Any]) -> None:
    for name, stored, expected in sorted(loading["mismatched_keys"])[:1]:
        raise ModelError(
            f"the weights of {source} do not fit its config.json: {name} is {_shape(stored)}, "
            f"where config.json asks for {_shape(expected)}",
            remedy="put the config.json there that the weights were saved with",
        )


def _shape(sizes: Any) -> str:
    return " x ".join(map(str, sizes)) or "a single number"


def _refuse_missing_weights(source: Path, loading: dict[str, Any]) -> None:
    """A pooler may be missing: it works on the first output, which is what we take."""
    _refuse_other_shapes(source, loading)
    absent = loading["missing_keys"]
    deciding = sorted(name for name in absent if "pooler." not in name)
    if deciding:
        raise ModelError(
            f"{source} lacks {len(deciding)} weights of its architecture, such as {deciding[0]}",
            remedy="name the class that they were saved from under `architectures` in config.json",
        )
