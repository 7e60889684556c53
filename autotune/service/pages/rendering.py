"""Turns values into pages: the templates, and what each of them has at hand."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import cache
from importlib.metadata import version
from importlib.resources import files
from typing import Any, Final

import jinja2
from fastapi import Request
from fastapi.responses import HTMLResponse
from markupsafe import Markup, escape

from autotune.documents.remote_words import remote_words
from autotune.events import NAMES
from autotune.report.html import html_environment
from autotune.service.access import AccessRole
from autotune.service.context import Context
from autotune.store.overview import count_studies
from autotune.units import format_duration

_CODE: Final = re.compile("`([^`]+)`")
THEMES: Final = ("light", "dark")
THEME_COOKIE: Final = "autotune-theme"
"""Holds one of `THEMES`; without it the browser's own wish decides."""

ROLE_WORDS: Final[Mapping[AccessRole, str]] = {
    AccessRole.READ: "may read",
    AccessRole.TUNE: "may tune",
    AccessRole.ADMIN: "may do all",
}
"""What is said of who is signed in."""

NEW: Final = "/new"
"""Of who may tune; nobody else sees the way there."""

SECTIONS: Final[tuple[tuple[str, str], ...]] = (
    ("/", "Studies"),
    (NEW, "New study"),
    ("/compare", "Compare"),
    ("/fleet", "Fleet"),
    ("/machine", "Machine"),
)
"""Of the navigation: address and title."""

STATIC: Final[Mapping[str, str]] = {
    "pages.css": "text/css; charset=utf-8",
    "pages.js": "text/javascript; charset=utf-8",
    "icon.svg": "image/svg+xml",
}
"""Files that anybody may read, and their types."""


def render(request: Request, template: str, *, status: int = 200, **values: Any) -> HTMLResponse:
    """Answer with a page.

    Args:
        template: name of its file.
        values: what it shows.
    """
    text = _environment().get_template(template).render(**_surroundings(request), **values)
    return HTMLResponse(text, status, headers={"Vary": "Cookie"})


def _surroundings(request: Request) -> dict[str, Any]:
    """Give what the frame of every page shows."""
    role: AccessRole | None = getattr(request.state, "role", None)
    context: Context | None = getattr(request.app.state, "context", None)
    theme = request.cookies.get(THEME_COOKIE, "")
    may_tune = role is not None and role >= AccessRole.TUNE
    return {
        "path": request.url.path,
        "here": f"{request.url.path}?{request.url.query}" if request.url.query else request.url.path,
        "theme": theme if theme in THEMES else "",
        "navigation": [section for section in SECTIONS if may_tune or section[0] != NEW],
        "is_known": role is not None,
        "may_tune": may_tune,
        "role": "" if role is None else role.name.lower(),
        "role_words": "" if role is None else ROLE_WORDS[role],
        "token_name": getattr(request.state, "token_name", ""),
        "machine": "" if context is None or role is None else context.machine,
        "has_dashboard": context is not None
        and context.settings.dashboard
        and count_studies(context.store) > 0,
        "version": version("autotune"),
    }


@cache
def _environment() -> jinja2.Environment:
    environment = html_environment("autotune.service.pages")
    environment.filters |= {
        "moment": moment,
        "duration": format_duration,
        "code": code,
        "remote": in_page_words,
    }
    environment.globals |= {"asset": asset_address, "event_names": " ".join((*NAMES, "job", "queue"))}
    return environment


def in_page_words(text: str) -> str:
    """Give a text of an error as a reader of pages, who has no command line, can follow it."""
    return remote_words(text, "page")


def moment(unix_s: float | None) -> Markup:
    """Write a moment to the minute, in UTC; the script writes it in the reader's own time zone."""
    if unix_s is None:
        return Markup("")
    when = datetime.fromtimestamp(unix_s, UTC)
    written = when.strftime("%Y-%m-%d %H:%M UTC")
    return Markup('<time datetime="{}">{}</time>').format(when.isoformat(timespec="seconds"), written)


def code(text: str) -> Markup:
    """Write what stands between backticks as code."""
    return Markup(_CODE.sub(r"<code>\1</code>", str(escape(text))))


@cache
def asset(name: str) -> bytes:
    """Give the bytes of one of the files of `STATIC`."""
    return (files("autotune.service.pages") / "static" / name).read_bytes()


@cache
def asset_address(name: str) -> str:
    """Give the address of a file, which changes when its bytes do: a browser keeps it for good."""
    digest = hashlib.sha256(asset(name)).hexdigest()[:12]
    return str(escape(f"/static/{name}?v={digest}"))
