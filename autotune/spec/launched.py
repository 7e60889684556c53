"""What a launched process knows its part of a plan by. Servers import this, so it loads no pydantic."""

from __future__ import annotations

from typing import Final

PLAN_VARIABLE: Final = "AUTOTUNE_PLAN"
"""Where the plan's document lies."""
INSTANCE_VARIABLE: Final = "AUTOTUNE_INSTANCE"
"""Which of the plan's instances the process is, from 0."""
DIFFERENCES_VARIABLE: Final = "AUTOTUNE_DIFFERENCES"
"""What becomes of a process that is not as the plan says: `refuse` it, or `warn`."""
UNBOUND_WORDS: Final = "The kernel refused to bind memory to nodes, so it was measured without."
"""Among a plan's warnings, where its memory lay anywhere when it was measured."""
