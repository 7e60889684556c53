"""How a folder of sentence-transformers has texts read: where they are cut, and what is put before them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from autotune.errors import ModelError
from autotune.model.folders.neighbours import WHOLE
from autotune.model.folders.stand_ins import read_json

TRANSFORMER_CONFIGS = tuple(
    f"sentence_{kind}_config.json"
    for kind in ("bert", "roberta", "distilbert", "camembert", "albert", "xlm-roberta", "xlnet")
)
"""Names of the file in which a transformer's module says how it takes texts, the usual one first.

Source: sentence-transformers, Transformer.load_config.
"""
TOKENIZER_CONFIG = "tokenizer_config.json"
PROMPTS = "config_sentence_transformers.json"
USUAL_PROMPTS = ("query", "document")
"""Prompts that are there, and empty, where nobody states them. Source: SentenceTransformer.__init__."""

LONGEST_STATED = 10**6
"""More tokens than this stand for no bound: tokenizers without one say 10**30."""

Config = Mapping[str, Any]


def transformer_rules(directory: Path) -> Config:
    """How the transformer's module takes texts; empty where nobody says."""
    files = (directory / name for name in TRANSFORMER_CONFIGS)
    return next((read_object(file) for file in files if file.is_file()), {})


def longest_text(directory: Path, rules: Config) -> tuple[int | None, str]:
    """Tokens that texts are cut to, and what says so; None where nothing does."""
    name = next((name for name in TRANSFORMER_CONFIGS if (directory / name).is_file()), "")
    tokenizer = directory / TOKENIZER_CONFIG
    stated = (
        (rules.get("max_seq_length"), f"max_seq_length in {name}"),
        (
            read_object(tokenizer).get("model_max_length") if tokenizer.is_file() else None,
            f"model_max_length in {TOKENIZER_CONFIG}",
        ),
    )
    bounds = (
        (tokens, by) for tokens, by in stated if isinstance(tokens, int) and 0 < tokens <= LONGEST_STATED
    )
    return next(bounds, (None, ""))


def default_prompt(directory: Path) -> str:
    """What is put before every text; empty where there is nothing.

    Raises:
        ModelError: it is named and not there.
    """
    file = directory / PROMPTS
    config = read_object(file) if file.is_file() else {}
    name, prompts = config.get("default_prompt_name"), config.get("prompts")
    if not name:
        return ""
    stated = prompts.get(name) if isinstance(prompts, dict) else None
    if stated is None and name in USUAL_PROMPTS:
        return ""
    if not isinstance(stated, str):
        raise ModelError(
            f"{file} names {name!r} as its default prompt, which is not among its prompts",
            remedy="add it to `prompts`, or take default_prompt_name out",
        )
    return stated


def read_object(file: Path) -> Config:
    """What a JSON file says that holds an object.

    Raises:
        ModelError: it holds something else.
        OSError: it cannot be read.
    """
    value = read_json(file, WHOLE)
    if not isinstance(value, dict):
        raise ModelError(f"{file} is not a JSON object", remedy=WHOLE)
    return value
