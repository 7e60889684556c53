"""Converts a transformers encoder for CTranslate2. Runs in a child process."""

from __future__ import annotations

import textwrap
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from autotune.backends.torch.transformers_model import known_class
from autotune.errors import UnsupportedError
from autotune.model.folders.folder import ENCODER_ALONE

LONGEST_REASON = 200
"""Characters of the converter's words that are kept: it lists everything that it knows."""

REFUSALS = (
    *(ValueError, NotImplementedError, RuntimeError),
    # What the loader of one architecture raises where a model has not what it reads.
    *(AssertionError, AttributeError, KeyError, TypeError),
)


@dataclass(frozen=True)
class Vocabulary:
    """Stands in for a tokenizer: requests are token ids, so what the tokens are called decides nothing."""

    size: int
    unk_token: str = "0"
    bos_token: str = "0"
    eos_token: str = "0"

    def get_vocab(self) -> dict[str, int]:
        """Every token, named by its number."""
        return {str(token): token for token in range(self.size)}


def convert_model(source: Path, target: Path, compute_type: str) -> None:
    """Convert a prepared transformers folder into the folder `target`, which is made.

    Args:
        compute_type: CTranslate2's name of what the weights are stored as.

    Raises:
        UnsupportedError: the model has a task head, or CTranslate2 does not know its architecture.
    """
    import transformers

    config = transformers.AutoConfig.from_pretrained(source, local_files_only=True)
    if config.architectures[0].endswith(ENCODER_ALONE):
        raise _refusal(
            f"converts whole encoder-decoders, and this is the encoder alone ({config.model_type})"
        )
    try:
        _converter(source, config.vocab_size).convert(str(target), quantization=compute_type)
    except REFUSALS as error:
        raise _refusal(f"cannot convert this architecture: {_reason(error)}") from error
    _refuse_task_head(config)


def _converter(source: Path, vocabulary: int) -> Any:
    """The engine's own converter, for a folder without a tokenizer."""
    from ctranslate2.converters import TransformersConverter

    class Converter(TransformersConverter):  # type: ignore[misc]
        def load_model(self, *args: Any, **options: Any) -> Any:
            model = super().load_model(*args, **options)
            # Transformers 5 has no other kind of positions here and no longer says so; the loaders ask.
            if not hasattr(model.config, "position_embedding_type"):
                model.config.position_embedding_type = "absolute"
            return model

        def load_tokenizer(self, *_: Any, **__: Any) -> Any:
            return Vocabulary(vocabulary)

    return Converter(str(source))


def _refuse_task_head(config: Any) -> None:
    """The converter leaves a head out without a word, and so would answer with something else."""
    import torch

    model_class = known_class(config.architectures[0])
    with torch.device("meta"):
        model = model_class(config)
    if model.base_model is not model:
        raise _refusal(f"answers with hidden states, and {model_class.__name__} has a task head on them")


def _refusal(words: str) -> UnsupportedError:
    return UnsupportedError(f"ctranslate2 {words}", remedy="leave ctranslate2 out of search.backends")


def _reason(error: BaseException) -> str:
    words = textwrap.shorten(str(error), LONGEST_REASON, placeholder=" …")
    return words or type(error).__name__
