"""Values that options of several targets have, each with what it may be in words, as its refusal says it."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

PlanPath = Annotated[
    str,
    Field(
        pattern=r"^/[^\x00-\x1f\x7f]*[^\x00-\x1f\x7f/]$",
        title="the absolute path of a file where the instances run, such as /srv/plan.json",
    ),
]
"""Absolute, as what starts the instances elsewhere runs in a folder of its own."""

Image = Annotated[
    str,
    Field(
        pattern=r"^[!-~]{1,1000}$",
        title="the name of an image, without blanks, such as registry.example/encoder:1",
    ),
]

Address = Annotated[
    str,
    Field(
        pattern=r"^[A-Za-z0-9]([A-Za-z0-9.-]{0,251}[A-Za-z0-9])?$",
        title="a host's name or IPv4 address, such as 127.0.0.1",
    ),
]

User = Annotated[
    str, Field(pattern=r"^([a-z_][a-z0-9_-]{0,30})?$", title="the name of a user, such as www-data")
]

ModelName = Annotated[
    str,
    Field(
        pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]{0,99}$",
        title="a name of letters, digits, _ and -, a letter or digit first, such as encoder",
    ),
]
