"""Webhooks as documents: their hosts, without what of them may be a secret."""

from __future__ import annotations

from urllib.parse import urlsplit

HIDDEN = "/***"
"""In the place of a path and a query: who knows them may tell the receiver anything."""


def hidden_webhook(url: str) -> str:
    """Give a webhook's URL with its host alone; nothing of what is no URL."""
    try:
        parts = urlsplit(url)
        port = f":{parts.port}" if parts.port is not None else ""
    except ValueError:
        return HIDDEN
    host = f"[{parts.hostname}]" if ":" in (parts.hostname or "") else parts.hostname or ""
    return f"{parts.scheme}://{host}{port}{HIDDEN}"
