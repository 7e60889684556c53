"""What sentence-transformers serves beside an encoder: the modules behind it, and its rules for texts."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from autotune.model.digests import digest_files

ModuleKind = Literal["Pooling", "Dense", "LayerNorm", "Normalize"]
"""The modules that are served; each but the first works on the last axis alone, and keeps the others."""

POOLING_MODES = ("cls", "max", "mean", "mean_sqrt_len_tokens", "weightedmean", "lasttoken")
"""Source: sentence-transformers, Pooling.POOLING_MODES."""

ACTIVATIONS = ("GELU", "Identity", "ReLU", "SiLU", "Sigmoid", "Tanh")
"""Of `Dense`: those of torch.nn's classes that are served."""

WEIGHTS = "model.safetensors"


@dataclass(frozen=True)
class SentenceModule:
    """One module behind the encoder.

    Attributes:
        modes: of `Pooling`, in the order in which what they give is put together.
        folder: of the weights of `Dense` and `LayerNorm`, in the model's folder.
        activation: of `Dense`, as torch.nn calls it.
        sizes: numbers that `Dense` takes and gives; of `LayerNorm`, that it takes.
        has_bias: of `Dense`.
    """

    kind: ModuleKind
    modes: tuple[str, ...] = ()
    folder: str = ""
    activation: str = ""
    sizes: tuple[int, ...] = ()
    has_bias: bool = False

    @property
    def in_words(self) -> str:
        """As in `Pooling (mean)` or `Dense (768 to 512, Tanh)`."""
        if self.kind == "Pooling":
            return f"Pooling ({', '.join(self.modes)})"
        if self.kind == "Dense":
            return f"Dense ({self.sizes[0]} to {self.sizes[1]}, {self.activation})"
        return self.kind


@dataclass(frozen=True)
class SentenceModules:
    """All that is served beside the encoder.

    Attributes:
        modules: behind the encoder, in order; at least one, unless an ONNX graph has them inside.
        because: who says so, as in `as modules.json lists them`.
        longest_text: tokens that texts are cut to; None = as many as the encoder takes.
        cut_by: what says so, as in `max_seq_length in sentence_bert_config.json`.
        lower_case: whether texts are put into lower case, whatever the tokenizer does by itself.
        prompt: what is put before every text.
        output: of an ONNX graph, its output that the modules take; without modules, the sentence embedding.
        takes: numbers of each token's embedding that the modules are made for; 0 = nobody says.
    """

    modules: tuple[SentenceModule, ...]
    because: str
    longest_text: int | None = None
    cut_by: str = ""
    lower_case: bool = False
    prompt: str = ""
    output: str = ""
    takes: int = 0

    @property
    def in_words(self) -> str:
        """What is served, as a clause."""
        words = [self._modules_in_words]
        if self.longest_text is not None:
            words.append(f"texts are cut to {self.longest_text} tokens ({self.cut_by})")
        if self.lower_case:
            words.append("texts are put into lower case")
        if self.prompt:
            words.append(f"{self.prompt!r} is put before every text")
        return "; ".join(words)

    @property
    def _modules_in_words(self) -> str:
        if not self.modules:
            return f"the output {self.output} of its graph, {self.because}"
        place = f"the output {self.output} of its graph" if self.output else "the encoder"
        return f"{', '.join(module.in_words for module in self.modules)} behind {place}, {self.because}"

    def digest(self, directory: Path) -> str:
        """Hex SHA-256 of all that decides answers to texts.

        Args:
            directory: the model's folder.

        Raises:
            OSError: a file of weights cannot be read.
        """
        weights = [directory / module.folder / WEIGHTS for module in self.modules if module.sizes]
        unsaid = {"because", "cut_by", "takes", *(() if self.output else ("output",))}
        decisive = {name: value for name, value in asdict(self).items() if name not in unsaid}
        text = json.dumps([decisive, digest_files(weights)], sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()


def modules_from_json(document: Mapping[str, Any]) -> SentenceModules:
    """The inverse of `dataclasses.asdict` and JSON."""
    modules = tuple(
        SentenceModule(**{**module, "modes": tuple(module["modes"]), "sizes": tuple(module["sizes"])})
        for module in document["modules"]
    )
    return SentenceModules(**{**document, "modules": modules})
