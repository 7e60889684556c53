"""The name by which launch scripts and plans of version 0.1.0 start workers."""

from __future__ import annotations

import subprocess
import sys


def test_the_former_name_starts_todays_worker() -> None:
    """Its help says so, on stderr: stdout belongs to the messages."""
    helps = [
        subprocess.run(
            [sys.executable, "-P", "-m", module, "--help"],
            capture_output=True,
            text=True,
            check=True,
            timeout=60,
        ).stderr
        for module in ("autotune.trial.worker", "autotune.worker.worker")
    ]
    assert "--instance" in helps[0]
    assert helps[0] == helps[1]
