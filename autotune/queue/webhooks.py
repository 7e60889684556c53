"""Tells a URL of a plan that does not hold any more: only hosts that the operator has allowed, by name.

A URL comes from a client, so it may be meant to reach what only this machine can. Its host is looked up once,
every address that it has is checked, and the connection goes to the address that was checked. No redirect is
followed. Addresses that are not public are refused, unless the operator has allowed that very address.
"""

from __future__ import annotations

import hashlib
import hmac
import http.client
import json
import os
import socket
import ssl
import threading
import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address
from typing import Any, Final
from urllib.parse import urlsplit

from autotune.errors import ServiceError
from autotune.events import Emit, WebhookCalled

TOLD_OF: Final = frozenset({"worse", "stale"})
"""Verdicts of a verification that somebody has to act on."""

SECRET: Final = "AUTOTUNE_WEBHOOK_SECRET"
"""Variable of the service with a secret by which the receiver knows who calls."""

SIGNATURE: Final = "X-Autotune-Signature"
"""Header with `sha256=` and the hexadecimal HMAC of the body, where there is a secret."""

TRIES: Final = 2
TIMEOUT_S: Final = 10.0
"""Of one try, from the connection to the last byte of the answer's head."""

PAUSE_S: Final = 2.0

_PORTS: Final[Mapping[str, int]] = {"http": 80, "https": 443}
_TRANSLATED: Final = (IPv6Network("64:ff9b::/96"), IPv6Network("64:ff9b:1::/48"), IPv6Network("2002::/16"))
"""Addresses in which an IPv4 address is hidden. Source: RFC 6052, RFC 8215, RFC 3056."""

_Address = IPv4Address | IPv6Address
_Resolve = Callable[[str, int], Collection[str]]


