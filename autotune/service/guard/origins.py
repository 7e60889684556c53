"""From where a request may come: names of this service (DNS rebinding), and pages of its own (CSRF)."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Collection
from http import HTTPStatus
from typing import Final

from starlette.types import Scope

from autotune.service.guard.request_head import header, is_secure, is_unsafe
from autotune.service.guard.turned_away import CLOSE, TurnedAway

_HOST: Final = re.compile(r"(?P<name>\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+)(:(?P<port>[0-9]{1,5}))?")
_LOCAL: Final = "localhost"
_HIDDEN: Final = "null"
"""What browsers send as the origin of a page that lets no address out."""
_PORTS: Final = {"http": "80", "https": "443"}


def check_host(scope: Scope, names: Collection[str]) -> None:
    """Turn away a request for a name that is not this service's.

    A page of somebody else may have its own name lead to this address (DNS rebinding): the browser then takes
    both for one site, and only the Host header tells. The address that the request came to is nobody's name.

    Args:
        names: host names that the operator stated, in lower case.

    Raises:
        TurnedAway: with 421.
    """
    host = header(scope, b"host")
    match = _HOST.fullmatch(host)
    name = match["name"].lower() if match else ""
    if name and (name.rstrip(".") in names or _is_here(name, scope)):
        return
    raise TurnedAway(
        HTTPStatus.MISDIRECTED_REQUEST,
        "host",
        f"{host[:100]!r} is no name of this service",
        remedy="if it is, say so to the service: autotune serve --name NAME",
        headers=CLOSE,
    )


def _is_here(name: str, scope: Scope) -> bool:
    server = (scope.get("server") or ("", None))[0]
    try:
        local = ipaddress.ip_address(server.partition("%")[0])
    except ValueError:
        return False
    if name == _LOCAL:
        return local.is_loopback
    try:
        return ipaddress.ip_address(name.strip("[]")) in (local, getattr(local, "ipv4_mapped", None))
    except ValueError:
        return False


def check_origin(scope: Scope, *, by_browser: bool) -> None:
    """Turn away what a page of somebody else has a browser do.

    Args:
        by_browser: whether the request is to be believed because of what browsers send by themselves, a
            cookie, and must therefore show that a page of this service sent it.

    Raises:
        TurnedAway: with 403.
    """
    if not is_unsafe(scope):
        return
    origin, site = header(scope, b"origin"), header(scope, b"sec-fetch-site")
    if origin and not (origin == _HIDDEN and site):  # Sec-Fetch-Site then tells it, which no page can forge
        allowed = _same(origin, own_origin(scope)) and site in ("", "same-origin")
    elif site:
        allowed = site == "same-origin" or (site == "none" and not by_browser)
    else:
        allowed = not by_browser
    if not allowed:
        raise TurnedAway(
            HTTPStatus.FORBIDDEN,
            "origin",
            f"this request comes from another page ({origin[:100] or site or 'unknown'})",
            remedy="open the service's own page, or send a token as Authorization: Bearer",
            headers=CLOSE,
        )


def own_origin(scope: Scope) -> str:
    """Give the origin of the service's own pages, as the browser that asks calls it."""
    return f"{'https' if is_secure(scope) else 'http'}://{header(scope, b'host')}"


def _same(one: str, other: str) -> bool:
    return _normal(one) == _normal(other)


def _normal(origin: str) -> tuple[str, str, str]:
    """Scheme, name and port, of which browsers leave the usual one out."""
    scheme, _, host = origin.lower().partition("://")
    match = _HOST.fullmatch(host)
    if match is None:
        return origin, "", ""  # `null`, or no origin at all: like nothing but itself
    return scheme, match["name"], match["port"] or _PORTS.get(scheme, "")
