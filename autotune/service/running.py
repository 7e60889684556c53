"""Runs the service: from settings to a process that answers until it is told to stop."""

from __future__ import annotations

import gc
import os
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from autotune.errors import ServiceError
from autotune.machine.cpus import format_cpu_list, parse_cpu_list
from autotune.service.app import create_app
from autotune.service.binding import bind, check_exposure, check_tls
from autotune.service.context import open_context
from autotune.service.dashboard.child import DashboardChild, check_dashboard
from autotune.service.dashboard.relay import DashboardRelay
from autotune.service.dispatching import dispatching
from autotune.service.guard.gate import Keys, guarded, open_keys
from autotune.service.guard.state_folder import alone_in
from autotune.service.guard.tokens import OPERATOR
from autotune.service.heap import keep_one_heap
from autotune.service.logs import LogFormat, begin_logging
from autotune.service.server import SleepingServer, server_config
from autotune.service.settings import ServiceSettings
from autotune.service.stated import check_stated
from autotune.store.location import parse_location

ADDRESS_FILE: Final = "address"
"""In the state folder while the service runs: its URL, for the commands of this user."""
GIVEN_WAY: Final = 10
"""By so much answers are nicer than jobs on shared cpus: where both want all of one, they get a tenth of it.
Source: `sched_prio_to_weight` in Linux's kernel/sched/core.c, by which each step is worth a quarter."""
LEAST_PRIORITY: Final = 19
_EVERYWHERE: Final = ("0.0.0.0", "::")


def run_service(
    settings: ServiceSettings,
    *,
    log_format: LogFormat = "text",
    on_ready: Callable[[str], None] = lambda _: None,
) -> None:
    """Serve until SIGINT or SIGTERM, and then end within 10 s.

    Args:
        log_format: of the log, which goes to stderr.
        on_ready: is given the link that signs the operator's browser in, once.

    Raises:
        ServiceError: it may not or cannot listen, or the state folder cannot be used or is another service's.
        StoreError: the store cannot be opened.
        MachineError: the list of cpus is none.
    """
    keep_one_heap()
    check_exposure(settings)
    check_stated(settings)
    if settings.certificate is not None and settings.key is not None:
        check_tls(settings.certificate, settings.key)
    if settings.dashboard:
        check_dashboard()
    with bind(settings.host, settings.port) as listening:
        port = int(listening.getsockname()[1])
        keys = open_keys(settings, port)
        begin_logging(log_format, _secrets(settings, keys))
        cpus = _pin(settings.cpus)
        with (
            alone_in(settings.state),
            open_context(settings, socket.gethostname()) as context,
            _announced(settings, port),
            DashboardChild(settings.store) as child,
        ):
            app = create_app(context)
            shown = DashboardRelay(app, child) if settings.dashboard else app
            config = server_config(guarded(shown, settings, keys), settings)

            def ready() -> None:
                code = keys.codes.issue(OPERATOR)
                on_ready(f"{browser_url(settings, port)}/login?code={code}")

            server = SleepingServer(config, ready, settings.times.handshake_s, app.state.feeds.end)
            gc.freeze()
            with dispatching(app, context, cpus):
                if not cpus:
                    _give_way()
                server.run([listening])


def _give_way() -> None:
    """Let jobs go first on cpus that this process shares with them.

    Linux keeps this by thread: it holds for the one that answers and for those that it will start, and not
    for the dispatcher, whose jobs would inherit it. It counts within a cgroup, as that of a systemd unit.
    Outside of one, where Linux groups by terminal (`sched_autogroup_enabled`), each group gets as much as the
    next one, whatever this says. Source: Linux, sched(7).
    """
    usual = os.getpriority(os.PRIO_PROCESS, 0)
    os.setpriority(os.PRIO_PROCESS, 0, min(usual + GIVEN_WAY, LEAST_PRIORITY))


def browser_url(settings: ServiceSettings, port: int) -> str:
    """Give the URL under which a browser reaches the service: that of the proxy, where there is one."""
    if not settings.names:
        return own_url(settings, port)
    if settings.proxies:
        return f"https://{settings.names[0]}"
    return f"{'http' if settings.certificate is None else 'https'}://{settings.names[0]}:{port}"


def own_url(settings: ServiceSettings, port: int) -> str:
    """Give the URL under which this machine reaches the service."""
    scheme = "http" if settings.certificate is None else "https"
    host = settings.host.strip("[]")
    if host in _EVERYWHERE:
        host = "127.0.0.1" if host == _EVERYWHERE[0] else "::1"
    return f"{scheme}://[{host}]:{port}" if ":" in host else f"{scheme}://{host}:{port}"


@contextmanager
def _announced(settings: ServiceSettings, port: int) -> Iterator[None]:
    """Write down where the service listens for as long as it does."""
    path = settings.state / ADDRESS_FILE
    path.write_text(f"{own_url(settings, port)}\n", encoding="utf-8")
    try:
        yield
    finally:
        path.unlink(missing_ok=True)


def _pin(cpus: str) -> str:
    """Keep this process and all its threads on its own cpus, and give those that are left to its jobs."""
    if not cpus:
        return ""
    wanted, allowed = parse_cpu_list(cpus), os.sched_getaffinity(0)
    if not wanted or not wanted <= allowed:
        raise ServiceError(
            f"this process may not run on cpus {cpus!r}",
            remedy=f"name some of {format_cpu_list(frozenset(allowed))}: --cpus LIST",
        )
    if wanted == allowed:
        raise ServiceError(
            f"cpus {cpus!r} are all that this process may run on: none is left for what is measured",
            remedy="name fewer, or leave --cpus out: the service then sleeps while a job measures",
        )
    for task in Path("/proc/self/task").iterdir():  # importing libraries may have started some
        with suppress(ProcessLookupError):
            os.sched_setaffinity(int(task.name), wanted)
    return format_cpu_list(frozenset(allowed) - wanted)


def _secrets(settings: ServiceSettings, keys: Keys) -> tuple[str, ...]:
    """Give the texts that no line of the log may hold."""
    password = parse_location(settings.store).url.password
    return (keys.tokens.operator_token, *([str(password)] if password else []))
