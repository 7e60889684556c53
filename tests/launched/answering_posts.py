"""A small HTTP server: `answering_posts.py PORT [SECONDS [FAILING [THREADS]]]`.

Every POST is answered after so many seconds, one at a time; every FAILING-th (0 = none) with the status 503.
So many threads stand idle beside.
"""

from __future__ import annotations

import itertools
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

port, seconds, failing, threads = [*map(float, sys.argv[1:]), 0.0, 0.0, 0.0][:4]
numbers, engine = itertools.count(1), threading.Lock()


class Answering(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self.answer(200)

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["content-length"]))
        with engine:
            time.sleep(seconds)
            is_failing = failing and next(numbers) % failing == 0
        self.answer(503 if is_failing else 200)

    def answer(self, status: int) -> None:
        self.send_response(status)
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"{}")

    def log_message(self, format: str, *args: object) -> None:
        pass


for _ in range(int(threads)):
    threading.Thread(target=time.sleep, args=(3_600,), daemon=True).start()
server = ThreadingHTTPServer(("127.0.0.1", int(port)), Answering)
server.daemon_threads = True
server.serve_forever()
