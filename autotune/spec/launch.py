"""How the user's own server is started in the place of autotune's workers: a command with placeholders.

Nothing of it changes what is measured. It goes into the plan, of which launch scripts and units are written.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Final

from pydantic import AfterValidator, BeforeValidator, Field

from autotune.spec.launched import INSTANCE_VARIABLE, PLAN_VARIABLE
from autotune.spec.part import MAX_CHOICES, Part, as_tuple, refuse

PLACEHOLDERS: Final[Mapping[str, str]] = {
    "instance": "number of the instance, from 0",
    "port": "its port: `port` of instance 0, one more for each further",
    "threads": "its threads; 0 where the plan leaves them to the engine",
    "cpus": "its cpus as a list such as 0-3,8; empty where it is not pinned",
    "artifact": "folder of the prepared model",
    "plan": "path of the exported plan.json",
}
"""What may stand in braces, and what comes into its place."""

TELLING_APART: Final = frozenset({"port", "instance"})
"""Placeholders of which one must be there where there are several instances."""

FORM: Final = '["uvicorn", "app:app", "--port", "{port}"]'
"""A command, for messages."""

USUAL_PORT: Final = 8_000
LAST_PORT: Final = 65_535

MAX_WORD: Final = 131_071
"""Linux takes no longer argument: MAX_ARG_STRLEN is 32 pages, with the NUL at its end. Source: execve(2)."""

NAME_PATTERN: Final = r"[A-Za-z_][A-Za-z0-9_]*"

_PIECE = re.compile(r"\{\{|\}\}|\{([^{}]*)\}|[{}]")


def placeholders_of(text: str) -> frozenset[str]:
    """The placeholders of a text that `template_fault` finds no fault in."""
    return frozenset(name for name in (match[1] for match in _PIECE.finditer(text)) if name is not None)


def filled(text: str, values: Mapping[str, str]) -> str:
    """Put values into the placeholders of a text, and single braces into the place of doubled ones."""
    return _PIECE.sub(lambda match: match[0][0] if match[1] is None else values[match[1]], text)


def template_fault(text: str) -> str:
    """Say what is wrong with a text that may have placeholders; empty where nothing is."""
    return next(_template_faults(text), "")


def _template_faults(text: str) -> Iterator[str]:
    if "\0" in text:
        yield f"{text!r:.80} has a NUL in it, which no process can be given: leave it out"
    if len(text) > MAX_WORD:
        yield f"{text[:20]!r}... has {len(text)} characters: no process can be given more than {MAX_WORD}"
    for match in _PIECE.finditer(text):
        if match[0] in ("{", "}"):
            yield f"{text!r:.80} has a single {match[0]} in it: write {match[0] * 2} for the character itself"
        elif match[1] is not None and match[1] not in PLACEHOLDERS:
            yield unknown_placeholder(match[1])


def unknown_placeholder(name: str) -> str:
    """Say that there is no such placeholder, which was probably meant, and which there are."""
    import difflib

    near = difflib.get_close_matches(name.lower(), PLACEHOLDERS, n=1, cutoff=0.5)
    hint = f" (did you mean {{{near[0]}}}?)" if near else ""
    known = ", ".join(f"{{{known}}}" for known in PLACEHOLDERS)
    return f"{{{name}}} is no placeholder{hint}: there are {known}; for a literal brace write it twice"


def _template(text: str) -> str:
    if fault := template_fault(text):
        refuse(fault)
    return text


def _command(words: tuple[str, ...]) -> tuple[str, ...]:
    """Refuse a command that has no program in front."""
    if not words[0]:
        refuse(f"its first word is empty: name the program, as in {FORM}", 0)
    return words


def _environment(variables: dict[str, str]) -> dict[str, str]:
    """Refuse names that no variable can have, or that autotune sets itself."""
    for name in variables:
        if re.fullmatch(NAME_PATTERN, name) is None:
            refuse(f"{name!r} is no name of a variable: write letters, digits and _, no digit first", name)
        if name in CONTRACT:
            refuse(f"{name} is set by autotune itself: leave it out", name)
    return variables


CONTRACT: Final = (PLAN_VARIABLE, INSTANCE_VARIABLE)
"""Path of plan.json, and number of the instance: what a launched process knows its part of the plan by."""


def _directory(path: str) -> str:
    if not path.startswith("/"):
        refuse(
            f"{path!r} is no absolute path: write where the folder lies on the machine that serves, as /srv"
        )
    return _template(path)


Template = Annotated[str, AfterValidator(_template)]
"""A text with placeholders in braces."""

Port = Annotated[int, Field(ge=1, le=LAST_PORT)]


class LaunchSpec(Part):
    """How your own server is started, one process for each instance of the plan.

    In every text {instance}, {port}, {threads}, {cpus}, {artifact} and {plan} are filled in.
    """

    command: (
        Annotated[
            tuple[Template, ...],
            Field(min_length=1, max_length=MAX_CHOICES),
            BeforeValidator(as_tuple),
            AfterValidator(_command),
        ]
        | None
    ) = None
    """The program and its arguments, one word each; what a shell would make of a text."""
    port: Port = USUAL_PORT
    """Where instance 0 listens; each further one listens one port higher."""
    environment: Annotated[
        dict[str, Template], Field(max_length=MAX_CHOICES), AfterValidator(_environment)
    ] = Field(default_factory=dict)
    """Variables by name, beside those that the plan sets. A plan holds them as they are: write no secrets."""
    directory: Annotated[str, Field(min_length=1, max_length=4_096), AfterValidator(_directory)] | None = None
    """Working directory of the server; by default that of whoever starts it."""

    @property
    def placeholders(self) -> frozenset[str]:
        """All that stand in the command, the environment or the working directory."""
        texts = (*(self.command or ()), *self.environment.values(), self.directory or "")
        return frozenset(name for text in texts for name in placeholders_of(text))

    @property
    def tells_instances_apart(self) -> bool:
        """Whether a placeholder makes every instance's command, environment or directory another one."""
        return bool(self.placeholders & TELLING_APART)


def launch_schema(value: Mapping[str, Any], written: Mapping[str, Any]) -> dict[str, Any]:
    """Give the schema of the section as a file has it; `written` is that of each value in it."""
    command, variables, folder = (written[name] for name in ("command", "environment", "directory"))
    word = {
        "title": "a text, quoted where it has braces, or a number",
        "type": ["string", "integer", "number"],
    }
    properties = {
        **written,
        "command": {
            "title": f"a list of 1 to {command['maxItems']} words, such as {FORM}, or one text as in a shell",
            "description": command["description"],
            "anyOf": [command | {"items": word}, {"type": "string", "pattern": r"\S"}],
        },
        "environment": {
            "title": "a mapping from names of variables to texts",
            "description": variables["description"],
            "type": "object",
            "patternProperties": {f"^{NAME_PATTERN}$": word},
            "additionalProperties": False,
            "maxProperties": variables["maxProperties"],
        },
        "directory": folder | {"title": "the absolute path of a folder", "pattern": "^/"},
    }
    return {**value, "title": f"how your server is started: {{command: {FORM}}}", "properties": properties}
