"""What renders pages of HTML: every text is escaped, and none holds what HTML does not permit."""

from __future__ import annotations

import re
from typing import Final

import jinja2
from markupsafe import Markup

_CONTROL: Final = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff]")
"""What HTML does not permit; engines write such characters."""


def html_environment(package: str) -> jinja2.Environment:
    """Give what renders the templates of a package."""
    return jinja2.Environment(
        loader=jinja2.PackageLoader(package),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=_printable,
    )


def _printable(value: object) -> object:
    """Text without characters that HTML does not permit; they are shown as `\\x1b` and the like."""
    if isinstance(value, Markup) or not isinstance(value, str):
        return value
    return _CONTROL.sub(lambda found: f"\\x{ord(found[0]):02x}", value)
