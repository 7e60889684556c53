"""Reads the head of a request: nothing that it says is believed."""

from __future__ import annotations

from starlette.types import Scope


def headers(scope: Scope, name: bytes) -> tuple[str, ...]:
    """Give every value of a header."""
    return tuple(value.decode("latin-1") for key, value in scope["headers"] if key == name)


def header(scope: Scope, name: bytes) -> str:
    """Give the first value of a header; empty where it is missing."""
    return next(iter(headers(scope, name)), "")


def client_address(scope: Scope) -> str:
    """Give the address that a request comes from: of a stated proxy, whom it speaks for."""
    client = scope.get("client")
    return client[0] if client else ""


def is_secure(scope: Scope) -> bool:
    """Whether the browser speaks TLS: with this process, or with a stated proxy."""
    return bool(scope.get("scheme") == "https")


def is_unsafe(scope: Scope) -> bool:
    """Whether a request may change something."""
    return scope["method"] not in ("GET", "HEAD", "OPTIONS")
