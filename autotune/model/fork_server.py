"""Child processes that begin with slow imports done: forked from a server that did them once.

Each request has a child of its own, which lives and ends as those of `autotune.model.child` do. The server
only imports, forks and waits: it computes nothing, so that no library's threads are at work when it forks.
It ends when it is closed, has been idle for a while, or its parent is gone, and its children with it.
"""

from __future__ import annotations

import gc
import json
import os
import resource
import select
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import traceback
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
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

    May be shared by threads, whose requests are answered side by side. A server that was started with other
    variables or limits than ours are by now is replaced by a new one.

    Args:
        module: a module whose main program calls `serve_forks` where `is_fork_server`.
        variables: environment of the server besides `CHILD_VARIABLES`.
        idle_s: how long a server waits for the next request before it ends.
    """

    def __init__(self, module: str, variables: Mapping[str, str], *, idle_s: float = IDLE_S) -> None:
        self._module, self._variables, self._idle_s = module, dict(variables), idle_s
        self._server: _Server | None = None
        self._lock = threading.Lock()

    def run(
        self, request: Mapping[str, Any], *, timeout_s: float | None, variables: Mapping[str, str]
    ) -> ChildResult:
        """Have a child answer the request; nothing of the child is alive afterwards.

        Args:
            variables: the child's environment besides the server's; read by libraries that the server has not
                imported, or that read it late.
        """
        try:
            return self._run(request, timeout_s, variables)
        except _IdleServerError:
            return self._run(request, timeout_s, variables)

    def memory_bytes(self) -> int:
        """What the server holds while it waits; 0 where there is none."""
        with self._lock, suppress(psutil.Error):
            if self._server is not None and self._server.process.poll() is None:
                return int(psutil.Process(self._server.process.pid).memory_info().rss)
        return 0

    def close(self) -> None:
        """End the server, if there is one, and what it has begun; the next request starts another."""
        with self._lock:
            self._close()

    def _run(
        self, request: Mapping[str, Any], timeout_s: float | None, variables: Mapping[str, str]
    ) -> ChildResult:
        with ExitStack() as files:
            stdin, stdout, stderr = (files.enter_context(tempfile.TemporaryFile()) for _ in range(3))
            stdin.write(json.dumps(request).encode())
            stdin.seek(0)
            settings = json.dumps({"variables": dict(variables), "cwd": _working_directory()}).encode()
            numbers = [file.fileno() for file in (stdin, stdout, stderr)]
            server, reply = self._hand_over(settings, numbers)
            returncode, timed_out = self._wait(server, files.enter_context(reply), timeout_s)
            stdout.seek(0)
            answered = None if timed_out else parse_reply(stdout.read())
            words = read_tail(stderr) or server.last_words
            return ChildResult(answered, returncode, words, timed_out)

    def _hand_over(self, settings: bytes, numbers: list[int]) -> tuple[_Server, socket.socket]:
        """Give a request to the server: that, and where it says what becomes of the child."""
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs, self._lock:
            server = self._connect()
            # One that has ended is found out by what it does not say.
            with suppress(BrokenPipeError, ConnectionResetError):
                socket.send_fds(server.channel, [settings], [*numbers, theirs.fileno()])
        return server, ours

    def _wait(self, server: _Server, reply: socket.socket, timeout_s: float | None) -> tuple[int, bool]:
        """Wait for a child to start and to end: its return code, and whether it took too long."""
        child, ended = 0, False
        try:
            reply.settimeout(timeout_s)
            try:
                child = server.started(reply)
                returncode, timed_out = server.returncode(reply), False
            except TimeoutError:
                returncode, timed_out = self._kill(child, server, reply), True
            ended = server.process.poll() is None
            return returncode, timed_out
        finally:
            if not ended:  # the server has died, or Ctrl-C has reached us, and nobody else
                _kill_group(child)
                self._give_up(server)

    def _kill(self, child: int, server: _Server, reply: socket.socket) -> int:
        """End a child, or the server where there is none yet; its return code."""
        if not child:
            self._give_up(server)
            return -signal.SIGKILL
        _kill_group(child)
        reply.settimeout(None)
        return server.returncode(reply)

    def _connect(self) -> _Server:
        """A server that has what we have."""
        surroundings = _surroundings(self._variables)
        if self._server is not None and not self._server.serves(surroundings):
            self._close()
        if self._server is None:
            environment = {**inherited_variables(), **self._variables}
            self._server = _start_server(self._module, self._idle_s, environment, surroundings)
        return self._server

    def _give_up(self, server: _Server) -> None:
        """End this server, and start another for the next request."""
        with self._lock:
            server.end()
            if self._server is server:
                self._server = None

    def _close(self) -> None:
        if self._server is not None:
            self._server.end()
        self._server = None


@dataclass
class _Server:
    """A server process, and the channel on which it takes requests.

    Attributes:
        stderr: what it says where it cannot start.
        last_words: the same, once it has ended.
    """

    process: subprocess.Popen[bytes]
    channel: socket.socket
    surroundings: _Surroundings
    stderr: IO[bytes]
    last_words: str = ""

    def serves(self, surroundings: _Surroundings) -> bool:
        """Whether it is alive and has these surroundings."""
        return self.process.poll() is None and self.surroundings == surroundings

    def started(self, reply: socket.socket) -> int:
        """The process id of a new child; 0 where the server has died of something.

        Raises:
            _IdleServerError: the server had ended.
            TimeoutError: it has not started a child in time.
        """
        said = b""
        with suppress(ConnectionResetError):
            said = reply.recv(MESSAGE_BYTES)
        if not said and self.process.wait() == 0:
            raise _IdleServerError
        return int(said or 0)

    def returncode(self, reply: socket.socket) -> int:
        """A child's, as `subprocess` has it; the server's own where that died."""
        with suppress(ConnectionResetError):
            if said := reply.recv(MESSAGE_BYTES):
                return int(said)
        return self.process.wait() or 1

    def end(self) -> None:
        """Kill it, and with it whatever it has begun; once or several times."""
        self.channel.close()
        self.process.kill()
        self.process.wait()
        if not self.stderr.closed:
            self.last_words = read_tail(self.stderr)
            self.stderr.close()


def _start_server(
    module: str, idle_s: float, environment: Mapping[str, str], surroundings: _Surroundings
) -> _Server:
    """Start a server, which any thread may do: it does not die with that."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    stderr = tempfile.TemporaryFile()  # noqa: SIM115  # closed with the server
    with theirs:
        process = subprocess.Popen(
            [sys.executable, "-P", "-m", module, str(theirs.fileno()), str(idle_s)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=stderr,
            env=dict(environment),
            pass_fds=[theirs.fileno()],
            start_new_session=True,
        )
    return _Server(process, ours, surroundings, stderr)


def _surroundings(variables: Mapping[str, str]) -> _Surroundings:
    """What a server takes from its parent when it is started."""
    limits = (resource.RLIMIT_AS, resource.RLIMIT_DATA, resource.RLIMIT_FSIZE, resource.RLIMIT_NOFILE)
    return (
        os.getpid(),
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
    """Be a server: import, then answer every request in a child of its own; several may be under way.

    A parent that is gone has closed its end of the channel.
    """
    with socket.socket(fileno=int(sys.argv[1])) as channel, suppress(ConnectionResetError, BrokenPipeError):
        channel.set_inheritable(False)
        gc.disable()  # it only gets in the way of imports
        with _ending_with(channel):
            import_slowly()
        gc.freeze()  # what they leave stays until the end; children need not touch its pages
        gc.enable()
        _Serving(handle, channel).serve(float(sys.argv[2]))


@contextmanager
def _ending_with(channel: socket.socket) -> Iterator[None]:
    """End this process where the other end of the channel is closed meanwhile: nobody waits for it any more.

    A thread looks out for that, and is gone afterwards: a process with threads is not to be forked.
    """
    done, over = socket.socketpair()

    def look_out() -> None:
        poller = select.poll()
        poller.register(channel, 0)  # of a hang-up it tells all the same
        poller.register(over, select.POLLIN)
        if any(number == channel.fileno() for number, _ in poller.poll()):
            os._exit(1)

    watcher = threading.Thread(target=look_out)
    with done, over:
        watcher.start()
        try:
            yield
        finally:
            done.send(b"x")
            watcher.join()


class _Serving:
    """A server's loop.

    Args:
        channel: on which requests come.
    """

    def __init__(self, handle: Handle, channel: socket.socket) -> None:
        self._handle, self._channel = handle, channel
        self._replies: dict[int, socket.socket] = {}  # by child

    def serve(self, idle_s: float) -> None:
        """Take requests until nobody can send any, or none has come for so long."""
        ended, signalled = socket.socketpair()
        with ended, signalled:
            ended.setblocking(False)
            signalled.setblocking(False)
            signal.set_wakeup_fd(signalled.fileno(), warn_on_full_buffer=False)
            signal.signal(signal.SIGCHLD, lambda *_: None)
            while True:
                wait_s = None if self._replies else idle_s
                ready, _, _ = select.select([self._channel, ended], [], [], wait_s)
                if ended in ready:
                    ended.recv(MESSAGE_BYTES)
                    self._say_who_ended()
                if not ready or (self._channel in ready and not self._begin()):
                    return

    def _begin(self) -> bool:
        """Start a child for one request; whether there was one."""
        settings, numbers, _, _ = socket.recv_fds(self._channel, MESSAGE_BYTES, 4)
        if not settings or _is_hung_up(self._channel):
            return False
        *numbers, last = numbers
        reply = socket.socket(fileno=last)
        server = os.getpid()
        child = os.fork()
        if child == 0:
            signal.set_wakeup_fd(-1)
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            for one in (self._channel, reply, *self._replies.values()):
                one.close()
            _be_child(self._handle, json.loads(settings), numbers, server)
        for number in numbers:
            os.close(number)
        with suppress(PermissionError, ProcessLookupError):
            os.setpgid(child, child)
        self._replies[child] = reply
        with suppress(BrokenPipeError, ConnectionResetError):
            reply.sendall(str(child).encode())
        return True

    def _say_who_ended(self) -> None:
        for child, reply in list(self._replies.items()):
            if os.waitid(os.P_PID, child, os.WEXITED | os.WNOWAIT | os.WNOHANG) is None:
                continue
            # Compilers and the like that it has left; its id is not free before it is waited for.
            _kill_group(child)
            _, status = os.waitpid(child, 0)
            with self._replies.pop(child), suppress(BrokenPipeError, ConnectionResetError):
                reply.sendall(str(os.waitstatus_to_exitcode(status)).encode())


def _is_hung_up(channel: socket.socket) -> bool:
    """Whether whoever sent the last request has gone since."""
    poller = select.poll()
    poller.register(channel, 0)
    return bool(poller.poll(0))


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
