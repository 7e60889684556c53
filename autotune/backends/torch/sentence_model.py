"""An encoder with the modules of sentence-transformers behind it, in torch."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from autotune.backends.sentence_model import LEAST_COUNT, MODULES_FILE, WEIGHTS_FILE, Weights, read_modules
from autotune.model.folders.sentence_modules import WEIGHTS, SentenceModule, SentenceModules


def write_modules(modules: SentenceModules, folder: Path, directory: Path) -> None:
    """Write the modules of the model in `folder`, with their weights at fp32, into `directory`."""
    arrays = {
        f"{place}.{name}": array
        for place, module in enumerate(modules.modules)
        if module.sizes
        for name, array in _stored_weights(folder / module.folder / WEIGHTS).items()
    }
    np.savez(directory / WEIGHTS_FILE, allow_pickle=False, **arrays)
    (directory / MODULES_FILE).write_text(json.dumps(asdict(modules)))


def _stored_weights(file: Path) -> dict[str, np.ndarray[Any, Any]]:
    """Weights at fp32 by the last part of their names: a module has one layer alone."""
    import safetensors.torch

    tensors = safetensors.torch.load_file(file)
    return {name.rpartition(".")[2]: tensor.float().numpy() for name, tensor in tensors.items()}


def with_modules(encoder: Any, directory: Path, dtype: str) -> Any:
    """The encoder of a prepared folder with its modules behind it; as it is where there are none.

    Like a transformers model it takes its inputs by name, and answers with a tuple.

    Args:
        dtype: torch's name of what weights are multiplied at; pooling is at fp32 whatever it is.
    """
    described = read_modules(directory)
    if not described:
        return encoder
    import torch

    class SentenceModel(torch.nn.Module):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.transformer = encoder
            self.config = encoder.config
            self.behind = torch.nn.ModuleList(_layer(*one, dtype) for one in described)

        def set_attn_implementation(self, name: str) -> None:
            self.transformer.set_attn_implementation(name)

        def forward(self, attention_mask: Any, **arrays: Any) -> tuple[Any]:
            answer = self.transformer(attention_mask=attention_mask, **arrays)[0].float()
            for (module, _), layer in zip(described, self.behind, strict=True):
                if module.kind == "Pooling":
                    answer = pool(answer, attention_mask, module.modes)
                elif module.kind == "Normalize":
                    answer = torch.nn.functional.normalize(answer, dim=-1)
                else:
                    answer = layer(answer.to(getattr(torch, dtype))).float()
            return (answer,)

    return SentenceModel().eval()


def _layer(module: SentenceModule, weights: Weights, dtype: str) -> Any:
    """The layer of `Dense` and `LayerNorm`, with its weights; of others one that does nothing."""
    import torch

    if not module.sizes:
        return torch.nn.Identity()
    layer: Any
    if module.kind == "LayerNorm":
        layer = torch.nn.LayerNorm(module.sizes[0])
    else:
        layer = torch.nn.Linear(*module.sizes, bias=module.has_bias)
    layer.load_state_dict({name: torch.from_numpy(array) for name, array in weights.items()})
    layer = layer.to(getattr(torch, dtype))
    if module.kind == "LayerNorm":
        return layer
    return torch.nn.Sequential(layer, getattr(torch.nn, module.activation)())


def pool(hidden: Any, mask: Any, modes: tuple[str, ...]) -> Any:
    """One vector of each sequence's tokens, as sentence-transformers pools them.

    Padding stands at the ends of sequences and counts for nothing.

    Args:
        hidden: float32 `(batch, tokens, width)`.
        mask: integers `(batch, tokens)`: 1 for tokens, 0 for padding.

    Returns:
        float32 `(batch, len(modes) * width)`.
    """
    import torch

    counted = mask.unsqueeze(-1).to(hidden.dtype)
    parts = [_POOLING[mode](hidden, counted) for mode in modes]
    return parts[0] if len(parts) == 1 else torch.cat(parts, dim=-1)


def _first(hidden: Any, _: Any) -> Any:
    return hidden[:, 0]


def _greatest(hidden: Any, counted: Any) -> Any:
    import torch

    return hidden.masked_fill(counted == 0, torch.finfo(hidden.dtype).min).amax(dim=1)


def _mean(hidden: Any, counted: Any) -> Any:
    return (hidden * counted).sum(dim=1) / counted.sum(dim=1).clamp(min=LEAST_COUNT)


def _mean_by_root(hidden: Any, counted: Any) -> Any:
    return (hidden * counted).sum(dim=1) / counted.sum(dim=1).clamp(min=LEAST_COUNT).sqrt()


def _weighted_mean(hidden: Any, counted: Any) -> Any:
    """Later tokens count for more: the first for 1, the second for 2, and so on."""
    return _mean(hidden, counted.cumsum(dim=1) * counted)


def _last(hidden: Any, counted: Any) -> Any:
    import torch

    place = (counted.sum(dim=1, keepdim=True) - 1).clamp(min=0).to(torch.int64)
    return hidden.gather(1, place.expand(-1, 1, hidden.shape[-1])).squeeze(1)


_POOLING = {
    "cls": _first,
    "max": _greatest,
    "mean": _mean,
    "mean_sqrt_len_tokens": _mean_by_root,
    "weightedmean": _weighted_mean,
    "lasttoken": _last,
}
