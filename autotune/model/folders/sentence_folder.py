"""Reads what a folder of sentence-transformers serves beside its encoder."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path

from autotune.errors import ModelError
from autotune.model.folders.neighbours import MODULES, TRANSFORMERS, WHOLE, sub_folder
from autotune.model.folders.pickled import pickled_weights
from autotune.model.folders.safetensors_file import stored_tensors
from autotune.model.folders.sentence_modules import (
    ACTIVATIONS,
    POOLING_MODES,
    WEIGHTS,
    SentenceModule,
    SentenceModules,
)
from autotune.model.folders.sentence_texts import (
    PROMPTS,
    TRANSFORMER_CONFIGS,
    Config,
    default_prompt,
    longest_text,
    read_object,
    transformer_rules,
)
from autotune.model.folders.stand_ins import read_json
from autotune.spec.model_source import Head

CONFIG = "config.json"
POOLING_FOLDER = "1_Pooling"
"""Where sentence-transformers usually puts the configuration of its pooling."""

LEGACY_MODES: Mapping[str, str] = {
    "pooling_mode_cls_token": "cls",
    "pooling_mode_max_tokens": "max",
    "pooling_mode_mean_tokens": "mean",
    "pooling_mode_mean_sqrt_len_tokens": "mean_sqrt_len_tokens",
    "pooling_mode_weightedmean_tokens": "weightedmean",
    "pooling_mode_lasttoken": "lasttoken",
}
"""Switches of older versions, in the order in which what they give is put together."""

OWN = "sentence_transformers."
"""How the names of the library's own classes begin; others are code of the model's own."""
WITHOUT_EFFECT = ("Dropout",)
"""Modules that do nothing when a model is served."""
SERVED = ("Transformer", "Pooling", "Dense", "LayerNorm", "Normalize")
CONFIGURED = ("Pooling", "Dense", "LayerNorm")
"""Of those, what cannot do without a configuration in its own folder."""

WIDTHS = ("hidden_size", "d_model", "dim", "emb_dim")
"""What configurations call the numbers of each token's last hidden state.

