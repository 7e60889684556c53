"""How long a sequence may be: by the table of positions that a model really has, if it has one."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from autotune.model.folders.folder import weight_files
from autotune.model.folders.safetensors_file import SUFFIX, stored_tensors

Shapes = Mapping[str, tuple[int, ...]]
"""Dimensions of a model's weights by name."""

TABLE = re.compile(r"(?:.+\.)?(?:position_embeddings?|embed_positions|positions_embed|wpe)\.weight")
"""Names of tables with a row for each position. Source: the models of transformers."""
OTHER_TABLES = ("decoder", "entity_embeddings", "vision_model", "visual_model")
"""Parts of the names of tables of something else than the text's positions."""

FROM_PADDING = frozenset(
    (
        *(
            "altclip_text_model",
            "camembert",
            "clap_text_model",
            "data2vec-text",
            "esm",
            "ibert",
            "layoutlmv3",
            "lilt",
            "longformer",
            "luke",
            "markuplm",
        ),
        *("roberta", "roberta-prelayernorm", "xlm-roberta", "xlm-roberta-xl", "xmod"),
    )
)
"""Models that number positions from pad_token_id + 1, so that their table has that many rows too many.

Source: transformers, create_position_ids_from_input_ids of each.
"""
FROM_TWO = frozenset(("mpnet",))
"""Likewise from 2, whatever the padding is. Source: transformers, MPNetEmbeddings."""
TWO_MORE_ROWS = frozenset(("mra", "nystromformer", "yoso"))
"""Models whose table has two rows more than max_position_embeddings says. Source: transformers."""

ROTARY = (
    *("rope_parameters", "rope_theta", "rope_scaling", "global_rope_theta"),
    *("rotary_emb_base", "rotary_emb_fraction"),
)
"""Entries of a configuration whose model turns positions into angles, of which there are always more."""
EITHER = ("esm",)
"""Models that have such entries even where they have a table, and tell by position_embedding_type."""
WITHOUT_TABLE = ("rotary", "rope", "alibi")
"""Values of position_embedding_type whose models have no table."""


def longest_sequence(config: Mapping[str, Any], shapes: Shapes | None = None) -> int | None:
    """The most tokens that a transformers model has positions for; None where it has no table of them.

    Args:
        config: its `config.json`.
        shapes: of its weights; None where only the configuration tells.
    """
    if _looks_up_none(config):
        return None
    rows = _configured_rows(config) if shapes is None else _rows(shapes)
    return None if rows is None else rows - skipped_rows(config)


def trained_length(config: Mapping[str, Any]) -> int | None:
    """For how many tokens a configuration says that its model was made; None where it does not.

    A model without a table of positions answers to longer sequences, too.
    """
    configured = _configured(config)
    if configured is None or config.get("model_type") in TWO_MORE_ROWS:
        return configured
    return configured - skipped_rows(config)


def longest_of_folder(directory: Path) -> int | None:
    """`longest_sequence` of a transformers folder that may be loaded.

    Raises:
        ModelError, OSError: it may not, after all.
    """
    config = json.loads((directory / "config.json").read_bytes())
    files = [file for file in weight_files(directory) if file.suffix == SUFFIX]
    return longest_sequence(config, {name: tensor.shape for name, tensor in stored_tensors(files).items()})


def _looks_up_none(config: Mapping[str, Any]) -> bool:
    """Whether a configuration says that the model looks up no position: a table is a left-over, if any.

    Source: transformers, `position_biased_input` of DeBERTa.
    """
    kind = config.get("position_embedding_type")
    return config.get("position_biased_input") is False or kind in WITHOUT_TABLE


def _configured_rows(config: Mapping[str, Any]) -> int | None:
    """Rows of the table that a configuration speaks of; None where its model has angles in its place."""
    kind, configured = config.get("model_type"), _configured(config)
    has_angles = kind not in EITHER and any(config.get(name) is not None for name in ROTARY)
    if configured is None or has_angles:
        return None
    return configured + (2 if kind in TWO_MORE_ROWS else 0)


def _configured(config: Mapping[str, Any]) -> int | None:
    rows = config.get("max_position_embeddings")
    return rows if isinstance(rows, int) and rows > 0 else None


def _rows(shapes: Shapes) -> int | None:
    rows = [
        shape[0]
        for name, shape in shapes.items()
        if TABLE.fullmatch(name) and len(shape) == 2 and not set(name.split(".")) & set(OTHER_TABLES)
    ]
    return min(rows, default=None)


def skipped_rows(config: Mapping[str, Any]) -> int:
    """Rows of the table before that of the first position."""
    kind, padding = config.get("model_type"), config.get("pad_token_id")
    if kind in FROM_TWO or kind in TWO_MORE_ROWS:
        return 2
    return padding + 1 if kind in FROM_PADDING and isinstance(padding, int) else 0
