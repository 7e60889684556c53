"""YAML that every reader understands alike."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import yaml


class QuotingDumper(yaml.SafeDumper):
    """Puts every text in double quotes, keys too: readers of YAML 1.1 and 1.2 differ on plain ones."""


def _quoted(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style='"')


QuotingDumper.add_representer(str, _quoted)


def yaml_text(head: str, documents: Iterable[Mapping[str, Any]]) -> str:
    """Write documents below a comment of one line."""
    texts = [
        yaml.dump(document, Dumper=QuotingDumper, sort_keys=False, width=2**20) for document in documents
    ]
    return f"# {head}\n" + "---\n".join(texts)
