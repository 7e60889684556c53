"""Runs small models of many architectures at the longest sequence that they are said to take, and one above.

    python positions_child.py FOLDER

Writes FOLDER/found.json: by architecture what is said, and what came of running at it, and of one token more;
of one without a bound, of four times as many tokens as its configuration speaks of.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from autotune.model.folders.positions import longest_of_folder, longest_sequence, trained_length

POSITIONS = 66
SHAPE: Mapping[str, Any] = {
    "vocab_size": 1000,
    "hidden_size": 64,
    "num_hidden_layers": 1,
    "num_attention_heads": 4,
    "intermediate_size": 64,
    "max_position_embeddings": POSITIONS,
}
PADDED: Mapping[str, Any] = {**SHAPE, "pad_token_id": 1, "bos_token_id": 0, "eos_token_id": 2}
RELATIVE: Mapping[str, Any] = {
    **SHAPE,
    **{"relative_attention": True, "pos_att_type": ["p2c", "c2p"], "type_vocab_size": 0},
    **{"share_att_key": True, "norm_rel_ebd": "layer_norm"},
}
OLD_NAMES: Mapping[str, Any] = {"vocab_size": 1000, "n_layers": 1, "n_heads": 4}
ARCHITECTURES: Mapping[str, tuple[str, Mapping[str, Any]]] = {
    "bert": ("Bert", SHAPE),
    "distilbert": (
        "DistilBert",
        {**OLD_NAMES, "dim": 64, "hidden_dim": 64, "max_position_embeddings": POSITIONS},
    ),
    "electra": ("Electra", {**SHAPE, "embedding_size": 32}),
    "albert": ("Albert", {**SHAPE, "embedding_size": 32}),
    "mpnet": ("MPNet", PADDED),
    "mpnet padded otherwise": ("MPNet", {**SHAPE, "pad_token_id": 5}),
    "roberta": ("Roberta", PADDED),
    "roberta padded otherwise": ("Roberta", {**PADDED, "pad_token_id": 5}),
    "xlm-r": ("XLMRoberta", PADDED),
    "camembert": ("Camembert", PADDED),
    "data2vec": ("Data2VecText", PADDED),
    "ibert": ("IBert", PADDED),
    "altclip": ("AltCLIPText", PADDED),
    "clap": ("ClapText", PADDED),
    "longformer": ("Longformer", {**PADDED, "attention_window": 16}),
    "deberta": ("Deberta", SHAPE),
    "deberta-v2 with a table": ("DebertaV2", RELATIVE),
    "deberta-v3": ("DebertaV2", {**RELATIVE, "position_buckets": 32, "position_biased_input": False}),
    "modernbert": ("ModernBert", {**PADDED, "cls_token_id": 0, "sep_token_id": 2, "local_attention": 8}),
    "nomic": ("NomicBert", {**SHAPE, "head_dim": 16}),
    "esm": ("Esm", {**PADDED, "position_embedding_type": "absolute"}),
    "esm with angles": ("Esm", {**PADDED, "position_embedding_type": "rotary"}),
    "roformer": ("RoFormer", {**SHAPE, "embedding_size": 64}),
    "yoso": ("Yoso", {**SHAPE, "use_expectation": True}),
    "squeezebert": ("SqueezeBert", {**SHAPE, "embedding_size": 64}),
    "mobilebert": ("MobileBert", {**SHAPE, "embedding_size": 32}),
    "xlm": ("XLM", {**OLD_NAMES, "emb_dim": 64, "max_position_embeddings": POSITIONS}),
    "xlnet": ("XLNet", {"vocab_size": 1000, "d_model": 64, "n_layer": 1, "n_head": 4, "d_inner": 64}),
    "funnel": (
        "Funnel",
        {
            **{"vocab_size": 1000, "block_sizes": [1, 1], "d_model": 64, "n_head": 4, "d_head": 16},
            **{"d_inner": 64, "num_decoder_layers": 1},
        },
    ),
}
"""transformers' prefix of configuration and model, and what their configuration is made with."""


def observe(folder: Path) -> dict[str, dict[str, Any]]:
    """Write the models into sub-folders and run them."""
    import torch
    import transformers

    torch.manual_seed(0)
    found = {}
    for name, (prefix, shape) in ARCHITECTURES.items():
        configuration = getattr(transformers, f"{prefix}Config")(**shape)
        model = getattr(transformers, f"{prefix}Model")(configuration).eval()
        model.save_pretrained(folder / name)
        config = json.loads((folder / name / "config.json").read_text())
        bound = longest_of_folder(folder / name)
        found[name] = {
            "bound": bound,
            "by_configuration": longest_sequence(config),
            "trained": trained_length(config),
            "at": runs(model, bound or 4 * POSITIONS),
            "above": runs(model, bound + 1) if bound else "",
        }
    return found


def runs(model: Any, tokens: int) -> str:
    """The name of the error that a request of so many tokens ends with; empty if it is answered."""
    import torch

    ids = torch.randint(10, 990, (2, tokens))
    try:
        with torch.inference_mode():
            model(input_ids=ids, attention_mask=torch.ones_like(ids))
    except (AssertionError, IndexError, RuntimeError, ValueError) as error:
        return type(error).__name__
    return ""


if __name__ == "__main__":
    folder = Path(sys.argv[1])
    (folder / "found.json").write_text(json.dumps(observe(folder)))
