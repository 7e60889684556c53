from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from autotune.testing.fake_trial import processes_of
from autotune.trial.lock import NAME


@pytest.fixture
def nothing_left(tmp_path: Path) -> Iterator[None]:
    """Fails the test that leaves a process, a zombie, a descriptor or a file in shared memory."""
    before, children = (_descriptors(), _shared_files()), set(psutil.Process().children())
    yield
    assert processes_of(tmp_path) == []
    # Preparing in other tests leaves a server for a while.
    assert set(psutil.Process().children()) - children == set()
    assert (_descriptors(), _shared_files()) == before


def _descriptors() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


def _shared_files() -> set[str]:
    """All but the host's lock, which another test may be the first to take."""
    return {path.name for path in Path("/dev/shm").glob("*autotune*")} - {NAME}