Source: config.json of BERT, of T5 and Funnel, of DistilBERT, and of XLM.
"""
POOLING_WIDTHS = ("embedding_dimension", "word_embedding_dimension")
"""How many numbers a pooling is made for, as new and old versions write it. Source: Pooling.config_keys."""

BARE = "write `head: none` into the study to serve the encoder alone"
SAVE_AGAIN = "save it again with sentence-transformers: model.save_pretrained(DIR), which writes safetensors"


def read_sentence_modules(directory: Path, head: Head | None, width: int = 0) -> SentenceModules | None:
    """What of a folder is served beside its encoder; None where that, or its class with its head, is all.

    Args:
        head: what is served, where the study says so; `pooling` of a folder that lists no modules is what its
            folder `1_Pooling` says, or the mean over the tokens.
        width: numbers that the encoder gives for each token; 0 = not known.

    Raises:
        ModelError: a module is none of those that are served, does not fit what comes before it, or a file of
            it is wrong or not there.
        OSError: a file cannot be read.
    """
    has_list = (directory / MODULES).is_file()
    if head == "none" or not (has_list or head == "pooling"):
        return None
    prompt = default_prompt(directory)
    behind, because = list(_behind(directory, prompt, width)), f"as {MODULES} lists them"
    if not behind and head == "pooling":
        behind, because = _own_pooling(directory, prompt, width)
    if not behind:
        return None
    modules, widths = zip(*behind, strict=True)
    return replace(read_text_rules(directory, because), modules=modules, takes=next(filter(None, widths), 0))


def read_text_rules(directory: Path, because: str) -> SentenceModules:
    """How a folder has texts read, of a model that needs no modules behind it.

    Args:
        because: what says that there are none.

    Raises:
        ModelError: a file that says so is wrong.
        OSError: it cannot be read.
    """
    rules = transformer_rules(directory)
    longest, cut_by = longest_text(directory, rules)
    return SentenceModules(
        modules=(),
        because=because,
        longest_text=longest,
        cut_by=cut_by,
        lower_case=rules.get("do_lower_case") is True,
        prompt=default_prompt(directory),
    )


def width_of(config: Config) -> int:
    """How many numbers an encoder of this configuration gives for each token; 0 where it does not say."""
    widths = (config.get(name) for name in WIDTHS)
    return next((width for width in widths if isinstance(width, int) and width > 0), 0)


def unlisted_pooling(directory: Path, head: Head | None) -> Iterator[str]:
    """Say of a folder that describes a pooling and does not list it that none is served, as a sentence."""
    mark = Path(POOLING_FOLDER, CONFIG)
    if head in (None, "auto") and not (directory / MODULES).is_file() and (directory / mark).is_file():
        yield f"{mark} describes a pooling, and no {MODULES} lists it: none is served without `head: pooling`"


def lacks_modules(directory: Path) -> bool:
    """Whether a folder lists modules of which one is not there.

    Raises:
        ModelError: it lists no modules as it should.
        OSError: the list cannot be read.
    """
    modules = _list(directory) if (directory / MODULES).is_file() else ()
    return any(
        _own_name(kind) in CONFIGURED and not (directory / path / CONFIG).is_file() for kind, path in modules
    )


def _behind(directory: Path, prompt: str, width: int) -> Iterator[tuple[SentenceModule, int]]:
    """What `modules.json` lists behind the encoder, in order; nothing where there is none.

    Returns:
        With each module up to the pooling how many numbers of a token it is made for; 0 = nobody says, or it
        comes later.
    """
    if not (directory / MODULES).is_file():
        return
    listed = _list(directory)
    _refuse_other_encoder(directory, listed)
    if len(listed) > 1:
        _refuse_other_task(directory)
    is_pooled = False
    for kind, path in listed[1:]:
        module = _module(directory, kind, path, prompt, is_pooled=is_pooled)
        if module is None:
            continue
        taken = _taken(directory, path, module)
        _refuse_misfit(directory, path, taken, width, "what comes before" if is_pooled else "the encoder")
        yield module, 0 if is_pooled else taken
        is_pooled |= module.kind == "Pooling"
        width = _given(module, taken or width)


def _list(directory: Path) -> list[tuple[str, str]]:
    """Classes and sub-folders of the modules, in order; at least one."""
    file = directory / MODULES
    listed = read_json(file, WHOLE)
    entries = listed if isinstance(listed, list) else []
    found = [
        (entry["type"], entry["path"])
        for entry in entries
        if isinstance(entry, dict) and all(isinstance(entry.get(name), str) for name in ("type", "path"))
    ]
    if not found or len(found) != len(entries):
        raise ModelError(f"{file} is not a list of modules with a `type` and a `path` each", remedy=WHOLE)
    for _, path in found:
        if path and (Path(path).is_absolute() or ".." in Path(path).parts):
            raise ModelError(f"{file} names {path!r}, which is not beside it", remedy=WHOLE)
    return found


def _refuse_other_encoder(directory: Path, listed: list[tuple[str, str]]) -> None:
    """Refuse modules that do not begin with the transformers model of the folder itself.

    Raises:
        ModelError: they begin with another one.
    """
    kind, path = listed[0]
    if _own_name(kind) not in TRANSFORMERS:
        raise _not_served(directory, kind)
    if path not in ("", "."):
        raise sub_folder(directory) or ModelError(
            f"{directory} lacks {path}, which {MODULES} names as its model", remedy=WHOLE
        )


def _refuse_other_task(directory: Path) -> None:
    """Refuse an encoder of which the modules take something else than its last hidden states.

    Raises:
        ModelError: they do.
    """
    rules = transformer_rules(directory)
    task = rules.get("transformer_task", "feature-extraction")
    if task != "feature-extraction":
        raise _unserved_option(directory / TRANSFORMER_CONFIGS[0], f"the task {task}")
    modalities = rules.get("modality_config")
    if modalities is None:
        return
    text = modalities.get("text") if isinstance(modalities, dict) else None
    output = text.get("method_output_name") if isinstance(text, dict) else None
    if output not in ("last_hidden_state", ["last_hidden_state"]):
        raise _unserved_option(directory / TRANSFORMER_CONFIGS[0], f"{output or 'no text'} of the encoder")


def _module(directory: Path, kind: str, path: str, prompt: str, *, is_pooled: bool) -> SentenceModule | None:
    """One module; None of one that does nothing when a model is served."""
    name = _own_name(kind)
    if name in WITHOUT_EFFECT:
        return None
    if name == "Pooling" and not is_pooled:
        return _pooling(directory, path, prompt)
    if name == "Normalize":
        file = directory / path / CONFIG
        _require_place(file, read_object(file) if file.is_file() else {}, is_pooled=is_pooled)
        return SentenceModule("Normalize")
    if name == "Dense":
        return _dense(directory, path, is_pooled=is_pooled)
    if name == "LayerNorm" and is_pooled:
        return _layer_norm(directory, path)
    raise _not_served(directory, kind)


def _own_name(kind: str) -> str:
    """What sentence-transformers calls a class of its own; empty of a foreign one."""
    return kind.rpartition(".")[2] if kind.startswith(OWN) else ""


def _pooling(directory: Path, path: str, prompt: str) -> SentenceModule:
    file = directory / path / CONFIG
    config = _module_config(file)
    stated = config.get("pooling_mode")
    if stated is None:
        modes = [mode for switch, mode in LEGACY_MODES.items() if config.get(switch)] or ["mean"]
    else:
        modes = stated if isinstance(stated, list) else [stated]
    for mode in modes:
        if mode not in POOLING_MODES:
            raise ModelError(
                f"{file} asks for the pooling {mode!r}; known: {', '.join(POOLING_MODES)}", remedy=BARE
            )
    if prompt and config.get("include_prompt") is False:
        raise _unserved_option(file, f"include_prompt: false, beside a default prompt in {PROMPTS},")
    return SentenceModule("Pooling", modes=tuple(modes))


def _own_pooling(directory: Path, prompt: str, width: int) -> tuple[list[tuple[SentenceModule, int]], str]:
    """The pooling of a folder that lists no modules, with the numbers of a token that it is made for; and who
    says so."""
    if (directory / POOLING_FOLDER / CONFIG).is_file():
        pooling = _pooling(directory, POOLING_FOLDER, prompt)
        taken = _taken(directory, POOLING_FOLDER, pooling)
        _refuse_misfit(directory, POOLING_FOLDER, taken, width, "the encoder")
        return [(pooling, taken)], f"as {POOLING_FOLDER}/{CONFIG} says"
    mean = SentenceModule("Pooling", modes=("mean",))
    because = "as `head: pooling` asks for sentence embeddings, and the folder does not say of which kind"
    return [(mean, 0)], because


def _dense(directory: Path, path: str, *, is_pooled: bool) -> SentenceModule:
    file = directory / path / CONFIG
    config = _module_config(file)
    _require_place(file, config, is_pooled=is_pooled)
    if config.get("use_residual"):
        raise _unserved_option(file, "use_residual: true")
    stated = str(config.get("activation_function", "torch.nn.modules.activation.Tanh"))
    activation = stated.rpartition(".")[2]
    if activation not in ACTIVATIONS or not stated.startswith("torch.nn."):
        raise _unserved_option(file, f"the activation {stated}", f"; known: {', '.join(ACTIVATIONS)}")
    sizes, has_bias = (config.get("in_features"), config.get("out_features")), config.get("bias", True)
    taken, given = sizes
    if not isinstance(taken, int) or not isinstance(given, int) or not isinstance(has_bias, bool):
        raise ModelError(f"{file} does not say how many in_features and out_features there are", remedy=WHOLE)
    needed = {"linear.weight": (given, taken)} | ({"linear.bias": (given,)} if has_bias else {})
    _require_weights(directory / path, needed)
    return SentenceModule("Dense", (), path, activation, (taken, given), has_bias)


def _layer_norm(directory: Path, path: str) -> SentenceModule:
    dimension = _module_config(directory / path / CONFIG).get("dimension")
    if not isinstance(dimension, int):
        raise ModelError(f"{directory / path / CONFIG} has no dimension", remedy=WHOLE)
    _require_weights(directory / path, {"norm.weight": (dimension,), "norm.bias": (dimension,)})
    return SentenceModule("LayerNorm", folder=path, sizes=(dimension,))


def _require_place(file: Path, config: Config, *, is_pooled: bool) -> None:
    """Refuse a module that does not take what the one before it gives, and pass it on.

    Raises:
        ModelError: it does not.
    """
    place = "sentence_embedding" if is_pooled else "token_embeddings"
    taken = config.get("module_input_name") or "sentence_embedding"
    given = config.get("module_output_name") or taken
    if (taken, given) != (place, place):
        raise _unserved_option(file, f"{taken} to be turned into {given}, behind what gives {place},")


def _require_weights(folder: Path, needed: Mapping[str, tuple[int, ...]]) -> None:
    """Refuse weights that are not there, or of other sizes than the configuration says.

    Raises:
        ModelError: they are.
    """
    file = folder / WEIGHTS
    if not file.is_file():
        pickles = pickled_weights(one.name for one in folder.iterdir())
        if pickles:
            raise ModelError(
                f"{folder} has its weights only as a pickle ({pickles[0]}), which can run code when loaded",
                remedy=SAVE_AGAIN,
            )
        raise ModelError(
            f"{folder} has no {WEIGHTS}", remedy=f"{WHOLE}; where its weights are a pickle, {SAVE_AGAIN}"
        )
    stored = {name: tensor.shape for name, tensor in stored_tensors([file]).items()}
    for name, shape in needed.items():
        if stored.get(name) != shape:
            found = "not there" if name not in stored else _shape(stored[name])
            raise ModelError(
                f"{file} does not fit its {CONFIG}: {name} should be {_shape(shape)}, and is {found}",
                remedy=WHOLE,
            )


def _shape(sizes: tuple[int, ...]) -> str:
    return " x ".join(map(str, sizes))


def _refuse_misfit(directory: Path, path: str, taken: int, width: int, before: str) -> None:
    """Refuse a module that takes another number of numbers than what comes before it gives.

    Args:
        taken: by the module; 0 = not known, as with `width`.
        width: of what comes before, as `before` calls it.

    Raises:
        ModelError: it does.
    """
    if width and taken and taken != width:
        raise ModelError(
            f"{directory / path / CONFIG} takes {taken} numbers, and {before} gives {width}",
            remedy=f"{WHOLE}: its files are of two models; or {BARE}",
        )


def _taken(directory: Path, path: str, module: SentenceModule) -> int:
    """How many numbers a module is made for; 0 where nobody says."""
    if module.kind != "Pooling":
        return module.sizes[0] if module.sizes else 0
    config = _module_config(directory / path / CONFIG)
    stated = next((config[name] for name in POOLING_WIDTHS if name in config), None)
    return stated if isinstance(stated, int) else 0


def _given(module: SentenceModule, taken: int) -> int:
    """How many numbers come behind a module that takes so many; 0 where nobody knows."""
    if module.kind == "Pooling":
        return len(module.modes) * taken
    return module.sizes[-1] if module.sizes else taken


def _module_config(file: Path) -> Config:
    if not file.is_file():
        raise ModelError(f"{file} is not there, which {MODULES} speaks of", remedy=WHOLE)
    return read_object(file)


def _not_served(directory: Path, kind: str) -> ModelError:
    place = " at that place" if _own_name(kind) in SERVED else ""
    code = "" if kind.startswith(OWN) else "needs code of its own, and "
    return ModelError(
        f"{directory / MODULES} lists {kind}, which {code}autotune does not serve{place}; it serves"
        f" {', '.join(SERVED)}",
        remedy=f"{BARE}, or choose a model without it",
    )


def _unserved_option(file: Path, option: str, known: str = "") -> ModelError:
    return ModelError(
        f"{file} asks for {option} which autotune does not serve{known}",
        remedy=f"{BARE}, or choose a model without it",
    )
