"""Answers as sentence-transformers' `SentenceTransformer.encode` does, from a measured session."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from autotune.errors import ServingError
from autotune.runtime.asked import listed, refuse_batch_size
from autotune.runtime.session import MeasuredSession

PROMPTS_FILE = "config_sentence_transformers.json"
MODULES_FILE = "modules.json"
USUAL_PROMPTS: Mapping[str, str] = {"query": "", "document": ""}
"""Prompts that are there where nobody states them. Source: SentenceTransformer.__init__."""
LEAST_LENGTH = 1e-12
"""Of a vector that is divided by its length. Source: torch, functional.normalize."""

Encodable = str | Mapping[str, str] | Sequence[str | Mapping[str, str]]
"""A text, a mapping of `text` to one, or several of them."""
Array = np.ndarray[Any, Any]


class SentenceEncoder:
    """Encodes texts as the model's folder says: prompts, where texts end, pooling, normalisation.

    Attributes:
        prompts: what may be put before texts, by name.
        default_prompt_name: of the one that is, where nobody names another; None = none.
        max_seq_length: tokens that texts are cut to.
    """

    def __init__(self, session: MeasuredSession) -> None:
        """Encode with this session.

        Raises:
            ServingError: its plan does not serve sentence embeddings, or its model's folder is gone.
        """
        planned, folder = session.planned, session.folder
        if not planned.served:
            raise ServingError(
                f"{planned.plan} serves no sentence embeddings: nothing pools what its encoder answers",
                remedy="tune a folder of sentence-transformers, or with `head: pooling` in the study",
            )
        if folder is None:
            raise ServingError(
                f"the model's folder {planned.folder or ''} is gone, which says what is put before texts",
                remedy="put it back, or serve from a bundle: autotune export REF --bundle DIR",
            )
        stated = _object(folder / PROMPTS_FILE)
        self.session = session
        prompts = {**USUAL_PROMPTS, **(stated.get("prompts") or {})}
        self.prompts = {name: prompt or "" for name, prompt in prompts.items()}
        self.default_prompt_name: str | None = stated.get("default_prompt_name")
        self.max_seq_length = session.reader.longest
        self._leaves_prompts_out = _leaves_prompts_out(folder)

    def encode(
        self,
        inputs: Encodable,
        prompt_name: str | None = None,
        prompt: str | None = None,
        *,
        convert_to_numpy: bool = True,
        convert_to_tensor: bool = False,
        normalize_embeddings: bool = False,
        truncate_dim: int | None = None,
        **others: Any,
    ) -> Any:
        """Give the embedding of each text; of a single text the embedding itself.

        Args:
            inputs: a text, a mapping of `text` to one, or several of them.
            prompt_name: of what is put before each text, among `prompts`; ignored beside `prompt`.
            prompt: the same, as it is; None = the default prompt.
            convert_to_numpy: one array `(texts, width)`; else a list of torch's tensors.
            convert_to_tensor: one tensor of torch's, in the place of both.
            truncate_dim: how many numbers of each embedding are kept.
            others: `batch_size`, `show_progress_bar` and `device` are understood, and change nothing:
                requests are put together as they were measured. Other values and precisions are refused.

        Raises:
            ServingError: something is asked for that was not measured, or that is no text.
        """
        _refuse_unmeasured(others)
        is_single = isinstance(inputs, str | Mapping)
        texts = [_text(each) for each in ([inputs] if is_single else listed(inputs))]
        before = self._prompt(prompt, prompt_name)
        answers = self.session.answers(texts, before)
        if not answers:
            embeddings: Array = np.array([])
        else:
            embeddings = np.stack(answers)[:, :truncate_dim]
            if normalize_embeddings:
                lengths = np.linalg.norm(embeddings, axis=1, keepdims=True)
                embeddings = embeddings / np.maximum(lengths, LEAST_LENGTH)
        if convert_to_tensor or not convert_to_numpy:
            return _as_tensors(embeddings, is_single=is_single, as_one=convert_to_tensor)
        return embeddings[0] if is_single else embeddings

    def encode_query(self, inputs: Encodable, **options: Any) -> Any:
        """Encode with the prompt `query`, unless another one is named."""
        return self._encode_for("query", inputs, options)

    def encode_document(self, inputs: Encodable, **options: Any) -> Any:
        """Encode with the prompt `document`, unless another one is named; it is empty if nobody states it."""
        return self._encode_for("document", inputs, options)

    def get_embedding_dimension(self) -> int:
        """Count the numbers of an embedding."""
        return int(self.session.answers(["a"], "")[0].shape[-1])

    get_sentence_embedding_dimension = get_embedding_dimension

    def close(self) -> None:
        """Close the session."""
        self.session.close()

    def _encode_for(self, name: str, inputs: Encodable, options: dict[str, Any]) -> Any:
        is_named = options.get("prompt") is not None or options.get("prompt_name") is not None
        return self.encode(inputs, **(options if is_named else {**options, "prompt_name": name}))

    def _prompt(self, prompt: str | None, name: str | None) -> str:
        if prompt is None:
            name = self.default_prompt_name if name is None else name
            if name is not None and name not in self.prompts:
                raise ServingError(
                    f"{name!r} is no prompt of the model", remedy=f"there are: {', '.join(self.prompts)}"
                )
            prompt = "" if name is None else self.prompts[name]
        if prompt and self._leaves_prompts_out:
            raise ServingError(
                f"the model's pooling leaves out the prompt {prompt!r:.60}, which no measured session does",
                remedy="encode without a prompt",
            )
        return prompt


def _text(given: Any) -> Any:
    """Give the text of a mapping that has nothing else; what is none, the session's reader refuses."""
    if not isinstance(given, Mapping):
        return given
    if given.keys() != {"text"}:
        raise ServingError(f"{given!r:.60} is not a text", remedy='give str, or {"text": ...}')
    return given["text"]


def _refuse_unmeasured(options: Mapping[str, Any]) -> None:
    understood: dict[str, tuple[Any, ...]] = {
        "output_value": ("sentence_embedding",),
        "precision": ("float32", None),
        "device": ("cpu", None),
        "pool": (None,),
        "chunk_size": (None,),
    }
    for name, value in options.items():
        if name == "batch_size":
            refuse_batch_size(value)
            continue
        if name == "show_progress_bar":
            continue
        if name not in understood or value not in understood[name]:
            raise ServingError(
                f"{name}={value!r:.60} is nothing that the plan's session can do",
                remedy="use sentence-transformers itself for that",
            )


def _leaves_prompts_out(folder: Path) -> bool:
    """Whether a module of the folder pools without the tokens of prompts."""
    listed = _read(folder / MODULES_FILE)
    paths = [str(module.get("path", "")) for module in listed or [] if isinstance(module, dict)]
    return any(_object(folder / path / "config.json").get("include_prompt") is False for path in paths)


def _as_tensors(embeddings: Array, *, is_single: bool, as_one: bool) -> Any:
    import torch

    tensors = torch.from_numpy(np.asarray(embeddings, dtype=np.float32))
    if is_single:
        return tensors[0]
    return tensors if as_one else list(tensors)


def _object(file: Path) -> dict[str, Any]:
    value = _read(file)
    return value if isinstance(value, dict) else {}


def _read(file: Path) -> Any:
    try:
        return json.loads(file.read_bytes())
    except OSError:
        return None
    except ValueError as error:
        raise ServingError(f"{file} is not JSON: {error}", remedy="put the model's own file there") from error
