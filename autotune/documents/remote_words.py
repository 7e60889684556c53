"""Says what an error advises in words of who has no command line here: of the API, or of its pages."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final, Literal

RemoteReader = Literal["api", "page"]
"""Who reads: a program's author, or who looks at a page."""


@dataclass(frozen=True)
class _Words:
    """What the command line says, and what is said in its place."""

    told: re.Pattern[str]
    api: str
    page: str


def _words(told: str, api: str, page: str | None = None) -> _Words:
    return _Words(re.compile(told), api, api if page is None else page)


_OPTIONS: Final = (
    "budget|command|headroom|minutes|port|price|prices|rate|region|replay|rounds|spare|study"
    "|tolerance|type|workers|zones|p50|p90|p95|p99"
)
"""Of commands, which are members of requests and fields of pages, too."""

WORDS: Final = (
    _words(r"and --offline was given", "and this service may not download models"),
    _words(
        r"^download it first: (hf download .+)$",
        r"have its operator download it (\1), or start the service with --hub",
    ),
    _words(
        r"give --command '[^']*', or write",
        "give `command`, where the operator allows that, or write",
        "write",
    ),
    _words(r"--allow-loss", "`allow_loss=true`", "leave"),
    _words(r",( or)? use another (store \(--store URL\)|--store)", ""),
    _words(r", or give the store with --store", ""),
    _words(
        r"use another (store \(--store URL\)|--store)|give another file with --store",
        "ask the operator for another store",
    ),
    _words(r" \(--name( NEW)?\)", " (its `name`)", " (its name)"),
    _words(r"a folder \(-o DIR\), or ", ""),
    _words(
        r"^give a folder: -o DIR$", "download it as an archive: `archive=true`", "download it as an archive"
    ),
    _words(
        r"run `autotune plans` to see what there is",
        "GET /api/v1/plans lists what there is, and GET /api/v1/studies the studies",
        "the first page lists all that there are",
    ),
    _words(r"`autotune export --to (\S+) --help-options`", "GET /api/v1/targets", "the target's page"),
    _words(r"`autotune tune --dry-run`", "POST /api/v1/studies/validate", "the page of a new study"),
    _words(r"run `autotune tune` again|run: autotune tune\b", "tune again"),
    _words(r"run `autotune tune STUDY\.yaml` first", "tune something first", "begin a study first"),
    _words(r"run the same command again", "ask for the study again", "begin the study again"),
    _words(r"the same command then runs", "the job, resumed, then runs"),
    _words(r"`autotune tune` store(s|d) it", r"a study store\1 it"),
    _words(r"`autotune plans`", "GET /api/v1/plans", "the first page"),
    _words(r"`?autotune knobs`? lists", "GET /api/v1/engines lists", "the page of the machine lists"),
    _words(r"`autotune engines`", "GET /api/v1/engines", "the page of the machine"),
    _words(r"`autotune schema` prints", "GET /api/v1/schema gives", "the form of a new study shows"),
    _words(r"`autotune curve` does", "a study of the scenario `server` does"),
    _words(r"--set NAME=VALUE", "set=NAME=VALUE", "a value for the option"),
    _words(r"--set '?(\w+)='?(\.\.\.|[A-Z]+)(?!\w)'?", r"the target's option `\1`", r"the option \1"),
    _words(r"--set '?(\w+)='?([^\s;,)']*)'?", r"set=\1=\2", r"\1 \2"),
    _words(r"--set (\w+)", r"set=\1", r"the option \1"),
    _words(r"--to (\w+)", r"to=\1", r"to \1"),
    _words(rf"--({_OPTIONS})\b( [A-Z]{{3,}}\b)?", r"`\1`", r"\1"),
)
"""In this order, each on what those before it have left."""


def remote_words(text: str, reader: RemoteReader) -> str:
    """Give a text of an error as an author of requests, or a reader of pages, can follow it."""
    for words in WORDS:
        text = words.told.sub(words.api if reader == "api" else words.page, text)
    return text
