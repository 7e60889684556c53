"""A small HTTP server: `answering.py PORT WORD...` answers every GET with what it was started with."""

from __future__ import annotations

import json
import os
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path


class Answering(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        policy = Path("/proc/self/numa_maps").read_text().split()[1]
        record = {
            "pid": os.getpid(),
            "argv": sys.argv[2:],
            "environ": dict(os.environ),
            "cpus": sorted(os.sched_getaffinity(0)),
            "policy": policy,
            "cwd": str(Path.cwd()),
        }
        body = json.dumps(record).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        pass


if __name__ == "__main__":
    ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Answering).serve_forever()
