"""Starts the dashboard's process when somebody asks for it, hands it connections, and ends it."""

from __future__ import annotations

import asyncio
import importlib.util
import socket
import subprocess
import sys
from types import TracebackType
from typing import Final, Self

from autotune.errors import ServiceError
from autotune.service.dashboard.process import READY

START_S: Final = 60.0
"""How long it may take to import Optuna and open the store."""
END_S: Final = 2.0


def check_dashboard() -> None:
    """Make sure that Optuna's dashboard is installed; nothing is imported.

    Raises:
        ServiceError: it is not.
    """
    if importlib.util.find_spec("optuna_dashboard") is None:
        raise ServiceError(
            "Optuna's dashboard is not installed", remedy="install it: pip install optuna-dashboard"
        )


class DashboardChild:
    """The dashboard's process; a context manager that ends it.

    Args:
        store: database URL, which the process is told over a socket: it may hold a password.
    """

    def __init__(self, store: str) -> None:
        self._store = store
        self._process: subprocess.Popen[bytes] | None = None
        self._control: socket.socket | None = None
        self._starting = asyncio.Lock()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.end()

    async def connect(self) -> socket.socket:
        """Give a connection to the dashboard, whose process is started unless it runs.

        Raises:
            ServiceError: it does not start.
        """
        async with self._starting:
            for _ in range(2):  # one that was silent for long has ended meanwhile
                if self._control is None:
                    await self._start()
                connection = self._handed_over()
                if connection is not None:
                    return connection
                self.end()
        raise ServiceError("Optuna's dashboard ends as soon as it is started", remedy="see the service's log")

    def end(self) -> None:
        """End the process, if there is one."""
        if self._control is not None:
            self._control.close()
        if self._process is not None:
            try:
                self._process.wait(END_S)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
        self._control = self._process = None

    def _handed_over(self) -> socket.socket | None:
        assert self._control is not None
        own, its = socket.socketpair()
        with its:
            try:
                socket.send_fds(self._control, [b"+"], [its.fileno()])
            except OSError:
                own.close()
                return None
        own.setblocking(False)
        return own

    async def _start(self) -> None:
        control, its = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with its:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "autotune.service.dashboard.process", str(its.fileno())],
                pass_fds=(its.fileno(),),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
            )
        self._control = control
        control.setblocking(False)
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(START_S):
                await loop.sock_sendall(control, self._store.encode())
                is_ready = await loop.sock_recv(control, len(READY)) == READY
        except (OSError, TimeoutError):
            is_ready = False
        if not is_ready:
            self.end()
            raise ServiceError(
                "Optuna's dashboard cannot read the store",
                remedy="there must be a study in it; what it said stands in the service's log",
            )
