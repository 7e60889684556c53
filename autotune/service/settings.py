"""What the operator of a service says: fixed while it runs, never taken from a client."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from autotune.store.store import DEFAULT_URL

PORT = 8787
"""Where the service listens unless told otherwise; 0 takes a free port."""

BODY_BYTES = 2**20
"""The largest body that is read, as the largest study file."""


@dataclass(frozen=True)
class TimeLimits:
    """How long a client may keep the service waiting, in seconds.

    Attributes:
        handshake_s: to agree on keys of TLS.
        head_s: to begin a request, and for the head of each.
        body_s: for a body; a study file is sent within one second.
        idle_s: until a connection that is kept for the next request is closed.
        unread_s: for leaving an answer unread.
        leave_s: for answers that are being given once the service stops.
        linger_s: for reading why it was turned away, while it still sends.
    """

    handshake_s: float = 10.0
    head_s: float = 10.0
    body_s: float = 20.0
    idle_s: int = 30
    unread_s: float = 60.0
    leave_s: float = 1.0
    linger_s: float = 2.0


@dataclass(frozen=True)
class ServiceSettings:
    """What `autotune serve` was told.

    Attributes:
        store: database URL.
        host, port: where it listens; a host other than loopback needs TLS or a proxy.
        state: folder of the service's own files: tokens, sockets, logs of jobs.
        roots: folders in which models, texts and tables of prices may lie that a client names.
        hub: whether a job may download models.
        cpus: of the HTTP process, as Linux writes lists; jobs get the others. Empty: it shares with the jobs.
        certificate, key: of TLS; None without.
        proxies: addresses of proxies whose X-Forwarded-* headers are believed.
        names: host names under which browsers may reach it, beside the address that it listens on.
        webhook_hosts: hosts that may be told of results.
        body_bytes: the largest body that is read.
        clients: the most event streams at once.
        stop_jobs: whether a job that runs ends with the service, and waits again; else it goes on.
        public: whether it may listen where other machines reach it.
        commands: whether a study may say how a server of one's own is started, which an export then runs.
        dashboard: whether Optuna's own dashboard is shown, too.
        times: how long clients may keep it waiting.
    """

    store: str = DEFAULT_URL
    host: str = "127.0.0.1"
    port: int = PORT
    state: Path = Path(".autotune")
    roots: tuple[Path, ...] = ()
    hub: bool = False
    cpus: str = ""
    certificate: Path | None = None
    key: Path | None = None
    proxies: tuple[str, ...] = ()
    names: tuple[str, ...] = ()
    webhook_hosts: tuple[str, ...] = ()
    body_bytes: int = BODY_BYTES
    clients: int = 200
    stop_jobs: bool = False
    public: bool = False
    commands: bool = False
    dashboard: bool = False
    times: TimeLimits = TimeLimits()
