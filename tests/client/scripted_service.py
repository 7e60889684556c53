"""A service that answers what a test says, over real sockets, and remembers what it was asked."""

from __future__ import annotations

import json
import ssl
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from autotune.events import Event, to_json


@dataclass(frozen=True)
class Answer:
    """One answer; without a status the connection is closed in its place.

    Attributes:
        is_cut: more is promised than is sent.
        is_held: nothing more comes after what is sent, until the service ends.
    """

    status: int = 200
    body: bytes = b"{}"
    headers: Mapping[str, str] = field(default_factory=dict)
    is_cut: bool = False
    is_held: bool = False


DROP = Answer(status=0)


@dataclass(frozen=True)
class Asked:
    """A request as it came in."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: Any


@dataclass
class ScriptedService:
    """Answers in the order of `answers`; the last one stays."""

    url: str
    answers: list[Answer]
    asked: list[Asked]


def document(status: int = 200, /, **values: Any) -> Answer:
    return Answer(status, json.dumps(values).encode(), {"Content-Type": "application/json"})


def problem(status: int, kind: str, detail: str, remedy: str = "", **headers: str) -> Answer:
    body = {"type": f"urn:autotune:problem:{kind}", "status": status, "detail": detail, "remedy": remedy}
    return Answer(status, json.dumps(body).encode(), {"Content-Type": "application/problem+json", **headers})


def stream(*told: tuple[int, Event], end: str = "", is_cut: bool = False, is_held: bool = False) -> Answer:
    """Events with their numbers, and how the job ended, if it has."""
    parts = [f"id: {number}\nevent: told\ndata: {to_json(event)}\n\n" for number, event in told]
    if end:
        parts.append(f"event: job\ndata: {json.dumps({'state': end})}\n\n")
    return Answer(
        200, "".join(parts).encode(), {"Content-Type": "text/event-stream"}, is_cut or is_held, is_held
    )


@contextmanager
def serving(*answers: Answer, tls: tuple[Path, Path] | None = None) -> Iterator[ScriptedService]:
    """Serve answers on a free port of loopback.

    Args:
        tls: certificate and key.
    """
    service, is_ending = ScriptedService("", list(answers), []), threading.Event()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, format: str, *args: Any) -> None:
            pass

        def _answer(self) -> None:
            length = int(self.headers.get("Content-Length", 0))
            text = self.rfile.read(length)
            service.asked.append(
                Asked(self.command, self.path, dict(self.headers), json.loads(text) if text else None)
            )
            answer = service.answers.pop(0) if len(service.answers) > 1 else service.answers[0]
            self.close_connection = True
            if answer.status == 0:
                return
            self.send_response(answer.status)
            for name, value in answer.headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(answer.body) + answer.is_cut))
            self.end_headers()
            self.wfile.write(answer.body)
            if answer.is_held:
                is_ending.wait()

        do_GET = do_POST = do_PATCH = do_DELETE = _answer  # noqa: N815 - as http.server names them

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    scheme = "http"
    if tls is not None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*tls)
        server.socket = context.wrap_socket(server.socket, server_side=True)
        scheme = "https"
    service.url = f"{scheme}://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield service
    finally:
        is_ending.set()
        server.shutdown()
        thread.join()
        server.server_close()
