"""The process that holds Optuna's dashboard: `python -m autotune.service.dashboard.process DESCRIPTOR`.

It takes connections one by one from the service, over a socket that it inherits, and listens nowhere. It ends
with the service, however that ends, and when nobody has asked for long. It opens the store for reading alone.
"""

from __future__ import annotations

import socket
import sys
import threading
from collections.abc import Callable, Iterable
from typing import Any, Final
from urllib.parse import quote
from wsgiref.simple_server import WSGIRequestHandler

from autotune.store.location import parse_location

READY: Final = b"ready"
IDLE_S: Final = 900.0
"""After so long without a request it ends, and gives its memory back."""
MOST_STORE_LETTERS: Final = 2**16

WsgiApp = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]
"""A WSGI application."""


class _Environment:
    """What the standard library's handler asks of its server."""

    base_environ: Final = {
        "SERVER_NAME": "localhost",
        "SERVER_PORT": "80",
        "GATEWAY_INTERFACE": "CGI/1.1",
        "REMOTE_HOST": "",
        "CONTENT_LENGTH": "",
        "SCRIPT_NAME": "",
    }

    def __init__(self, app: WsgiApp) -> None:
        self._app = app

    def get_app(self) -> WsgiApp:
        """Give the application."""
        return self._app


class _Handler(WSGIRequestHandler):
    def log_message(self, format: str, *args: object) -> None:
        """Log nothing: the service does, where there is something to log."""


def main() -> None:
    """Serve the dashboard until the service ends or is silent for long."""
    with socket.socket(fileno=int(sys.argv[1])) as control:
        store = control.recv(MOST_STORE_LETTERS).decode()
        try:
            app = reading_alone(_dashboard(store))
        except Exception as error:  # whatever the database or Optuna has against it, one line tells it
            sys.stderr.write(f"Optuna's dashboard: {str(error).splitlines()[0]}\n")
            return
        control.send(READY)
        control.settimeout(IDLE_S)
        while True:
            try:
                message, descriptors, _, _ = socket.recv_fds(control, 1, 1)
            except TimeoutError:
                return
            if not message:
                return
            for descriptor in descriptors:
                threading.Thread(target=_answer, args=(descriptor, app), daemon=True).start()


def reading_alone(app: WsgiApp) -> WsgiApp:
    """Refuse every request that could change anything."""

    def answering(environ: dict[str, Any], start: Callable[..., Any]) -> Iterable[bytes]:
        if environ["REQUEST_METHOD"] in ("GET", "HEAD"):
            return app(environ, start)
        start("405 Method Not Allowed", [("Content-Length", "0")])
        return [b""]

    return answering


def _answer(descriptor: int, app: WsgiApp) -> None:
    with socket.socket(fileno=descriptor) as connection:
        _Handler(connection, ("localhost", 0), _Environment(app))  # type: ignore[arg-type]


def _dashboard(store: str) -> WsgiApp:
    from optuna.storages import RDBStorage
    from optuna_dashboard import wsgi

    url, connecting = read_only_location(store)
    storage = RDBStorage(url, engine_kwargs={"connect_args": connecting}, skip_table_creation=True)
    app: WsgiApp = wsgi(storage)
    return app


def read_only_location(store: str) -> tuple[str, dict[str, Any]]:
    """Give the URL of a store for Optuna, and how to connect so that the database itself lets nothing change.

    Raises:
        StoreError: it is no store's URL.
    """
    location = parse_location(store)
    if location.path is None:
        return location.optuna_url, {"options": "-c default_transaction_read_only=on"}
    path = quote(str(location.path.absolute())).replace("{", "{{").replace("}", "}}")
    return f"sqlite:///file:{path}?mode=ro&uri=true", {"timeout": 5}


if __name__ == "__main__":
    main()
