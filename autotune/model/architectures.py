"""Architectures of well-known encoders, as data: `random:NAME` runs them with seeded random weights."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Architecture:
    """One encoder's shape.

    Attributes:
        class_name: the transformers class that it runs in.
        model_type: the transformers name of its configuration.
        config: every hyperparameter that decides its arithmetic.
    """

    class_name: str
    model_type: str
    config: Mapping[str, Any]


_BERT_BASE: Mapping[str, Any] = {
    "vocab_size": 30_522,
    "hidden_size": 768,
    "num_hidden_layers": 12,
    "num_attention_heads": 12,
    "intermediate_size": 3_072,
    "hidden_act": "gelu",
    "max_position_embeddings": 512,
    "type_vocab_size": 2,
    "initializer_range": 0.02,
    "layer_norm_eps": 1e-12,
    "pad_token_id": 0,
}

ARCHITECTURES: Mapping[str, Architecture] = {
    # Source: Devlin et al. 2019, BERT, section 3; config.json of google-bert/bert-base-uncased.
    "bert-base": Architecture("BertModel", "bert", _BERT_BASE),
    # Source: the same; config.json of google-bert/bert-large-uncased.
    "bert-large": Architecture(
        "BertModel",
        "bert",
        {
            **_BERT_BASE,
            "hidden_size": 1_024,
            "num_hidden_layers": 24,
            "num_attention_heads": 16,
            "intermediate_size": 4_096,
        },
    ),
    # Source: Sanh et al. 2019, DistilBERT, section 3; config.json of distilbert/distilbert-base-uncased.
    "distilbert-base": Architecture(
        "DistilBertModel",
        "distilbert",
        {
            "vocab_size": 30_522,
            "dim": 768,
            "n_layers": 6,
            "n_heads": 12,
            "hidden_dim": 3_072,
            "activation": "gelu",
            "max_position_embeddings": 512,
            "sinusoidal_pos_embds": False,
            "initializer_range": 0.02,
            "pad_token_id": 0,
        },
    ),
    # Source: Liu et al. 2019, RoBERTa, appendix B; config.json of FacebookAI/roberta-base.
    "roberta-base": Architecture(
        "RobertaModel",
        "roberta",
        {
            **_BERT_BASE,
            "vocab_size": 50_265,
            "max_position_embeddings": 514,
            "type_vocab_size": 1,
            "layer_norm_eps": 1e-5,
            "pad_token_id": 1,
            "bos_token_id": 0,
            "eos_token_id": 2,
        },
    ),
    # Source: Wang et al. 2020, MiniLM, section 4; config.json of sentence-transformers/all-MiniLM-L6-v2.
    "minilm-l6": Architecture(
        "BertModel",
        "bert",
        {**_BERT_BASE, "hidden_size": 384, "num_hidden_layers": 6, "intermediate_size": 1_536},
    ),
}
