"""The environment of the user's own server, so that what it loads keeps to the threads that were measured.

autotune's workers get a whole environment from an allow-list. A server starts in the environment of whoever
starts it, of which some variables are set and some are to be gone.
"""

from __future__ import annotations

from autotune.placement.placement import Command
from autotune.placement.variables import measured_variables, server_variables


def server_environment(command: Command) -> dict[str, str]:
    """Give what is set for a server in the place of this worker; see `server_variables`."""
    return server_variables(command.worker.assignment.threads, command.environment)


def measured_environment(command: Command) -> dict[str, str]:
    """Give what the plan sets in a worker for its speed; see `measured_variables`."""
    return measured_variables(command.environment)
