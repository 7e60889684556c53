from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.queue.jobs_at_hand import JobFolder, job_folder


@pytest.fixture
def folder(tmp_path: Path, own_cache: Path) -> Iterator[JobFolder]:
    """A queue of the test's own, in an SQLite store."""
    with job_folder(tmp_path, f"sqlite:///{tmp_path / 'autotune.db'}") as made:
        yield made
