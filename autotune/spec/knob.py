"""A knob: one setting of a worker's process or of its engine, declared by who reads it.

A declaration says everything that the rest of autotune has to know of the setting, so that a new one is a
value in the folder of its engine (or in a plug-in) and nothing else:

```python
SPINNING = Knob("spinning", ("on", "off"), "whether idle threads stay awake", waits=True)
```

Backends list the knobs that they read (`autotune.backends.protocol.TakesKnobs`).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from autotune.machine.mapped import MappedFile
from autotune.plugins import error_in_words

PATH: Final = r"/[^\s=:,]{1,400}"
"""An absolute path that needs no quotes in a list of variables, libraries or words."""

CHOICES: Final = ("model", "padding", "batching", "cores")
"""Names that have values in the text of a configuration too, and that no knob may have."""

_NAME: Final = r"[a-z][a-z0-9_]{0,40}"
_VALUE: Final = r"[A-Za-z0-9_.+-]{1,40}"
_PARTS: Final = r"[1-9][0-9]{0,8}"


@dataclass(frozen=True)
class Preload:
    """A library that a worker is started with in the place of another one.

    Attributes:
        value: of the knob that asks for it.
        names: as the dynamic linker knows it, best first.
        stem: what the names of its files begin with.
        install: the command that installs it.
        package: the Python distribution that brings it; empty = none.
    """

    value: str
    names: tuple[str, ...]
    stem: str
    install: str
    package: str = ""


@dataclass(frozen=True)
class Here:
    """What decides on this machine whether a value of a knob can be had.

    Attributes:
        isa: flags as in `Machine.isa`.
        find: says where the library of a knob's value lies (name, value); None where it is not.
    """

    isa: frozenset[str]
    find: Callable[[str, str], Path | None]


@dataclass(frozen=True)
class Knob:
    """One setting.

    Attributes:
        name: as written.
        values: those that are tried unless a study says otherwise, the usual one first.
        what: what it sets, as a part of a sentence.
        most: whole numbers from 1 up to this one may be listed too; 0 = none.
        has_paths: a library's absolute path may be listed too.
        prepares: it is turned in preparation: with it, another artifact is made.
        answers: it changes what is answered, and not only how fast: answers with it are compared anew. What
            prepares does so in any case.
        waits: it is of how threads wait for each other: one thread alone does not.
        splits: its values are numbers of parts that a batch is split into, run at once.
        needs: name and value of the knob that it is read with; None = it is always read.
        variable: the environment variable that its library reads when it is loaded; empty = none.
        spellings: of values that the variable wants in another word.
        preloads: libraries that workers are started with, each for one of the values.
        refusal: says why a value cannot be had here, and what helps; empty if it can. What `preloads` ask
            for is looked up in any case.
        in_force: reads back the value that this process has, from the files that it has mapped; empty where
            nothing shows it. None = the engine's session reports it.
    """

    name: str
    values: tuple[str, ...]
    what: str
    most: int = 0
    has_paths: bool = False
    prepares: bool = False
    answers: bool = False
    waits: bool = False
    splits: bool = False
    needs: tuple[str, str] | None = None
    variable: str = ""
    spellings: Mapping[str, str] = field(default_factory=dict, hash=False)
    preloads: tuple[Preload, ...] = ()
    refusal: Callable[[str, Here], str] | None = None
    in_force: Callable[[Sequence[MappedFile]], str] | None = None

    def __post_init__(self) -> None:
        """Refuse what could not be written in a configuration.

        Raises:
            ValueError: says what.
        """
        if not re.fullmatch(_NAME, self.name) or self.name in CHOICES:
            raise ValueError(f"no knob can be called {self.name!r}: write lower-case letters, digits and _")
        if len(set(self.values)) != len(self.values) or len(self.values) < 2:
            raise ValueError(f"the knob {self.name} needs two different values at least: {self.values}")
        if wrong := [value for value in self.values if not re.fullmatch(_VALUE, value)]:
            raise ValueError(f"{wrong[0]!r} can be no value of the knob {self.name}: write one word")
        if self.splits and (wrong := [value for value in self.values if not re.fullmatch(_PARTS, value)]):
            raise ValueError(
                f"{wrong[0]!r} is no number of parts, as the knob {self.name} needs them: write 1, 2, ..."
            )

    @property
    def usual(self) -> str:
        """The value that is not written."""
        return self.values[0]

    @property
    def choices(self) -> str:
        """What a study may list, in words."""
        number = (f"a whole number up to {self.most}",) if self.most else ()
        path = ("a library's absolute path",) if self.has_paths else ()
        return ", ".join((*self.values, *number, *path))

    @property
    def changes_answers(self) -> bool:
        """Whether answers with it are compared anew."""
        return self.answers or self.prepares

    def takes(self, value: str) -> bool:
        """Say whether a configuration may have this value."""
        if value in self.values:
            return True
        if self.has_paths and re.fullmatch(PATH, value):
            return True
        return re.fullmatch(r"[1-9][0-9]{0,8}", value) is not None and int(value) <= self.most

    def matters(self, value: str, threads: int, batch: int) -> bool:
        """Say whether an instance of so many threads, with requests of so many sequences, can show it."""
        if self.splits:
            return int(value) <= min(threads, batch)
        return threads > 1 or not self.waits

    def why_not(self, value: str, here: Here) -> str:
        """Say why a value cannot be had on this machine, and what helps; empty if it can."""
        if fault := self._refusal(value, here):
            return fault
        if not self.asks_for_library(value) or here.find(self.name, value):
            return ""
        return f"{self.missing(value)}: {self.install(value)}"

    def _refusal(self, value: str, here: Here) -> str:
        """Ask whoever declared it; a plug-in of another distribution may answer with any error."""
        try:
            return "" if self.refusal is None else str(self.refusal(value, here) or "")
        except Exception as error:
            return f"its declaration breaks where it is asked: {error_in_words(error)}"

    def preload(self, value: str) -> Preload | None:
        """Give the library that a value stands for; None for a path, and for what is there anyway."""
        return next((preload for preload in self.preloads if preload.value == value), None)

    def asks_for_library(self, value: str) -> bool:
        """Say whether workers with this value are started with another library."""
        return self.preload(value) is not None or (self.has_paths and value.startswith("/"))

    def missing(self, value: str) -> str:
        """Say that the library of a value is not on this host."""
        preload = self.preload(value)
        name = value if preload is None else f"{value} ({preload.names[0]})"
        return f"{name} is not on this host"

    def install(self, value: str) -> str:
        """Give the command that installs the library of a value, or what else helps."""
        preload = self.preload(value)
        return preload.install if preload else "give the path of a library that is there"
