"""Tokens: who may ask the service, and for what. Of all but the operator's own only digests are kept."""

from __future__ import annotations

import fcntl
import hashlib
import hmac
import json
import os
import re
import secrets
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from autotune.errors import ServiceError
from autotune.service.access import AccessRole
from autotune.service.guard.state_folder import make_state_folder, read_secret, write_secret

TOKEN_FILE: Final = "token"
"""Holds the operator's own token, for the commands that this user runs on this machine."""
NAMED_FILE: Final = "tokens.json"
OPERATOR: Final = "operator"
"""Whom the operator's own token names."""
PREFIX: Final = "autotune_"
TOKEN: Final = re.compile(rf"{PREFIX}[A-Za-z0-9_-]{{43}}")
"""32 random bytes, as `secrets.token_urlsafe` writes them."""
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_FORMAT: Final = 1


@dataclass(frozen=True)
class TokenHolder:
    """Whom a token names.

    Attributes:
        digest: SHA-256 of the token.
        created: when it was made, as ISO 8601 in UTC; empty of the operator's own.
    """

    name: str
    role: AccessRole
    digest: bytes
    created: str = ""


def new_token() -> str:
    """Draw a token of 256 random bits."""
    return PREFIX + secrets.token_urlsafe(32)


def token_digest(token: str) -> bytes:
    """Give what is kept of a token: without salt, as nobody can guess 256 random bits."""
    return hashlib.sha256(token.encode("utf-8", "surrogateescape")).digest()


class TokenStore:
    """The tokens of one service, in its state folder.

    Other processes may add and remove tokens while the service runs; it sees that at the next request.
    """

    def __init__(self, folder: Path) -> None:
        """Open the tokens, and make the operator's own unless it is there.

        Raises:
            ServiceError: the folder or a file in it cannot be used, or others may read it.
        """
        make_state_folder(folder)
        self._folder = folder
        self._path = folder / NAMED_FILE
        self._seen: tuple[int, int, int] | None = None
        self._named: Mapping[str, TokenHolder] = {}
        self.operator_token = self._own_token()
        self._operator = TokenHolder(OPERATOR, AccessRole.ADMIN, token_digest(self.operator_token))
        self._refresh()

    def find(self, token: str) -> TokenHolder | None:
        """Give whom a token names; None if nobody. Takes as long for every wrong token."""
        digest = token_digest(token)
        found = None
        for holder in self.holders():
            if hmac.compare_digest(holder.digest, digest):
                found = holder
        return found

    def named(self, name: str) -> TokenHolder | None:
        """Give the holder of a name; None if there is none."""
        return next((holder for holder in self.holders() if holder.name == name), None)

    def holders(self) -> tuple[TokenHolder, ...]:
        """List all, the operator first.

        Raises:
            ServiceError: the file of tokens is damaged.
        """
        self._refresh()
        return (self._operator, *self._named.values())

    def add(self, name: str, role: AccessRole) -> str:
        """Make a token for somebody, and give it: it is told this once, and kept nowhere.

        Raises:
            ServiceError: the name is taken or is none, or the file cannot be written.
        """
        if not _NAME.fullmatch(name):
            raise ServiceError(
                f"{name!r} is no name of a token",
                remedy="write letters, digits, '.', '_' and '-', at most 64 of them",
            )
        token = new_token()
        created = datetime.now(UTC).isoformat(timespec="seconds")
        with self._changing() as named:
            if name == OPERATOR or name in named:
                raise ServiceError(
                    f"there is a token named {name} already",
                    remedy=f"give another name, or first: autotune serve token remove {name}",
                )
            named[name] = TokenHolder(name, role, token_digest(token), created)
        return token

    def remove(self, name: str) -> None:
        """Remove a token, and with it every session that was opened with it.

        Raises:
            ServiceError: there is none of this name, or it is the operator's own.
        """
        if name == OPERATOR:
            raise ServiceError(
                f"the operator's own token lies in {self._folder / TOKEN_FILE}",
                remedy="delete that file and start the service again: it makes another one",
            )
        with self._changing() as named:
            if named.pop(name, None) is None:
                raise ServiceError(
                    f"there is no token named {name}", remedy="list them: autotune serve token list"
                )

    @contextmanager
    def _changing(self) -> Iterator[dict[str, TokenHolder]]:
        with (self._folder / f".{NAMED_FILE}.lock").open("a") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            named = _read(self._path)
            yield named
            write_secret(self._path, _written(named))

    def _refresh(self) -> None:
        try:
            status = os.stat(self._path)  # noqa: PTH116 - on the way of every request
            seen = (status.st_mtime_ns, status.st_ino, status.st_size)
        except FileNotFoundError:
            self._named, self._seen = {}, None
            return
        if seen != self._seen:
            self._named, self._seen = {}, None  # nobody is let in by a file that is damaged
            self._named = _read(self._path)
            self._seen = seen

    def _own_token(self) -> str:
        path = self._folder / TOKEN_FILE
        content = read_secret(path)
        if content is None:
            token = new_token()
            write_secret(path, f"{token}\n".encode())
            return token
        token = content.decode("ascii", "replace").strip()
        if not TOKEN.fullmatch(token):
            raise ServiceError(
                f"{path} holds no token of autotune", remedy="delete it, and start the service again"
            )
        return token


def _read(path: Path) -> dict[str, TokenHolder]:
    content = read_secret(path)
    if content is None:
        return {}
    try:
        document = json.loads(content)
        if document["format"] != _FORMAT:
            raise ValueError("of another version")
        return {token["name"]: _holder(token) for token in document["tokens"]}
    except (ValueError, KeyError, TypeError) as error:
        raise ServiceError(
            f"{path} is damaged: it holds no list of tokens",
            remedy="delete it, and add the tokens again: autotune serve token add NAME",
        ) from error


def _holder(value: Mapping[str, Any]) -> TokenHolder:
    digest = bytes.fromhex(value["sha256"])
    return TokenHolder(str(value["name"]), AccessRole[value["role"].upper()], digest, str(value["created"]))


def _written(named: Mapping[str, TokenHolder]) -> bytes:
    tokens = [
        {
            "name": holder.name,
            "role": holder.role.name.lower(),
            "sha256": holder.digest.hex(),
            "created": holder.created,
        }
        for holder in named.values()
    ]
    return json.dumps({"format": _FORMAT, "tokens": tokens}, indent=2).encode() + b"\n"
