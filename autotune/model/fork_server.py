"""Child processes that begin with slow imports done: forked from a server that did them once.

Each request has a child of its own, which lives and ends as those of `autotune.model.child` do. The server
only imports, forks and waits: it computes nothing, so that no library's threads are at work when it forks.
It ends when it is closed or has been idle for a while, and dies with its parent.
"""

from __future__ import annotations

import gc
import json
import os
import resource
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import traceback
from collections.abc import Callable, Mapping
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import IO, Any, NoReturn

import psutil

from autotune.model.child import (
    ChildResult,
    Handle,
    answer,
    die_with_parent,
    inherited_variables,
    parse_reply,
    read_tail,
)

IDLE_S = 300.0
"""Longer than a trial: the next artifact is often prepared after one."""
MESSAGE_BYTES = 65536
"""More than any message has."""
_Surroundings = tuple[Any, ...]


class _IdleServerError(Exception):
    """The server had ended before it took the request."""


class ForkServer:
    """Runs requests in children of a server that is started when the first one comes.

    May be shared by threads. A server that was started with other variables or limits than ours are by now is
    replaced by a new one.

    Args:
        module: a module whose main program calls `serve_forks` where `is_fork_server`.
        variables: environment of the server besides `CHILD_VARIABLES`.
        idle_s: how long a server waits for the next request before it ends.
    """

    def __init__(self, module: str, variables: Mapping[str, str], *, idle_s: float = IDLE_S) -> None:
        self._module, self._variables, self._idle_s = module, dict(variables), idle_s
        self._process: subprocess.Popen[bytes] | None = None
        self._socket: socket.socket | None = None
        self._stderr: IO[bytes] | None = None
        self._surroundings: _Surroundings = ()
        self._last_words = ""  # of a server that has died, which it says where it cannot start
        self._lock = threading.Lock()

    def run(
        self, request: Mapping[str, Any], *, timeout_s: float | None, variables: Mapping[str, str]
    ) -> ChildResult:
        """Have a child answer the request; nothing of the child is alive afterwards.

        Args:
            variables: the child's environment besides the server's; read by libraries that the server has not
                imported, or that read it late.
        """
        with self._lock:
            try:
                return self._run(request, timeout_s, variables)
            except _IdleServerError:
                self._close()
                return self._run(request, timeout_s, variables)

    def memory_bytes(self) -> int:
        """What the server holds while it waits; 0 where there is none."""
        with self._lock, suppress(psutil.Error):
            if self._process is not None and self._process.poll() is None:
                return int(psutil.Process(self._process.pid).memory_info().rss)
        return 0

    def close(self) -> None:
        """End the server, if there is one; the next request starts another."""
        with self._lock:
            self._close()

    def _run(
        self, request: Mapping[str, Any], timeout_s: float | None, variables: Mapping[str, str]
    ) -> ChildResult:
        channel = self._connect()
        with ExitStack() as files:
            stdin, stdout, stderr = (files.enter_context(tempfile.TemporaryFile()) for _ in range(3))
            stdin.write(json.dumps(request).encode())
            stdin.seek(0)
            settings = json.dumps({"variables": dict(variables), "cwd": _working_directory()}).encode()
            numbers = [file.fileno() for file in (stdin, stdout, stderr)]
            returncode, timed_out = self._wait(channel, settings, numbers, timeout_s)
            stdout.seek(0)
            reply = None if timed_out else parse_reply(stdout.read())
            words = read_tail(stderr) or self._last_words
            return ChildResult(reply, returncode, words, timed_out)

    def _wait(
        self, channel: socket.socket, settings: bytes, numbers: list[int], timeout_s: float | None
    ) -> tuple[int, bool]:
        """Start a child and wait for its end: its return code, and whether it took too long."""
        child, ended = 0, False
        try:
            channel.settimeout(timeout_s)
            try:
                child = self._start(channel, settings, numbers)
                returncode, timed_out = self._returncode(channel), False
            except TimeoutError:
                returncode, timed_out = self._kill(child, channel), True
            ended = self._process is not None and self._process.poll() is None
            return returncode, timed_out
        finally:
            if not ended:  # the server has died, or Ctrl-C has reached us, and nobody else
                self._last_words = read_tail(self._stderr) if self._stderr is not None else ""
                _kill_group(child)
                self._close()

    def _kill(self, child: int, channel: socket.socket) -> int:
        """End a child, or the server where there is none yet; its return code."""
        if not child:
            self._close()
            return -signal.SIGKILL
        _kill_group(child)
        channel.settimeout(None)
        return self._returncode(channel)

    def _start(self, channel: socket.socket, settings: bytes, numbers: list[int]) -> int:
        """The process id of a new child; 0 where the server has died of something.

        Raises:
            _IdleServerError: the server had ended.
            TimeoutError: it has not started a child in time.
        """
        assert self._process is not None
        try:
            socket.send_fds(channel, [settings], numbers)
            started = channel.recv(MESSAGE_BYTES)
        except (BrokenPipeError, ConnectionResetError):
            started = b""
        if not started:
            if self._process.wait() == 0:
                raise _IdleServerError
            return 0
        return int(started)

    def _returncode(self, channel: socket.socket) -> int:
        """A child's, as `subprocess` has it; the server's own where that died."""
        assert self._process is not None
        with suppress(ConnectionResetError):
            if said := channel.recv(MESSAGE_BYTES):
                return int(said)
        return self._process.wait() or 1

    def _connect(self) -> socket.socket:
        """The channel to a server that has what we have."""
        surroundings = _surroundings(self._variables)
        if self._process is not None and (
            self._process.poll() is not None or self._surroundings != surroundings
        ):
            self._close()
        if self._socket is not None:
            return self._socket
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._stderr = tempfile.TemporaryFile()  # noqa: SIM115  # closed with the server
        with theirs:
            self._process = subprocess.Popen(
                [
                    *(sys.executable, "-P", "-m", self._module),
                    *(str(os.getpid()), str(theirs.fileno()), str(self._idle_s)),
                ],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=self._stderr,
                env={**inherited_variables(), **self._variables},
                pass_fds=[theirs.fileno()],
                start_new_session=True,
            )
        self._socket, self._surroundings, self._last_words = ours, surroundings, ""
        return ours

    def _close(self) -> None:
        if self._socket is not None:
            self._socket.close()
        if self._process is not None:
            self._process.kill()
            self._process.wait()
        if self._stderr is not None:
            self._stderr.close()
        self._process = self._socket = self._stderr = None


