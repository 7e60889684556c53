"""What a browser shows in the place of a token: a code, once, and then the cookie of its session."""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
import time
from collections.abc import Callable
from http.cookies import CookieError, SimpleCookie
from pathlib import Path
from typing import Final

from autotune.service.guard.state_folder import read_secret, write_secret
from autotune.service.guard.tokens import TokenHolder, TokenStore, token_digest

SESSION_S: Final = 7 * 24 * 3600
"""How long a browser stays signed in."""
CODE_S: Final = 3600
"""How long the link that `autotune serve` prints can be opened."""
_SECRET_FILE: Final = "session.key"
_ENDED_FILE: Final = "sessions.ended"
MOST_ENDED: Final = 10_000
"""When so many are remembered, all sessions end, as another key is made: the list must not grow for ever."""
_SECRET_BYTES: Final = 32


class Sessions:
    """Signed cookies, each bound to its token: without the token, or after `SESSION_S`, it is worth nothing.

    Nor is one from which somebody has signed out; those are remembered in the state folder until they are too
    old in any case.

    Args:
        tokens: of the service.
        folder: its state folder, which holds the key.
        port: where it listens: cookies know no ports, so that services on one host need different names.
        clock: seconds since 1970.
    """

    def __init__(
        self, tokens: TokenStore, folder: Path, port: int, clock: Callable[[], float] = time.time
    ) -> None:
        """Read the key, or make it.

        Raises:
            ServiceError: it cannot be used, or others may read it.
        """
        self._tokens, self._clock, self._port = tokens, clock, port
        self._folder = folder
        self._key = read_secret(folder / _SECRET_FILE) or b""
        if len(self._key) != _SECRET_BYTES:
            self._make_key()
        lines = (read_secret(folder / _ENDED_FILE) or b"").decode("ascii", "replace").split()
        self._ended = {line for line in lines if self._is_young(line.partition(".")[0])}

    def cookie_name(self, *, secure: bool) -> str:
        """Give the cookie's name; under TLS, one that browsers take from this host alone."""
        return f"__Host-autotune-{self._port}" if secure else f"autotune-{self._port}"

    def set_cookie(self, holder: TokenHolder, *, secure: bool) -> str:
        """Give the value of the Set-Cookie header that signs somebody in."""
        issued = f"{int(self._clock())}.{secrets.token_urlsafe(12)}"
        name = base64.urlsafe_b64encode(holder.name.encode()).decode().rstrip("=")
        value = f"{issued}.{name}.{self._signature(issued, holder)}"
        return self._attributes(value, SESSION_S, secure=secure)

    def clear_cookie(self, *, secure: bool) -> str:
        """Give the value of the Set-Cookie header that signs out."""
        return self._attributes("", 0, secure=secure)

    def end(self, cookies: str, *, secure: bool) -> None:
        """Let the session of a Cookie header be worth nothing from now on, whoever has kept a copy.

        Raises:
            ServiceError: that cannot be written down.
        """
        if self.holder(cookies, secure=secure) is None:
            return
        issued, *_ = self._parts(cookies, secure=secure)
        self._ended = {ended for ended in self._ended if self._is_young(ended.partition(".")[0])} | {issued}
        if len(self._ended) > MOST_ENDED:
            self._make_key()
            self._ended = set()
        write_secret(self._folder / _ENDED_FILE, "".join(f"{one}\n" for one in sorted(self._ended)).encode())

    def holder(self, cookies: str, *, secure: bool) -> TokenHolder | None:
        """Give who is signed in by a Cookie header; None if nobody."""
        issued, name, signature = self._parts(cookies, secure=secure)
        if not self._is_young(issued.partition(".")[0]) or issued in self._ended:
            return None
        try:
            decoded = base64.urlsafe_b64decode(name + "=" * (-len(name) % 4)).decode()
        except ValueError:
            return None
        holder = self._tokens.named(decoded)
        if holder is None:
            return None
        expected = self._signature(issued, holder).encode()
        return holder if hmac.compare_digest(expected, signature.encode()) else None

    def _parts(self, cookies: str, *, secure: bool) -> tuple[str, str, str]:
        """Take a cookie apart: when and as what it was issued, for whom, and the signature; empty if none."""
        try:
            morsel = SimpleCookie(cookies).get(self.cookie_name(secure=secure))
        except CookieError:
            morsel = None
        parts = ("" if morsel is None else morsel.value).split(".")
        return (f"{parts[0]}.{parts[1]}", parts[2], parts[3]) if len(parts) == 4 else ("", "", "")

    def _is_young(self, issued: str) -> bool:
        """Whether a session issued then is not too old yet."""
        is_time = issued.isascii() and issued.isdecimal() and len(issued) <= 12
        return is_time and 0 <= self._clock() - int(issued) <= SESSION_S

    def _make_key(self) -> None:
        self._key = secrets.token_bytes(_SECRET_BYTES)
        write_secret(self._folder / _SECRET_FILE, self._key)

    def _signature(self, issued: str, holder: TokenHolder) -> str:
        text = f"{issued}\n{holder.name}\n{self._port}\n".encode() + holder.digest
        return hmac.new(self._key, text, hashlib.sha256).hexdigest()

    def _attributes(self, value: str, age_s: int, *, secure: bool) -> str:
        cookie = (
            f"{self.cookie_name(secure=secure)}={value}; Max-Age={age_s}; Path=/; HttpOnly; SameSite=Strict"
        )
        return f"{cookie}; Secure" if secure else cookie


class SignInCodes:
    """Codes that sign a browser in once."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._issued: dict[bytes, tuple[str, float]] = {}

    def issue(self, name: str) -> str:
        """Make a code for the holder of a token's name."""
        code = secrets.token_urlsafe(32)
        self._issued[token_digest(code)] = (name, self._clock() + CODE_S)
        return code

    def take(self, code: str) -> str | None:
        """Give the name that a code was made for, and forget the code; None if there is no such code."""
        name, until = self._issued.pop(token_digest(code), ("", 0.0))
        return name if name and self._clock() < until else None
