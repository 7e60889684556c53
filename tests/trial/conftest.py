from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from autotune.testing.fake_trial import processes_of


@pytest.fixture
def nothing_left(tmp_path: Path) -> Iterator[None]:
    """Fails the test that leaves a process, a zombie, a descriptor or a file in shared memory."""
    before = _descriptors(), _shared_files()
    yield
    assert processes_of(tmp_path) == []
    assert psutil.Process().children() == []
    assert (_descriptors(), _shared_files()) == before


def _descriptors() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


def _shared_files() -> set[str]:
    return {path.name for path in Path("/dev/shm").glob("*autotune*")}
