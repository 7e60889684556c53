"""YAML that every reader understands alike, and people can read."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any, Final

import yaml

_MAP, _TEXT = "tag:yaml.org,2002:map", "tag:yaml.org,2002:str"

_PLAIN_KEY: Final = re.compile(r"[A-Za-z][A-Za-z0-9]*([._/-][A-Za-z0-9]+)*")
_NO_TEXT: Final = frozenset(("y", "n", "yes", "no", "on", "off", "true", "false", "null"))
"""Words that some reader takes for something else than text. Source: YAML 1.1, 10.2; YAML 1.2, 10.3."""

_LINES: Final = re.compile(r"(?=[^\s])([ -~]*[!-~])?(\n([ -~]*[!-~])?)+")
"""Lines of ASCII without blanks at their ends, the first of them not empty: a block keeps them."""


class _PlainKey(str):
    """A key that no reader takes for anything but this text."""

    __slots__ = ()


class QuotingDumper(yaml.SafeDumper):
    """Puts texts in double quotes, as readers of YAML 1.1 and 1.2 differ on plain ones, and lines in blocks.

    Keys that are plain words stay so. Nothing refers to what stands elsewhere.
    """

    def ignore_aliases(self, data: Any) -> bool:  # noqa: ARG002
        """Write what occurs twice twice."""
        return True


def _text(dumper: QuotingDumper, text: str) -> yaml.ScalarNode:
    return dumper.represent_scalar(_TEXT, text, style="|" if _LINES.fullmatch(text) else '"')


def _key(dumper: QuotingDumper, text: str) -> yaml.ScalarNode:
    return dumper.represent_scalar(_TEXT, str(text))


def _mapping(dumper: QuotingDumper, mapping: dict[Any, Any]) -> yaml.MappingNode:
    return dumper.represent_mapping(_MAP, {_as_key(key): value for key, value in mapping.items()})


def _as_key(key: Any) -> Any:
    is_plain = isinstance(key, str) and _PLAIN_KEY.fullmatch(key) and key.lower() not in _NO_TEXT
    return _PlainKey(key) if is_plain else key


QuotingDumper.add_representer(str, _text)
QuotingDumper.add_representer(_PlainKey, _key)
QuotingDumper.add_representer(dict, _mapping)


def yaml_text(head: str, documents: Iterable[Mapping[str, Any]]) -> str:
    """Write documents below a comment of one line."""
    texts = [
        yaml.dump(document, Dumper=QuotingDumper, sort_keys=False, width=2**20) for document in documents
    ]
    return f"# {head}\n" + "---\n".join(texts)
