"""Starts the command line: what a terminal runs as `autotune`.

The command line itself is imported only in here, so that Ctrl-C while it is being imported ends it in one
line, as later, too.
"""

from __future__ import annotations

import os
import sys
from typing import NoReturn

INTERRUPTED = 130
"""As `autotune.cli.exits` has it."""


def main() -> NoReturn:
    """Run the command line and exit."""
    try:
        from autotune.cli.main import main as run_and_exit

        run_and_exit()
    except KeyboardInterrupt:
        os.write(2, b"interrupted\n")
        # Whatever was being imported is half done: nothing of it may run at the end of the process.
        sys.stdout.flush()
        os._exit(INTERRUPTED)
