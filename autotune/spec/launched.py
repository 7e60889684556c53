"""What a launched process knows its part of a plan by. Servers import this, so it loads no pydantic."""

from __future__ import annotations

from typing import Final

PLAN_VARIABLE: Final = "AUTOTUNE_PLAN"
"""Where the plan's document lies."""
INSTANCE_VARIABLE: Final = "AUTOTUNE_INSTANCE"
"""Which of the plan's instances the process is, from 0."""