def _surroundings(variables: Mapping[str, str]) -> _Surroundings:
    """What a server takes from its parent when it is started."""
    limits = (resource.RLIMIT_AS, resource.RLIMIT_DATA, resource.RLIMIT_FSIZE, resource.RLIMIT_NOFILE)
    return (
        os.getpid(),
        threading.get_ident(),  # a server dies with the thread that has started it
        {**inherited_variables(), **variables},
        tuple(resource.getrlimit(limit) for limit in limits),
        os.sched_getaffinity(0),
    )


def _working_directory() -> str:
    """Empty where it was deleted."""
    try:
        return str(Path.cwd())
    except OSError:
        return ""


def _kill_group(leader: int) -> None:
    if leader:
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(leader, signal.SIGKILL)


def is_fork_server() -> bool:
    """Whether this main program was started by a `ForkServer`."""
    return len(sys.argv) > 2


def serve_forks(handle: Handle, import_slowly: Callable[[], None]) -> None:
    """Be a server: import, then answer every request in a child of its own."""
    die_with_parent(int(sys.argv[1]))
    with socket.socket(fileno=int(sys.argv[2])) as channel:
        channel.set_inheritable(False)
        gc.disable()  # it only gets in the way of imports
        import_slowly()
        gc.freeze()  # what they leave stays until the end; children need not touch its pages
        gc.enable()
        channel.settimeout(float(sys.argv[3]))
        with suppress(TimeoutError, ConnectionResetError, BrokenPipeError):
            while _serve(channel, handle):
                pass


def _serve(channel: socket.socket, handle: Handle) -> bool:
    """Answer one request; whether there was one."""
    settings, numbers, _, _ = socket.recv_fds(channel, MESSAGE_BYTES, 3)
    if not settings:
        return False
    server = os.getpid()
    child = os.fork()
    if child == 0:
        channel.close()
        _be_child(handle, json.loads(settings), numbers, server)
    for number in numbers:
        os.close(number)
    with suppress(PermissionError, ProcessLookupError):
        os.setpgid(child, child)
    channel.sendall(str(child).encode())
    os.waitid(os.P_PID, child, os.WEXITED | os.WNOWAIT)
    _kill_group(child)  # compilers and the like that it has left; its id is not free before it is waited for
    _, status = os.waitpid(child, 0)
    channel.sendall(str(os.waitstatus_to_exitcode(status)).encode())
    return True


def _be_child(handle: Handle, settings: dict[str, Any], numbers: list[int], server: int) -> NoReturn:
    """Answer the request on these files, as a child that was started for it would."""
    status = 1
    try:
        with suppress(PermissionError):
            os.setpgid(0, 0)
        for target, number in enumerate(numbers):
            os.dup2(number, target)
            os.close(number)
        die_with_parent(server)
        with suppress(OSError):
            os.chdir(settings["cwd"])
        os.environ.update(settings["variables"])
        answer(handle)
        status = 0
    except BaseException:
        traceback.print_exc()
    finally:
        with suppress(Exception):
            sys.stdout.flush()
            sys.stderr.flush()
        os._exit(status)
