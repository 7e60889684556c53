"""Where the service listens: refuses what would let others listen in, and says what is in the way."""

from __future__ import annotations

import errno
import ipaddress
import os
import socket
import ssl
from pathlib import Path

from autotune.errors import ServiceError
from autotune.service.settings import ServiceSettings

BACKLOG = 128


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches a host's address."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def check_exposure(settings: ServiceSettings) -> None:
    """Refuse to be reached by other machines unless that is meant, and nobody between can read along.

    Raises:
        ServiceError: with the option that is missing.
    """
    if (settings.certificate is None) != (settings.key is None):
        raise ServiceError(
            "TLS needs a certificate and its key", remedy="give both: --tls-certificate FILE --tls-key FILE"
        )
    for address in settings.proxies:
        _check_proxy(address)
    if is_loopback(settings.host):
        return
    if not settings.public:
        raise ServiceError(
            f"{settings.host} can be reached from other machines",
            remedy="give --public if that is meant, or --host 127.0.0.1",
        )
    if settings.certificate is None and not settings.proxies:
        raise ServiceError(
            f"whoever listens on the way to {settings.host} could read the token",
            remedy="give --tls-certificate FILE --tls-key FILE, or --behind-proxy ADDRESS of a proxy that"
            " speaks TLS",
        )


def _check_proxy(address: str) -> None:
    try:
        network = ipaddress.ip_network(address)
    except ValueError:
        raise ServiceError(
            f"{address!r} is no address of a proxy", remedy="write its IP address or network, as 10.0.0.5"
        ) from None
    if network.prefixlen == 0:
        raise ServiceError(
            f"{address} is everybody, whose word on who asks would be believed",
            remedy="write the proxy's own address",
        )


def check_tls(certificate: Path, key: Path) -> None:
    """Make sure that a certificate and its key can be used.

    Raises:
        ServiceError: they cannot, or belong not together.
    """
    for path in (certificate, key):
        if not os.access(path, os.R_OK) or not path.is_file():
            raise ServiceError(f"{path} cannot be read", remedy="give a PEM file that this user may read")
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(certificate, key, password=_no_password)
    except (ssl.SSLError, OSError, ValueError) as error:
        reason = getattr(error, "reason", None) or error
        raise ServiceError(
            f"{certificate} and {key} are no certificate with its key: {reason}",
            remedy="give PEM files that belong together, and a key without a password",
        ) from error


def _no_password() -> str:
    raise ValueError("the key has a password")


def bind(host: str, port: int) -> socket.socket:
    """Take the port.

    Raises:
        ServiceError: it is taken, not allowed, or the host is none of this machine's.
    """
    try:
        found = socket.getaddrinfo(
            host.strip("[]"), port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE | socket.AI_NUMERICSERV
        )
    except OSError as error:
        raise ServiceError(
            f"{host!r} is no host of this machine: {error.strerror}", remedy="give --host 127.0.0.1"
        ) from error
    family, kind, protocol, _, address = found[0]
    listening = socket.socket(family, kind, protocol)
    try:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind(address)
        listening.listen(BACKLOG)
    except OSError as error:
        listening.close()
        raise _not_bound(host, port, error) from error
    return listening


def _not_bound(host: str, port: int, error: OSError) -> ServiceError:
    if error.errno == errno.EADDRINUSE:
        return ServiceError(
            f"port {port} of {host} is taken by another process",
            remedy="stop that one (ss -ltnp shows it), or give another port: --port 0 takes one that is free",
        )
    if error.errno == errno.EACCES:
        return ServiceError(
            f"this user may not listen on port {port}", remedy="give one above 1023, as --port 8787"
        )
    return ServiceError(
        f"the service cannot listen on {host}: {error.strerror}",
        remedy="give an address of this machine, as --host 127.0.0.1",
    )