@dataclass(frozen=True)
class Webhook:
    """A URL that may be told, as the operator has allowed its host."""

    scheme: str
    host: str
    port: int
    target: str

    @property
    def authority(self) -> str:
        """Host and port, as the header `Host` has them."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == _PORTS[self.scheme] else f"{host}:{self.port}"


def read_webhook(url: str, allowed: Collection[str]) -> Webhook:
    """Take a URL apart, and refuse one that the operator has not allowed.

    Args:
        allowed: names or addresses of hosts, each with a port where it is not the scheme's own.

    Raises:
        ServiceError: it is no URL of HTTP, or its host is not allowed.
    """
    try:
        parts = urlsplit(url)
        host, port = (parts.hostname or "").rstrip("."), parts.port
    except ValueError as error:
        raise ServiceError(f"the webhook {url[:200]!r} is no URL: {error}") from error
    is_plain = url.isascii() and url.isprintable() and " " not in url
    if parts.scheme not in _PORTS or not host or not is_plain or parts.username is not None:
        raise ServiceError(
            f"the webhook {url[:200]!r} is no URL that can be told",
            remedy="write it as https://HOST/PATH, without a user",
        )
    own_port = _PORTS[parts.scheme]
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    webhook = Webhook(parts.scheme, host, own_port if port is None else port, target)
    names = {host, f"[{host}]"} if webhook.port == own_port else set()
    names |= {f"{host}:{webhook.port}", f"[{host}]:{webhook.port}"}
    if names.isdisjoint(name.lower() for name in allowed):
        raise ServiceError(
            f"the webhook's host {webhook.authority!r} is not allowed",
            remedy=f"the operator can allow it: autotune serve --webhook-host {webhook.authority}",
        )
    return webhook


def checked_address(webhook: Webhook, allowed: Collection[str], resolve: _Resolve | None = None) -> str:
    """Look a host up once, and give an address of it that may be connected to.

    Raises:
        ServiceError: it has none, or one that is not public and was not allowed as such.
    """
    try:
        found = list((resolve or _resolved)(webhook.host, webhook.port))
    except OSError as error:
        raise ServiceError(f"the webhook's host {webhook.host!r} is not found: {error}") from error
    literal = {name.strip("[]") for name in allowed} | {
        name.rpartition(":")[0].strip("[]") for name in allowed
    }
    for address in found:
        if address not in literal and not is_public(ip_address(address.partition("%")[0])):
            raise ServiceError(
                f"the webhook's host {webhook.host!r} has the address {address}, which is not public",
                remedy=f"the operator can allow that address: --webhook-host {address}",
            )
    if not found:
        raise ServiceError(f"the webhook's host {webhook.host!r} has no address")
    return found[0]


def is_public(address: _Address) -> bool:
    """Say whether an address is one of the internet, and hides none that is not."""
    if isinstance(address, IPv6Address):
        if address.ipv4_mapped is not None:
            return is_public(address.ipv4_mapped)
        if any(address in network for network in _TRANSLATED) or address.teredo is not None:
            return False
    return address.is_global and not address.is_multicast


def tell_webhook(
    url: str, verification: Mapping[str, Any], allowed: Collection[str], *, job_id: str, emit: Emit
) -> None:
    """Tell a URL of a verification where the plan does not hold any more; what came of that is an event.

    Args:
        verification: its document.
        allowed: hosts that the operator has allowed.
    """
    if verification["verdict"] not in TOLD_OF:
        return
    body = json.dumps({"schema": "autotune.webhook/1", "job": job_id, "verification": dict(verification)})
    host = ""
    try:
        webhook = read_webhook(url, allowed)
        host = webhook.authority
        outcome = _told(webhook, body.encode(), allowed)
    except ServiceError as error:
        outcome = error.in_one_line
    emit(WebhookCalled(host, outcome))


def _told(webhook: Webhook, body: bytes, allowed: Collection[str]) -> str:
    """Send the document, once more where that fails; say what came of it."""
    outcome = ""
    for number in range(TRIES):
        if number:
            time.sleep(PAUSE_S)
        try:
            status = post(webhook, body, checked_address(webhook, allowed))
        except (OSError, http.client.HTTPException, ssl.SSLError) as error:
            outcome = f"it could not be told: {error or type(error).__name__}"
        else:
            if status < 500:
                return f"it answered {status}" if status < 300 else f"it refused the document with {status}"
            outcome = f"it answered {status}"
    return outcome


def post(webhook: Webhook, body: bytes, address: str, *, timeout_s: float = TIMEOUT_S) -> int:
    """Send a document to this address of a webhook's host, and give the status of its answer.

    Raises:
        OSError: it cannot be reached, or did not answer in time.
        HTTPException: its answer is none of HTTP.
    """
    connection = _ConnectedTo(webhook, address, timeout_s)
    headers = {"Content-Type": "application/json", "User-Agent": "autotune", "Host": webhook.authority}
    if secret := os.environ.get(SECRET):
        digest = hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()
        headers[SIGNATURE] = f"sha256={digest}"
    overdue = threading.Timer(timeout_s, connection.break_off)
    overdue.daemon = True
    overdue.start()
    try:
        connection.request("POST", webhook.target, body=body, headers=headers)
        return connection.getresponse().status
    finally:
        overdue.cancel()
        connection.close()


class _ConnectedTo(http.client.HTTPConnection):
    """A connection to an address that was checked, whatever the host's name means by now."""

    def __init__(self, webhook: Webhook, address: str, timeout_s: float) -> None:
        super().__init__(webhook.host, webhook.port, timeout=timeout_s)
        self._webhook, self._address = webhook, address

    def connect(self) -> None:
        """Connect to the address; TLS is asked for the host's name."""
        plain = socket.create_connection((self._address, self.port), self.timeout)
        self.sock = plain
        if self._webhook.scheme == "https":
            context = ssl.create_default_context()
            self.sock = context.wrap_socket(plain, server_hostname=self._webhook.host)

    def break_off(self) -> None:
        """Have whoever waits for the other side wait no longer."""
        if self.sock is not None:
            try:
                self.sock.shutdown(socket.SHUT_RDWR)
            except OSError:
                return


def _resolved(host: str, port: int) -> tuple[str, ...]:
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return tuple(dict.fromkeys(str(address[0]) for *_, address in found))
