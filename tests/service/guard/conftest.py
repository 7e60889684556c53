from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.service.serving import Served, serving


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A service that the tests of a module share."""
    folder: Path = tmp_path_factory.mktemp("service")
    with serving(folder, "--name", "tuning.example", "--log-format", "json") as served:
        yield served
