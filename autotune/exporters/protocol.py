"""What a target must offer to be exported to: the `Exporter` protocol."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, Protocol

from autotune.plan.document import Plan


class Exporter(Protocol):
    """One target. Stateless; constructed without arguments; pure: it renders text and touches nothing.

    `autotune.testing.exporter_contract` holds the tests that every exporter passes.
    """

    name: ClassVar[str]
    """As written after `--to`."""
    executable: ClassVar[frozenset[str]]
    """The paths of those of its files that are to be run."""

    def render(self, plan: Plan) -> Mapping[str, str]:
        """Give the text of every file by its path, relative to the folder that the user names.

        The same plan gives the same text, anywhere. The files start exactly `plan.commands()`: the same cpus,
        memory nodes, arguments and environment. Text that comes from the plan stands in them only quoted.

        Raises:
            ExportError: the target cannot express this plan.
        """
        ...
