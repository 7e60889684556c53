from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.service.pages.site import CHROMIUM, FLAGS, Visitor, add_jobs, fill, playwright, visiting
from tests.service.serving import Served, serving


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store with three studies; one has no plan."""
    if len(os.sched_getaffinity(0)) < 2:
        pytest.skip("a search over one cpu has nothing to choose")
    made = tmp_path_factory.mktemp("site")
    fill(made)
    return made


@pytest.fixture(scope="session")
def jobs(folder: Path) -> Mapping[str, str]:
    """Jobs by the names of their pages."""
    return add_jobs(folder)


@pytest.fixture(scope="session")
def served(folder: Path) -> Iterator[Served]:
    with serving(folder, "--root", str(folder)) as service:
        yield service


@pytest.fixture(scope="session")
def browser() -> Iterator[Any]:
    if not CHROMIUM.exists():
        pytest.skip(f"there is no {CHROMIUM}")
    with playwright.sync_playwright() as started:
        chromium = started.chromium.launch(executable_path=str(CHROMIUM), args=list(FLAGS))
        yield chromium
        chromium.close()


@pytest.fixture
def visitor(served: Served, browser: Any) -> Iterator[Visitor]:
    """Somebody who is signed in; whose browser must not complain of anything."""
    with visiting(served, browser) as somebody:
        yield somebody
        assert somebody.complaints == []
