"""Requests whose answers are documents."""

from __future__ import annotations

from contextlib import suppress
from typing import Any
from urllib.parse import quote

from autotune.client.connection import PREFIX, Connection
from autotune.errors import JobNotFoundError

Json = dict[str, Any]
"""A document, as the command line's `--json` prints it."""


class Asking:
    """Asks one service."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def _forget(self, path: str) -> None:
        """Delete something; where it is not there, an earlier try may have done it, whose answer was lost."""
        with suppress(JobNotFoundError):
            self._connection.request("DELETE", f"{PREFIX}{path}")

    def _get(self, path: str, **params: Any) -> Json:
        return self._document("GET", path, params=params)

    def _list(self, path: str, name: str, *, following: str = "offset", **params: Any) -> list[Json]:
        """Give all that a listing holds, page by page.

        Args:
            following: parameter that names where the next page begins.
        """
        listed: list[Json] = []
        while True:
            page = self._document("GET", path, params=params)
            listed += page[name]
            if page.get("next") is None:
                return listed
            params[following] = page["next"]

    def _post(self, path: str, body: Any = None) -> Json:
        return self._document("POST", path, body={} if body is None else body)

    def _document(self, method: str, path: str, **asked: Any) -> Json:
        document: Json = self._connection.request(method, f"{PREFIX}{path}", **asked).json()
        return document


def segment(name: str) -> str:
    """Write a name as one part of a path, whatever is in it."""
    return quote(name, safe="")
