"""What a target must offer to be exported to: the `Exporter` protocol, and what it gives."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Final, Literal, Protocol

from pydantic import BaseModel, ConfigDict

from autotune.exporters.option_values import PlanPath
from autotune.plan.launch import Launch, Program

LaunchPart = Literal["argv", "environment", "cpus", "memory_nodes"]
"""What a plan says of every process."""

PARTS: Final[Mapping[LaunchPart, str]] = {
    "argv": "command line",
    "environment": "environment",
    "cpus": "cpus",
    "memory_nodes": "memory nodes",
}
"""Every part, and what people call it."""

Keeping = Literal["exact", "asked", "lost"]
"""`exact`: the target does just that; `asked`: it is asked for, and something else decides; `lost`: nobody
hears of it."""


@dataclass(frozen=True)
class Keeps:
    """What a target keeps of a launch, part by part."""

    argv: Keeping
    environment: Keeping
    cpus: Keeping
    memory_nodes: Keeping

    def of(self, part: LaunchPart) -> Keeping:
        """How it keeps this part."""
        keeping: Keeping = getattr(self, part)
        return keeping


EVERYTHING: Final = Keeps(argv="exact", environment="exact", cpus="exact", memory_nodes="exact")


@dataclass(frozen=True)
class Loss:
    """Something that a target does not keep exactly of this launch.

    Attributes:
        words: a whole sentence on what is lost or only asked for, and what the user can do about it.
    """

    part: LaunchPart
    words: str


@dataclass(frozen=True)
class Exported:
    """A launch in a target's files.

    Attributes:
        files: text by path, relative to the folder that the user names; plan.json comes beside them.
        executable: the paths of those that are to be run.
        losses: in the order of `PARTS`; one at least for every part that the launch has and the target does
            not keep exactly.
        notes: whole sentences on what the files leave to the user, for stderr.
    """

    files: Mapping[str, str]
    executable: frozenset[str] = frozenset()
    losses: tuple[Loss, ...] = ()
    notes: tuple[str, ...] = ()


class ExportOptions(BaseModel):
    """Base of every target's options, as `--set NAME=VALUE` gives them; a docstring describes each.

    What a text may be stands in its field's `title`, as "a size such as 2Gi": a refusal says it.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False, use_attribute_docstrings=True)

    plan: PlanPath = ""
    """Path of plan.json where the instances run; by default where it is written."""


class Exporter(Protocol):
    """One target. Stateless; constructed without arguments; pure: it renders text and touches nothing.

    `autotune.testing.exporter_contract` holds the tests that every exporter passes.
    """

    name: ClassVar[str]
    """As written after `--to`."""
    summary: ClassVar[str]
    """What it writes, for listings: a few words."""
    programs: ClassVar[frozenset[Program]]
    """What it can start: autotune's workers, the user's server, or either."""
    is_starting: ClassVar[bool]
    """Whether its files start the instances; where something else does, no loss is refused."""
    keeps: ClassVar[Keeps]

    @property
    def options(self) -> type[ExportOptions]:
        """The class of its options, a variable of the class like the others."""
        ...

    def render(self, launch: Launch, options: Any) -> Exported:
        """Give the text of every file.

        The same launch and options give the same text, anywhere. The files start exactly the launch's
        processes, but for what `keeps` says. Text that comes from the plan stands in them only quoted.

        Args:
            options: of the class `options`.

        Raises:
            ExportError: the target cannot express this launch.
        """
        ...


def parts_of(launch: Launch) -> Iterator[LaunchPart]:
    """Give the parts that this launch says anything of, so that they can be lost."""
    if launch.has_command:
        yield "argv"
    yield "environment"
    if launch.is_pinned:
        yield "cpus"
    if launch.binds_memory:
        yield "memory_nodes"
