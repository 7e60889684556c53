"""Takes secrets out of texts that are kept or shown: passwords in URLs, tokens, codes."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

HIDDEN: Final = "***"

_PATTERNS: Final = (
    (re.compile(r"(?P<kept>[A-Za-z][A-Za-z0-9+.-]*://[^\s/@:'\"]*):[^\s/@'\"]+(?=@)"), rf"\g<kept>:{HIDDEN}"),
    (re.compile(r"autotune_[A-Za-z0-9_-]{20,}"), HIDDEN),
    (
        re.compile(r"(?P<kept>\b(?:bearer|basic)\s+)[A-Za-z0-9._~+/=-]{8,}", re.IGNORECASE),
        rf"\g<kept>{HIDDEN}",
    ),
    (
        re.compile(
            r"(?P<kept>[?&;](?:code|token|key|secret|password|api_?key|access_?token|signature|sig)=)[^\s&;'\"]+",
            re.IGNORECASE,
        ),
        rf"\g<kept>{HIDDEN}",
    ),
    (re.compile(r"\b(?P<kept>hf_)[A-Za-z0-9]{20,}"), rf"\g<kept>{HIDDEN}"),
)
"""Passwords of URLs; our tokens; credentials of HTTP; what queries call secrets; tokens of the hub."""

_SHORTEST: Final = 6
"""Secrets shorter than this are no words to search for."""


def redacted(text: str, secrets: Iterable[str] = ()) -> str:
    """Give a text without the secrets in it.

    Args:
        secrets: texts that are secret wherever they stand, such as the store's password.
    """
    for secret in secrets:
        if len(secret) >= _SHORTEST:
            text = text.replace(secret, HIDDEN)
    for pattern, shown in _PATTERNS:
        text = pattern.sub(shown, text)
    return text
