"""The page in a real browser: it renders, complains of nothing, and asks for nothing but itself."""

from __future__ import annotations

import io
import shutil
import subprocess
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import BinaryIO

import pytest

from autotune.report.figures.catalogue import NAMES

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="needs chromium (apt install chromium)")

SWITCHES = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking"),
    *("--disable-component-update", "--disable-sync", "--no-first-run", "--enable-logging=stderr"),
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
)


@dataclass
class Site:
    """A server of one folder on this machine, and what it was asked for."""

    folder: Path
    server: ThreadingHTTPServer
    asked: list[str] = field(default_factory=list)

    def visit(self, name: str, profile: Path) -> tuple[str, list[str]]:
        """Open a page; gives its document as it was built, and what the browser said on its console."""
        url = f"http://127.0.0.1:{self.server.server_port}/{name}"
        arguments = [str(CHROMIUM), *SWITCHES, f"--user-data-dir={profile}", "--dump-dom", url]
        ended = subprocess.run(arguments, capture_output=True, text=True, timeout=120, check=True)
        return ended.stdout, [line for line in ended.stderr.splitlines() if "CONSOLE" in line]


class Handler(SimpleHTTPRequestHandler):
    def __init__(self, *arguments: object, asked: list[str], directory: str) -> None:
        self.asked = asked
        super().__init__(*arguments, directory=directory)  # type: ignore[arg-type]

    def send_head(self) -> io.BytesIO | BinaryIO | None:
        self.asked.append(self.path)
        return super().send_head()


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    folder = tmp_path / "site"
    folder.mkdir()
    asked: list[str] = []
    handler = partial(Handler, asked=asked, directory=str(folder))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield Site(folder, server, asked)
        server.shutdown()
        thread.join()


def test_the_page_renders_without_a_complaint_or_a_request(
    site: Site, tmp_path: Path, rich_page: str
) -> None:
    (site.folder / "report.html").write_text(rich_page)
    document, console = site.visit("report.html", tmp_path / "profile")
    assert console == []
    assert site.asked == ["/report.html"]
    assert document.count("<svg") == len(NAMES)
    assert "</footer>" in document


def test_a_page_that_loaded_something_would_be_noticed(site: Site, tmp_path: Path, rich_page: str) -> None:
    foreign = '<img src="http://example.invalid/foreign.png">'
    (site.folder / "refused.html").write_text(rich_page.replace("</footer>", f"{foreign}</footer>"))
    (site.folder / "loading.html").write_text('<!DOCTYPE html><title>x</title><img src="/own.png">')
    _, console = site.visit("refused.html", tmp_path / "profile")
    assert any("foreign.png" in line for line in console)
    site.visit("loading.html", tmp_path / "profile")
    assert "/own.png" in site.asked
